//! Where a backup lies, and how it goes from there.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use decryptor_wasm::layout::MANIFEST;

use super::{leftovers::Leftovers, stored_backup::StoredBackup};
use crate::{regular::is_there, storage::Location};

/// In front of the name of an archive that is being removed.
pub const DOOMED: &str = ".pryv-backup-pruned-";

/// Where a backup lies, and what keeps runs from adding to one that may go.
pub enum BackupPlace {
    /// In a folder.
    Folder {
        /// Of a chain.
        _lock: Option<fs::File>,
    },
    /// In an object store.
    Store(Box<StoredBackup>),
}

impl BackupPlace {
    /// Why the backup cannot go now, if it cannot.
    ///
    /// # Errors
    /// A sentence.
    pub fn held(&self) -> Result<Option<String>, String> {
        match self {
            BackupPlace::Folder { .. } => Ok(None),
            BackupPlace::Store(stored) => stored.held(),
        }
    }

    /// Removes the backup at `path`. One that cannot go is there as before, and why is said.
    ///
    /// # Errors
    /// A sentence, when it is not gone as a whole.
    pub fn remove(&self, path: &Path) -> Result<Option<String>, String> {
        match self {
            BackupPlace::Folder { .. } => remove(path).map(|()| None).map_err(|e| e.to_string()),
            BackupPlace::Store(stored) => stored.remove(),
        }
    }

    /// What runs that were not finished left in a backup that stays.
    pub fn leftovers(&self) -> Option<Leftovers> {
        match self {
            BackupPlace::Folder { .. } => None,
            BackupPlace::Store(stored) => stored.leftovers(),
        }
    }

    /// The name that a backup has which stays.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn keep(&self, path: &Path) -> io::Result<PathBuf> {
        match self {
            BackupPlace::Folder { .. } => keep(path),
            BackupPlace::Store(_) => Ok(path.to_owned()),
        }
    }

    /// The place itself.
    pub fn location(&self, path: &Path) -> Location {
        match self {
            BackupPlace::Folder { .. } => path.into(),
            BackupPlace::Store(stored) => stored.location(),
        }
    }
}

/// Gives a backup that stays its name back, if a run that was killed had begun to remove it.
fn keep(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match name
        .strip_prefix(DOOMED)
        .map(|name| path.with_file_name(name))
    {
        Some(own) if !is_there(&own) => fs::rename(path, &own).map(|()| own),
        _ => Ok(path.to_owned()),
    }
}

/// Removes a folder so that at no moment a part of an archive looks like a whole one: it gets a name that says what is happening,
/// loses its manifest, and then the rest.
fn remove(path: &Path) -> io::Result<()> {
    let (Some(name), Some(parent)) = (path.file_name(), path.parent()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let name = name.to_string_lossy();
    let doomed = if name.starts_with(DOOMED) {
        path.to_owned()
    } else {
        let doomed = free(parent, &name);
        fs::rename(path, &doomed)?;
        fs::File::open(parent)?.sync_all()?;
        doomed
    };
    match fs::remove_file(doomed.join(MANIFEST)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => fs::File::open(&doomed)?.sync_all()?,
    }
    fs::remove_dir_all(&doomed)
}

/// A name for what is being removed that nothing has yet.
fn free(parent: &Path, name: &str) -> PathBuf {
    let first = parent.join(format!("{DOOMED}{name}"));
    let mut others = (2_u64..).map(|n| parent.join(format!("{DOOMED}{name}.{n}")));
    match is_there(&first) {
        true => others.find(|other| !is_there(other)).unwrap_or(first),
        false => first,
    }
}
