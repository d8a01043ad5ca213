//! An archive that is filled from another one, and any archive between its last byte and its place.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use decryptor_wasm::{DataKey, FileEntry, UserEntry};
use serde::Serialize;

use super::{
    ArchiveError, ArchiveWriter, DoneUsers, Finished, Listing, UserDone, block,
    destination::Destination, file::FileWriter, records::RecordFile, tar::TarWriter,
    user_manifest::UserManifestWriter,
};
use crate::limits::BLOCK;

/// An archive that is whole and not yet in its place.
pub struct Staged {
    pub(super) destination: Destination,
    /// Where it goes as a single tar file, which is ended then.
    pub(super) tar: Option<Arc<TarWriter>>,
    pub(super) finished: Finished,
}

/// A user whose files come from another archive.
pub struct UserCopy<'a> {
    archive: &'a ArchiveWriter,
    manifest: UserManifestWriter,
}

/// A file of records that come from another archive in the clear.
pub struct RecordCopy {
    file: RecordFile,
    compress: bool,
    lines: Vec<u8>,
}

impl RecordCopy {
    /// Appends lines; a piece may end within one.
    pub fn write(&mut self, lines: &[u8]) -> Result<(), ArchiveError> {
        self.lines.extend_from_slice(lines);
        if self.lines.len() < BLOCK {
            return Ok(());
        }
        self.flush()
    }

    /// Whether there is no line in it.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.file.is_empty()
    }

    /// Gives the file up.
    pub fn abandon(self) -> Result<(), ArchiveError> {
        self.file.abandon()
    }

    /// Ends the file.
    pub fn finish(mut self) -> Result<FileEntry, ArchiveError> {
        if !self.lines.is_empty() {
            self.flush()?;
        }
        self.file.finish()
    }

    fn flush(&mut self) -> Result<(), ArchiveError> {
        let count = memchr::memchr_iter(b'\n', &self.lines).count() as u64;
        let file = &mut self.file;
        block::content(self.compress, &self.lines, count, |content| {
            file.append(&content)
        })?;
        self.lines.clear();
        Ok(())
    }
}

impl ArchiveWriter {
    /// Begins a file of records that is filled with those of another archive; `stem` is its path without extension.
    pub fn records(&self, stem: &str) -> Result<RecordCopy, ArchiveError> {
        Ok(RecordCopy {
            file: RecordFile::create(self.place(), stem)?,
            compress: self.options.compress,
            lines: Vec::new(),
        })
    }

    /// Begins a file that is filled with what another archive holds.
    pub fn file(&self, path: &str) -> Result<FileWriter, ArchiveError> {
        FileWriter::create(&self.storage, path, self.key())
    }

    /// Adds such a file that belongs to no user.
    pub fn add_file(&mut self, file: FileEntry) -> Result<(), ArchiveError> {
        self.sum(&file)?;
        self.shared.push(&file);
        Ok(())
    }

    /// Begins a user whose files come from another archive.
    pub fn copy_user(&self, user_id: &str) -> Result<UserCopy<'_>, ArchiveError> {
        Ok(UserCopy {
            archive: self,
            manifest: UserManifestWriter::create(self.place(), &format!("users/{user_id}"))?,
        })
    }

    /// The files and users that the manifest lists.
    pub fn list(&mut self, users: DoneUsers) -> Result<Listing, ArchiveError> {
        let mut listing = users.list(std::mem::take(&mut self.shared))?;
        listing.bytes += self.clear;
        Ok(listing)
    }
}

impl UserCopy<'_> {
    /// Adds a file that is finished.
    pub fn add(&mut self, file: &FileEntry) -> Result<(), ArchiveError> {
        self.archive.sum(file)?;
        self.manifest.add(file)
    }

    /// Ends the user; `manifest` is what the user-manifest says beside its inventory.
    pub fn finish<T: Serialize>(
        self,
        entry: UserEntry,
        manifest: &T,
    ) -> Result<UserDone, ArchiveError> {
        let bytes = self.manifest.bytes;
        let manifest_file = self.manifest.finish(manifest)?;
        self.archive.sum(&manifest_file)?;
        Ok(UserDone {
            manifest_file,
            bytes,
            brought: entry.stats.clone(),
            entry,
            losses: Vec::new(),
            loss_count: 0,
        })
    }
}

impl Staged {
    /// Where it is.
    pub fn folder(&self) -> &Path {
        self.destination.staging()
    }

    /// Key that opens the archive.
    pub fn key(&self) -> Option<&DataKey> {
        self.finished.key.as_ref()
    }

    /// Facts about the archive.
    pub fn finished(&self) -> &Finished {
        &self.finished
    }

    /// Its folder, for whoever moves it into place, and what is known of it.
    pub(super) fn part(self) -> (PathBuf, Finished) {
        (self.destination.staging().to_owned(), self.finished)
    }

    /// Waits until all of it is on the disk, and moves it into place; or sends the end of a stream.
    pub fn publish(self) -> Result<Finished, ArchiveError> {
        match self.tar {
            None => self.destination.publish()?,
            Some(tar) => {
                let ended = tar.end(self.destination.staging());
                self.destination.abandon();
                ended?;
            }
        }
        Ok(self.finished)
    }

    /// Removes it.
    pub fn abandon(self) {
        self.destination.abandon();
    }
}
