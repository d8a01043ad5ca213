//! Folders that an operation is given: where a new one may be made, and the lock on one that is worked in.

use std::{ffi::OsString, fs::File, path::Path};

use crate::{advice::Advice, failure::Failure, files, storage::Location};

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
