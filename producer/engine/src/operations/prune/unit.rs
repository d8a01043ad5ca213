//! Backups in a folder: each archive is one unit, that is kept or goes as a whole.

use std::{
    cmp::Reverse,
    collections::HashMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use decryptor_wasm::{
    chain::{CHAIN, UNNAMED, run_of},
    layout::{ENVELOPE, MANIFEST, PathKind},
    signature::{Demands, SIGNATURE},
};
use jiff::Timestamp;
use serde::Serialize;

use super::{
    leftovers::Leftovers,
    place::{BackupPlace, DOOMED},
    proof, pryv,
};
use crate::{
    archive::{listed_files::Replacer, read::Folder},
    failure::Failure,
    regular::is_there,
    secrets::Secrets,
    state,
};

/// Files that desktops put everywhere.
const JUNK: [&str; 3] = [".DS_Store", "Thumbs.db", "desktop.ini"];

/// Source of backups: the rules count each source by itself. Unsigned backups are never counted with signed ones, whatever they claim.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(untagged)]
pub enum BackupSource {
    /// A platform, or one user of it, as it was signed.
    Signed(String),
    /// As a backup of Pryv's own tool names it.
    Pryv(String),
}

/// A backup that is good: signed by somebody who is expected, and every byte of it as it was signed.
pub struct Unit {
    /// Its folder.
    pub path: PathBuf,
    /// When the backup was made; of a chain, its newest run.
    pub time: Timestamp,
    /// SHA-256 of `manifest.json` as stored; of a chain, that of its newest run.
    pub id: String,
    /// Of what it is.
    pub source: BackupSource,
    /// How many losses it names.
    pub losses: u64,
    /// The id of its first run, which all copies of a chain share.
    pub base: String,
    /// How many runs it has.
    pub runs: usize,
    /// Where it lies.
    pub place: BackupPlace,
}

/// Contents of a folder of backups.
#[derive(Default)]
pub struct Units {
    /// Newest first.
    pub good: Vec<Unit>,
    /// Backups that are not known to be good, and why.
    pub unproven: Vec<(PathBuf, String)>,
    /// Paths that are no backups, and why.
    pub others: Vec<(PathBuf, String)>,
    /// Backups that an earlier run had begun to remove.
    pub doomed: Vec<(PathBuf, BackupPlace)>,
    /// What runs left in an object store that were not finished, and have been for long.
    pub leftovers: Vec<Leftovers>,
}

/// Checks backups.
pub struct Checker<'a> {
    /// Conditions that each must meet.
    pub demands: &'a Demands,
    /// Where this host remembers the newest run of each chain.
    pub state: Option<PathBuf>,
    /// Secrets that must open the backups that are encrypted, where they are given.
    pub secrets: Option<Secrets<'a>>,
    /// Takes backups of Pryv's own tool that the secrets open.
    pub unsigned: bool,
    /// Files at once.
    pub jobs: usize,
    /// This moment.
    pub now: Timestamp,
    /// Later backups are from the future.
    pub latest: Timestamp,
}

/// Kind of a folder.
pub enum Candidate {
    Good(Unit),
    Unproven(String),
    Other(String),
    Doomed(BackupPlace),
    /// Left by runs that were not finished.
    Left(Leftovers),
}

impl Candidate {
    pub fn unproven(why: impl fmt::Display) -> Self {
        Candidate::Unproven(why.to_string())
    }
}

/// Looks at every entry of `dir`, and reads every backup.
pub fn find(dir: &Path, checker: &mut Checker<'_>) -> Result<Units, Failure> {
    let failed = |e: io::Error| Failure::failed(format!("{}: {e}", dir.display()));
    let mut units = Units::default();
    let mut entries: Vec<_> = fs::read_dir(dir)
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        Failure::unless_interrupted()?;
        let path = entry.path();
        // Of links, what they lead to is none of this folder's.
        if !entry.file_type().map_err(failed)?.is_dir() {
            continue;
        }
        if let Some(secrets) = &mut checker.secrets {
            secrets.forget_asked();
        }
        let found = checker.look(&path);
        units.add(path, found);
    }
    units.drop_copies();
    Ok(units)
}

impl Units {
    /// Takes what was found at a path.
    pub fn add(&mut self, path: PathBuf, found: Candidate) {
        match found {
            Candidate::Good(unit) => self.good.push(unit),
            Candidate::Unproven(why) => self.unproven.push((path, why)),
            Candidate::Other(why) => self.others.push((path, why)),
            Candidate::Doomed(place) => self.doomed.push((path, place)),
            Candidate::Left(left) => self.leftovers.push(left),
        }
    }

    /// One backup counts once, wherever it lies, and of one chain the copy with the most runs. What counts is left in order, newest first.
    pub fn drop_copies(&mut self) {
        // Of two of the same moment the one whose name comes last counts as the newer.
        let longest = |unit: &Unit| Reverse((unit.runs, unit.time, unit.path.clone()));
        self.good.sort_by_key(longest);
        let mut seen: HashMap<String, (String, PathBuf)> = HashMap::new();
        // A consolidated backup is as old, to the millisecond, as the one that it was made of.
        let mut moments: HashMap<(BackupSource, Timestamp), PathBuf> = HashMap::new();
        let mut good = Vec::new();
        for unit in std::mem::take(&mut self.good) {
            let moment = (unit.source.clone(), unit.time);
            let copy = match (seen.get(&unit.base), moments.get(&moment)) {
                (Some((id, first)), _) if *id == unit.id => Some(("a copy", first)),
                (Some((_, first)), _) => Some(("an older copy", first)),
                (None, Some(first)) => Some(("a copy in another form", first)),
                (None, None) => None,
            };
            if let Some((copy, first)) = copy {
                let why = format!("{copy} of {}", first.display());
                self.unproven.push((unit.path, why));
                continue;
            }
            moments.insert(moment, unit.path.clone());
            seen.insert(unit.base.clone(), (unit.id.clone(), unit.path.clone()));
            good.push(unit);
        }
        good.sort_by_key(|unit| Reverse((unit.time, unit.path.clone())));
        self.good = good;
    }
}

impl Checker<'_> {
    fn look(&self, path: &Path) -> Candidate {
        let folder = Folder::new(path);
        let listing = match folder.list_stored() {
            Ok(listing) => listing,
            Err(error) => return Candidate::unproven(error),
        };
        let has = |name: &str| listing.has(name);
        let chain = has(CHAIN);
        let strange = |chain: bool| stray(listing.iter().map(|(path, _)| path), chain);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // One that still has its manifest may be the last good one by now.
        if name.starts_with(DOOMED) && !is_there(&path.join(MANIFEST)) {
            return match strange(true) {
                Some(why) => Candidate::Unproven(why),
                None => Candidate::Doomed(BackupPlace::Folder { _lock: None }),
            };
        }
        if !has(MANIFEST) {
            return match has(SIGNATURE) || has(ENVELOPE) {
                true => Candidate::unproven("manifest.json is missing: it was removed, or lost"),
                false => Candidate::Other(
                    "no backup (it has no manifest.json), or one that was not finished".to_owned(),
                ),
            };
        }
        if let Some(why) = strange(chain) {
            return Candidate::Unproven(why);
        }
        let lock = match chain.then(|| super::lock(path, "a backup")).transpose() {
            Ok(lock) => lock,
            Err(failure) => return Candidate::Unproven(failure.message().to_owned()),
        };
        match self.prove(&folder, BackupPlace::Folder { _lock: lock }) {
            Ok(unit) => Candidate::Good(unit),
            Err(why) => Candidate::Unproven(why),
        }
    }

    /// A backup that is good, or why it is not known to be.
    pub fn prove(&self, folder: &Folder, place: BackupPlace) -> Result<Unit, String> {
        let proven = match proof::signed(folder, self.demands) {
            Ok(proven) => proven,
            Err(error) if folder.has(SIGNATURE) || folder.has(CHAIN) => {
                return Err(error.to_string());
            }
            Err(error) => {
                return match self.unsigned(folder, place) {
                    Some(unit) => unit,
                    None => Err(error.to_string()),
                };
            }
        };
        let statement = &proven.signed.statement;
        if let Some(state) = &self.state
            && !state::may_be_newest(state, &statement.base, &statement.id)?
        {
            return Err("it does not end in the run that this host made last".to_owned());
        }
        let time = Timestamp::from_millisecond(statement.created).map_err(|e| e.to_string())?;
        let unit = self.dated(Unit {
            path: folder.path().to_owned(),
            time,
            id: statement.id.clone(),
            source: BackupSource::Signed(statement.source.clone()),
            losses: statement.losses,
            base: statement.base.clone(),
            runs: proven.runs(),
            place,
        })?;
        let good = proof::locked(folder, &proven, self.secrets.as_ref())
            .and_then(|()| proof::whole(folder, &proven, self.jobs));
        good.map_err(|error| error.to_string())?;
        Ok(unit)
    }

    /// A backup of Pryv's own tool; none where such ones do not count.
    fn unsigned(&self, folder: &Folder, place: BackupPlace) -> Option<Result<Unit, String>> {
        let secrets = self.secrets.as_ref().filter(|_| self.unsigned)?;
        let said = pryv::read(folder, self.demands, secrets, self.jobs);
        Some(said.and_then(|said| {
            self.dated(Unit {
                path: folder.path().to_owned(),
                time: said.time,
                base: said.id.clone(),
                id: said.id,
                source: BackupSource::Pryv(said.source),
                losses: said.losses,
                runs: 1,
                place,
            })
        }))
    }

    fn dated(&self, unit: Unit) -> Result<Unit, String> {
        if unit.time > self.latest {
            return Err(format!("dated in the future ({})", unit.time));
        }
        Ok(unit)
    }
}

/// Says which of the paths is of no archive or chain, if one is.
pub fn stray(mut paths: impl Iterator<Item = impl AsRef<str>>, chain: bool) -> Option<String> {
    let is_stray = |path: &str| !belongs(path, chain) && !is_junk(path);
    let found = paths.find(|path| is_stray(path.as_ref()))?;
    Some(format!(
        "holds {}, which is no part of a backup: move it away",
        found.as_ref()
    ))
}

/// Whether a path is a file that desktops put everywhere.
pub fn is_junk(path: &str) -> bool {
    JUNK.contains(&path.rsplit('/').next().unwrap_or_default())
}

/// Whether a path is one of an archive, or of a chain and what its runs leave when they die.
fn belongs(path: &str, chain: bool) -> bool {
    if Replacer::Rekey.is_leftover(path) {
        return true;
    }
    if !chain {
        return !matches!(PathKind::of(path), PathKind::Stray);
    }
    let own = |within: &str| within == UNNAMED || !matches!(PathKind::of(within), PathKind::Stray);
    path == CHAIN
        || path.starts_with(".pryv-backup-partial/")
        || Replacer::Backup.is_leftover(path)
        || run_of(path).is_some_and(|(_, within)| own(within))
}
