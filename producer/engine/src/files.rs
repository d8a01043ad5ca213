//! Ending files that were written, and looking into folders. A network file system, or one with quotas, may say only when a file is closed that it
//! could not be stored, and a `File` that is dropped does not say it.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::{self, BufWriter, Write},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::Path,
};

use rustix::{
    fs::{CWD, Dir, FlockOperation, Mode, OFlags, flock, openat, syncfs},
    io::Errno,
};

/// Closes a file that was written, and says what the system answers.
pub fn close(file: File) -> io::Result<()> {
    // The standard library knows no way to close that answers, and rustix neither.
    Ok(nix::unistd::close(file)?)
}

/// Closes a file that was written, when it is on the disk.
pub fn store(file: File) -> io::Result<()> {
    file.sync_all()?;
    close(file)
}

/// Makes the whole file system that holds `folder` durable.
pub fn sync_all(folder: &Path) -> io::Result<()> {
    Ok(syncfs(File::open(folder)?)?)
}

/// Writes a file that holds `bytes`.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    close(file)
}

/// Copies the content of a file into a new one.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut file = File::create_new(to)?;
    io::copy(&mut File::open(from)?, &mut file)?;
    close(file)
}

/// Whether two paths are of one folder.
#[must_use]
pub fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    real(one).is_some() && real(one) == real(other)
}

/// Whether it is a link that somebody made who may not be allowed what it leads to: only the system's and our own are followed.
pub fn is_link_of_others(path: &Path) -> bool {
    let own = [0, rustix::process::geteuid().as_raw()];
    fs::symlink_metadata(path).is_ok_and(|about| about.is_symlink() && !own.contains(&about.uid()))
}

/// The names in a folder. The standard library's way to them panics where the system is not content with how a folder is closed.
pub fn names(folder: &Path) -> io::Result<Vec<OsString>> {
    // Not what waits for somebody to write into it, put there in its place.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    names_in(&openat(CWD, folder, flags, Mode::empty())?.into())
}

/// The same of a folder that is open.
pub fn names_in(folder: &File) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned();
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    Ok(names)
}

/// Locks a file or folder for as long as it is open; false when another process has locked it. Some network file systems have no locks:
/// there nobody ever holds one.
#[must_use]
pub fn try_lock(file: &File) -> bool {
    flock(file, FlockOperation::NonBlockingLockExclusive) != Err(Errno::WOULDBLOCK)
}

/// Whether no process holds a lock on a file; false also where the file system has no locks, since nobody knows it there.
#[must_use]
pub fn is_unlocked(file: &File) -> bool {
    flock(file, FlockOperation::NonBlockingLockExclusive).is_ok()
}

/// Replaces a file by what `fill` writes, by way of `aside`, which is in the same folder: whoever looks sees the old one or the new one,
/// also after a loss of power. The permissions stay.
pub fn replace<E: From<io::Error>>(
    place: &Path,
    aside: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> Result<(), E>,
) -> Result<(), E> {
    let write = || {
        // A run that was killed may have left one.
        match fs::remove_file(aside) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e.into()),
            _ => {}
        }
        let mut file = BufWriter::new(File::create_new(aside)?);
        fill(&mut file)?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        if let Ok(now) = fs::symlink_metadata(place) {
            file.set_permissions(now.permissions())?;
        }
        store(file)?;
        fs::rename(aside, place)?;
        File::open(place.parent().unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(())
    };
    write().inspect_err(|_| {
        // On a disk that is full it would only be in the way.
        let _ = fs::remove_file(aside);
    })
}
