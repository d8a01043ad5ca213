//! The work of this host on one place in an object store: a folder of the state, with what a run that is killed leaves to the next.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use decryptor_wasm::layout::{number_of, run_of};
use serde::{Deserialize, Serialize};

use super::{
    ArchiveError,
    store_removal::{self, Removal},
    store_run::{StoreRun, claim, is_claimed, put_all, volumes_of},
    work_folder::{ATTEMPT, REMOVAL, WorkFolder},
};
use crate::{
    files,
    state::note_name,
    storage::{ObjectStore, StoreVersion},
};

/// In the state folder, a folder for each place in a store that is worked on.
const UPLOADS: &str = "uploads";

/// Below the folder of such a place, files that are to be put in the place of objects.
const ASIDE: &str = "aside";

/// The folder on this host for the work on one place in a store. Nobody else works there while this is there; nothing of it stays that is
/// not needed.
pub struct StoreWork {
    folder: WorkFolder,
    /// Of a host that keeps no state.
    _temporary: Option<tempfile::TempDir>,
    _lock: File,
}

/// Which volumes were being sent.
#[derive(Serialize, Deserialize)]
struct Attempt {
    run: u32,
    attempt: u32,
}

impl StoreWork {
    /// Takes hold of the folder for a place in a store, in a state folder; none: a temporary one.
    ///
    /// # Errors
    /// When another run has it, or the system refuses.
    pub fn open(store: &ObjectStore, state: Option<&Path>) -> Result<Self, ArchiveError> {
        let (folder, temporary) = match state {
            Some(state) => {
                let address = store.address().to_string();
                let name = note_name(address.as_bytes());
                (state.join(UPLOADS).join(name), None)
            }
            None => {
                let made = tempfile::tempdir()?;
                (made.path().to_owned(), Some(made))
            }
        };
        let at = |e| ArchiveError::io(&folder, e);
        loop {
            fs::create_dir_all(&folder).map_err(at)?;
            let lock = match File::open(&folder) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                lock => lock.map_err(at)?,
            };
            if !files::try_lock(&lock) {
                let busy = store.address().to_string();
                return Err(ArchiveError::Busy(PathBuf::from(busy)));
            }
            // Whoever had it before may have removed it.
            let held = lock.metadata().map_err(at)?;
            let same = |there: fs::Metadata| (there.dev(), there.ino()) == (held.dev(), held.ino());
            if fs::metadata(&folder).is_ok_and(same) {
                return Ok(StoreWork {
                    folder: WorkFolder::new(folder),
                    _temporary: temporary,
                    _lock: lock,
                });
            }
        }
    }

    /// Ends what a run that died had begun: a removal goes on, uploads are given up, a run that was putting its last files is finished, any
    /// other forgotten. Says whether one was finished.
    ///
    /// # Errors
    /// When the store or the system refuses.
    pub fn recover(&self, store: &ObjectStore) -> Result<bool, ArchiveError> {
        self.end_removal(store)?;
        let attempt: Option<Attempt> = self.folder.noted(ATTEMPT)?;
        let mut may_end = true;
        if let Some(attempt) = attempt {
            attempt.end_uploads(store)?;
            may_end = is_claimed(store, attempt.run, attempt.attempt)?;
        }
        let staging = self.folder.staging();
        let begun = self.folder.commit()?;
        let mut finished = false;
        if let Some(folder) = begun.filter(|_| may_end && staging.is_dir()) {
            match put_all(store, &folder, &staging) {
                Ok(()) => finished = true,
                // Another run was finished meanwhile: this one never counted.
                Err(ArchiveError::Lost(_)) => {}
                Err(error) => return Err(error),
            }
        }
        self.folder.clear()?;
        Ok(finished)
    }

    /// Begins the run of a number.
    ///
    /// # Errors
    /// When the store refuses, or would let two runs overwrite each other.
    pub fn begin(&self, store: &ObjectStore, number: u32) -> Result<StoreRun, ArchiveError> {
        let staging = self.folder.staging();
        fs::create_dir(&staging).map_err(|e| ArchiveError::io(&staging, e))?;
        let attempt = claim(store, number)?;
        let note = Attempt {
            run: number,
            attempt,
        };
        self.folder.note(ATTEMPT, &note)?;
        Ok(StoreRun::new(store, number, attempt, &self.folder))
    }

    /// Where files may lie that are to be put in the place of objects.
    #[must_use]
    pub fn aside(&self) -> PathBuf {
        self.folder.path().join(ASIDE)
    }

    /// Whether a run of this host was killed while it put its last files.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn is_begun(&self) -> Result<bool, ArchiveError> {
        Ok(self.folder.commit()?.is_some())
    }

    /// Removes these objects, and takes note of them before: if this is killed, the next goes on with it.
    ///
    /// # Errors
    /// When the store or the system refuses, after the first was removed.
    pub fn remove(
        &self,
        store: &ObjectStore,
        objects: &[StoreVersion],
    ) -> Result<Removal, ArchiveError> {
        self.folder.note(REMOVAL, &objects)?;
        let removal = store_removal::remove(store, objects)?;
        self.folder.forget(REMOVAL)?;
        Ok(removal)
    }

    /// The objects whose removal has begun, as far as they are still as they were; none where none has begun.
    ///
    /// # Errors
    /// When the store or the system refuses.
    pub fn doomed(&self, store: &ObjectStore) -> Result<Option<Vec<StoreVersion>>, ArchiveError> {
        let Some(noted) = self.folder.noted::<Vec<StoreVersion>>(REMOVAL)? else {
            return Ok(None);
        };
        let mut there = store.list_for_removal()?;
        there.retain(StoreVersion::among(noted));
        Ok(Some(there))
    }

    /// Goes on with a removal that was begun, unless its first object is still there: then it may be decided anew.
    fn end_removal(&self, store: &ObjectStore) -> Result<(), ArchiveError> {
        if let Some(doomed) = self.doomed(store)? {
            if !store_removal::is_whole(&doomed) {
                store_removal::remove(store, &doomed)?;
            }
            self.folder.forget(REMOVAL)?;
        }
        Ok(())
    }
}

impl Attempt {
    /// Gives up the uploads of an attempt of this host that was killed.
    fn end_uploads(&self, store: &ObjectStore) -> Result<(), ArchiveError> {
        let volumes = volumes_of(self.attempt);
        for upload in store.begun_uploads()? {
            let of_attempt = run_of(&upload.key).is_some_and(|(run, name)| {
                let number = number_of(name, ".tar");
                run == self.run && number.is_some_and(|number| volumes.contains(&number))
            });
            if of_attempt {
                store.abort(&upload)?;
            }
        }
        Ok(())
    }
}

impl Drop for StoreWork {
    fn drop(&mut self) {
        // Only an empty folder goes.
        let _ = fs::remove_dir(self.folder.path());
    }
}
