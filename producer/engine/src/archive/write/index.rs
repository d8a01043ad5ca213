//! Records that belong to no user: the platform's own entries, aliases, sessions.

use decryptor_wasm::{
    FileEntry,
    layout::{is_safe_name, kept_audit},
    manifest::Loss,
};

use super::{
    ArchiveError,
    block::{self, Block},
    records::{RecordFile, RecordPlace},
    user::REMOVED,
};
use crate::platform::{self, IndexSink, Shared, SinkError};

/// Takes what belongs to no user: one file per kind, begun with its first record.
pub struct IndexWriter<'a> {
    place: RecordPlace<'a>,
    files: [Option<(RecordFile, Block)>; Shared::ALL.len()],
    /// File of the tombstones.
    removed: Option<RecordFile>,
    /// The audit trail of a user who is no more, and the user.
    kept: Option<(String, RecordFile, Block)>,
    ended: Vec<FileEntry>,
    kept_count: u64,
    losses: Vec<Loss>,
    withheld: u64,
}

/// The shared part of an archive, when it is written.
pub struct IndexDone {
    pub(super) files: Vec<FileEntry>,
    /// Numbers of records, in the order of [`Shared::ALL`].
    pub counts: [u64; Shared::ALL.len()],
    /// Number of audit records of users who are no more.
    pub kept_audit: u64,
    /// Items that could not be read.
    pub losses: Vec<Loss>,
    /// Secrets that were left out because the archive is not encrypted.
    pub withheld: u64,
}

impl<'a> IndexWriter<'a> {
    pub(super) fn new(place: RecordPlace<'a>) -> Self {
        IndexWriter {
            place,
            files: Default::default(),
            removed: None,
            kept: None,
            ended: Vec::new(),
            kept_count: 0,
            losses: Vec::new(),
            withheld: 0,
        }
    }

    /// Begins a file, were it to stay empty.
    pub fn begin(&mut self, kind: Shared) -> Result<(), ArchiveError> {
        self.open(kind).map(drop)
    }

    /// Appends lines that name what is gone.
    pub fn remove(&mut self, lines: &[u8], count: u64) -> Result<(), ArchiveError> {
        let file = match &mut self.removed {
            Some(file) => file,
            none => none.insert(RecordFile::create(
                self.place,
                &format!("platform/{REMOVED}"),
            )?),
        };
        block::content(self.place.compress, lines, count, |content| {
            file.append(&content)
        })
    }

    /// Ends all files.
    pub fn finish(mut self) -> Result<IndexDone, ArchiveError> {
        self.end_kept()?;
        let mut files = std::mem::take(&mut self.ended);
        let mut counts = [0; Shared::ALL.len()];
        for (slot, count) in self.files.into_iter().zip(&mut counts) {
            let Some((mut file, mut block)) = slot else {
                continue;
            };
            pass_on(&mut file, &mut block, self.place.compress)?;
            let entry = file.finish()?;
            *count = entry.records.unwrap_or(0);
            files.push(entry);
        }
        if let Some(file) = self.removed {
            files.push(file.finish()?);
        }
        Ok(IndexDone {
            files,
            counts,
            kept_audit: self.kept_count,
            losses: self.losses,
            withheld: self.withheld,
        })
    }

    fn end_kept(&mut self) -> Result<(), ArchiveError> {
        if let Some((_, mut file, mut block)) = self.kept.take() {
            pass_on(&mut file, &mut block, self.place.compress)?;
            let entry = file.finish()?;
            self.kept_count += entry.records.unwrap_or(0);
            self.ended.push(entry);
        }
        Ok(())
    }

    fn open(&mut self, kind: Shared) -> Result<&mut (RecordFile, Block), ArchiveError> {
        let slot = &mut self.files[kind as usize];
        if slot.is_none() {
            let file = RecordFile::create(self.place, kind.stem())?;
            return Ok(slot.insert((file, Block::default())));
        }
        slot.as_mut()
            .ok_or_else(|| ArchiveError::UnsafeName(kind.stem().to_owned()))
    }
}

fn pass_on(file: &mut RecordFile, block: &mut Block, compress: bool) -> Result<(), ArchiveError> {
    if block.is_empty() {
        return Ok(());
    }
    block.take(compress, |content| file.append(&content))
}

impl IndexSink for IndexWriter<'_> {
    fn record(&mut self, kind: Shared, line: &[u8]) -> Result<(), SinkError> {
        let compress = self.place.compress;
        let (file, block) = self.open(kind)?;
        block.push(line);
        if block.is_full() {
            pass_on(file, block, compress)?;
        }
        Ok(())
    }

    fn kept_audit(&mut self, user_id: &str, line: &[u8]) -> Result<(), SinkError> {
        if !is_safe_name(user_id) {
            self.loss(platform::PlatformLoss {
                user_id: Some(user_id.to_owned()),
                collection: Some("audit".to_owned()),
                path: None,
                what: "a record of a user who is no more, whose id cannot be the name of a folder; it was left out".to_owned(),
            });
            return Ok(());
        }
        if self.kept.as_ref().is_none_or(|(of, ..)| of != user_id) {
            self.end_kept()?;
            let file = RecordFile::create(self.place, &kept_audit(user_id))?;
            self.kept = Some((user_id.to_owned(), file, Block::default()));
        }
        let compress = self.place.compress;
        if let Some((_, file, block)) = &mut self.kept {
            block.push(line);
            if block.is_full() {
                pass_on(file, block, compress)?;
            }
        }
        Ok(())
    }

    fn withheld(&mut self) {
        self.withheld += 1;
    }

    fn loss(&mut self, loss: platform::PlatformLoss) {
        self.losses.push(loss.into());
    }
}

impl From<platform::PlatformLoss> for Loss {
    fn from(loss: platform::PlatformLoss) -> Self {
        Loss {
            user_id: loss.user_id,
            collection: loss.collection,
            path: loss.path,
            what: loss.what,
        }
    }
}
