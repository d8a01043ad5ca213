//! Reading a Pryv.io platform: its users, their records and attachments, and the platform's own index.
//!
//! A [`Platform`] hands each record over as one line of JSON, shaped as docs/format.md describes, and never
//! holds more than one record of a user at a time. Nothing here writes to the platform.

mod attachments;
mod error;
mod index;
pub mod json;
mod postgres;
pub(crate) mod rqlite;
pub mod running;
mod scope;
mod since;
mod sqlite;
mod staging;
mod target;
mod texts;
mod tree;
mod unknown;
mod user;
mod user_folder;
pub mod write;

use crate::advice::Advice;
use crate::config::{Config, Engine};
use crate::observer::Observer;
use crate::threads::lock;
use crate::{regular, threads};
pub use error::{ExportError, PlatformError, ServerError};
pub use scope::{Only, Scope};
pub use since::{ExportExtent, Mark, RecordKeys};
use staging::Staging;
use std::path::PathBuf;
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

/// Opens the platform that a configuration describes. Nothing is contacted or read yet.
///
/// # Errors
/// When an engine is one that this version cannot read.
pub fn open(config: &Config, mode: PlatformMode) -> Result<Box<dyn Platform>, PlatformError> {
    let users_dir = regular::real(&config.users_dir);
    if config.base_engine == Engine::Postgresql {
        return postgres(config, mode, users_dir);
    }
    let index = sqlite_engines(
        config,
        mode == PlatformMode::None,
        Advice::BackUpWithoutIndex,
    )?;
    Ok(Box::new(sqlite::SqlitePlatform::new(users_dir, index)))
}

/// Facts about a restore that a platform has to know when it is opened for it.
#[derive(Clone, Copy)]
pub struct Restoring<'a> {
    /// The id of the archive.
    pub archive_id: &'a str,
    /// The archive comes from the SQLite engine.
    pub from_sqlite: bool,
    /// The platform's own database is left alone.
    pub skip_platform: bool,
    /// Nothing is to be written.
    pub dry_run: bool,
    /// Facts about the records of the archive.
    pub ask: &'a write::Ask<'a>,
    /// Hears what is waited for.
    pub observer: &'a dyn Observer,
}

/// Opens the platform that a configuration describes as one that takes users.
///
/// # Errors
/// When an engine is one that this version cannot write, when the platform cannot be reached, or when another restore is at work
/// there.
pub fn open_writer<'a>(
    config: &Config,
    restoring: Restoring<'a>,
) -> Result<Box<dyn write::PlatformWriter + 'a>, write::RestoreError> {
    let users_dir = regular::real(&config.users_dir);
    let staging = || match restoring.dry_run {
        true => Ok(Staging::look(&users_dir, restoring.archive_id)),
        false => Staging::open(&users_dir, restoring.archive_id),
    };
    let (skip_platform, from_sqlite) = (restoring.skip_platform, restoring.from_sqlite);
    if config.base_engine == Engine::Postgresql {
        let mode = if skip_platform {
            PlatformMode::None
        } else {
            PlatformMode::Full
        };
        let (engines, index) = postgres_engines(config, mode, Advice::RestoreWithoutIndex)?;
        return Ok(Box::new(postgres::write::PostgresWriter::new(
            &config.postgres,
            engines,
            index,
            staging,
            from_sqlite,
            restoring.ask,
            restoring.observer,
        )?));
    }
    let index = sqlite_engines(config, skip_platform, Advice::RestoreWithoutIndex)?;
    Ok(Box::new(sqlite::write::SqliteWriter::new(
        &users_dir,
        index,
        staging()?,
        from_sqlite,
    )))
}

/// Checks that everything but the base is where a platform of the SQLite engine has it.
fn sqlite_engines(
    config: &Config,
    without_index: bool,
    without: Advice,
) -> Result<Option<rqlite::Rqlite>, PlatformError> {
    let supported = |kind: &str, engine: Engine, known: Engine| {
        if engine == known {
            Ok(())
        } else {
            Err(unsupported(kind, engine))
        }
    };
    supported("audit", config.audit_engine, Engine::Sqlite)?;
    supported("series", config.series_engine, Engine::Sqlite)?;
    supported("file", config.file_engine, Engine::Filesystem)?;
    if without_index {
        return Ok(None);
    }
    supported("platform", config.platform_engine, Engine::Rqlite)?;
    Ok(Some(rqlite(config, without)?))
}

/// The platform whose base engine is PostgreSQL; anything else may be there too or in files.
fn postgres(
    config: &Config,
    mode: PlatformMode,
    users_dir: PathBuf,
) -> Result<Box<dyn Platform>, PlatformError> {
    let (engines, index) = postgres_engines(config, mode, Advice::BackUpWithoutIndex)?;
    Ok(Box::new(postgres::PostgresPlatform::new(
        &config.postgres,
        engines,
        index,
        users_dir,
    )?))
}

/// Finds out which engines are in the database, and where the platform's own one is.
fn postgres_engines(
    config: &Config,
    mode: PlatformMode,
    without: Advice,
) -> Result<(postgres::DatabaseEngines, postgres::IndexPlace), PlatformError> {
    let inside = |kind: &str, engine: Engine, outside: Engine| match engine {
        Engine::Postgresql => Ok(true),
        _ if engine == outside => Ok(false),
        _ => Err(unsupported(kind, engine)),
    };
    let engines = postgres::DatabaseEngines {
        audit: inside("audit", config.audit_engine, Engine::Sqlite)?,
        series: inside("series", config.series_engine, Engine::Sqlite)?,
        files: inside("file", config.file_engine, Engine::Filesystem)?,
        audited: config.audit_active,
    };
    let index = match mode {
        PlatformMode::None => postgres::IndexPlace::None,
        _ if config.platform_engine == Engine::Postgresql => postgres::IndexPlace::Postgres,
        _ => postgres::IndexPlace::Rqlite(rqlite(config, without)?),
    };
    Ok((engines, index))
}

fn rqlite(config: &Config, without: Advice) -> Result<rqlite::Rqlite, PlatformError> {
    let authorities = config.rqlite_authorities.as_deref();
    rqlite::Rqlite::new(&config.rqlite_url, authorities, without)
}

fn unsupported(kind: &str, engine: Engine) -> PlatformError {
    PlatformError::Unsupported {
        what: format!("storages.{kind}.engine {}", engine.name()),
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
