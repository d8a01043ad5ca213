//! Owner of the restored files: the platform runs as an account of its own, and a restore mostly as root.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::Path;

use super::refused;
use crate::files;
use crate::platform::write::RestoreError;

/// Makes a folder and those above it that are missing; they belong to the owner of the one that they are made in.
///
/// # Errors
/// When the disk refuses.
pub fn make(folder: &Path) -> Result<(), RestoreError> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().filter(|path| !path.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    make(parent)?;
    match fs::create_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => {
            other.map_err(|e| refused(folder, e))?;
            give(parent, folder)
        }
    }
}

/// Makes an empty file that belongs to the owner of `base`; one that is there stays as it is.
///
/// # Errors
/// When the disk refuses.
pub fn make_file(base: &Path, path: &Path) -> Result<(), RestoreError> {
    match fs::File::create_new(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => {
            let closed = other.and_then(files::close);
            closed.map_err(|e| refused(path, e))?;
            give(base, path)
        }
    }
}

/// Gives a folder and all that lies in it to the owner of `base`, where that is not whoever runs this.
///
/// # Errors
/// When the disk refuses.
pub fn give_all(base: &Path, folder: &Path) -> Result<(), RestoreError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    for name in files::names(folder).map_err(|e| refused(folder, e))? {
        let path = folder.join(name);
        let about = fs::symlink_metadata(&path).map_err(|e| refused(&path, e))?;
        match about.is_dir() {
            true => give_all(base, &path)?,
            false => give(base, &path)?,
        }
    }
    give(base, folder)
}

fn give(base: &Path, path: &Path) -> Result<(), RestoreError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let owner = fs::metadata(base).map_err(|e| refused(base, e))?;
    let (uid, gid) = (owner.uid(), owner.gid());
    let now = fs::symlink_metadata(path).map_err(|e| refused(path, e))?;
    if (now.uid(), now.gid()) == (uid, gid) {
        return Ok(());
    }
    lchown(path, Some(uid), Some(gid)).map_err(|e| refused(path, e))
}
