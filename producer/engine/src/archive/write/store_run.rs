//! A run on its way into an object store, where nothing is ever overwritten. Its volumes go there while they are made. All other files are
//! put at its end, each only where there is none: `run.json` first, which decides between two runs at a time, the manifest after all
//! other files, and the signature last, without which nobody takes the run for one.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use decryptor_wasm::layout::{MANIFEST, RUN, SIGNATURE, claim_name, claim_of, run_folder, run_of};

use super::{
    ArchiveError,
    file::FileStorage,
    volumes::{ArchiveLayout, VolumeStream, Volumes},
};
use crate::{
    files,
    state::note_name,
    storage::{ObjectStore, StoreError, StoreErrorKind, StoreObject, Upload},
};

/// Where the files of a run wait that are put at its end; below the folder of a store's work.
const STAGING: &str = "files";
/// The note that all of them are there, and that putting them has begun: it holds the folder of the run.
const COMMIT: &str = "commit";
/// In the state folder, a folder for each place in a store.
const UPLOADS: &str = "uploads";
/// Between the numbers of the first volumes of two attempts.
const VOLUMES_OF_ATTEMPT: u32 = 100_000;

/// The folder on this host for the work on one place in a store. Nobody else works there while this is there.
pub struct StoreWork {
    folder: PathBuf,
    /// Of a host that keeps no state.
    _temporary: Option<tempfile::TempDir>,
    _lock: File,
}

/// A run that is being written to a store.
pub struct StoreRun {
    store: ObjectStore,
    number: u32,
    attempt: u32,
    work: PathBuf,
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
        fs::create_dir_all(&folder).map_err(at)?;
        let lock = File::open(&folder).map_err(at)?;
        if !files::try_lock(&lock) {
            let busy = store.address().to_string();
            return Err(ArchiveError::Busy(PathBuf::from(busy)));
        }
        Ok(StoreWork {
            folder,
            _temporary: temporary,
            _lock: lock,
        })
    }

    /// Ends what a run that died had begun: one that was putting its last files is finished, any other forgotten. Says whether one was
    /// finished.
    ///
    /// # Errors
    /// When the store or the system refuses.
    pub fn recover(&self, store: &ObjectStore) -> Result<bool, ArchiveError> {
        let staging = self.folder.join(STAGING);
        let note = self.folder.join(COMMIT);
        let begun = match fs::read_to_string(&note) {
            Ok(folder) => Some(folder),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(ArchiveError::io(&note, e)),
        };
        let mut finished = false;
        if let Some(folder) = begun.filter(|_| staging.is_dir()) {
            match put_all(store, &folder, &staging) {
                Ok(()) => finished = true,
                // Another run was finished meanwhile: this one never counted.
                Err(ArchiveError::Lost(_)) => {}
                Err(error) => return Err(error),
            }
        }
        self.clear()?;
        Ok(finished)
    }

    fn clear(&self) -> Result<(), ArchiveError> {
        let staging = self.folder.join(STAGING);
        let removed = match fs::remove_dir_all(&staging) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        };
        removed.map_err(|e| ArchiveError::io(&staging, e))?;
        let note = self.folder.join(COMMIT);
        match fs::remove_file(&note) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(ArchiveError::io(&note, e)),
            _ => Ok(()),
        }
    }

    /// Begins the run of a number.
    ///
    /// # Errors
    /// When the store refuses, or would let two runs overwrite each other.
    pub fn begin(&self, store: &ObjectStore, number: u32) -> Result<StoreRun, ArchiveError> {
        let staging = self.folder.join(STAGING);
        fs::create_dir(&staging).map_err(|e| ArchiveError::io(&staging, e))?;
        Ok(StoreRun {
            attempt: claim(store, number)?,
            store: store.clone(),
            number,
            work: self.folder.clone(),
        })
    }
}

/// Takes the next attempt at a run.
fn claim(store: &ObjectStore, number: u32) -> Result<u32, ArchiveError> {
    let claims = |object: &StoreObject| {
        let (run, within) = run_of(&object.key)?;
        claim_of(within).filter(|_| run == number)
    };
    let mut attempt = store.list()?.iter().filter_map(claims).max().unwrap_or(0) + 1;
    let single = store.address().options.single_writer;
    loop {
        let key = below(&run_folder(number), &claim_name(attempt));
        let claim = || format!("{{\"v\":1,\"attempt\":{attempt}}}\n").into_bytes();
        match store.put(&key, claim()) {
            Err(error) if error.kind() == StoreErrorKind::Exists => attempt += 1,
            Err(error) => return Err(error.into()),
            Ok(()) if single => return Ok(attempt),
            // A store that knows no conditions takes it again.
            Ok(()) => match store.put(&key, claim()) {
                Err(error) if error.kind() == StoreErrorKind::Exists => return Ok(attempt),
                Err(error) => return Err(error.into()),
                Ok(()) => {
                    return Err(ArchiveError::Unconditional(store.address().to_string()));
                }
            },
        }
    }
}

impl StoreRun {
    /// The folder on this host where the files wait that are no volumes.
    pub fn staging(&self) -> PathBuf {
        self.work.join(STAGING)
    }

    /// Its number in the chain.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Where the files of the run are written.
    pub fn storage(&self, layout: ArchiveLayout) -> FileStorage {
        let size = match layout {
            ArchiveLayout::Files => ArchiveLayout::VOLUME_SIZE,
            ArchiveLayout::Volumes(size) => size,
        };
        let (store, folder) = (self.store.clone(), run_folder(self.number));
        let begin = move |name: &str| {
            let upload = Upload::new(&store, &below(&folder, name));
            Ok(Box::new(upload) as Box<dyn VolumeStream>)
        };
        let first = (self.attempt - 1) * VOLUMES_OF_ATTEMPT + 1;
        let volumes = Volumes::of_streams(&self.staging(), size, first, Box::new(begin));
        FileStorage {
            folder: self.staging(),
            volumes: Some(volumes.into()),
            tar: None,
        }
    }

    /// Puts all files that wait: from then on the run is a part of the chain. One that is killed meanwhile is finished by the next.
    ///
    /// # Errors
    /// When another run was finished first, or the store refuses.
    pub fn publish(&self) -> Result<(), ArchiveError> {
        let (note, folder) = (self.work.join(COMMIT), run_folder(self.number));
        let noted = || {
            let mut file = File::create(&note)?;
            file.write_all(folder.as_bytes())?;
            files::store(file)
        };
        noted().map_err(|e| ArchiveError::io(&note, e))?;
        files::sync_all(&self.work).map_err(|e| ArchiveError::io(&self.work, e))?;
        put_all(&self.store, &folder, &self.staging())?;
        // Should this fail, the next run finds all of it there.
        let _ = fs::remove_dir_all(self.staging());
        let _ = fs::remove_file(note);
        Ok(())
    }

    /// Forgets what waits.
    pub fn abandon(&self) {
        let _ = fs::remove_dir_all(self.staging());
        let _ = fs::remove_file(self.work.join(COMMIT));
    }
}

/// Puts the files of a run in their order, each where there is none or the same one.
fn put_all(store: &ObjectStore, folder: &str, staging: &Path) -> Result<(), ArchiveError> {
    let at = |e| ArchiveError::io(staging, e);
    let mut names = Vec::new();
    for name in files::names(staging).map_err(at)? {
        names.extend(name.into_string().ok());
    }
    names.sort_by_key(|name| match name.as_str() {
        RUN => 0,
        MANIFEST => 2,
        SIGNATURE => 3,
        _ => 1,
    });
    for name in names {
        let place = staging.join(&name);
        let bytes = fs::read(&place).map_err(|e| ArchiveError::io(&place, e))?;
        let key = below(folder, &name);
        match put(store, &key, bytes) {
            Ok(true) => {}
            Ok(false) if name == RUN => {
                return Err(ArchiveError::Lost(store.address().to_string()));
            }
            Ok(false) => {
                let there = store.address().below(&key).to_string();
                return Err(ArchiveError::Taken(there));
            }
            Err(error) => return Err(ArchiveError::Unfinished(error)),
        }
    }
    Ok(())
}

/// Puts a file; false where there is another one.
fn put(store: &ObjectStore, key: &str, bytes: Vec<u8>) -> Result<bool, StoreError> {
    match store.put(key, bytes.clone()) {
        Ok(()) => Ok(true),
        // Its answer may have been lost, or the run that is finished now had put it.
        Err(error) if error.kind() == StoreErrorKind::Exists => {
            let length = bytes.len() as u64;
            let same = || Ok(store.read(key, None, 0, length)? == bytes);
            match store.size(key)? == Some(length) {
                true => same(),
                false => Ok(false),
            }
        }
        Err(error) => Err(error),
    }
}

fn below(folder: &str, name: &str) -> String {
    match folder.is_empty() {
        true => name.to_owned(),
        false => format!("{folder}/{name}"),
    }
}

impl VolumeStream for Upload {
    fn write(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        Ok(Upload::write(self, &bytes)?)
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        Ok(Upload::finish(*self)?)
    }
}
