//! A chain on disk: the first run at the root, the others in `increments/`, `chain.json` that names them all. What names a run
//! commits it; whatever a run leaves that died before that is taken away by the next.

mod files;
mod proof;
mod stored;

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use decryptor_wasm::{
    BackupType, Envelope, Error, Manifest,
    chain::{CHAIN, Index, IndexRun, UNNAMED, run_of},
    layout::{ENVELOPE, MANIFEST, RUN, SUMS},
    signature::{SIGNATURE, Statement, unproven},
};

pub use self::proof::{Host, Proof};
use self::stored::StoredChain;
use super::{
    ArchiveError, Finished, Staged,
    destination::{Destination, STAGING, hold, remove, sync},
};
use crate::archive::{
    listed_files::{Replacer, none},
    read::Folder,
    sums::{self, SumLine},
};
use crate::{digest::sha256_hex, files::write as write_file, storage::Location};

const INCREMENTS: &str = "increments";

/// What became of a run that had died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftover {
    /// There was none.
    None,
    /// What it left was removed.
    Removed,
    /// It was finished.
    Finished,
}

impl Leftover {
    fn removed(was_there: bool) -> Self {
        match was_there {
            true => Leftover::Removed,
            false => Leftover::None,
        }
    }
}

/// A folder that holds a chain, or is to hold one. Nobody else writes to it while this is there.
pub struct ChainFolder {
    folder: PathBuf,
    created: bool,
    /// Whether the runs are named in a list; an archive by itself has none.
    listed: bool,
    /// The runs so far, from the first.
    pub runs: Vec<IndexRun>,
    /// Of a chain on disk.
    _lock: Option<File>,
    /// Of a chain in an object store.
    stored: Option<StoredChain>,
}

/// Whether files of a run that died are removed, or of use.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leftovers {
    Remove,
    Keep,
}

impl ChainFolder {
    /// Takes hold of a folder, and takes away what a run left there that died (said in the second value), unless it is `newest`, a run
    /// that this host has finished. An archive in it becomes the first run of a chain.
    ///
    /// # Errors
    /// When the folder holds something else, or its list of runs does not fit what is there.
    pub fn open(
        location: &Location,
        newest: Option<&str>,
        state: Option<&Path>,
    ) -> Result<(Self, Leftover), ArchiveError> {
        match location {
            Location::Folder(folder) => {
                let (chain, leftover) = ChainFolder::on_disk(folder, newest, Leftovers::Remove)?;
                Ok((chain, Leftover::removed(leftover)))
            }
            Location::Store(address) => {
                let (mut chain, leftover) = ChainFolder::in_store(address, state)?;
                chain.list_stored()?;
                if !chain.runs.is_empty() {
                    chain.check()?;
                }
                Ok((chain, leftover))
            }
            Location::Stream(_) => Err(no_place()),
        }
    }

    /// The same for a folder, and a run that goes on with what is left of one that died: that is in [`ChainFolder::staging`] then.
    ///
    /// # Errors
    /// The same.
    pub fn resume(folder: &Path) -> Result<Self, ArchiveError> {
        ChainFolder::on_disk(folder, None, Leftovers::Keep).map(|(chain, _)| chain)
    }

    fn on_disk(
        folder: &Path,
        newest: Option<&str>,
        leftovers: Leftovers,
    ) -> Result<(Self, bool), ArchiveError> {
        let (lock, created) = hold(folder)?;
        Folder::new(folder).refuse_links()?;
        let mut chain = ChainFolder {
            folder: folder.to_owned(),
            created,
            listed: true,
            runs: Vec::new(),
            _lock: Some(lock),
            stored: None,
        };
        if !folder.join(MANIFEST).exists() {
            if folder.join(CHAIN).exists() || !chain.unlisted()?.is_empty() {
                return Err(chain.broken("the manifest.json of run 1 is missing"));
            }
            return Ok((chain, false));
        }
        for name in [CHAIN, SUMS] {
            absent(&folder.join(Replacer::Backup.temporary(name)))?;
        }
        let staged = chain.staging();
        let mut leftover = staged.exists();
        if leftovers == Leftovers::Remove {
            absent(&staged)?;
        }
        if folder.join(CHAIN).exists() {
            chain.runs = Index::parse(&chain.at().read(CHAIN)?)?.runs;
            leftover |= chain.take_away(newest, leftovers)?;
        } else {
            let first = chain.adopted()?;
            chain.refuse_lost()?;
            chain.runs.push(first);
            chain.put_index(none())?;
        }
        chain.check()?;
        if let Some(newest) = chain.newest() {
            absent(&folder.join(&newest.path).join(UNNAMED))?;
        }
        Ok((chain, leftover))
    }

    /// Takes hold of a folder for an archive by itself.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn alone(
        location: &Location,
        state: Option<&Path>,
    ) -> Result<(Self, Leftover), ArchiveError> {
        match location {
            Location::Folder(folder) => {
                let (lock, created) = hold(folder)?;
                let chain = ChainFolder {
                    folder: folder.to_owned(),
                    created,
                    listed: false,
                    runs: Vec::new(),
                    _lock: Some(lock),
                    stored: None,
                };
                Ok((chain, Leftover::None))
            }
            Location::Store(address) => {
                let (mut chain, leftover) = ChainFolder::in_store(address, state)?;
                chain.list_stored()?;
                match chain.runs.is_empty() {
                    true => Ok((chain, leftover)),
                    false => Err(ArchiveError::Exists(chain.folder)),
                }
            }
            Location::Stream(_) => Err(no_place()),
        }
    }

    /// Where the next run is to be written; and whether a run that died had left something there.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn destination(&self) -> Result<(Destination, bool), ArchiveError> {
        if let Some(StoredChain { store, work, .. }) = &self.stored {
            let run = work.begin(store, self.next())?;
            return Ok((Destination::in_store(run, &self.folder), false));
        }
        if self.runs.is_empty() {
            return Destination::of_chain(&self.folder, self.created);
        }
        Ok((Destination::beside(&self.folder)?, false))
    }

    /// The newest run.
    pub fn newest(&self) -> Option<&IndexRun> {
        self.runs.last()
    }

    /// The number of the next run.
    pub fn next(&self) -> u32 {
        self.newest().map_or(1, |newest| newest.run + 1)
    }

    /// The folder, for reading: no link is followed there.
    fn at(&self) -> Folder {
        match &self.stored {
            Some(stored) => stored.folder.clone(),
            None => Folder::new(&self.folder),
        }
    }

    /// The folder of a run.
    pub fn run(&self, run: &IndexRun) -> Folder {
        let at = match &self.stored {
            // This run may have been finished after the first look.
            Some(stored) => Folder::of_store(stored.store.clone()),
            None => self.at(),
        };
        at.run(run.run)
    }

    /// Where the files of the next run are written that is not the first.
    pub fn staging(&self) -> PathBuf {
        self.folder.join(STAGING)
    }

    /// Moves a run into its place and names it: from then on it is a part of the chain.
    ///
    /// # Errors
    /// When the system refuses. What is there then is taken away by the next run, or completed.
    pub fn commit(&mut self, staged: Staged, kind: BackupType) -> Result<Finished, ArchiveError> {
        let made = run(
            &Folder::new(staged.folder()),
            &staged.finished().statement,
            self.next(),
            kind,
            self.newest(),
        )?;
        if self.stored.is_some() {
            let place = staged.folder().join(RUN);
            let listed = Index::new(vec![made.clone()]).to_json()?;
            write_file(&place, &listed).map_err(|e| ArchiveError::io(&place, e))?;
            self.runs.push(made);
            return staged.publish();
        }
        if made.path.is_empty() {
            self.runs.push(made);
            let finished = staged.publish()?;
            if self.listed {
                self.put_index(none())?;
            }
            return Ok(finished);
        }
        let (staging, finished) = staged.part();
        self.append(&staging, made)?;
        Ok(finished)
    }

    /// The same for any run but the first, which is whole in `staging`, its own sums among its files.
    ///
    /// # Errors
    /// The same.
    pub fn append(&mut self, staging: &Path, made: IndexRun) -> Result<(), ArchiveError> {
        let path = made.path.clone();
        self.runs.push(made);
        let at = |e| ArchiveError::io(staging, e);
        write_file(&staging.join(UNNAMED), &[]).map_err(at)?;
        sync(staging)?;
        let target = self.folder.join(&path);
        let own = sums::read(File::open(staging.join(SUMS)).map_err(at)?);
        fs::remove_file(staging.join(SUMS)).map_err(at)?;
        let increments = self.folder.join(INCREMENTS);
        match fs::create_dir(&increments) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                return Err(ArchiveError::io(&increments, e));
            }
            _ => {}
        }
        let unnamed = target.join(UNNAMED);
        fs::rename(staging, &target).map_err(|e| ArchiveError::io(&target, e))?;
        sync(&self.folder)?;
        let own = own.map(|line| {
            let line = line?;
            Ok(SumLine::new(&format!("{path}/{}", line.path), &line.sha256))
        });
        self.put_index(Box::new(own))?;
        // It is named now; should this fail, the next run does it.
        let _ = fs::remove_file(unnamed);
        Ok(())
    }

    /// The folders of runs that are not named.
    fn unlisted(&self) -> Result<Vec<String>, ArchiveError> {
        let increments = self.folder.join(INCREMENTS);
        let at = |e| ArchiveError::io(&increments, e);
        let mut unlisted = Vec::new();
        if increments.exists() {
            for entry in fs::read_dir(&increments).map_err(at)? {
                let name = entry.map_err(at)?.file_name();
                let path = format!("{INCREMENTS}/{}", name.to_string_lossy());
                if run_of(&format!("{path}/")).is_some_and(|(n, _)| n >= self.next()) {
                    unlisted.push(path);
                }
            }
        }
        Ok(unlisted)
    }

    /// An archive alone has neither increments nor a list of runs, which does not go by itself.
    fn refuse_lost(&self) -> Result<(), ArchiveError> {
        let mut lost = !self.unlisted()?.is_empty();
        for line in self.at().sums()? {
            let path = line?.path;
            lost |= path == CHAIN || path.starts_with("increments/");
        }
        if lost {
            return Err(self.broken("its list of runs, chain.json, is missing"));
        }
        Ok(())
    }

    fn broken(&self, what: &str) -> ArchiveError {
        Error::damaged(format!(
            "{} holds a chain, but {what}; nothing was added to it: use another copy of it, or begin a new one",
            self.folder.display()
        ))
        .into()
    }

    /// Describes an archive without a list of runs as the first run of a chain, if it can be that.
    fn adopted(&self) -> Result<IndexRun, ArchiveError> {
        let at = self.at();
        let manifest = at.read(MANIFEST)?;
        let ours = if at.has(ENVELOPE) {
            Envelope::parse(&at.read(ENVELOPE)?)?.has_key_check()
        } else {
            Manifest::parse(&manifest)?.inventory.is_some()
        };
        if !ours {
            return Err(ArchiveError::Foreign(self.folder.clone()));
        }
        let signature = at.small(SIGNATURE)?;
        // Whether it holds, and whose it is, shows before anything is built on it.
        let statement = signature.as_deref().and_then(unproven);
        let statement = statement.ok_or_else(|| self.unsigned(1))?;
        let id = sha256_hex(&manifest);
        run(
            &at,
            &Statement { id, ..statement },
            1,
            BackupType::Full,
            None,
        )
    }

    /// Whether the runs are those that are listed, and follow one another.
    fn check(&self) -> Result<(), ArchiveError> {
        let wrong = |run: &IndexRun, what: &str| {
            Err(Error::damaged(format!(
                "{}: run {} {what}; nothing was added to this chain: use another copy of it, or begin a new one",
                self.folder.join(CHAIN).display(),
                run.run
            ))
            .into())
        };
        let mut before: Option<&IndexRun> = None;
        for run in &self.runs {
            if run.run != before.map_or(1, |b| b.run + 1) || run.path != Index::path(run.run) {
                return wrong(run, "is out of order");
            }
            if run.parent.as_ref() != before.map(|before| &before.archive_id) {
                return wrong(run, "does not follow the one before it");
            }
            let at = self.at().run(run.run);
            if !at.has(MANIFEST) {
                return wrong(run, "is missing");
            }
            if sha256_hex(&at.read(MANIFEST)?) != run.archive_id {
                return wrong(run, "is another archive than the list says");
            }
            before = Some(run);
        }
        match before {
            Some(_) => Ok(()),
            None => Err(Error::damaged(format!(
                "{}: names no run; the file is damaged or was replaced",
                self.folder.join(CHAIN).display()
            ))
            .into()),
        }
    }

    /// Takes away what a run left that was not committed, and completes the sums of one that was.
    fn take_away(&self, newest: Option<&str>, leftovers: Leftovers) -> Result<bool, ArchiveError> {
        let doomed = self.unlisted()?;
        let holds = self.sums_hold()?;
        // One run at a time can have died. More are those of a longer chain, whose list of runs was lost.
        if doomed.len() > 1 {
            return Err(self.other_index("names fewer runs than there are"));
        }
        let finished = |path: &String| {
            let manifest = fs::read(self.folder.join(path).join(MANIFEST)).unwrap_or_default();
            let unnamed = self.folder.join(path).join(UNNAMED).exists();
            !unnamed || newest == Some(sha256_hex(&manifest).as_str())
        };
        if let Some(path) = doomed.iter().find(|path| finished(path)) {
            return Err(
                self.other_index(&format!("does not name {path}, which a run has finished"))
            );
        }
        if !doomed.is_empty() || !holds {
            self.complete_sums()?;
        }
        for path in &doomed {
            let aside = self.staging();
            let at = |e| ArchiveError::io(&aside, e);
            absent(&aside)?;
            fs::rename(self.folder.join(path), &aside).map_err(at)?;
            if leftovers == Leftovers::Remove {
                remove(&aside).map_err(at)?;
            }
        }
        Ok(!doomed.is_empty())
    }
}

fn absent(path: &Path) -> Result<(), ArchiveError> {
    match remove(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(ArchiveError::io(path, e)),
        _ => Ok(()),
    }
}

/// A stream holds no chain.
fn no_place() -> ArchiveError {
    io::Error::from(io::ErrorKind::Unsupported).into()
}

/// Describes the run in `folder`, which was signed as `statement`, for the list of runs.
fn run(
    folder: &Folder,
    statement: &Statement,
    number: u32,
    kind: BackupType,
    before: Option<&IndexRun>,
) -> Result<IndexRun, ArchiveError> {
    let envelope = match folder.has(ENVELOPE) {
        true => Some(Envelope::parse(&folder.read(ENVELOPE)?)?),
        false => None,
    };
    let recipients = envelope.iter().flat_map(|e| e.recipients());
    Ok(IndexRun {
        run: number,
        path: Index::path(number),
        archive_id: statement.id.clone(),
        parent: before.map(|before| before.archive_id.clone()),
        kind,
        created_at: statement.created,
        mode: envelope.as_ref().map(|e| e.mode().name().to_owned()),
        recipients: recipients.map(|r| r.fingerprint.clone()).collect(),
    })
}
