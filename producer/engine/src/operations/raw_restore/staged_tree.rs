//! A tree of files on its way: written aside within the folder that it belongs to, then moved into place. All is reached from folders that are open, and
//! no link is followed there: whoever can write in the users' folder meanwhile leads a restore, which root runs, nowhere else.

use std::{
    ffi::OsStr,
    fs::{self, DirBuilder, File},
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use decryptor_wasm::raw::RawEntry;
use rustix::{
    fs::{
        AtFlags, CWD, Mode, OFlags, RenameFlags, mkdirat, openat, renameat, renameat_with, statat,
        unlinkat,
    },
    io::Errno,
    process::geteuid,
};

use crate::{failure::Failure, files, operations::raw::STAGING};

/// Where a tree comes. What is left aside goes away with this.
pub struct StagedTree {
    path: PathBuf,
    /// The folder itself.
    folder: File,
    /// The folder aside, locked.
    staging: File,
    /// Folders within that, one in the other, with their names: files of one follow each other.
    way: Vec<(String, File)>,
    /// Whether this run made the folder.
    made: bool,
    /// How the folder itself is to be.
    pub own: Option<RawEntry>,
    done: bool,
}

impl StagedTree {
    /// Makes the folder, if it is missing, and the one aside. What a restore that was killed has left there goes.
    pub fn begin(path: &Path) -> Result<Self, Failure> {
        let failed = |e: io::Error| Failure::failed(format!("{}: {e}", path.display()));
        let busy = || {
            Failure::failed(format!(
                "another restore is at work in {}; wait for it",
                path.display()
            ))
        };
        let made = match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => true,
            Err(e) if e.kind() == ErrorKind::AlreadyExists => false,
            Err(e) => return Err(failed(e)),
        };
        // The operator's configuration may name a link of the operator's.
        if files::is_link_of_others(path) {
            return Err(Failure::failed(format!(
                "{}: it is a link of somebody else's, and is not followed: name the folder itself in the configuration",
                path.display()
            )));
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(CWD, path, flags, Mode::empty());
        let folder = File::from(folder.map_err(|e| failed(e.into()))?);
        let make = || mkdirat(&folder, STAGING, Mode::RWXU).map_err(io::Error::from);
        match make() {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                let left = within(&folder, STAGING).map_err(failed)?;
                if !files::try_lock(&left) {
                    return Err(busy());
                }
                fs::remove_dir_all(path.join(STAGING)).map_err(failed)?;
                make().map_err(failed)?;
            }
            made => made.map_err(failed)?,
        }
        let staging = within(&folder, STAGING).map_err(failed)?;
        if !files::try_lock(&staging) {
            return Err(busy());
        }
        let place = StagedTree {
            path: path.to_owned(),
            folder,
            staging,
            way: Vec::new(),
            made,
            own: None,
            done: false,
        };
        match place.staging.metadata().map_err(failed)?.uid() == geteuid().as_raw() {
            true => Ok(place),
            false => Err(Failure::failed(format!(
                "{}: somebody else has put a folder {STAGING} there: let nobody write there, and restore again",
                path.display()
            ))),
        }
    }

    /// Where the folder is, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A folder aside, which is made if it is missing, and only we may enter yet.
    pub fn folder(&mut self, path: &str) -> io::Result<&File> {
        let names = || path.split('/').filter(|name| !name.is_empty());
        let is_same = |((known, _), name): &(&(String, File), &str)| known == name;
        let same = self.way.iter().zip(names()).take_while(is_same).count();
        self.way.truncate(same);
        for name in names().skip(same) {
            let above = self.way.last().map_or(&self.staging, |(_, folder)| folder);
            match mkdirat(above, name, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => return Err(e.into()),
            }
            let folder = within(above, name)?;
            self.way.push((name.to_owned(), folder));
        }
        Ok(self.way.last().map_or(&self.staging, |(_, folder)| folder))
    }

    /// A new file aside.
    pub fn file(&mut self, path: &str) -> io::Result<File> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(self.folder(folder)?, name, flags, Mode::RUSR | Mode::WUSR)?;
        Ok(file.into())
    }

    /// All that is aside is on the disk.
    pub fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.staging)?)
    }

    /// Moves all files to where they belong, where nothing is. Returns the folder, and how it is to be.
    pub fn place(&mut self) -> io::Result<(&File, Option<&RawEntry>)> {
        self.way.clear();
        for name in files::names_in(&self.staging)? {
            self.move_in(&name).map_err(|e| {
                let name = name.to_string_lossy();
                io::Error::new(e.kind(), format!("{name:?}: {e}"))
            })?;
        }
        unlinkat(&self.folder, STAGING, AtFlags::REMOVEDIR)?;
        self.done = true;
        Ok((&self.folder, self.own.as_ref()))
    }

    fn move_in(&self, name: &OsStr) -> io::Result<()> {
        let (from, to) = (&self.staging, &self.folder);
        match renameat_with(from, name, to, name, RenameFlags::NOREPLACE) {
            // The file system does not know the condition.
            Err(Errno::INVAL | Errno::NOSYS) => match statat(to, name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => renameat(from, name, to, name)?,
                Ok(_) => return Err(Errno::EXIST.into()),
                Err(e) => return Err(e.into()),
            },
            moved => moved?,
        }
        Ok(())
    }
}

/// Opens a folder within another, unless it is a link.
fn within(folder: &File, name: &str) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(folder, name, flags, Mode::empty())?.into())
}

impl Drop for StagedTree {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let staging = self.path.join(STAGING);
        // What somebody else has put there stays.
        let is_ours = match (self.staging.metadata(), fs::symlink_metadata(&staging)) {
            (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
            _ => false,
        };
        if is_ours {
            let _ = fs::remove_dir_all(&staging);
        }
        if self.made {
            let _ = fs::remove_dir(&self.path);
        }
    }
}
