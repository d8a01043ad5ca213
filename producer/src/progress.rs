//! How far a command is, on standard error when that is a terminal.

use std::{
    io::{self, IsTerminal},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

const INTERVAL: Duration = Duration::from_millis(200);

/// A line that several threads may move on.
pub struct Progress {
    what: String,
    bytes: AtomicU64,
    /// When the line was written last; none when nobody looks.
    last: Option<Mutex<Instant>>,
}

impl Progress {
    /// Of work on `what`, for example `12 files`.
    pub fn new(what: String) -> Self {
        Progress {
            what,
            bytes: AtomicU64::new(0),
            last: io::stderr()
                .is_terminal()
                .then(|| Mutex::new(Instant::now())),
        }
    }

    /// Adds bytes that are done.
    pub fn add(&self, bytes: usize) {
        let total = self.bytes.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        let Some(mut last) = self.last.as_ref().and_then(|last| last.try_lock().ok()) else {
            return;
        };
        if last.elapsed() >= INTERVAL {
            *last = Instant::now();
            eprint!("\r\x1b[K{}, {} MB done", self.what, total / 1_000_000);
        }
    }

    /// Removes the line.
    pub fn end(&self) {
        if self.last.is_some() {
            eprint!("\r\x1b[K");
        }
    }
}
