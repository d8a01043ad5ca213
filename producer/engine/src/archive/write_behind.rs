//! Writing on a second thread, so that the disk and the cipher work at the same time.

use std::{
    fs::File,
    io::{self, Write},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{Builder, JoinHandle},
};

use crate::files;

/// Bytes that are worth a thread.
const LARGE: usize = 4 * 1024 * 1024;
/// Pieces on their way; each is as large as what one `write` brings.
const DEPTH: usize = 4;

/// A file that is written in order; from some size on, by a thread of its own. Memory: [`DEPTH`] pieces.
pub struct WriteBehind {
    written: usize,
    state: Writing,
}

enum Writing {
    Direct(Arc<File>),
    Behind {
        file: Arc<File>,
        full: SyncSender<Vec<u8>>,
        empty: Receiver<Vec<u8>>,
        thread: JoinHandle<io::Result<()>>,
    },
    Failed,
}

impl WriteBehind {
    /// Writes to `file` from its current position.
    pub fn new(file: File) -> Self {
        WriteBehind {
            written: 0,
            state: Writing::Direct(Arc::new(file)),
        }
    }

    /// Appends `piece`. An error may concern an earlier piece.
    pub fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.written += piece.len();
        if self.written > LARGE {
            self.hand_over();
        }
        match &mut self.state {
            Writing::Direct(file) => file.as_ref().write_all(piece),
            Writing::Behind { full, empty, .. } => {
                let mut buffer = empty.try_recv().unwrap_or_default();
                buffer.clear();
                buffer.extend_from_slice(piece);
                if full.send(buffer).is_ok() {
                    return Ok(());
                }
                // The thread ends early only when the disk refused.
                self.join()?;
                Err(io::Error::other("the writing thread ended"))
            }
            Writing::Failed => Err(io::Error::other("an earlier write failed")),
        }
    }

    /// Waits until all is written, and closes the file.
    pub fn finish(mut self) -> io::Result<()> {
        self.join()
    }

    /// Where no thread can be had, it goes on without.
    fn hand_over(&mut self) {
        let Writing::Direct(file) = &self.state else {
            return;
        };
        let file = file.clone();
        let to = file.clone();
        let (full, to_write) = sync_channel::<Vec<u8>>(DEPTH);
        let (give_back, empty) = sync_channel(DEPTH + 2);
        let thread = Builder::new().spawn(move || {
            for buffer in to_write {
                to.as_ref().write_all(&buffer)?;
                // Nobody may be waiting for it any more.
                let _ = give_back.try_send(buffer);
            }
            Ok(())
        });
        if let Ok(thread) = thread {
            self.state = Writing::Behind {
                file,
                full,
                empty,
                thread,
            };
        }
    }

    fn join(&mut self) -> io::Result<()> {
        let file = match std::mem::replace(&mut self.state, Writing::Failed) {
            Writing::Behind {
                file, full, thread, ..
            } => {
                drop(full);
                thread
                    .join()
                    .unwrap_or_else(|_| Err(io::Error::other("the writing thread panicked")))?;
                file
            }
            Writing::Direct(file) => file,
            Writing::Failed => return Ok(()),
        };
        // The thread, which had it too, has ended.
        Arc::into_inner(file).map_or(Ok(()), files::close)
    }
}
