//! Records on their way to the users' parts of the archive: made by readers, taken by workers.

use super::versions::{Underway, Versions};
use crate::limits::BLOCK;
use crate::platform::{
    Attachment, Collection, ExportError, Loss, RecordKeys, User, UserTarget, caught,
};
use crate::threads::lock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

/// Bytes of a loss beside its sentence.
const LOSS: usize = 200;
/// Parts of a file that wait.
const PARTS: usize = 2;
/// Attachments, and bytes of attachments, that make a task.
const ATTACHMENTS: (usize, u64) = (64, 4 * 1024 * 1024);

/// A user that is being exported.
pub struct Open<'a> {
    /// The user.
    pub user: &'a User,
    /// Where it goes.
    pub target: Box<dyn UserTarget + 'a>,
    complete: AtomicBool,
    versions: Versions,
}

impl<'a> Open<'a> {
    /// A user whose data will come.
    pub fn new(user: &'a User, target: Box<dyn UserTarget + 'a>) -> Arc<Self> {
        Arc::new(Self {
            user,
            target,
            complete: AtomicBool::new(false),
            versions: Versions::default(),
        })
    }
}

/// Ends a user when all of it was read and nobody else is at work on it.
pub fn release(open: Arc<Open<'_>>) -> Result<(), ExportError> {
    match Arc::into_inner(open) {
        Some(open) if open.complete.load(Ordering::SeqCst) => {
            open.target.finish().map_err(ExportError::Sink)
        }
        _ => Ok(()),
    }
}

/// A task for a user.
pub struct Task<'a> {
    /// The user.
    pub open: Arc<Open<'a>>,
    /// In order.
    pub pieces: Vec<Piece>,
    /// It has versions of events.
    versions: Option<Underway>,
    /// It has events that may have versions.
    heads: bool,
}

/// A part of a task.
pub enum Piece {
    /// Lines, each with its newline.
    Records(Collection, Vec<u8>, u64),
    /// Records that are there, and as they were.
    Present(Collection, RecordKeys),
    /// A record that is there and could not be read, by its key; whether the next run comes to it in any case.
    Unreadable(Collection, Vec<u8>, bool),
    /// Files to copy.
    Attachments(Vec<Attachment>),
    /// A small file from the database, whole.
    Stored(Attachment, Vec<u8>),
    /// A large one, on its way.
    Stream(Attachment, Receiver<Part>),
    /// Where a deleted stream was: its id, and its path.
    StreamPath(String, String),
    /// Something that is missing.
    Loss(Loss),
    /// The stores that are not in the database.
    Stores,
}

/// A part of a file that is on its way.
pub enum Part {
    /// Some of its bytes.
    Bytes(Vec<u8>),
    /// It cannot be read on: a sentence.
    Broken(String),
    /// All of it has come. Without this the file is cut off.
    End,
}

/// The tasks that wait, which are few, and what went wrong.
pub struct Queue<'a> {
    tasks: Mutex<Receiver<Task<'a>>>,
    failure: Mutex<Option<ExportError>>,
    stopped: AtomicBool,
}

/// The readers' end of the queue.
#[derive(Clone)]
pub struct Feed<'q, 'a> {
    sender: SyncSender<Task<'a>>,
    queue: &'q Queue<'a>,
}

impl<'a> Queue<'a> {
    /// A queue of at most `depth` tasks, and the way in.
    pub fn new(depth: usize) -> (Self, SyncSender<Task<'a>>) {
        let (sender, tasks) = sync_channel(depth);
        let queue = Self {
            tasks: Mutex::new(tasks),
            failure: Mutex::default(),
            stopped: AtomicBool::new(false),
        };
        (queue, sender)
    }

    /// Takes tasks until no reader is left. After a failure they are only taken away, so that no reader waits.
    pub fn work(&self, run: impl Fn(&Open<'a>, Vec<Piece>) -> Result<(), ExportError>) {
        loop {
            let Ok(task) = lock(&self.tasks).recv() else {
                return;
            };
            if self.stopped.load(Ordering::SeqCst) {
                continue;
            }
            if task.heads {
                task.open.versions.wait(task.versions.is_some());
            }
            let Task {
                open,
                pieces,
                versions,
                ..
            } = task;
            let user = open.user;
            let done = || {
                run(&open, pieces)?;
                drop(versions);
                release(open)
            };
            if let Err(error) = caught(done) {
                self.fail(error.of(user));
            }
        }
    }

    /// Notes what went wrong first, and stops everybody.
    pub fn fail(&self, error: ExportError) {
        lock(&self.failure).get_or_insert(error);
        self.stopped.store(true, Ordering::SeqCst);
    }

    /// The first error.
    pub fn outcome(self) -> Result<(), ExportError> {
        let failure = lock(&self.failure).take();
        failure.map_or(Ok(()), Err)
    }
}

impl<'q, 'a> Feed<'q, 'a> {
    /// A way into `queue`.
    pub fn new(sender: SyncSender<Task<'a>>, queue: &'q Queue<'a>) -> Self {
        Self { sender, queue }
    }

    /// Whether somebody failed, so that reading on is of no use.
    pub fn stopped(&self) -> bool {
        self.queue.stopped.load(Ordering::SeqCst)
    }

    fn send(&self, task: Task<'a>) -> Result<(), ExportError> {
        let stopped = || ExportError::Sink("stopped, because something else failed".into());
        if self.stopped() {
            return Err(stopped());
        }
        self.sender.send(task).map_err(|_| stopped())
    }
}

/// Records that one reader collects for one user.
pub struct Bundle<'q, 'a> {
    /// The user.
    pub open: Arc<Open<'a>>,
    feed: Feed<'q, 'a>,
    pieces: Vec<Piece>,
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
            pieces: Vec::new(),
            bytes: 0,
            attachments: Vec::new(),
            attachment_bytes: 0,
            versions: false,
            heads: false,
        }
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
        if !matches!(self.pieces.last(), Some(Piece::Records(of, _, _)) if *of == collection) {
            self.pieces.push(Piece::Records(collection, Vec::new(), 0));
        }
        let Some(Piece::Records(_, lines, count)) = self.pieces.last_mut() else {
            return Ok(false);
        };
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
        *count += 1;
        self.bytes += lines.len() - before;
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
        self.pieces
            .push(Piece::Unreadable(collection, key.to_vec(), again));
    }

    /// Adds where a deleted stream was.
    pub fn stream_path(&mut self, id: &[u8], path: &[u8]) -> Result<(), ExportError> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.bytes += id.len() + path.len();
        self.pieces.push(Piece::StreamPath(text(id), text(path)));
        if self.bytes >= BLOCK {
            self.send()
        } else {
            Ok(())
        }
    }

    /// Adds a record that is there, and as it was.
    pub fn present(&mut self, collection: Collection, key: &[u8]) -> Result<(), ExportError> {
        if !matches!(self.pieces.last(), Some(Piece::Present(of, _)) if *of == collection) {
            self.pieces
                .push(Piece::Present(collection, RecordKeys::default()));
        }
        if let Some(Piece::Present(_, keys)) = self.pieces.last_mut() {
            let before = keys.bytes();
            keys.push(key);
            self.bytes += keys.bytes() - before;
        }
        self.send_much()
    }

    /// Adds a loss.
    pub fn lose(&mut self, collection: &str, what: String) -> Result<(), ExportError> {
        self.bytes += what.len() + LOSS;
        self.pieces.push(Piece::Loss(Loss {
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
        self.pieces.push(Piece::Stored(attachment, content));
        self.send_much()
    }

    /// Begins a file whose content is to be sent the returned way; what was collected goes before it.
    pub fn stream(&mut self, attachment: Attachment) -> Result<SyncSender<Part>, ExportError> {
        let (way_in, content) = sync_channel(PARTS);
        self.pieces.push(Piece::Stream(attachment, content));
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
            pieces: vec![files],
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
        self.bytes = 0;
        self.attachment_bytes = 0;
        let mut pieces = std::mem::take(&mut self.pieces);
        if !self.attachments.is_empty() {
            pieces.push(Piece::Attachments(std::mem::take(&mut self.attachments)));
        }
        if pieces.is_empty() {
            return Ok(());
        }
        let versions = std::mem::take(&mut self.versions);
        self.feed.send(Task {
            open: self.open.clone(),
            pieces,
            versions: versions.then(|| self.open.versions.begin()),
            heads: std::mem::take(&mut self.heads),
        })
    }

    /// Passes on the rest: the user is complete.
    pub fn end(mut self) -> Result<(), ExportError> {
        self.pieces.push(Piece::Stores);
        self.open.complete.store(true, Ordering::SeqCst);
        self.send()?;
        release(self.open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::UserSink;

    struct Nowhere;

    impl UserTarget for Nowhere {
        fn sink(&self) -> Box<dyn UserSink + '_> {
            unreachable!()
        }
        fn finish(self: Box<Self>) -> Result<(), crate::platform::SinkError> {
            Ok(())
        }
    }

    /// A reader must not wait for ever for a worker that is no more.
    #[test]
    fn a_panic_of_a_worker_ends_the_run() {
        let user = User {
            user_id: "id".to_owned(),
            username: "name".to_owned(),
            ..User::default()
        };
        let (queue, sender) = Queue::new(1);
        std::thread::scope(|scope| {
            scope.spawn(|| queue.work(|_, _| panic!("a defect, made for this test")));
            let feed = Feed::new(sender, &queue);
            let open = Open::new(&user, Box::new(Nowhere));
            while !feed.stopped() {
                let mut bundle = Bundle::new(open.clone(), &feed);
                let _ = bundle.lose("events", "x".to_owned());
                let _ = bundle.send();
            }
        });
        let said = queue.outcome().map_err(|e| e.to_string());
        assert!(
            matches!(&said, Err(said) if said.contains("a defect of pryv-backup")),
            "{said:?}"
        );
    }
}
