//! Files of others, opened for reading. Whoever can write among them is neither to lead us elsewhere nor to keep us waiting:
//! no link is followed, and what is no regular file (a pipe, a socket, a device) is not read.

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};

/// A folder on the way need not be one that may be listed.
#[cfg(target_os = "linux")]
const WAY: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
const WAY: OFlags = OFlags::empty();

/// Opens a regular file, by an absolute path in which there is no link.
///
/// # Errors
/// When it is none, when there is a link, or when the system refuses.
pub fn open(path: &Path) -> io::Result<File> {
    // A device may do something when it is opened.
    if let Ok(about) = fs::symlink_metadata(path) {
        check(&about)?;
    }
    let mut folder = None;
    let mut rest = path.components().peekable();
    while let Some(part) = rest.next() {
        let last = rest.peek().is_none();
        let name = match part {
            Component::RootDir => Path::new("/"),
            Component::Normal(name) => Path::new(name),
            _ => return Err(io::Error::other("its path is not absolute")),
        };
        let kind = match last {
            true => OFlags::NONBLOCK | OFlags::NOCTTY,
            false => OFlags::DIRECTORY | WAY,
        };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | kind;
        let opened = match &folder {
            None => openat(CWD, name, flags, Mode::empty()),
            Some(folder) => openat(folder, name, flags, Mode::empty()),
        };
        folder = Some(opened.map_err(|e| refused(e, last))?);
    }
    let file = File::from(folder.ok_or_else(|| io::Error::other("it has no path"))?);
    check(&file.metadata()?)?;
    Ok(file)
}

/// Opens a regular file that the operator names; links are followed.
///
/// # Errors
/// When it is none, or when the system refuses.
pub fn follow(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(openat(CWD, path, flags, Mode::empty())?);
    check(&file.metadata()?)?;
    Ok(file)
}

/// Where a folder really is, which may be yet to be made: what leads there is the operator's, and may be a link.
pub fn real(folder: &Path) -> PathBuf {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let found = absolute.ancestors().find_map(|above| {
        let real = above.canonicalize().ok()?;
        let rest = absolute.strip_prefix(above).ok()?;
        Some(real.components().chain(rest.components()).collect())
    });
    found.unwrap_or(absolute)
}

/// Whether there is anything under this name, in whatever state; when in doubt, there is.
pub fn is_there(path: &Path) -> bool {
    !fs::symlink_metadata(path).is_err_and(|e| e.kind() == io::ErrorKind::NotFound)
}

/// The error for what is no regular file.
pub fn check(about: &fs::Metadata) -> io::Result<()> {
    match about {
        _ if about.is_file() => Ok(()),
        _ if about.is_symlink() => Err(link()),
        _ => Err(io::Error::other(
            "it is no regular file but something else of that name (a folder, pipe, socket or device)",
        )),
    }
}

fn link() -> io::Error {
    io::Error::other("it is a link, or lies behind one, and links are not followed there")
}

fn refused(error: Errno, last: bool) -> io::Error {
    match error {
        Errno::LOOP => link(),
        // A folder that is a link is no folder either.
        Errno::NOTDIR if !last => io::Error::other("what it lies in is no folder, or a link"),
        other => other.into(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_what_lies_there_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/file"), "x").unwrap();
        symlink(root.join("a/b/file"), root.join("a/link")).unwrap();
        symlink(root.join("a/b"), root.join("a/way")).unwrap();
        let fifo = root.join("a/fifo");
        rustix::fs::mknodat(CWD, &fifo, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        let said = |path: &str| open(&root.join(path)).map_err(|e| e.to_string());
        assert!(said("a/b/file").is_ok());
        for (path, words) in [
            ("a/link", "it is a link"),
            ("a/way/file", "or a link"),
            ("a/fifo", "no regular file"),
            ("a/b", "no regular file"),
            ("a/b/none", "No such file"),
            ("a/b/file/x", "no folder"),
        ] {
            assert!(said(path).is_err_and(|e| e.contains(words)), "{path}");
        }
        for (path, good) in [
            ("a/link", true),
            ("a/way/file", true),
            ("a/fifo", false),
            ("a/b", false),
        ] {
            assert_eq!(follow(&root.join(path)).is_ok(), good, "{path}");
        }
    }
}
