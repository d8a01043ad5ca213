//! Facts about each finished user, and the losses.

use std::{collections::HashMap, sync::Mutex};

use decryptor_wasm::manifest::Loss;

use crate::limits::MAX_NAMED_LOSSES;
use crate::threads::lock;
use crate::{
    archive::{ArchiveWriter, UserDone, UserFilesWriter},
    observer::{Level, Observer},
    platform::{self, SinkError, Target, User, UserSink, UserTarget},
};

/// The archive as the target of an export; keeps what is known of each finished user.
pub struct Collector<'a> {
    /// Where everything goes.
    pub archive: &'a ArchiveWriter,
    /// Hears of each user that is done.
    named: Option<&'a dyn Observer>,
    done: Mutex<Vec<UserDone>>,
    losses: Mutex<LossSummary>,
}

/// Losses for the report, which is written at the end.
#[derive(Default)]
pub struct LossSummary {
    /// Losses that concern no single user.
    pub platform: Vec<Loss>,
    /// Of the users, whose own manifests have them too.
    pub users: Vec<Loss>,
    /// The number of those for which there was no room.
    pub more: u64,
}

impl LossSummary {
    fn of_user(&mut self, losses: Vec<Loss>) {
        let mut losses = losses.into_iter();
        let room = MAX_NAMED_LOSSES.saturating_sub(self.users.len());
        self.users.extend(losses.by_ref().take(room));
        self.more += losses.count() as u64;
    }
}

impl<'a> Collector<'a> {
    /// Nothing has come yet.
    pub fn new(archive: &'a ArchiveWriter, named: Option<&'a dyn Observer>) -> Self {
        Collector {
            archive,
            named,
            done: Mutex::default(),
            losses: Mutex::default(),
        }
    }

    /// A user is written.
    pub fn done(&self, mut done: UserDone) {
        lock(&self.losses).of_user(std::mem::take(&mut done.losses));
        if let Some(observer) = self.named {
            let name = &done.entry.username;
            let (events, attachments) = (done.brought.events, done.brought.attachments);
            let text = format!("{name}: {events} events, {attachments} attachments");
            observer.tell(Level::Info, &text);
        }
        self.archive.tally.user();
        lock(&self.done).push(done);
    }

    /// A user is as it was.
    pub fn unchanged(&self) {
        self.archive.tally.user();
    }

    /// The users in the order of the platform, and the losses.
    pub fn finish(self, users: &[User]) -> (Vec<UserDone>, LossSummary) {
        let mut done = into_inner(self.done);
        let place: HashMap<&str, usize> = users
            .iter()
            .enumerate()
            .map(|(i, user)| (user.user_id.as_str(), i))
            .collect();
        done.sort_by_key(|user| place.get(user.entry.user_id.as_str()).copied());
        (done, into_inner(self.losses))
    }
}

impl Target for Collector<'_> {
    fn begin<'a>(&'a self, user: &'a User) -> Result<Box<dyn UserTarget + 'a>, SinkError> {
        Ok(Box::new(Open {
            collector: self,
            writer: self.archive.user(user)?,
        }))
    }

    fn lose(&self, loss: platform::PlatformLoss) {
        lock(&self.losses).platform.push(loss.into());
    }
}

/// A user that is being written.
struct Open<'a> {
    collector: &'a Collector<'a>,
    writer: UserFilesWriter<'a>,
}

impl UserTarget for Open<'_> {
    fn sink(&self) -> Box<dyn UserSink + '_> {
        Box::new(self.writer.sink())
    }

    fn finish(self: Box<Self>) -> Result<(), SinkError> {
        self.collector.done(self.writer.finish(None, false)?);
        Ok(())
    }
}

fn into_inner<T>(mutex: Mutex<T>) -> T {
    mutex
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
