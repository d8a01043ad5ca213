//! One user's folder.

use std::{
    collections::BTreeMap,
    io::Read,
    time::{SystemTime, UNIX_EPOCH},
};

use decryptor_wasm::{
    FileEntry, Inventory, UserManifest,
    layout::is_safe_name,
    manifest::{Chunks, Loss, UserEntry, UserStats},
};

use super::{
    ArchiveError, ArchiveWriter,
    file::FileWriter,
    records::{Chunked, RecordFile},
};
use crate::platform::{self, Collection, SinkError, User, UserSink};

/// Takes a user's records and attachments; several may be at work at once.
pub struct UserWriter<'a> {
    archive: &'a ArchiveWriter,
    user: &'a User,
    folder: String,
    single: BTreeMap<&'static str, RecordFile>,
    events: Chunked,
    audit: Chunked,
    stats: UserStats,
    losses: Vec<Loss>,
    attachments: Vec<FileEntry>,
}

/// What the archive keeps of a finished user.
pub struct UserDone {
    /// For `manifest.users`.
    pub entry: UserEntry,
    /// The user-manifest itself, for the archive's inventory.
    pub manifest_file: FileEntry,
    /// The user's files, for SHA256SUMS.
    pub files: Vec<FileEntry>,
    /// What could not be read.
    pub losses: Vec<Loss>,
}

impl<'a> UserWriter<'a> {
    pub(super) fn create(archive: &'a ArchiveWriter, user: &'a User) -> Result<Self, ArchiveError> {
        if !is_safe_name(&user.user_id) {
            return Err(ArchiveError::UnsafeName(user.user_id.clone()));
        }
        let folder = format!("users/{}", user.user_id);
        let mut writer = UserWriter {
            events: Chunked::new(
                format!("{folder}/events/events"),
                archive.options.chunk_bytes,
            ),
            audit: Chunked::new(format!("{folder}/audit/audit"), archive.options.chunk_bytes),
            archive,
            user,
            folder,
            single: BTreeMap::new(),
            stats: UserStats::default(),
            losses: Vec::new(),
            attachments: Vec::new(),
        };
        // These exist even without a record.
        for collection in [
            Collection::Streams,
            Collection::Accesses,
            Collection::Profile,
            Collection::Webhooks,
        ] {
            writer.file(collection)?;
        }
        Ok(writer)
    }

    fn file(&mut self, collection: Collection) -> Result<&mut RecordFile, ArchiveError> {
        let name = collection.name();
        if !self.single.contains_key(name) {
            let stem = match collection {
                Collection::Series => format!("{}/series/series", self.folder),
                _ => format!("{}/{name}", self.folder),
            };
            let file = RecordFile::create(
                &self.archive.staging,
                &stem,
                self.archive.options.compress,
                self.archive.key(),
            )?;
            self.single.insert(name, file);
        }
        self.single
            .get_mut(name)
            .ok_or_else(|| ArchiveError::UnsafeName(name.to_owned()))
    }

    fn write_record(&mut self, collection: Collection, line: &[u8]) -> Result<(), ArchiveError> {
        let (root, compress, key) = (
            &self.archive.staging,
            self.archive.options.compress,
            self.archive.key(),
        );
        match collection {
            Collection::Events => self.events.push(root, compress, key, line)?,
            Collection::Audit => self.audit.push(root, compress, key, line)?,
            other => self.file(other)?.push(line)?,
        }
        let stats = &mut self.stats;
        *match collection {
            Collection::Streams => &mut stats.streams,
            Collection::Accesses => &mut stats.accesses,
            Collection::Profile => &mut stats.profile,
            Collection::Webhooks => &mut stats.webhooks,
            Collection::Events => &mut stats.events,
            Collection::Audit => &mut stats.audit,
            Collection::Series => &mut stats.series,
            Collection::Account => return Ok(()),
        } += 1;
        Ok(())
    }

    fn write_attachment(
        &mut self,
        file_id: &str,
        reader: &mut dyn Read,
    ) -> Result<(), ArchiveError> {
        let path = format!("{}/attachments/{file_id}", self.folder);
        if !is_safe_name(file_id) {
            self.lose(
                "attachments",
                None,
                format!("the attachment id {file_id:?} is no file name; it was left out"),
            );
            return Ok(());
        }
        let mut file = FileWriter::create(&self.archive.staging, &path, self.archive.key())?;
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => file.write(&buffer[..n])?,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => {
                    file.abandon()?;
                    self.lose(
                        "attachments",
                        Some(path),
                        format!("the attachment could not be read: {e}"),
                    );
                    return Ok(());
                }
            }
        }
        self.attachments.push(file.finish(None)?);
        self.stats.attachments += 1;
        Ok(())
    }

    fn lose(&mut self, collection: &str, path: Option<String>, what: String) {
        self.losses.push(Loss {
            user_id: Some(self.user.user_id.clone()),
            collection: Some(collection.to_owned()),
            path,
            what,
        });
    }

    /// Ends the user's files and writes the user-manifest.
    pub fn finish(mut self) -> Result<UserDone, ArchiveError> {
        let mut files = Vec::new();
        for file in std::mem::take(&mut self.single).into_values() {
            files.push(file.finish()?);
        }
        self.events.close()?;
        self.audit.close()?;
        let chunks = Chunks {
            events: names(&self.events.entries),
            audit: Some(names(&self.audit.entries)),
        };
        files.append(&mut self.events.entries);
        files.append(&mut self.audit.entries);
        files.append(&mut self.attachments);
        let manifest = UserManifest {
            entry: UserEntry {
                user_id: self.user.user_id.clone(),
                username: self.user.username.clone(),
                backup_timestamp: now_ms(),
                stats: self.stats,
                chunks,
            },
            losses: self.losses,
            inventory: Some(Inventory { v: 1, files }),
        };
        let path = format!("{}/user-manifest.json", self.folder);
        let manifest_file = self.archive.write_json(&path, &manifest)?;
        let files = manifest.inventory.map(|i| i.files).unwrap_or_default();
        Ok(UserDone {
            entry: manifest.entry,
            manifest_file,
            files,
            losses: manifest.losses,
        })
    }
}

impl UserSink for UserWriter<'_> {
    fn record(&mut self, collection: Collection, line: &[u8]) -> Result<(), SinkError> {
        Ok(self.write_record(collection, line)?)
    }

    fn attachment(&mut self, file_id: &str, reader: &mut dyn Read) -> Result<(), SinkError> {
        Ok(self.write_attachment(file_id, reader)?)
    }

    fn loss(&mut self, loss: platform::Loss) {
        self.losses.push(Loss {
            user_id: loss.user_id.or_else(|| Some(self.user.user_id.clone())),
            collection: loss.collection,
            path: loss.path,
            what: loss.what,
        });
    }
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
