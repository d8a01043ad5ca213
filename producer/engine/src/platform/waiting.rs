//! Waiting for a server: whoever interrupts the run does not wait for one that says nothing.

use super::PlatformError;
use crate::interrupt;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// How long nothing may come until it is checked whether the run was interrupted.
const STEP: Duration = Duration::from_millis(200);

/// What a thread of its own brings from a server.
pub struct Incoming<T>(Receiver<T>);

/// Why nothing came.
pub enum Waited {
    /// A signal came.
    Interrupted,
    /// The time is over.
    Long,
}

impl<T: Send + 'static> Incoming<T> {
    /// Begins the work. What it brings waits until it is taken, two things at most.
    ///
    /// # Errors
    /// When there is no further thread.
    pub fn of(work: impl FnOnce(&SyncSender<T>) + Send + 'static) -> io::Result<Self> {
        let (way_in, way_out) = sync_channel(2);
        Builder::new().spawn(move || work(&way_in))?;
        Ok(Self(way_out))
    }

    /// The next; none when the work has ended. With `heed`, a signal ends the wait.
    ///
    /// # Errors
    /// When nothing comes.
    pub fn next(&self, longest: Option<Duration>, heed: bool) -> Result<Option<T>, Waited> {
        let begun = Instant::now();
        loop {
            match self.0.recv_timeout(STEP) {
                Ok(item) => return Ok(Some(item)),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if heed && interrupt::check().is_err() {
                return Err(Waited::Interrupted);
            }
            if longest.is_some_and(|longest| begun.elapsed() >= longest) {
                return Err(Waited::Long);
            }
        }
    }
}

/// Waits before a server is asked again.
///
/// # Errors
/// When a signal comes.
pub fn pause(length: Duration) -> Result<(), PlatformError> {
    let mut left = length;
    while !left.is_zero() {
        interrupt::check().map_err(|_| PlatformError::Interrupted)?;
        let step = left.min(STEP);
        std::thread::sleep(step);
        left -= step;
    }
    Ok(())
}
