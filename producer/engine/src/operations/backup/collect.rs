//! Facts about each finished user, and the losses.

use std::{collections::HashMap, sync::Mutex};

use decryptor_wasm::manifest::{Loss, UserStats};

use crate::limits::MAX_NAMED_LOSSES;
use crate::threads::{lock, unlocked};
use crate::{
    archive::{ArchiveError, ArchiveWriter, DoneUsers, UserDone},
    observer::{Level, Observer},
    platform::{PlatformLoss, User},
};

/// Sums up what is known of each finished user.
pub struct Collector<'a> {
    /// Where everything goes.
    pub archive: &'a ArchiveWriter,
    /// Hears of each user that is done.
    named: Option<&'a dyn Observer>,
    /// The place of each user in the order of the platform.
    order: HashMap<&'a str, usize>,
    done: Mutex<(DoneUsers, UserStats)>,
    losses: Mutex<LossSummary>,
}

/// What came of all users.
pub struct CollectedUsers {
    /// For the manifest.
    pub users: DoneUsers,
    /// Sums of what they brought.
    pub brought: UserStats,
    /// See [`LossSummary`].
    pub losses: LossSummary,
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
    /// The number of all losses of users, also of what is not named each.
    pub of_users: u64,
}

impl LossSummary {
    fn of_user(&mut self, losses: Vec<Loss>, count: u64) {
        self.of_users += count;
        let mut losses = losses.into_iter();
        let room = MAX_NAMED_LOSSES.saturating_sub(self.users.len());
        self.users.extend(losses.by_ref().take(room));
        self.more += losses.count() as u64;
    }
}

impl<'a> Collector<'a> {
    /// Nothing has come yet.
    pub fn new(
        archive: &'a ArchiveWriter,
        users: &'a [User],
        named: Option<&'a dyn Observer>,
    ) -> Result<Self, ArchiveError> {
        let place = |(order, user): (usize, &'a User)| (user.user_id.as_str(), order);
        Ok(Collector {
            archive,
            named,
            order: users.iter().enumerate().map(place).collect(),
            done: Mutex::new((archive.done_users()?, UserStats::default())),
            losses: Mutex::default(),
        })
    }

    /// A user is written.
    pub fn done(&self, mut done: UserDone) -> Result<(), ArchiveError> {
        lock(&self.losses).of_user(std::mem::take(&mut done.losses), done.loss_count);
        if let Some(observer) = self.named {
            let name = &done.entry.username;
            let (events, attachments) = (done.brought.events, done.brought.attachments);
            let text = format!("{name}: {events} events, {attachments} attachments");
            observer.tell(Level::Info, &text);
        }
        self.archive.tally.user();
        let order = self.order.get(done.entry.user_id.as_str());
        let (users, brought) = &mut *lock(&self.done);
        add(brought, &done.brought);
        users.add(order.copied().unwrap_or(self.order.len()), &done)
    }

    /// A user is as it was.
    pub fn unchanged(&self) {
        self.archive.tally.user();
    }

    /// Takes note of a loss that concerns no single user.
    pub fn lose(&self, loss: PlatformLoss) {
        lock(&self.losses).platform.push(loss.into());
    }

    /// The users, and the losses.
    pub fn finish(self) -> CollectedUsers {
        let (users, brought) = unlocked(self.done);
        CollectedUsers {
            users,
            brought,
            losses: unlocked(self.losses),
        }
    }
}

/// Adds to sums.
fn add(sums: &mut UserStats, user: &UserStats) {
    sums.streams += user.streams;
    sums.accesses += user.accesses;
    sums.profile += user.profile;
    sums.webhooks += user.webhooks;
    sums.events += user.events;
    sums.audit += user.audit;
    sums.series += user.series;
    sums.attachments += user.attachments;
}
