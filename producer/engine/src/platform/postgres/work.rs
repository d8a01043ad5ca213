//! Records on their way to the users' parts of the archive: made by readers, taken by workers.

use super::versions::{Underway, Versions};
use crate::limits::PIECE;
use crate::platform::{
    Attachment, Collection, ExportError, PlatformLoss, RecordKeys, User, UserTarget, caught,
};
use crate::threads::lock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

/// Bytes, and tasks, that make a group large enough.
const GROUP: (usize, usize) = (PIECE, 64);

/// A user that is being exported.
pub struct Open<'a> {
    /// The user.
    pub user: &'a User,
    /// Where it goes.
    pub target: Box<dyn UserTarget + 'a>,
    pub(super) complete: AtomicBool,
    pub(super) versions: Versions,
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
    /// Parts of it.
    pub pieces: Pieces,
    /// It has versions of events.
    pub(super) versions: Option<Underway>,
    /// It has events that may have versions.
    pub(super) heads: bool,
}

/// Parts of a task, in order.
#[derive(Default)]
pub struct Pieces {
    /// See [`Piece`].
    pub list: Vec<Piece>,
    /// The lines of all records among them, each with its newline.
    pub lines: Vec<u8>,
}

/// A part of a task.
pub enum Piece {
    /// So many bytes of the lines that come next, and how many lines these are.
    Records(Collection, usize, u64),
    /// Records that are there and have not changed.
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
    Loss(PlatformLoss),
    /// The stores that are not in the database.
    Stores,
}

/// A part of a file that is on its way.
pub enum Part {
    /// Some of its bytes.
    Bytes(Vec<u8>),
    /// The rest cannot be read, and why.
    Broken(String),
    /// All of it has come. Without this the file is cut off.
    End,
}

/// Tasks of small users, which go to a worker together: to wake one takes longer than such a task.
#[derive(Default)]
pub struct TaskGroup<'a> {
    tasks: Vec<Task<'a>>,
    bytes: usize,
    /// Bytes of the last task.
    last: usize,
}

impl TaskGroup<'_> {
    /// Bytes that the next task will probably have.
    pub fn usual(&self) -> usize {
        self.last.min(GROUP.0)
    }
}

/// The tasks that wait, which are few, and what went wrong.
pub struct Queue<'a> {
    tasks: Mutex<Receiver<Vec<Task<'a>>>>,
    failure: Mutex<Option<ExportError>>,
    stopped: AtomicBool,
}

/// The readers' end of the queue.
#[derive(Clone)]
pub struct Feed<'q, 'a> {
    sender: SyncSender<Vec<Task<'a>>>,
    queue: &'q Queue<'a>,
}

impl<'a> Queue<'a> {
    /// A queue of at most `depth` tasks or groups of them, and the way in.
    pub fn new(depth: usize) -> (Self, SyncSender<Vec<Task<'a>>>) {
        let (sender, tasks) = sync_channel(depth);
        let queue = Self {
            tasks: Mutex::new(tasks),
            failure: Mutex::default(),
            stopped: AtomicBool::new(false),
        };
        (queue, sender)
    }

    /// Takes tasks until no reader is left. After a failure they are only taken away, so that no reader waits.
    pub fn work(&self, run: impl Fn(&Open<'a>, Pieces) -> Result<(), ExportError>) {
        loop {
            let Ok(tasks) = lock(&self.tasks).recv() else {
                return;
            };
            for task in tasks {
                self.task(task, &run);
            }
        }
    }

    fn task(&self, task: Task<'a>, run: impl Fn(&Open<'a>, Pieces) -> Result<(), ExportError>) {
        if self.stopped.load(Ordering::SeqCst) {
            return;
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
    pub fn new(sender: SyncSender<Vec<Task<'a>>>, queue: &'q Queue<'a>) -> Self {
        Self { sender, queue }
    }

    /// Whether somebody failed, so that reading on is of no use.
    pub fn stopped(&self) -> bool {
        self.queue.stopped.load(Ordering::SeqCst)
    }

    pub(super) fn send(&self, task: Task<'a>) -> Result<(), ExportError> {
        self.pass_on(vec![task])
    }

    /// Adds the last task of a user to a group, which is passed on when it is large enough.
    pub(super) fn add(
        &self,
        task: Task<'a>,
        bytes: usize,
        group: &mut TaskGroup<'a>,
    ) -> Result<(), ExportError> {
        group.bytes += bytes;
        group.last = bytes;
        group.tasks.push(task);
        match group.bytes >= GROUP.0 || group.tasks.len() >= GROUP.1 {
            true => self.end(group),
            false => Ok(()),
        }
    }

    /// Passes on what there is in a group.
    pub fn end(&self, group: &mut TaskGroup<'a>) -> Result<(), ExportError> {
        group.bytes = 0;
        match std::mem::take(&mut group.tasks) {
            none if none.is_empty() => Ok(()),
            tasks => self.pass_on(tasks),
        }
    }

    fn pass_on(&self, tasks: Vec<Task<'a>>) -> Result<(), ExportError> {
        let stopped = || ExportError::Sink("stopped, because something else failed".into());
        if self.stopped() {
            return Err(stopped());
        }
        self.sender.send(tasks).map_err(|_| stopped())
    }
}

#[cfg(test)]
mod tests {
    use super::super::bundle::Bundle;
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
