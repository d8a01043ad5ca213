//! What this host keeps of its work on a place in an object store: files that wait, and notes for whoever goes on when it was killed.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

use super::ArchiveError;
use crate::files;

/// Where the files of a run wait that are put at its end.
const STAGING: &str = "files";
/// The note that all of them are there, and that putting them has begun: it holds the folder of the run.
const COMMIT: &str = "commit";
/// The note of the attempt whose volumes are being sent.
pub(super) const ATTEMPT: &str = "attempt";
/// The note of objects that are being removed.
pub(super) const REMOVAL: &str = "removal";
/// The folder; whoever works there holds a lock on it.
#[derive(Clone)]
pub(super) struct WorkFolder(PathBuf);

impl WorkFolder {
    /// The one at a path.
    pub(super) fn new(path: PathBuf) -> Self {
        WorkFolder(path)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Where the files of a run wait that are no volumes.
    pub(super) fn staging(&self) -> PathBuf {
        self.0.join(STAGING)
    }

    /// Takes note that the files of the run in this folder of the store are being put.
    pub(super) fn note_commit(&self, folder: &str) -> Result<(), ArchiveError> {
        self.put(COMMIT, folder.as_bytes())?;
        files::sync_all(&self.0).map_err(|e| ArchiveError::io(&self.0, e))
    }

    /// The folder of the run whose files were being put, if any were.
    pub(super) fn commit(&self) -> Result<Option<String>, ArchiveError> {
        let note = self.0.join(COMMIT);
        match fs::read_to_string(&note) {
            Ok(folder) => Ok(Some(folder)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(ArchiveError::io(&note, e)),
        }
    }

    /// Takes note of something.
    pub(super) fn note<T: Serialize>(&self, name: &str, note: &T) -> Result<(), ArchiveError> {
        let json = serde_json::to_vec(note);
        let json = json.map_err(|e| ArchiveError::io(&self.0.join(name), e.into()))?;
        self.put(name, &json)
    }

    /// What a note says; one that was cut off says nothing, since what it is about had not begun.
    pub(super) fn noted<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ArchiveError> {
        let note = self.0.join(name);
        match fs::read(&note) {
            Ok(json) => Ok(serde_json::from_slice(&json).ok()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(ArchiveError::io(&note, e)),
        }
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), ArchiveError> {
        let place = self.0.join(name);
        let written = || {
            let mut file = File::create(&place)?;
            file.write_all(bytes)?;
            files::store(file)
        };
        written().map_err(|e| ArchiveError::io(&place, e))
    }

    /// Removes a note.
    pub(super) fn forget(&self, name: &str) -> Result<(), ArchiveError> {
        let place = self.0.join(name);
        match fs::remove_file(&place) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(ArchiveError::io(&place, e)),
            _ => Ok(()),
        }
    }

    /// Forgets a run that is done with.
    pub(super) fn clear(&self) -> Result<(), ArchiveError> {
        self.clear_files()?;
        self.forget(ATTEMPT)
    }

    /// Forgets the files that wait.
    pub(super) fn clear_files(&self) -> Result<(), ArchiveError> {
        let staging = self.staging();
        match fs::remove_dir_all(&staging) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(ArchiveError::io(&staging, e));
            }
            _ => {}
        }
        self.forget(COMMIT)
    }
}
