//! The archive as the target of an export: what is known of each finished user, and what was lost.

use std::{collections::HashMap, sync::Mutex};

use decryptor_wasm::manifest::Loss;

use crate::{
    archive::{ArchiveWriter, UserDone, UserWriter},
    note,
    platform::{self, SinkError, Target, User, UserSink, UserTarget},
};

/// Losses of users that the report names; the manifests of the users name more.
const NAMED: usize = 10_000;

/// The archive as the target of an export; keeps what is known of each finished user.
struct Collector<'a> {
    archive: &'a ArchiveWriter,
    verbose: bool,
    done: Mutex<Vec<UserDone>>,
    losses: Mutex<Losses>,
}

/// What is told in the end of all that could not be read.
#[derive(Default)]
struct Losses {
    /// What concerns no single user.
    platform: Vec<Loss>,
    /// Of the users, whose own manifests have them too.
    users: Vec<Loss>,
    /// The number of those for which there was no room.
    more: u64,
}

impl Losses {
    fn of_user(&mut self, losses: Vec<Loss>) {
        let mut losses = losses.into_iter();
        let room = NAMED.saturating_sub(self.users.len());
        self.users.extend(losses.by_ref().take(room));
        self.more += losses.count() as u64;
    }
}

impl Target for Collector<'_> {
    fn begin<'a>(&'a self, user: &'a User) -> Result<Box<dyn UserTarget + 'a>, SinkError> {
        Ok(Box::new(Open {
            collector: self,
            writer: self.archive.user(user)?,
        }))
    }

    fn lose(&self, loss: platform::Loss) {
        lock(&self.losses).platform.push(loss.into());
    }
}

/// A user that is being written.
struct Open<'a> {
    collector: &'a Collector<'a>,
    writer: UserWriter<'a>,
}

impl UserTarget for Open<'_> {
    fn sink(&self) -> Box<dyn UserSink + '_> {
        Box::new(self.writer.sink())
    }

    fn finish(self: Box<Self>) -> Result<(), SinkError> {
        let mut done = self.writer.finish()?;
        lock(&self.collector.losses).of_user(std::mem::take(&mut done.losses));
        if self.collector.verbose {
            let (entry, stats) = (&done.entry, &done.entry.stats);
            note!(
                "{}: {} events, {} attachments",
                entry.username,
                stats.events,
                stats.attachments
            );
        }
        self.collector.archive.tally.user();
        lock(&self.collector.done).push(done);
        Ok(())
    }
}

/// A thread that panicked leaves plain data behind, which stays usable.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
