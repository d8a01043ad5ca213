//! Versions of a user's events, which are to be stored before the events: Pryv's own tool puts an attachment to the last event that
//! lists it.

use crate::threads::lock;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Tasks with versions that are on their way.
#[derive(Clone, Default)]
pub struct Versions(Arc<(Mutex<usize>, Condvar)>);

/// One of them; it ends when this is dropped.
pub struct Underway(Versions);

impl Versions {
    /// A task begins.
    pub fn begin(&self) -> Underway {
        *lock(&self.0.0) += 1;
        Underway(self.clone())
    }

    /// Waits for all of them, but for `own`, that of the caller. Those before it were begun before it, so nobody waits for ever.
    pub fn wait(&self, own: bool) {
        let (tasks, ended) = &*self.0;
        let mut tasks = lock(tasks);
        while *tasks > usize::from(own) {
            tasks = ended.wait(tasks).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        let (tasks, ended) = &*self.0.0;
        *lock(tasks) -= 1;
        ended.notify_all();
    }
}
