//! A run on its way into an object store, where nothing is ever overwritten. Its volumes go there while they are made. All other files are
//! put at its end, each only where there is none: `run.json` first, which decides between two runs at a time, the manifest after all
//! other files, and the signature last, without which nobody takes the run for one.

use std::{
    fs, io,
    ops::Range,
    path::{Path, PathBuf},
};

use decryptor_wasm::{
    layout::{
        MANIFEST, PathKind, RUN, SIGNATURE, VOLUMES, claim_name, claim_of, number_of, run_folder,
        run_of,
    },
    volume::VolumeList,
};

use super::{
    ArchiveError,
    file::FileStorage,
    volumes::{ArchiveLayout, VolumeStream, Volumes},
    work_folder::WorkFolder,
};
use crate::{
    files,
    storage::{Before, ObjectStore, StoreError, StoreErrorKind, StoreVersion, Upload},
};

/// Between the numbers of the first volumes of two attempts.
const VOLUMES_OF_ATTEMPT: u32 = 100_000;
/// Attempts at one run: somebody who means harm may have put claims there.
const ATTEMPTS: u32 = 10_000;
/// Claims that others may have taken since the objects were listed.
const CLAIMS: usize = 100;

/// A run that is being written to a store.
pub struct StoreRun {
    store: ObjectStore,
    number: u32,
    attempt: u32,
    work: WorkFolder,
}

/// Whether an attempt at a run may have left a file of that name which was not finished.
pub(super) fn is_left(name: &str) -> bool {
    attempt_of(name).is_some()
}

/// The number of the attempt at a run that makes a file of that name before all else is there.
fn attempt_of(name: &str) -> Option<u32> {
    let of_volume = || match PathKind::of(name) {
        PathKind::Volume => Some(number_of(name, ".tar")?.div_ceil(VOLUMES_OF_ATTEMPT)),
        _ => None,
    };
    claim_of(name).or_else(of_volume)
}

/// Takes the next attempt at a run.
pub(super) fn claim(store: &ObjectStore, number: u32) -> Result<u32, ArchiveError> {
    let attempt = |key: &String| {
        let (run, within) = run_of(key)?;
        attempt_of(within).filter(|_| run == number)
    };
    let first = store.keys_ever()?.iter().filter_map(attempt).max();
    let first = first.unwrap_or(0).saturating_add(1);
    let single = store.address().options.single_writer;
    let key = |attempt| below(&run_folder(number), &claim_name(attempt));
    for attempt in (first..=ATTEMPTS).take(CLAIMS) {
        let key = key(attempt);
        let claim = || format!("{{\"v\":1,\"attempt\":{attempt}}}\n").into_bytes();
        match store.put(&key, claim()) {
            Err(error) if error.kind() == StoreErrorKind::Exists => {}
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
    let last = store.address().below(&key(first));
    Err(ArchiveError::Taken(last.to_string()))
}

impl StoreRun {
    /// An attempt at a run that was claimed.
    pub(super) fn new(store: &ObjectStore, number: u32, attempt: u32, work: &WorkFolder) -> Self {
        StoreRun {
            store: store.clone(),
            number,
            attempt,
            work: work.clone(),
        }
    }

    /// The folder on this host where the files wait that are no volumes.
    pub fn staging(&self) -> PathBuf {
        self.work.staging()
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
            let upload = Upload::new(&store, Before::Nothing, &below(&folder, name));
            Ok(Box::new(upload) as Box<dyn VolumeStream>)
        };
        let first = volumes_of(self.attempt).start;
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
        let folder = run_folder(self.number);
        if !is_claimed(&self.store, self.number, self.attempt)? {
            return Err(ArchiveError::Lost(self.store.address().to_string()));
        }
        self.work.note_commit(&folder)?;
        put_all(&self.store, &folder, &self.staging())?;
        // Should this fail, the next run finds all of it there.
        let _ = self.work.clear();
        Ok(())
    }

    /// Forgets what waits; which attempt it was is known on, for uploads that could not be given up.
    pub fn abandon(&self) {
        let _ = self.work.clear_files();
    }
}

/// Whether an attempt at a run may still end it: one that was taken for dead has lost its claim, and its volumes.
pub(super) fn is_claimed(
    store: &ObjectStore,
    number: u32,
    attempt: u32,
) -> Result<bool, StoreError> {
    let key = below(&run_folder(number), &claim_name(attempt));
    Ok(store.size(&key)?.is_some())
}

/// The numbers of the volumes of an attempt.
pub(super) fn volumes_of(attempt: u32) -> Range<u32> {
    let end = attempt.saturating_mul(VOLUMES_OF_ATTEMPT);
    end.saturating_sub(VOLUMES_OF_ATTEMPT) + 1..end.saturating_add(1)
}

/// Whether a volume may be the first one of a run.
#[must_use]
pub fn is_first_volume(number: u32) -> bool {
    number % VOLUMES_OF_ATTEMPT == 1
}

/// Puts the files of a run in their order, each where there is none or the same one.
pub(super) fn put_all(
    store: &ObjectStore,
    folder: &str,
    staging: &Path,
) -> Result<(), ArchiveError> {
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
    refuse_other_versions(store, folder, staging)
}

/// Refuses a run of which somebody put or deleted an object before it was there: readers would take that one.
fn refuse_other_versions(
    store: &ObjectStore,
    folder: &str,
    staging: &Path,
) -> Result<(), ArchiveError> {
    let versions = match store.list_versions() {
        Ok(versions) => versions.unwrap_or_default(),
        Err(error) => return Err(ArchiveError::Unfinished(error)),
    };
    let place = staging.join(VOLUMES);
    let volumes = fs::read(&place).map_err(|e| ArchiveError::io(&place, e))?;
    let volumes = VolumeList::parse(&volumes)?.volumes;
    // Claims and the volumes of other attempts are no part of it.
    let is_part =
        |name: &str| attempt_of(name).is_none() || volumes.iter().any(|volume| volume.name == name);
    let is_of_run = |key: &str| {
        let of_run = run_of(key).filter(|(run, _)| run_folder(*run) == folder);
        of_run.is_some_and(|(_, name)| is_part(name))
    };
    for versions in versions.chunk_by(|one, other| one.key == other.key) {
        let first = &versions[0];
        let is_other = |version: &StoreVersion| version.deleted || version.tag != first.tag;
        if is_of_run(&first.key) && versions.iter().any(is_other) {
            let there = store.address().below(&first.key).to_string();
            return Err(ArchiveError::Taken(there));
        }
    }
    Ok(())
}

/// Puts a file; false where there is another one.
fn put(store: &ObjectStore, key: &str, bytes: Vec<u8>) -> Result<bool, StoreError> {
    match store.put(key, bytes.clone()) {
        Ok(()) => Ok(true),
        // Its answer may have been lost, or the run that is finished now had put it.
        Err(error) if error.kind() == StoreErrorKind::Exists => store.holds(key, &bytes),
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

    fn finish(self: Box<Self>, sha256: &[u8; 32]) -> io::Result<()> {
        Ok(Upload::finish(*self, sha256)?)
    }
}
