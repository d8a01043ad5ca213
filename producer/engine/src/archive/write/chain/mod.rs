//! A chain on disk: the first run at the root, the others in `increments/`, `chain.json` that names them all. What names a run
//! commits it; whatever a run leaves that died before that is taken away by the next.

mod check;
mod files;
mod proof;
mod stored;

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use decryptor_wasm::{
    BackupType, Envelope,
    chain::{CHAIN, Index, IndexRun, UNNAMED},
    layout::{ENVELOPE, MANIFEST, SUMS},
    signature::Statement,
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
use crate::{files::write as write_file, storage::Location};

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
            let Staged {
                destination,
                finished,
                ..
            } = staged;
            self.put(destination, made)?;
            return Ok(finished);
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
