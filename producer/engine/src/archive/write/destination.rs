//! The folder of an archive: everything is written aside, made durable at once, and moved into place, the manifest last.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use decryptor_wasm::{
    layout::{CHAIN, INCREMENTS, PathKind, REMOVED_USERS},
    raw::RAW,
    signature::SIGNATURE,
};

use super::{
    ArchiveError, companions, file::FileStorage, store_run::StoreRun, volumes::ArchiveLayout,
};
use crate::{files, regular};

/// Where a run writes before its archive is whole. A run that died leaves it, and the next run to that path removes it.
pub const STAGING: &str = ".pryv-backup-partial";
/// Without it there is no archive.
const MANIFEST: &str = "manifest.json";
/// Names that a run which died while it moved files into place may have left beside its staging folder.
const FOLDERS_AND_FILES: [&str; 11] = [
    CHAIN,
    INCREMENTS,
    "users",
    "platform",
    "register",
    REMOVED_USERS,
    RAW,
    STAGING,
    "encryption.json",
    "SHA256SUMS",
    SIGNATURE,
];

/// An output folder that this run alone writes to.
pub struct Destination {
    output: PathBuf,
    /// Whether this run made the folder.
    created: bool,
    staging: PathBuf,
    /// Whether another archive is in the folder, which is left alone.
    beside: bool,
    /// In an object store; then `staging` is on this host, for what is put there at the end.
    store: Option<StoreRun>,
    /// Held until the end: the lock goes with the process, however that ends. None when somebody else holds it for this run.
    _lock: Option<File>,
}

impl Destination {
    /// Prepares `output`, which must be new, empty, or hold nothing but what a run that died left behind (said in the second value). The
    /// caller holds the lock; `created`: whether it made the folder.
    pub fn of_chain(output: &Path, created: bool) -> Result<(Self, bool), ArchiveError> {
        let leftover = clear(output)?;
        let destination = Destination {
            created,
            ..Destination::beside(output)?
        };
        Ok((
            Destination {
                beside: false,
                ..destination
            },
            leftover,
        ))
    }

    /// For a run whose archive is placed below one that is in `output`.
    pub fn beside(output: &Path) -> Result<Self, ArchiveError> {
        let staging = output.join(STAGING);
        fs::create_dir(&staging).map_err(|e| ArchiveError::io(&staging, e))?;
        Ok(Destination {
            output: output.to_owned(),
            created: false,
            staging,
            beside: true,
            store: None,
            _lock: None,
        })
    }

    /// Prepares `output` as [`Destination::of_chain`] does, but keeps what a run that died left there: all of it is in the staging folder then.
    pub fn resume(output: &Path) -> Result<Self, ArchiveError> {
        let (lock, created) = hold(output)?;
        let found = refuse_other(output)?;
        let staging = output.join(STAGING);
        make(&staging)?;
        for path in found.into_iter().filter(|path| *path != staging) {
            // It died while it moved its files into place.
            let back = staging.join(path.file_name().unwrap_or_default());
            let moved = match regular::is_there(&back) {
                true => remove(&path),
                false => fs::rename(&path, &back),
            };
            moved.map_err(|e| ArchiveError::io(&path, e))?;
        }
        Ok(Destination {
            output: output.to_owned(),
            created,
            staging,
            beside: false,
            store: None,
            _lock: Some(lock),
        })
    }

    /// For a run in an object store.
    pub fn in_store(run: StoreRun, output: &Path) -> Self {
        Destination {
            output: output.to_owned(),
            created: false,
            staging: run.staging(),
            beside: run.number() > 1,
            store: Some(run),
            _lock: None,
        }
    }

    /// Where its files are written.
    pub fn storage(&self, layout: ArchiveLayout) -> FileStorage {
        match &self.store {
            Some(run) => run.storage(layout),
            None => FileStorage::new(&self.staging, layout),
        }
    }

    /// Whether another archive is in the folder.
    pub fn is_beside(&self) -> bool {
        self.beside
    }

    /// Where files are written.
    pub fn staging(&self) -> &Path {
        &self.staging
    }

    /// Waits until all of it is on the disk, and moves it into place. When that cannot be done, nothing of it stays.
    pub fn publish(self) -> Result<(), ArchiveError> {
        let published = match &self.store {
            Some(run) => run.publish(),
            None => self.place(),
        };
        match &published {
            // The next run ends it.
            Ok(()) | Err(ArchiveError::Unfinished(_)) => {}
            Err(_) => self.abandon(),
        }
        published
    }

    fn place(&self) -> Result<(), ArchiveError> {
        sync(&self.staging)?;
        let at = |e| ArchiveError::io(&self.staging, e);
        let mut names = files::names(&self.staging).map_err(at)?;
        names.sort_by_key(|name| name == MANIFEST);
        for name in names {
            if name == MANIFEST {
                sync(&self.output)?;
            }
            let target = self.output.join(&name);
            fs::rename(self.staging.join(&name), &target)
                .map_err(|e| ArchiveError::io(&target, e))?;
        }
        let settled = fs::remove_dir(&self.staging).map_err(at);
        settled
            .and_then(|()| sync(&self.output))
            .map_err(|error| ArchiveError::Unsettled(self.output.clone(), error.to_string()))
    }

    /// Removes what was written, unless the archive is complete.
    pub fn abandon(self) {
        if let Some(run) = &self.store {
            return run.abandon();
        }
        // Best effort, the staging folder last: whatever cannot be removed now is recognised by the next run.
        if !self.beside && !self.output.join(MANIFEST).exists() {
            for name in files::names(&self.output).unwrap_or_default() {
                if name != STAGING && is_ours(&name) {
                    let _ = remove(&self.output.join(name));
                }
            }
        }
        let _ = remove(&self.staging);
        if self.created {
            let _ = fs::remove_dir(&self.output);
        }
    }
}

/// Whether a run writes files or folders of that name.
fn is_ours(name: &OsStr) -> bool {
    let mut known = FOLDERS_AND_FILES.iter().chain(&companions::NAMES);
    known.any(|known| name == *known)
        || name
            .to_str()
            .is_some_and(|name| PathKind::of(name) == PathKind::Volume)
}

/// Makes the folder if it is not there (said in the second value), and takes hold of it.
pub fn hold(output: &Path) -> Result<(File, bool), ArchiveError> {
    let created = !output.exists();
    fs::create_dir_all(output).map_err(|e| ArchiveError::io(output, e))?;
    let lock = File::open(output).map_err(|e| ArchiveError::io(output, e))?;
    // Where there are no locks, the checks elsewhere still hold.
    if !files::try_lock(&lock) {
        return Err(ArchiveError::Busy(output.to_owned()));
    }
    Ok((lock, created))
}

/// Removes a file, or a folder with all in it.
pub fn remove(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    }
}

/// Makes the whole file system that holds `folder` durable: one barrier instead of one per file.
pub fn sync(folder: &Path) -> Result<(), ArchiveError> {
    files::sync_all(folder).map_err(|e| ArchiveError::io(folder, e))
}

/// Makes a folder, unless it is there.
pub fn make(folder: &Path) -> Result<(), ArchiveError> {
    match fs::create_dir(folder) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(ArchiveError::io(folder, e)),
        _ => Ok(()),
    }
}

/// Removes what a run that died left behind; true when there was something. Anything else is left alone, and refused.
fn clear(output: &Path) -> Result<bool, ArchiveError> {
    let found = refuse_other(output)?;
    for path in &found {
        remove(path).map_err(|e| ArchiveError::io(path, e))?;
    }
    Ok(!found.is_empty())
}

/// Files and folders that a run that died has left in `output`. Anything else there is refused.
fn refuse_other(output: &Path) -> Result<Vec<PathBuf>, ArchiveError> {
    if output.join(MANIFEST).exists() {
        return Err(ArchiveError::Exists(output.to_owned()));
    }
    let names = files::names(output).map_err(|e| ArchiveError::io(output, e))?;
    let found: Vec<PathBuf> = names.iter().map(|name| output.join(name)).collect();
    // Without the staging folder nothing here is known to be ours.
    let leftover = fs::symlink_metadata(output.join(STAGING)).is_ok_and(|found| found.is_dir());
    let ours = |path: &PathBuf| path.file_name().is_some_and(is_ours);
    let clearable = found.is_empty() || (leftover && found.iter().all(ours));
    if !clearable {
        return Err(ArchiveError::NotEmpty(output.to_owned()));
    }
    Ok(found)
}
