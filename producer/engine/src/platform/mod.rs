//! Reading a Pryv.io platform: its users, their records and attachments, and the platform's own index.
//!
//! A [`Platform`] hands each record over as one line of JSON, shaped as docs/format.md describes, and never
//! holds more than one record of a user at a time. Nothing here writes to the platform.

mod attachments;
mod direct;
mod error;
mod index;
mod influx;
mod iso;
pub mod json;
mod open;
mod postgres;
pub mod raw;
mod reading;
pub(crate) mod rqlite;
pub mod running;
mod s3;
mod scope;
mod series;
mod since;
mod sqlite;
mod staging;
mod target;
mod texts;
mod tree;
mod unknown;
mod user;
mod user_folder;
mod username_owners;
mod waiting;
pub mod write;

use crate::threads;
use crate::threads::lock;
pub use error::{ExportError, PlatformError, ServerError};
pub use open::{Restoring, open, open_writer};
pub use scope::{Only, Scope};
pub use since::{ExportExtent, Mark, RecordKeys};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
pub use target::{Attachment, IndexSink, PlatformLoss, SinkError, Target, UserSink, UserTarget};
pub use unknown::Unknown;
pub use user::User;

/// Whether the platform index is part of a backup.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PlatformMode {
    /// All of the platform's own database.
    Full,
    /// The index of accounts, as Pryv's own backup has it.
    Pryv,
    /// Leave it out.
    None,
}

impl PlatformMode {
    /// The name used in manifests and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Pryv => "pryv",
            Self::None => "none",
        }
    }
}

/// The kinds of records that belong to no user.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shared {
    /// Unique and indexed values of accounts.
    Index,
    /// Any other entry of the platform's own database: `key` and `value`.
    Keys,
    /// Other names that lead to a user.
    Aliases,
    /// Who is logged in.
    Sessions,
    /// Who asked for a new password.
    PasswordResets,
}

impl Shared {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Index,
        Self::Keys,
        Self::Aliases,
        Self::Sessions,
        Self::PasswordResets,
    ];

    /// The path in an archive, without extension.
    #[must_use]
    pub const fn stem(self) -> &'static str {
        match self {
            Self::Index => "platform/platform",
            Self::Keys => "platform/keys",
            Self::Aliases => "platform/aliases",
            Self::Sessions => "platform/sessions",
            Self::PasswordResets => "platform/password-resets",
        }
    }
}

/// The kinds of records that make up a user.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Collection {
    /// The tree of streams, as a flat list.
    Streams,
    /// Accesses: live ones, deleted ones and their history.
    Accesses,
    /// Profile sets.
    Profile,
    /// Webhooks.
    Webhooks,
    /// Events: live ones, tombstones and history.
    Events,
    /// Passwords, key-values and account fields: exactly one record.
    Account,
    /// Audit trail.
    Audit,
    /// High-frequency series.
    Series,
}

impl Collection {
    /// All of them, in the order in which a platform takes them.
    pub const ALL: [Self; 8] = [
        Self::Streams,
        Self::Accesses,
        Self::Profile,
        Self::Webhooks,
        Self::Events,
        Self::Account,
        Self::Audit,
        Self::Series,
    ];

    /// The name used in paths and in manifests.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Streams => "streams",
            Self::Accesses => "accesses",
            Self::Profile => "profile",
            Self::Webhooks => "webhooks",
            Self::Events => "events",
            Self::Account => "account",
            Self::Audit => "audit",
            Self::Series => "series",
        }
    }
}

/// A platform that can be read.
pub trait Platform: Sync {
    /// All users, in the order of the platform's username index.
    ///
    /// # Errors
    /// When the index cannot be read.
    fn users(&self) -> Result<Arc<Vec<User>>, PlatformError>;

    /// Seconds since 1970: what was stored before is in the export. To be asked after [`Self::users`].
    ///
    /// # Errors
    /// When the platform cannot be reached.
    fn instant(&self) -> Result<f64, PlatformError>;

    /// How far the platform is at that instant.
    ///
    /// # Errors
    /// When the platform cannot be reached.
    fn mark(&self) -> Result<Mark, PlatformError> {
        Ok(Mark::default())
    }

    /// How many records an export of all users brings, roughly, where that is known at once.
    fn records(&self) -> Option<u64>;

    /// Hands over everything the platform stores for `users`, with `jobs` threads.
    ///
    /// # Errors
    /// When a store that all users share cannot be read, or when the target fails.
    fn export_all(
        &self,
        users: &[User],
        jobs: usize,
        target: &dyn Target,
    ) -> Result<(), ExportError>;

    /// Lists what is there and left out, because this version does not know it or because it is nobody's; to be asked after
    /// [`Self::export_all`]. Of a backup of one user, only what concerns it.
    ///
    /// # Errors
    /// When a store cannot be read.
    fn unknown(&self, scope: &Scope<'_>) -> Result<Vec<Unknown>, PlatformError>;

    /// The number of the last migration of Pryv's that the database has seen, where it tells.
    fn migration(&self) -> Option<u32> {
        None
    }

    /// Remarks about the export that was made.
    fn notes(&self) -> Vec<String>;

    /// Hands over what belongs to no user, as far as the scope goes. An entry that cannot be read is a loss.
    ///
    /// # Errors
    /// When a store cannot be read, or when the sink fails.
    fn export_platform(
        &self,
        scope: &Scope<'_>,
        sink: &mut dyn IndexSink,
    ) -> Result<(), ExportError>;
}

/// User by user, several at once.
fn each_user(
    users: &[User],
    jobs: usize,
    target: &dyn Target,
    export: impl Fn(&User, &mut dyn UserSink) -> Result<(), ExportError> + Sync,
) -> Result<(), ExportError> {
    let next = AtomicUsize::new(0);
    let failure: Mutex<Option<ExportError>> = Mutex::new(None);
    let one = |user: &User| {
        let open = target.begin(user).map_err(ExportError::Sink)?;
        let mut sink = open.sink();
        export(user, sink.as_mut())?;
        sink.flush().map_err(ExportError::Sink)?;
        drop(sink);
        open.finish().map_err(ExportError::Sink)
    };
    threads::share(jobs.min(users.len()), || {
        while let Some(user) = users.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = caught(|| one(user)) {
                next.store(users.len(), Ordering::Relaxed);
                lock(&failure).get_or_insert(error.of(user));
            }
        }
    });
    let failure = lock(&failure).take();
    failure.map_or(Ok(()), Err)
}

/// A defect of ours in one thread ends the run like any failure: nobody waits for that thread, and nothing stays behind.
fn caught<R>(work: impl FnOnce() -> Result<R, ExportError>) -> Result<R, ExportError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(ExportError::Sink(
            "a defect of pryv-backup ended its work here (see above); please report it".into(),
        ))
    })
}
