//! The folder that is written to.

use std::{
    fs::{self, DirBuilder, File},
    io,
    path::{Path, PathBuf},
    sync::Mutex,
};

use decryptor_wasm::{Code, Error, ErrorKind, Result};

use crate::archive::read::Archive;

use crate::advice::Advice;
use crate::{
    archive::write_behind::WriteBehind,
    failure::{Failure, FailureKind},
    files,
    threads::lock,
};

/// Takes decrypted files. Each is made in a staging folder inside and renamed to its place when it is whole and authentic; with
/// `together`, all are renamed at the end or none.
pub struct OutputFolder {
    root: PathBuf,
    staging: tempfile::TempDir,
    created: bool,
    together: bool,
    waiting: Mutex<Vec<String>>,
}

/// A file that is being written.
pub struct OutputFile<'a> {
    folder: &'a OutputFolder,
    path: String,
    staged: PathBuf,
    file: WriteBehind,
}

impl OutputFolder {
    /// Takes `folder`, which must be new or empty unless `force`.
    pub fn create(folder: &Path, force: bool, together: bool) -> Result<Self, Failure> {
        let failed = |e: io::Error| cannot_write(&folder.display().to_string(), &e);
        let created = !folder.exists();
        if !created && !folder.is_dir() {
            return Err(Failure::failed(format!(
                "cannot write {}: it is not a folder",
                folder.display()
            )));
        }
        make_private(folder).map_err(failed)?;
        if !force {
            require_empty(folder).map_err(|failure| match failure.kind() {
                FailureKind::Usage => failure.advise(Advice::WriteIntoFolder),
                _ => failure,
            })?;
        }
        let staging = tempfile::Builder::new()
            .prefix(".decrypting-")
            .tempdir_in(folder)
            .map_err(failed)?;
        Ok(OutputFolder {
            root: folder.to_owned(),
            staging,
            created,
            together,
            waiting: Mutex::default(),
        })
    }

    /// Refuses files (path in the archive, path to write) of which two would be one on disk, for example because the file system
    /// takes `A` and `a` for the same.
    pub fn require_distinct(&self, archive: &Archive, gunzip: bool) -> Result<()> {
        let staging = self.staging.path();
        let upper = staging
            .file_name()
            .map(|name| name.to_string_lossy().to_uppercase());
        let caseless = upper.is_some_and(|name| staging.with_file_name(name).exists());
        match archive.collision(None, gunzip, caseless) {
            None => Ok(()),
            Some([one, other]) => Err(Error::new(
                ErrorKind::Failed,
                format!(
                    "{one} and {other} would overwrite each other in {}: decrypt into a folder whose file system tells upper from lower case, or leave the files compressed",
                    self.root.display()
                ),
            )),
        }
    }

    /// Starts a file; `path` is one of the format's (relative, with `/`).
    pub fn file(&self, path: &str) -> Result<OutputFile<'_>> {
        let staged = self.staging.path().join(path);
        let make = || {
            if let Some(parent) = staged.parent() {
                make_private(parent)?;
            }
            private_file(&staged)
        };
        let file = make().map_err(|e| cannot_write(path, &e))?;
        Ok(OutputFile {
            folder: self,
            path: path.to_owned(),
            file: WriteBehind::new(file),
            staged,
        })
    }

    /// Everything is done: gives waiting files their names and removes the staging folder.
    pub fn finish(self) -> Result<()> {
        for path in std::mem::take(&mut *lock(&self.waiting)) {
            self.publish(&self.staging.path().join(&path), &path)?;
        }
        let root = self.root.display().to_string();
        self.staging.close().map_err(|e| cannot_write(&root, &e))
    }

    /// Removes what has no final name yet, and the folder itself if this run made it and it is empty.
    pub fn abandon(self) {
        drop(self.staging);
        if self.created {
            // Files that were finished before are good, and stay: the folder is then not empty.
            let _ = fs::remove_dir(&self.root);
        }
    }

    fn publish(&self, staged: &Path, path: &str) -> Result<()> {
        let place = || {
            self.make_folders(path)?;
            fs::rename(staged, self.root.join(path))
        };
        place().map_err(|e| cannot_write(path, &e))
    }

    /// Makes the folders of a path one by one: a link among them could lead out of the folder.
    fn make_folders(&self, path: &str) -> io::Result<()> {
        let mut folder = self.root.clone();
        let mut names = path.split('/').peekable();
        while let Some(name) = names.next() {
            if names.peek().is_none() {
                break;
            }
            folder.push(name);
            make_private(&folder)?;
            if !fs::symlink_metadata(&folder)?.is_dir() {
                return Err(io::Error::other(format!(
                    "{} is not a folder",
                    folder.display()
                )));
            }
        }
        Ok(())
    }
}

impl OutputFile<'_> {
    /// Appends content.
    pub fn write(&mut self, piece: &[u8]) -> Result<()> {
        self.file
            .write(piece)
            .map_err(|e| cannot_write(&self.path, &e))
    }

    /// The file is whole: give it its name.
    pub fn commit(self) -> Result<()> {
        self.file
            .finish()
            .map_err(|e| cannot_write(&self.path, &e))?;
        if self.folder.together {
            lock(&self.folder.waiting).push(self.path);
            return Ok(());
        }
        self.folder.publish(&self.staged, &self.path)
    }

    /// The file is damaged: keep what came before the damage under a name that says so, which is returned.
    pub fn salvage(self) -> Result<String> {
        self.file
            .finish()
            .map_err(|e| cannot_write(&self.path, &e))?;
        let name = format!("{}.salvaged", self.path);
        self.folder.publish(&self.staged, &name)?;
        Ok(name)
    }

    /// Gives the file up.
    pub fn discard(self) {
        let _ = self.file.finish();
        // The staging folder, and what is left in it, is removed at the end in any case.
        let _ = fs::remove_file(&self.staged);
    }
}

/// Refuses a folder that holds something; one that is not there holds nothing.
///
/// # Errors
/// When it does, or cannot be looked into.
pub fn require_empty(folder: &Path) -> Result<(), Failure> {
    match files::names(folder) {
        Ok(names) if !names.is_empty() => Err(Failure::usage(format!(
            "{} is not empty: choose another folder",
            folder.display()
        ))),
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Err(cannot_write(&folder.display().to_string(), &e).into())
        }
        _ => Ok(()),
    }
}

fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn private_file(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn cannot_write(path: &str, error: &io::Error) -> Error {
    Error::of(Code::UnwritableFile).at(path).because(error)
}
