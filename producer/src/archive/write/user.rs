//! One user's folder.

use std::{
    collections::BTreeMap,
    io::Read,
    sync::{Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use decryptor_wasm::{
    FileEntry, Inventory, UserManifest,
    layout::is_safe_name,
    manifest::{Chunks, Loss, UserEntry, UserStats},
};

use super::{
    ArchiveError, ArchiveWriter,
    block::Content,
    file::FileWriter,
    records::{Chunked, Place, RecordFile},
    sink::Sink,
};
use crate::{
    interrupt,
    platform::{self, Collection, User},
};

/// Bytes of an attachment that are read at once.
const PIECE: usize = 256 * 1024;

/// Takes a user's records and attachments, from several threads.
pub struct UserWriter<'a> {
    archive: &'a ArchiveWriter,
    user: &'a User,
    folder: String,
    files: Mutex<Files>,
    losses: Mutex<Vec<Loss>>,
}

struct Files {
    single: BTreeMap<&'static str, RecordFile>,
    events: Chunked,
    audit: Chunked,
    attachments: Vec<FileEntry>,
    stats: UserStats,
}

/// What the archive keeps of a finished user.
pub struct UserDone {
    /// For `manifest.users`.
    pub entry: UserEntry,
    /// The user-manifest itself, for the archive's inventory.
    pub manifest_file: FileEntry,
    /// The lines of the user's files in SHA256SUMS; of 100,000 users there is no room for more.
    pub sums: String,
    /// Bytes of the user's files.
    pub bytes: u64,
    /// What could not be read.
    pub losses: Vec<Loss>,
}

impl<'a> UserWriter<'a> {
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
            attachments: Vec::new(),
            stats: UserStats::default(),
        };
        Ok(UserWriter {
            archive,
            user,
            folder,
            files: Mutex::new(files),
            losses: Mutex::default(),
        })
    }

    /// A way in for one thread.
    pub fn sink(&self) -> Sink<'_> {
        Sink::new(self)
    }

    pub(super) fn place(&self) -> Place<'a> {
        self.archive.place()
    }

    /// Appends records of a collection.
    pub(super) fn append(
        &self,
        collection: Collection,
        content: &Content<'_>,
    ) -> Result<(), ArchiveError> {
        interrupt::check()?;
        self.archive.tally.add(content.records, content.plain);
        let mut files = lock(&self.files);
        match collection {
            Collection::Events => files.events.append(self.place(), content)?,
            Collection::Audit => files.audit.append(self.place(), content)?,
            other => self.single(&mut files, other)?.append(content)?,
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

    fn single<'f>(
        &self,
        files: &'f mut Files,
        collection: Collection,
    ) -> Result<&'f mut RecordFile, ArchiveError> {
        let name = collection.name();
        Ok(match files.single.entry(name) {
            std::collections::btree_map::Entry::Occupied(file) => file.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => {
                let stem = match collection {
                    Collection::Series => format!("{}/series/series", self.folder),
                    _ => format!("{}/{name}", self.folder),
                };
                place.insert(RecordFile::create(self.place(), &stem)?)
            }
        })
    }

    /// Stores one attachment; a reader that fails is a loss.
    pub(super) fn write_attachment(
        &self,
        file_id: &str,
        reader: &mut dyn Read,
    ) -> Result<(), ArchiveError> {
        let path = format!("{}/attachments/{file_id}", self.folder);
        if !is_safe_name(file_id) {
            self.lose_attachment(
                None,
                format!("the attachment id {file_id:?} is no file name; it was left out"),
            );
            return Ok(());
        }
        let place = self.place();
        let mut file = FileWriter::create(place.root, &path, place.key)?;
        let mut buffer = vec![0; PIECE];
        loop {
            interrupt::check()?;
            match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => {
                    file.write(&buffer[..n])?;
                    self.archive.tally.add(0, n as u64);
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => {
                    file.abandon()?;
                    self.lose_attachment(
                        Some(path),
                        format!("the attachment could not be read: {e}"),
                    );
                    return Ok(());
                }
            }
        }
        let entry = file.finish(None)?;
        let mut files = lock(&self.files);
        files.attachments.push(entry);
        files.stats.attachments += 1;
        Ok(())
    }

    fn lose_attachment(&self, path: Option<String>, what: String) {
        self.lose(platform::Loss {
            user_id: None,
            collection: Some("attachments".to_owned()),
            path,
            what,
        });
    }

    /// Takes note of a loss.
    pub(super) fn lose(&self, loss: platform::Loss) {
        let mut loss = Loss::from(loss);
        loss.user_id.get_or_insert(self.user.user_id.clone());
        lock(&self.losses).push(loss);
    }

    /// Ends the user's files and writes the user-manifest.
    pub fn finish(self) -> Result<UserDone, ArchiveError> {
        let mut all = lock(&self.files);
        // These exist even without a record.
        for collection in [
            Collection::Streams,
            Collection::Accesses,
            Collection::Profile,
            Collection::Webhooks,
        ] {
            self.single(&mut all, collection)?;
        }
        let mut files = Vec::new();
        for file in std::mem::take(&mut all.single).into_values() {
            files.push(file.finish()?);
        }
        all.events.close()?;
        all.audit.close()?;
        let chunks = Chunks {
            events: names(&all.events.entries),
            audit: Some(names(&all.audit.entries)),
        };
        files.append(&mut all.events.entries);
        files.append(&mut all.audit.entries);
        all.attachments.sort_by(|a, b| a.path.cmp(&b.path));
        files.append(&mut all.attachments);
        let manifest = UserManifest {
            entry: UserEntry {
                user_id: self.user.user_id.clone(),
                username: self.user.username.clone(),
                backup_timestamp: now_ms(),
                stats: std::mem::take(&mut all.stats),
                chunks,
            },
            losses: std::mem::take(&mut *lock(&self.losses)),
            inventory: Some(Inventory { v: 1, files }),
        };
        let path = format!("{}/user-manifest.json", self.folder);
        let manifest_file = self.archive.write_json(&path, &manifest)?;
        let files = manifest.inventory.map(|i| i.files).unwrap_or_default();
        Ok(UserDone {
            entry: manifest.entry,
            manifest_file,
            sums: files.iter().map(super::sum_line).collect(),
            bytes: files.iter().map(|file| file.size).sum(),
            losses: manifest.losses,
        })
    }
}

/// A thread that panicked leaves plain data behind, which stays usable.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn names(entries: &[FileEntry]) -> Vec<String> {
    entries
        .iter()
        .filter_map(|e| e.path.rsplit('/').next().map(str::to_owned))
        .collect()
}

/// Milliseconds since the epoch.
pub fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map(|d| d.as_millis() as i64)
        .unwrap_or(0)
}
