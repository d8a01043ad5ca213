//! One user: the records on their own, and whether what they refer to is there.

use std::{
    borrow::Cow,
    ops::Range,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use decryptor_wasm::{
    Error, Result, UserEntry,
    integrity::{Hashed, Record, attachment},
    jsonl::Line,
    layout::PathKind,
    plan::PlannedFile,
};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{
    ids::{AttachmentContent, Ids, StoredAttachments, id},
    seen::{RecordChecks, Remark},
};
use crate::archive::read::{Archive, UserLosses};

/// A user whose files are read, by several threads.
pub struct VerifiedUser<'a> {
    /// The user's entry in the manifest.
    pub entry: UserEntry,
    /// The places of all of the user's files in the plan.
    pub files: Range<usize>,
    archive: &'a Archive,
    /// Files that were missing when the backup was made; few users need them.
    lacks: OnceLock<UserLosses>,
    /// The archive holds what has changed only, so that what its records refer to may lie elsewhere.
    partial: bool,
    /// It holds attachments of events that are gone.
    surplus: bool,
    /// None when they could not be read.
    streams: OnceLock<Ids>,
    attachments: StoredAttachments,
    /// How many records of each collection that a manifest counts, in the order of [`UserStats::by_name`].
    counts: [AtomicU64; 8],
    accounts: AtomicU64,
    seen: Mutex<RecordChecks>,
    /// Which files are being read.
    pub stage: AtomicUsize,
    /// How many of them are not read yet.
    pub left: AtomicUsize,
}

/// Outcome of a user.
pub struct UserOutcome {
    /// Numbers in the manifest that do not agree with the files.
    pub contradictions: Vec<String>,
    /// Files and records that the manifest does not count, where no inventory says that they belong there.
    pub surplus: Vec<String>,
    /// Observations about the records.
    pub seen: RecordChecks,
}

/// Called with the bytes of each piece that was read.
pub type Shown<'s> = &'s dyn Fn(usize);

/// The collection that a file belongs to.
pub fn collection(file: &PlannedFile) -> &str {
    let name = file.path.split('/').nth(2).unwrap_or_default();
    name.split('.').next().unwrap_or_default()
}

impl<'a> VerifiedUser<'a> {
    /// Nothing is read yet.
    pub fn new(archive: &'a Archive, entry: UserEntry, files: Range<usize>) -> Self {
        let is_attachment = |(_, file): &(usize, PlannedFile)| {
            matches!(PathKind::of(&file.path), PathKind::Attachment { .. })
        };
        let attachments = files.clone().zip(archive.files().within(files.clone()));
        VerifiedUser {
            attachments: StoredAttachments::of(attachments.filter(is_attachment)),
            entry,
            files,
            archive,
            lacks: OnceLock::new(),
            partial: archive.is_increment(),
            surplus: archive.chain.is_some(),
            streams: OnceLock::new(),
            counts: Default::default(),
            accounts: AtomicU64::new(0),
            seen: Mutex::default(),
            stage: AtomicUsize::new(0),
            left: AtomicUsize::new(0),
        }
    }

    /// Reads one of the files; how many bytes and records it had.
    pub fn file(
        &self,
        archive: &Archive,
        file: &PlannedFile,
        shown: Shown<'_>,
    ) -> Result<(u64, u64)> {
        let collection = collection(file);
        let mut seen = RecordChecks::default();
        let (bytes, records) = match collection {
            "attachments" => (self.attachment(archive, file, shown)?, 1),
            "streams" => self.streams(archive, file, &mut seen, shown)?,
            "accesses" => self.lines(archive, file, shown, &mut |record| {
                seen.hash(Hashed::Access, record)
            })?,
            "events" => self.lines(archive, file, shown, &mut |record| {
                self.event(record, &mut seen)
            })?,
            _ => {
                let summary = archive.stream(file, true, true, &mut |piece| {
                    shown(piece.len());
                    crate::interrupt::check()
                })?;
                (summary.output_size, summary.records.unwrap_or(0))
            }
        };
        let stated = self.entry.stats.by_name();
        let mut counts = stated.iter().zip(&self.counts);
        if let Some((_, count)) = counts.find(|((name, _), _)| *name == collection) {
            count.fetch_add(records, Ordering::Relaxed);
        }
        if collection == "account" {
            self.accounts.fetch_add(records, Ordering::Relaxed);
        }
        self.lock().merge(seen);
        let counted = if collection == "attachments" {
            0
        } else {
            records
        };
        Ok((bytes, counted))
    }

    fn lines(
        &self,
        archive: &Archive,
        file: &PlannedFile,
        shown: Shown<'_>,
        look: &mut dyn FnMut(&Record<'_>) -> Result<()>,
    ) -> Result<(u64, u64)> {
        let summary = archive.lines(file, true, &mut |line: Line<'_>| {
            shown(line.text.len() + 1);
            let record = line.record()?;
            look(&record)
        })?;
        Ok((summary.output_size, summary.records.unwrap_or(0)))
    }

    fn attachment(&self, archive: &Archive, file: &PlannedFile, shown: Shown<'_>) -> Result<u64> {
        // The inventory knows the digest of the content, and that the file is the one that it lists.
        let expected = file.expected.as_ref();
        let listed = expected.and_then(|expected| expected.content_digest());
        let mut digest = listed.is_none().then(Sha256::new);
        let summary = archive.stream(file, false, true, &mut |piece| {
            shown(piece.len());
            if let Some(digest) = &mut digest {
                digest.update(piece);
            }
            crate::interrupt::check()
        })?;
        let sha256 = digest.map(|digest| digest.finalize().into()).or(listed);
        if let (Some(attachment), Some(sha256)) = (self.attachments.get(id(file)), sha256) {
            attachment.read(AttachmentContent {
                size: summary.output_size,
                sha256,
            });
        }
        Ok(summary.output_size)
    }

    /// All ids first, and only if a parent is unknown a second time, to name the child.
    fn streams(
        &self,
        archive: &Archive,
        file: &PlannedFile,
        seen: &mut RecordChecks,
        shown: Shown<'_>,
    ) -> Result<(u64, u64)> {
        let mut ids = Ids::default();
        let mut parents = Vec::new();
        let read = self.lines(archive, file, shown, &mut |record| {
            if let Some(id) = record.string("id") {
                ids.add(&id);
            }
            parents.extend(record.string("parentId").map(|parent| ids.number(&parent)));
            Ok(())
        })?;
        ids.sort();
        if self.partial {
            return Ok(read);
        }
        if parents.iter().any(|parent| !ids.holds(*parent)) {
            self.lines(archive, file, &|_| {}, &mut |record| {
                if let Some(parent) = record.string("parentId")
                    && !ids.holds(ids.number(&parent))
                {
                    seen.remark(
                        Remark::UnknownParent,
                        &record.string("id").unwrap_or_default(),
                    );
                }
                Ok(())
            })?;
        }
        // There is one such file for each user.
        let _ = self.streams.set(ids);
        Ok(read)
    }

    fn event(&self, record: &Record<'_>, seen: &mut RecordChecks) -> Result<()> {
        seen.hash(Hashed::Event, record)?;
        if let (Some(known), Some(list)) = (self.streams.get(), record.get("streamIds")) {
            let ids: Vec<Cow<'_, str>> = strings(list);
            // A name with a colon in front is that of another store's stream.
            let unknown =
                |id: &Cow<'_, str>| !id.starts_with(':') && !known.holds(known.number(id));
            if ids.iter().any(unknown) {
                seen.remark(
                    Remark::UnknownStream,
                    &record.string("id").unwrap_or_default(),
                );
            }
        }
        if let Some(list) = record.get("attachments") {
            self.listed(record, list, seen);
        }
        Ok(())
    }

    /// Holds the files that an event lists against those that are there.
    fn listed(&self, record: &Record<'_>, list: &str, seen: &mut RecordChecks) {
        #[derive(Deserialize)]
        struct Listed<'l> {
            #[serde(borrow)]
            id: Cow<'l, str>,
            #[serde(default)]
            size: Option<f64>,
            #[serde(default, borrow)]
            integrity: Option<Cow<'l, str>>,
        }
        let Ok(files) = serde_json::from_str::<Vec<Listed<'_>>>(list) else {
            return;
        };
        // The files of a version or of a deleted event may be gone.
        let live = record.get("headId").is_none() && record.get("deleted").is_none();
        for file in files {
            let Some(attachment_there) = self.attachments.get(&file.id) else {
                if live && !self.partial {
                    let what = match self.lacks().is_gone(&file.id) {
                        true => Remark::GoneAttachment,
                        false => Remark::MissingAttachment,
                    };
                    seen.remark(what, &file.id);
                }
                continue;
            };
            attachment_there.list();
            let Some(content) = attachment_there.content() else {
                continue;
            };
            let other_hash = |stored: &str| {
                stored.starts_with("sha256-") && stored != attachment(&content.sha256)
            };
            #[allow(clippy::cast_precision_loss)]
            let other_size = file.size.is_some_and(|size| size != content.size as f64);
            if live && (other_size || file.integrity.as_deref().is_some_and(other_hash)) {
                seen.remark(Remark::OtherAttachment, &file.id);
            }
        }
    }

    /// To be called when all files are read. `intact`: nothing of the user is missing
    /// or damaged, so that numbers must agree.
    pub fn finish(&self, intact: bool, inventoried: bool) -> UserOutcome {
        let mut seen = std::mem::take(&mut *self.lock());
        let (mut contradictions, mut surplus) = (Vec::new(), Vec::new());
        if intact && !self.partial {
            for ((name, due), count) in self.entry.stats.by_name().into_iter().zip(&self.counts) {
                let count = count.load(Ordering::Relaxed);
                // Pryv's own tool counts a file for each event that lists it.
                let repeated = name == "attachments" && !inventoried && count < due;
                // Of attachments, what events list counts, and whether it is there is asked for each; of a series, what it is called,
                // whose points may be in several lines.
                if matches!(name, "attachments" | "series") && self.surplus {
                    continue;
                }
                let line = || {
                    format!(
                        "users/{}: {count} {name} are there, the manifest says {due}",
                        self.entry.user_id
                    )
                };
                if count > due && !inventoried {
                    surplus.push(line());
                } else if count != due && !repeated {
                    contradictions.push(line());
                }
            }
            let unlisted = self.attachments.unlisted().filter(|_| !self.surplus);
            for file in unlisted.filter_map(|place| self.archive.files().get(place)) {
                seen.remark(Remark::UnlistedAttachment, id(&file));
            }
            if self.accounts.load(Ordering::Relaxed) == 0 && self.lacks().losses.is_empty() {
                seen.remark(Remark::NoAccount, &self.entry.user_id);
            }
        }
        UserOutcome {
            contradictions,
            surplus,
            seen,
        }
    }

    /// Where the manifest cannot be read any more, what it lacks is taken for a problem.
    fn lacks(&self) -> &UserLosses {
        let read = || self.archive.losses_of(&self.entry.user_id);
        self.lacks.get_or_init(|| read().unwrap_or_default())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, RecordChecks> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The strings of a JSON list; none of what is no such list.
fn strings(list: &str) -> Vec<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'t>(#[serde(borrow)] Cow<'t, str>);
    let all: Vec<Text<'_>> = serde_json::from_str(list).unwrap_or_default();
    all.into_iter().map(|text| text.0).collect()
}

/// The error for a file whose user the manifest does not name; such a file is not planned.
pub fn nobody(file: &PlannedFile) -> Error {
    Error::damaged("belongs to no user of the archive").at(&file.path)
}
