//! What lies in a folder of backups: each archive is one unit, that is kept or goes as a whole.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
};

use decryptor_wasm::{
    chain::{CHAIN, run_of},
    layout::PathKind,
    signature::{SIGNATURE, Signer},
};
use jiff::Timestamp;

use super::{proof, pryv};
use crate::{
    archive::{UNNAMED, read::Folder},
    cli::KeyArgs,
    commands::rekey,
    failure::Failure,
    interrupt, state,
};

/// Files that desktops put everywhere.
const JUNK: [&str; 3] = [".DS_Store", "Thumbs.db", "desktop.ini"];
/// In front of the name of an archive that is being removed.
pub const DOOMED: &str = ".pryv-backup-pruned-";

/// A backup that is good: signed by somebody who is expected, and every byte of it as it was signed.
pub struct Unit {
    /// Its folder.
    pub path: PathBuf,
    /// When the backup was made; of a chain, its newest run.
    pub time: Timestamp,
    /// SHA-256 of `manifest.json` as stored; of a chain, that of its newest run.
    pub id: String,
    /// Which platform, or which user of it: the rules count each by itself.
    pub source: String,
    /// How many losses it names.
    pub losses: u64,
    /// Keeps runs from adding to a chain that may go.
    _lock: Option<fs::File>,
}

/// What is in a folder of backups.
#[derive(Default)]
pub struct Units {
    /// Newest first.
    pub good: Vec<Unit>,
    /// Backups that are not known to be good, and why.
    pub unproven: Vec<(PathBuf, String)>,
    /// What is no backup, and why.
    pub others: Vec<(PathBuf, String)>,
    /// What an earlier run had begun to remove.
    pub doomed: Vec<PathBuf>,
}

/// How backups are judged.
pub struct Judge<'a> {
    /// Who may have signed them.
    pub signers: &'a [Signer],
    /// Where this host remembers the newest run of each chain.
    pub state: Option<PathBuf>,
    /// Takes backups of Pryv's own tool that the key opens.
    pub unsigned: Option<&'a KeyArgs>,
    /// Files at once.
    pub jobs: usize,
    /// Later backups are from the future.
    pub latest: Timestamp,
}

/// What a folder is.
enum Found {
    Good(Unit),
    Unproven(String),
    Other(String),
}

/// Looks at every entry of `dir`, and reads every backup.
pub fn find(dir: &Path, judge: &Judge<'_>) -> Result<Units, Failure> {
    let failed = |e: io::Error| Failure::failed(format!("{}: {e}", dir.display()));
    let mut units = Units::default();
    let mut entries: Vec<_> = fs::read_dir(dir)
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        interrupt::failure()?;
        let path = entry.path();
        // Of links, what they lead to is none of this folder's.
        if !entry.file_type().map_err(failed)?.is_dir() {
            continue;
        }
        let doomed = entry.file_name().to_string_lossy().starts_with(DOOMED);
        // One that still has its manifest may be the last good one by now.
        if doomed && !path.join("manifest.json").exists() {
            units.doomed.push(path);
            continue;
        }
        match judge.look(&path) {
            Found::Good(unit) => units.good.push(unit),
            Found::Unproven(why) => units.unproven.push((path, why)),
            Found::Other(why) => units.others.push((path, why)),
        }
    }
    // Of two of the same moment the one whose name comes last counts as the newer.
    let order = |unit: &Unit| std::cmp::Reverse((unit.time, unit.path.clone()));
    units.good.sort_by_key(order);
    units.drop_copies();
    Ok(units)
}

impl Units {
    /// One backup counts once, wherever it lies.
    fn drop_copies(&mut self) {
        let mut seen: HashMap<String, PathBuf> = HashMap::new();
        let mut good = Vec::new();
        for unit in std::mem::take(&mut self.good) {
            match seen.get(&unit.id) {
                Some(first) => {
                    let why = format!("a copy of {}", first.display());
                    self.unproven.push((unit.path, why));
                }
                None => {
                    seen.insert(unit.id.clone(), unit.path.clone());
                    good.push(unit);
                }
            }
        }
        self.good = good;
    }
}

impl Judge<'_> {
    fn look(&self, path: &Path) -> Found {
        let folder = Folder::new(path);
        let listing = match folder.list() {
            Ok(listing) => listing,
            Err(error) => return Found::Unproven(error.to_string()),
        };
        let has = |name: &str| listing.iter().any(|(known, _)| known == name);
        let chain = has(CHAIN);
        if !has("manifest.json") {
            return Found::Other(
                "no backup (it has no manifest.json), or one that was not finished".to_owned(),
            );
        }
        let stray = listing
            .iter()
            .find(|(path, _)| !belongs(path, chain) && !is_junk(path));
        if let Some((stray, _)) = stray {
            return Found::Other(format!("holds {stray}, which is no part of a backup"));
        }
        let lock = match chain.then(|| super::lock(path, "a backup")).transpose() {
            Ok(lock) => lock,
            Err(failure) => return Found::Unproven(failure.message),
        };
        match self.prove(&folder, lock) {
            Ok(unit) => Found::Good(unit),
            Err(why) => Found::Unproven(why),
        }
    }

    fn prove(&self, folder: &Folder, lock: Option<fs::File>) -> Result<Unit, String> {
        let path = folder.path().to_owned();
        let (signed, runs) = match (proof::signed(folder, self.signers), self.unsigned) {
            (Ok(found), _) => found,
            (Err(_), Some(key)) if !folder.has(SIGNATURE) && !folder.has(CHAIN) => {
                let (time, id, source, losses) = pryv::read(folder, key, self.jobs)?;
                return self.dated(Unit {
                    path,
                    time,
                    id,
                    source,
                    losses,
                    _lock: lock,
                });
            }
            (Err(error), _) => return Err(error.to_string()),
        };
        let statement = signed.statement;
        if let Some(state) = &self.state
            && !state::may_be_newest(state, &statement.base, &statement.id)?
        {
            return Err("it does not end in the run that this host made last".to_owned());
        }
        let time = Timestamp::from_millisecond(statement.created).map_err(|e| e.to_string())?;
        let unit = self.dated(Unit {
            path,
            time,
            id: statement.id,
            source: statement.source,
            losses: statement.losses,
            _lock: lock,
        })?;
        proof::whole(folder, runs, self.jobs).map_err(|error| error.to_string())?;
        Ok(unit)
    }

    fn dated(&self, unit: Unit) -> Result<Unit, String> {
        if unit.time > self.latest {
            return Err(format!("dated in the future ({})", unit.time));
        }
        Ok(unit)
    }
}

/// Whether it is a file that desktops put everywhere.
pub fn is_junk(path: &str) -> bool {
    JUNK.contains(&path.rsplit('/').next().unwrap_or_default())
}

/// Whether a path is one of an archive, or of a chain and what its runs leave when they die.
fn belongs(path: &str, chain: bool) -> bool {
    if rekey::is_left(path) {
        return true;
    }
    if !chain {
        return !matches!(PathKind::of(path), PathKind::Stray);
    }
    let left = [
        ".pryv-backup-partial/",
        ".chain.json.new",
        ".SHA256SUMS.new",
    ];
    let own = |within: &str| within == UNNAMED || !matches!(PathKind::of(within), PathKind::Stray);
    path == CHAIN
        || left.iter().any(|left| path.starts_with(left))
        || run_of(path).is_some_and(|(_, within)| own(within))
}

/// Gives a backup that stays its name back, if a run that was killed had begun to remove it.
pub fn keep(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match name
        .strip_prefix(DOOMED)
        .map(|name| path.with_file_name(name))
    {
        Some(own) if !own.exists() => fs::rename(path, &own).map(|()| own),
        _ => Ok(path.to_owned()),
    }
}

/// Removes a folder so that at no moment a part of an archive looks like a whole one: it gets a name that says what is happening,
/// loses its manifest, and then the rest.
pub fn remove(path: &Path) -> io::Result<()> {
    let (Some(name), Some(parent)) = (path.file_name(), path.parent()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let name = name.to_string_lossy();
    let doomed = if name.starts_with(DOOMED) {
        path.to_owned()
    } else {
        let doomed = parent.join(format!("{DOOMED}{name}"));
        fs::rename(path, &doomed)?;
        fs::File::open(parent)?.sync_all()?;
        doomed
    };
    match fs::remove_file(doomed.join("manifest.json")) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => fs::File::open(&doomed)?.sync_all()?,
    }
    fs::remove_dir_all(&doomed)
}
