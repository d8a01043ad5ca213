//! One user's folder.

use std::{
    collections::{BTreeMap, HashSet},
    io::{ErrorKind, Read},
    sync::{Condvar, Mutex, PoisonError},
};

use decryptor_wasm::{
    FileEntry, UserManifest,
    layout::is_safe_name,
    manifest::{Chunks, GoneAttachment, Loss, UserEntry, UserStats},
};

use super::{
    ArchiveError, ArchiveWriter,
    block::{self, RecordBytes},
    duplicate_attachments::{self, DuplicateAttachments},
    file::FileWriter,
    losses::Losses,
    records::{Chunked, RecordFile, RecordPlace},
    user_manifest::UserManifestWriter,
};
use crate::limits::PIECE;
use crate::threads::lock;
use crate::{
    interrupt,
    platform::{self, Attachment, Collection, User},
};

/// Name of the file of tombstones: records that are gone since the previous run.
pub(super) const REMOVED: &str = "removed";

/// Takes a user's records and attachments, from several threads.
pub struct UserFilesWriter<'a> {
    archive: &'a ArchiveWriter,
    user: &'a User,
    folder: String,
    files: Mutex<Files>,
    losses: Mutex<Losses>,
    gone: Mutex<Vec<GoneAttachment>>,
    /// The attachments that are being written: one that comes under the same path waits for how that ends.
    writing: (Mutex<HashSet<String>>, Condvar),
}

/// See [`UserFilesWriter::turn`].
struct Turn<'a> {
    writing: &'a (Mutex<HashSet<String>>, Condvar),
    path: &'a str,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        lock(&self.writing.0).remove(self.path);
        self.writing.1.notify_all();
    }
}

struct Files {
    single: BTreeMap<&'static str, RecordFile>,
    events: Chunked,
    audit: Chunked,
    duplicates: DuplicateAttachments,
    manifest: UserManifestWriter,
    stats: UserStats,
    stream_paths: BTreeMap<String, String>,
}

/// A finished user in the archive.
pub struct UserDone {
    /// For `manifest.users`.
    pub entry: UserEntry,
    /// The user-manifest itself, for the archive's inventory.
    pub manifest_file: FileEntry,
    /// Bytes of the user's files.
    pub bytes: u64,
    /// Records in this archive, which in an increment are not all records of the user.
    pub brought: UserStats,
    /// Items that could not be read.
    pub losses: Vec<Loss>,
    /// The number of that, also of what is not named each.
    pub loss_count: u64,
}

impl<'a> UserFilesWriter<'a> {
    pub(super) fn create(archive: &'a ArchiveWriter, user: &'a User) -> Result<Self, ArchiveError> {
        if !is_safe_name(&user.user_id) {
            return Err(ArchiveError::UnsafeName(user.user_id.clone()));
        }
        let folder = format!("users/{}", user.user_id);
        let limit = archive.options.chunk_bytes;
        let files = Files {
            single: BTreeMap::new(),
            events: Chunked::new(format!("{folder}/events/events"), limit),
            audit: Chunked::new(format!("{folder}/audit/audit"), limit),
            duplicates: DuplicateAttachments::default(),
            manifest: UserManifestWriter::create(archive.place(), &folder)?,
            stats: UserStats::default(),
            stream_paths: BTreeMap::new(),
        };
        Ok(UserFilesWriter {
            archive,
            user,
            folder,
            files: Mutex::new(files),
            losses: Mutex::default(),
            gone: Mutex::default(),
            writing: Default::default(),
        })
    }

    pub(super) fn place(&self) -> RecordPlace<'a> {
        self.archive.place()
    }

    /// Appends records of a collection.
    pub(super) fn append(
        &self,
        collection: Collection,
        content: &RecordBytes<'_>,
    ) -> Result<(), ArchiveError> {
        interrupt::check()?;
        self.archive.tally.add(content.records, content.plain);
        let mut files = lock(&self.files);
        match collection {
            Collection::Events => files.events.append(self.place(), content)?,
            Collection::Audit => files.audit.append(self.place(), content)?,
            other => self.file(&mut files, other.name())?.append(content)?,
        }
        let stats = &mut files.stats;
        let count = match collection {
            Collection::Streams => &mut stats.streams,
            Collection::Accesses => &mut stats.accesses,
            Collection::Profile => &mut stats.profile,
            Collection::Webhooks => &mut stats.webhooks,
            Collection::Events => &mut stats.events,
            Collection::Audit => &mut stats.audit,
            Collection::Series => &mut stats.series,
            Collection::Account => return Ok(()),
        };
        *count += content.records;
        Ok(())
    }

    /// The file of a collection that has only one.
    fn file<'f>(
        &self,
        files: &'f mut Files,
        name: &'static str,
    ) -> Result<&'f mut RecordFile, ArchiveError> {
        Ok(match files.single.entry(name) {
            std::collections::btree_map::Entry::Occupied(file) => file.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => {
                let stem = if name == Collection::Series.name() {
                    format!("{}/series/series", self.folder)
                } else {
                    format!("{}/{name}", self.folder)
                };
                place.insert(RecordFile::create(self.place(), &stem)?)
            }
        })
    }

    /// Stores one attachment; a reader that fails is a loss.
    pub(super) fn write_attachment(
        &self,
        attachment: &Attachment,
        reader: &mut dyn Read,
    ) -> Result<(), ArchiveError> {
        let Attachment {
            event_id,
            id: file_id,
            ..
        } = attachment;
        let path = format!("{}/attachments/{file_id}", self.folder);
        if !is_safe_name(file_id) {
            self.lose_attachment(
                None,
                format!("the attachment id {file_id:?} is no file name; it was left out"),
            );
            return Ok(());
        }
        let _turn = self.turn(&path);
        let unreadable = |e| format!("the attachment could not be read for event {event_id}: {e}");
        let Some(mut file) = self.create_attachment(&path)? else {
            match duplicate_attachments::digest(reader)? {
                Ok((digest, bytes)) => {
                    lock(&self.files).duplicates.add(&path, digest, event_id);
                    if let Some(loss) = attachment.other_size(bytes) {
                        self.lose(loss);
                    }
                }
                Err(e) => self.lose_attachment(Some(path.clone()), unreadable(e)),
            }
            return Ok(());
        };
        let mut buffer = vec![0; PIECE];
        loop {
            interrupt::check()?;
            match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => {
                    file.write(&buffer[..n])?;
                    self.archive.tally.add(0, n as u64);
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => {
                    file.abandon()?;
                    self.lose_attachment(Some(path.clone()), unreadable(e));
                    return Ok(());
                }
            }
        }
        let entry = file.finish(None)?;
        if let Some(loss) = attachment.other_size(entry.content_size) {
            self.lose(loss);
        }
        let mut files = lock(&self.files);
        files.stats.attachments += 1;
        if self.place().storage.volumes.is_some() {
            files.duplicates.store(&entry);
        }
        self.list(&mut files, &entry)
    }

    /// Begins the file of an attachment; none where there is one at its path.
    fn create_attachment(&self, path: &str) -> Result<Option<FileWriter>, ArchiveError> {
        if lock(&self.files).duplicates.has(path) {
            return Ok(None);
        }
        let place = self.place();
        match FileWriter::create(place.storage, path, place.key) {
            Err(ArchiveError::Io { source, .. }) if source.kind() == ErrorKind::AlreadyExists => {
                Ok(None)
            }
            file => file.map(Some),
        }
    }

    /// Waits until nobody writes to `path`.
    fn turn<'t>(&'t self, path: &'t str) -> Turn<'t> {
        let (writing, ended) = &self.writing;
        let mut writing = lock(writing);
        while !writing.insert(path.to_owned()) {
            writing = ended.wait(writing).unwrap_or_else(PoisonError::into_inner);
        }
        Turn {
            writing: &self.writing,
            path,
        }
    }

    /// Takes a finished file into the inventory and the sums.
    fn list(&self, files: &mut Files, entry: &FileEntry) -> Result<(), ArchiveError> {
        files.manifest.add(entry)?;
        self.archive.sum(entry)
    }

    /// Takes note of an attachment that is gone because its event is.
    pub(super) fn gone(&self, file: &Attachment) {
        lock(&self.gone).push(GoneAttachment {
            event_id: file.event_id.clone(),
            id: file.id.clone(),
        });
    }

    fn lose_attachment(&self, path: Option<String>, what: String) {
        self.lose(platform::PlatformLoss {
            user_id: None,
            collection: Some("attachments".to_owned()),
            path,
            what,
        });
    }

    /// Takes note of where a deleted stream was.
    pub fn stream_path(&self, id: &str, path: &str) {
        let mut files = lock(&self.files);
        files.stream_paths.insert(id.to_owned(), path.to_owned());
    }

    /// Takes note of a loss.
    pub(super) fn lose(&self, loss: platform::PlatformLoss) {
        let mut loss = Loss::from(loss);
        loss.user_id.get_or_insert(self.user.user_id.clone());
        lock(&self.losses).add(loss);
    }

    /// Appends lines that name what is gone.
    pub fn remove(&self, lines: &[u8], count: u64) -> Result<(), ArchiveError> {
        let mut files = lock(&self.files);
        let file = self.file(&mut files, REMOVED)?;
        block::content(self.place().compress, lines, count, |content| {
            file.append(&content)
        })
    }

    /// Ends the user's files and writes the user-manifest. In an increment, `stats` are the numbers of all that the user has, or this
    /// archive holds the user `whole`.
    pub fn finish(self, stats: Option<UserStats>, whole: bool) -> Result<UserDone, ArchiveError> {
        let mut guard = lock(&self.files);
        let all = &mut *guard;
        let mut ended = Vec::new();
        for file in std::mem::take(&mut all.single).into_values() {
            ended.push(file.finish()?);
        }
        all.events.close()?;
        all.audit.close()?;
        let chunks = Chunks {
            events: names(&all.events.entries),
            audit: Some(names(&all.audit.entries)),
        };
        ended.append(&mut all.events.entries);
        ended.append(&mut all.audit.entries);
        for entry in &ended {
            self.list(all, entry)?;
        }
        for (path, event_id) in std::mem::take(&mut all.duplicates).different(self.place())? {
            let what = format!(
                "event {event_id} lists an attachment of the same id with other content; it is not in the backup"
            );
            self.lose_attachment(Some(path), what);
        }
        let brought = std::mem::take(&mut all.stats);
        let loss_count = lock(&self.losses).count();
        let manifest = UserManifest {
            stream_paths: std::mem::take(&mut all.stream_paths),
            entry: UserEntry {
                user_id: self.user.user_id.clone(),
                username: self.user.username.clone(),
                other_names: self.user.other_names.clone(),
                backup_timestamp: self.archive.timestamp(),
                stats: stats.unwrap_or_else(|| brought.clone()),
                chunks,
                whole,
            },
            losses: lock(&self.losses).take(&self.user.user_id),
            gone_attachments: std::mem::take(&mut *lock(&self.gone)),
            inventory: None,
        };
        drop(guard);
        let files = self.files.into_inner();
        let written = files.unwrap_or_else(PoisonError::into_inner).manifest;
        let bytes = written.bytes;
        let manifest_file = written.finish(&manifest)?;
        self.archive.sum(&manifest_file)?;
        Ok(UserDone {
            entry: manifest.entry,
            manifest_file,
            bytes,
            brought,
            losses: manifest.losses,
            loss_count,
        })
    }
}

fn names(entries: &[FileEntry]) -> Vec<String> {
    entries
        .iter()
        .filter_map(|e| e.path.rsplit('/').next().map(str::to_owned))
        .collect()
}
