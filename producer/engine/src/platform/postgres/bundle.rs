//! Records that one reader collects for one user, until they are worth a task.

use super::work::{Feed, Open, Part, Piece, Pieces, Task, TaskGroup, release};
use crate::limits::BLOCK;
use crate::platform::{Attachment, Collection, ExportError, PlatformLoss, RecordKeys};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};

/// Bytes of a loss beside its sentence.
const LOSS: usize = 200;
/// How many parts of a file may wait.
const PARTS: usize = 2;
/// How many attachments, and how many bytes of them, make a task.
const ATTACHMENTS: (usize, u64) = (64, 4 * 1024 * 1024);

/// Records that one reader collects for one user.
pub struct Bundle<'q, 'a> {
    /// The user.
    pub open: Arc<Open<'a>>,
    feed: Feed<'q, 'a>,
    pieces: Pieces,
    bytes: usize,
    attachments: Vec<Attachment>,
    attachment_bytes: u64,
    /// Whether there are versions of events among the records, and events.
    versions: bool,
    heads: bool,
}

impl<'q, 'a> Bundle<'q, 'a> {
    /// Nothing yet.
    pub fn new(open: Arc<Open<'a>>, feed: &Feed<'q, 'a>) -> Self {
        Self {
            open,
            feed: feed.clone(),
            pieces: Pieces::default(),
            bytes: 0,
            attachments: Vec::new(),
            attachment_bytes: 0,
            versions: false,
            heads: false,
        }
    }

    /// Makes room for as many bytes as another user has.
    pub fn reserve(&mut self, group: &TaskGroup<'a>) {
        self.pieces.lines.reserve(group.usual());
    }

    /// The next record is an event, or a version of one.
    pub fn passes(&mut self, version: bool) {
        self.versions |= version;
        self.heads |= !version;
    }

    /// Adds the record that `write` appends; what it says that is missing there is lost. When it cannot, the record is, and the answer
    /// is false.
    pub fn record(
        &mut self,
        collection: Collection,
        write: impl FnOnce(&mut Vec<u8>) -> Result<Vec<String>, String>,
        name: impl FnOnce() -> String,
    ) -> Result<bool, ExportError> {
        let Pieces { list, lines } = &mut self.pieces;
        let before = lines.len();
        let lost = match write(lines) {
            Ok(lost) => lost,
            Err(what) => {
                lines.truncate(before);
                let what = format!("{}: {what}; it was left out", name());
                self.lose(collection.name(), what)?;
                return Ok(false);
            }
        };
        lines.push(b'\n');
        let bytes = lines.len() - before;
        match list.last_mut() {
            Some(Piece::Records(of, length, count)) if *of == collection => {
                *length += bytes;
                *count += 1;
            }
            _ => list.push(Piece::Records(collection, bytes, 1)),
        }
        self.bytes += bytes;
        if !lost.is_empty() {
            let name = name();
            for what in lost {
                self.lose(collection.name(), format!("{name}: {what}"))?;
            }
        }
        if self.bytes >= BLOCK {
            self.send()?;
        }
        Ok(true)
    }

    /// Adds the key of a record that could not be read; `again`: the next run comes to it in any case.
    pub fn unreadable(&mut self, collection: Collection, key: &[u8], again: bool) {
        self.bytes += key.len();
        let piece = Piece::Unreadable(collection, key.to_vec(), again);
        self.pieces.list.push(piece);
    }

    /// Adds where a deleted stream was.
    pub fn stream_path(&mut self, id: &[u8], path: &[u8]) -> Result<(), ExportError> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.bytes += id.len() + path.len();
        let piece = Piece::StreamPath(text(id), text(path));
        self.pieces.list.push(piece);
        if self.bytes >= BLOCK {
            self.send()
        } else {
            Ok(())
        }
    }

    /// Adds a record that is there, and as it was.
    pub fn present(&mut self, collection: Collection, key: &[u8]) -> Result<(), ExportError> {
        let list = &mut self.pieces.list;
        if !matches!(list.last(), Some(Piece::Present(of, _)) if *of == collection) {
            list.push(Piece::Present(collection, RecordKeys::default()));
        }
        if let Some(Piece::Present(_, keys)) = list.last_mut() {
            let before = keys.bytes();
            keys.push(key);
            self.bytes += keys.bytes() - before;
        }
        self.send_much()
    }

    /// Adds a loss.
    pub fn lose(&mut self, collection: &str, what: String) -> Result<(), ExportError> {
        self.bytes += what.len() + LOSS;
        self.pieces.list.push(Piece::Loss(PlatformLoss {
            user_id: Some(self.open.user.user_id.clone()),
            collection: Some(collection.to_owned()),
            path: None,
            what,
        }));
        self.send_much()
    }

    /// Adds a whole file that was in the database.
    pub fn store(&mut self, attachment: Attachment, content: Vec<u8>) -> Result<(), ExportError> {
        self.bytes += content.len();
        self.pieces.list.push(Piece::Stored(attachment, content));
        self.send_much()
    }

    /// Begins a file whose content is to be sent the returned way; what was collected goes before it.
    pub fn stream(&mut self, attachment: Attachment) -> Result<SyncSender<Part>, ExportError> {
        let (way_in, content) = sync_channel(PARTS);
        self.pieces.list.push(Piece::Stream(attachment, content));
        self.send()?;
        Ok(way_in)
    }

    /// Adds a file.
    pub fn attach(&mut self, attachment: Attachment) -> Result<(), ExportError> {
        self.attachment_bytes += attachment.size.unwrap_or(0);
        self.attachments.push(attachment);
        if self.attachments.len() < ATTACHMENTS.0 && self.attachment_bytes < ATTACHMENTS.1 {
            return Ok(());
        }
        self.attachment_bytes = 0;
        let files = Piece::Attachments(std::mem::take(&mut self.attachments));
        self.feed.send(Task {
            open: self.open.clone(),
            pieces: Pieces {
                list: vec![files],
                lines: Vec::new(),
            },
            versions: None,
            heads: false,
        })
    }

    /// Passes on what there is, if it makes a task.
    fn send_much(&mut self) -> Result<(), ExportError> {
        match self.bytes {
            BLOCK.. => self.send(),
            _ => Ok(()),
        }
    }

    /// Passes on what there is.
    pub fn send(&mut self) -> Result<(), ExportError> {
        let task = self.task();
        task.map_or(Ok(()), |task| self.feed.send(task))
    }

    /// What there is, as a task.
    fn task(&mut self) -> Option<Task<'a>> {
        self.bytes = 0;
        self.attachment_bytes = 0;
        let mut pieces = std::mem::take(&mut self.pieces);
        if !self.attachments.is_empty() {
            let files = std::mem::take(&mut self.attachments);
            pieces.list.push(Piece::Attachments(files));
        }
        if pieces.list.is_empty() {
            return None;
        }
        let versions = std::mem::take(&mut self.versions);
        Some(Task {
            open: self.open.clone(),
            pieces,
            versions: versions.then(|| self.open.versions.begin()),
            heads: std::mem::take(&mut self.heads),
        })
    }

    /// Passes on the rest, with a group: the user is complete.
    pub fn end(mut self, group: &mut TaskGroup<'a>) -> Result<(), ExportError> {
        self.pieces.list.push(Piece::Stores);
        self.open.complete.store(true, Ordering::SeqCst);
        let bytes = self.bytes;
        if let Some(task) = self.task() {
            self.feed.add(task, bytes, group)?;
        }
        release(self.open)
    }
}
