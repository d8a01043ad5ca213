//! Folders that an operation is given: where a new one may be made, and the lock on one that is worked in.

use std::{ffi::OsString, fs::File, path::Path};

use tempfile::TempDir;

use crate::{
    advice::Advice,
    failure::Failure,
    files,
    storage::{Location, large_folder},
};

/// Why a stream is refused that is to have a layout.
pub const STREAM_LAYOUT: &str = "a stream is one tar file, and has no other layout";

/// Where a new archive is written: of a stream, a folder for what has to wait, and what removes that.
///
/// # Errors
/// A usage failure when a folder above is missing; a failure when no folder can be made.
pub fn working_place(
    output: &Location,
    create_parents: bool,
) -> Result<(Location, Option<TempDir>), Failure> {
    if output.stream().is_none() {
        if let Some(folder) = output.folder() {
            require_parent(folder, create_parents)?;
        }
        return Ok((output.clone(), None));
    }
    let waiting = private_folder("files wait there until their size is known")?;
    Ok((waiting.path().into(), Some(waiting)))
}

/// A folder that only its owner may enter and that goes away, for what is large; `why`: what it is for.
///
/// # Errors
/// When it cannot be made.
pub fn private_folder(why: &str) -> Result<TempDir, Failure> {
    let large = large_folder();
    let made = tempfile::Builder::new()
        .prefix("pryv-backup-")
        .tempdir_in(&large);
    made.map_err(|e| {
        Failure::failed(format!(
            "{}: {e}; {why}: set TMPDIR to another folder",
            large.display()
        ))
    })
}

/// Refuses work for which a disk has no room; `what` needs `bytes` there.
///
/// # Errors
/// When there is less.
pub fn require_room(folder: &Path, bytes: u64, what: &str) -> Result<(), Failure> {
    let there = folder.ancestors().find(|path| path.exists());
    let disk = rustix::fs::statvfs(there.unwrap_or(Path::new("/")))
        .map_err(|e| Failure::failed(format!("{}: {e}", folder.display())))?;
    let room = disk.f_bavail.saturating_mul(disk.f_frsize);
    if room >= bytes {
        return Ok(());
    }
    Err(Failure::failed(format!(
        "{}: {what} takes up to {bytes} bytes there, and {room} are free: make room",
        folder.display()
    )))
}

/// Refuses a new folder above which one is missing, unless those are to be made too.
///
/// # Errors
/// A usage failure.
pub fn require_parent(folder: &Path, create_parents: bool) -> Result<(), Failure> {
    let above = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    match above.parent() {
        Some(parent) if !create_parents && !parent.exists() => Err(Failure::usage(format!(
            "{}: {} is not there; is a disk not mounted?",
            folder.display(),
            parent.display()
        ))
        .advise(Advice::CreateParents)),
        _ => Ok(()),
    }
}

/// Refuses an output inside the backup, which it would change.
///
/// # Errors
/// A usage failure.
pub fn refuse_inside(dir: &Location, out: &Location) -> Result<(), Failure> {
    if let (Location::Store(dir), Location::Store(out)) = (dir, out)
        && dir.holds(out)
    {
        return Err(Failure::usage(format!(
            "{out} is inside the backup: choose a prefix outside it"
        )));
    }
    let (Some(dir), Some(out)) = (dir.folder(), out.folder()) else {
        return Ok(());
    };
    let absolute = |path: &Path| {
        // A path that does not exist yet is known by its nearest folder that does.
        let mut known = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut rest = Vec::new();
        loop {
            if let Ok(real) = known.canonicalize() {
                return rest
                    .iter()
                    .rev()
                    .fold(real, |path, name: &OsString| path.join(name));
            }
            match (known.file_name().map(ToOwned::to_owned), known.pop()) {
                (Some(name), true) => rest.push(name),
                _ => return known,
            }
        }
    };
    if absolute(out).starts_with(absolute(dir)) {
        return Err(Failure::usage(format!(
            "{} is inside the backup: choose a folder outside it",
            out.display()
        )));
    }
    Ok(())
}

/// Locks a folder against other runs; the lock goes with the process, however that ends. `what` is at work there.
///
/// # Errors
/// When another run has it, or the folder cannot be opened.
pub fn lock(folder: &Path, what: &str) -> Result<File, Failure> {
    let failed = |e: std::io::Error| Failure::failed(format!("{}: {e}", folder.display()));
    let lock = File::open(folder).map_err(failed)?;
    if !files::try_lock(&lock) {
        return Err(Failure::usage(format!(
            "{what} is at work in {}; wait for it",
            folder.display()
        )));
    }
    Ok(lock)
}
