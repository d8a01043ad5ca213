//! Ending files that were written, and looking into folders. A network file system, or one with quotas, may say only when a file is closed that it
//! could not be stored, and a `File` that is dropped does not say it.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Write},
    os::unix::ffi::OsStrExt,
    path::Path,
};

use rustix::fs::Dir;

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

/// The names in a folder. The standard library's way to them panics where the system is not content with how a folder is closed.
pub fn names(folder: &Path) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(File::open(folder)?)? {
        let name = OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned();
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    Ok(names)
}
