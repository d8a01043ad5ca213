//! Folders that an operation is given: where a new one may be made, and the lock on one that is worked in.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    sync::Once,
};

use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    process::geteuid,
};

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
) -> Result<(Location, Option<PrivateFolder>), Failure> {
    if output.stream().is_none() {
        if let Some(folder) = output.folder() {
            require_parent(folder, create_parents)?;
        }
        return Ok((output.clone(), None));
    }
    let waiting = private_folder("files wait there until their size is known")?;
    Ok((waiting.path().into(), Some(waiting)))
}

/// How the names begin of the folders that private folders are in, and until they are locked.
const PRIVATE: &str = "pryv-backup-run-";
const UNLOCKED: &str = "pryv-backup-new-";
const WITHIN: &str = "files";

/// A folder that only its owner may enter and that goes away. The folder that it is in is locked for as long as its process lives: one that is not
/// is of a run that was killed.
pub struct PrivateFolder {
    locked: PathBuf,
    path: PathBuf,
    _lock: File,
}

impl PrivateFolder {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn make(large: &Path) -> io::Result<Self> {
        let made = tempfile::Builder::new()
            .prefix(UNLOCKED)
            .tempdir_in(large)?;
        let lock = open_folder(made.path())?;
        // Where there are no locks, nobody takes it for one that is left.
        let _ = files::try_lock(&lock);
        // Whoever works in the folder itself may lock that too.
        DirBuilder::new()
            .mode(0o700)
            .create(made.path().join(WITHIN))?;
        let name = made.path().file_name().and_then(|name| name.to_str());
        let name = name.and_then(|name| name.strip_prefix(UNLOCKED));
        let locked = large.join(format!("{PRIVATE}{}", name.unwrap_or_default()));
        fs::rename(made.path(), &locked)?;
        // It goes with what is returned.
        let _ = made.keep();
        Ok(PrivateFolder {
            path: locked.join(WITHIN),
            locked,
            _lock: lock,
        })
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        // The next run tries again.
        let _ = fs::remove_dir_all(&self.locked);
    }
}

/// Such a folder for what is large; `why`: what it is for. What runs of this user that were killed have left there goes first: it may be in the clear.
///
/// # Errors
/// When it cannot be made.
pub fn private_folder(why: &str) -> Result<PrivateFolder, Failure> {
    static LOOKED: Once = Once::new();
    let large = large_folder();
    LOOKED.call_once(|| remove_left(&large));
    PrivateFolder::make(&large).map_err(|e| {
        Failure::failed(format!(
            "{}: {e}; {why}: set TMPDIR to another folder",
            large.display()
        ))
    })
}

/// Removes private folders whose runs are dead. What cannot be looked at or removed stays: it is in nobody's way.
fn remove_left(large: &Path) {
    let names = files::names(large).unwrap_or_default();
    let is_private = |name: &OsString| name.to_str().is_some_and(|name| name.starts_with(PRIVATE));
    for path in names
        .into_iter()
        .filter(is_private)
        .map(|name| large.join(name))
    {
        let left = open_folder(&path).and_then(|folder| {
            let is_ours = folder.metadata()?.uid() == geteuid().as_raw();
            Ok(is_ours && files::is_unlocked(&folder))
        });
        if left.unwrap_or(false) {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

/// Opens a folder, unless it is a link.
fn open_folder(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(CWD, path, flags, Mode::empty())?.into())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dead_runs_have_left_goes_and_what_live_ones_use_stays() {
        let large = tempfile::tempdir().unwrap();
        let large = large.path();
        let live = PrivateFolder::make(large).unwrap();
        fs::write(live.path().join("clear"), "text").unwrap();
        let dead = large.join(format!("{PRIVATE}dead"));
        fs::create_dir_all(dead.join("below")).unwrap();
        fs::write(dead.join("below/clear"), "text").unwrap();
        let others = large.join("others");
        fs::create_dir(&others).unwrap();
        std::os::unix::fs::symlink(&others, large.join(format!("{PRIVATE}link"))).unwrap();
        fs::write(large.join(format!("{PRIVATE}file")), "x").unwrap();
        remove_left(large);
        assert!(!dead.exists());
        assert!(live.path().join("clear").exists() && others.exists());
        let path = live.locked.clone();
        drop(live);
        assert!(!path.exists());
        let mut left = files::names(large).unwrap();
        left.sort();
        let named = ["file", "link"].map(|end| format!("{PRIVATE}{end}"));
        assert_eq!(
            left,
            [
                "others".into(),
                named[0].clone().into(),
                named[1].clone().into()
            ] as [OsString; 3]
        );
    }
}
