//! Why a platform could not be read, a record of it not be taken, or a user not be restored.

use std::{
    io,
    path::{Path, PathBuf},
};

use tokio_postgres::error::SqlState;

use super::{SinkError, User};
use crate::advice::{Advice, Sentence};
use crate::storage::StoreError;

/// Why a platform could not be read.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    /// A file of the platform cannot be read.
    #[error(
        "cannot read {path}: {source}; check that the file exists and that this user may read it"
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// Error of the system.
        source: std::io::Error,
    },
    /// A SQLite file cannot be read.
    #[error(
        "cannot read SQLite file {path}: {source}; check the file with `sqlite3 {path} 'pragma integrity_check'`"
    )]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Error of SQLite.
        source: rusqlite::Error,
    },
    /// A stored record is not what Pryv.io writes.
    #[error("{path}: {what}")]
    Record {
        /// The file that holds it.
        path: PathBuf,
        /// The record and its defect.
        what: String,
    },
    /// A file of the platform was written to while it was read.
    #[error("{path}: the platform wrote to this file while it was read; run the backup again")]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The rqlite server does not answer as it should.
    #[error("rqlite at {url} (storages.engines.rqlite.url): {what}")]
    Rqlite {
        /// Its address.
        url: String,
        /// The event.
        what: String,
        /// How to do without it.
        without: Advice,
    },
    /// The PostgreSQL server does not answer as it should.
    #[error("PostgreSQL at {server} (storages.engines.postgresql): {what}")]
    Postgres {
        /// Host, port and database.
        server: String,
        /// One sentence: what happened and what to do.
        what: String,
        /// Answer of the server, when there was one.
        answer: Option<Box<ServerError>>,
    },
    /// The InfluxDB server does not answer as it should.
    #[error("InfluxDB at {server} (storages.engines.influxdb): {what}")]
    Influxdb {
        /// Host and port.
        server: String,
        /// One sentence: what happened and what to do.
        what: String,
    },
    /// The bucket of the attachments does not answer as it should.
    #[error("attachments in S3 (storages.engines.s3): {0}")]
    S3(StoreError),
    /// A signal came.
    #[error("interrupted")]
    Interrupted,
    /// A part of the platform is said to be in PostgreSQL, where Pryv.io has it only together with the base.
    #[error(
        "storages.{kind}.engine is postgresql, which Pryv.io can use only where storages.base.engine is postgresql too; set \
         storages.{kind}.engine to {instead}"
    )]
    WithoutBase {
        /// The part, as its setting is called.
        kind: &'static str,
        /// Engines that it may have.
        instead: &'static str,
    },
}

impl PlatformError {
    /// Advice, where the sentence gives none.
    #[must_use]
    pub fn advice(&self) -> Option<Advice> {
        match self {
            PlatformError::Rqlite { without, .. } => Some(without.clone()),
            _ => None,
        }
    }

    /// The error without the name of the file, for whoever names it besides.
    pub fn beside(&self, path: &Path) -> String {
        match self {
            PlatformError::Record { path: own, what } if own == path => what.clone(),
            PlatformError::Changed { path: own } if own == path => {
                "the platform wrote to it while it was read; run the backup again".to_owned()
            }
            other => other.to_string(),
        }
    }
}

/// Answer of a PostgreSQL server to a statement that it did not carry out.
#[derive(Debug)]
pub struct ServerError {
    /// SQLSTATE.
    pub state: SqlState,
    /// The table concerned.
    pub table: Option<String>,
    /// The column concerned.
    pub column: Option<String>,
    /// The constraint concerned.
    pub constraint: Option<String>,
    /// Where it was at work.
    pub context: Option<String>,
}

impl PlatformError {
    /// Answer of the PostgreSQL server.
    #[must_use]
    pub fn answer(&self) -> Option<&ServerError> {
        match self {
            Self::Postgres { answer, .. } => answer.as_deref(),
            _ => None,
        }
    }
}

/// Why the export of a user or of the platform index stopped.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The platform cannot be read.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// The sink failed.
    #[error(transparent)]
    Sink(SinkError),
    /// Either, at work on a user.
    #[error("user {username}: {source}")]
    User {
        /// The user's name.
        username: String,
        /// The cause.
        source: Box<ExportError>,
    },
}

impl ExportError {
    /// The error with the name of the user concerned.
    #[must_use]
    pub(super) fn of(self, user: &User) -> Self {
        Self::User {
            username: user.username.clone(),
            source: Box::new(self),
        }
    }
}

/// Why a user, or what all users share, could not be restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The platform cannot be read or written.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// A file of the platform cannot be written.
    #[error("cannot write {path}: {source}; {}", advice(.source))]
    Write {
        /// The file.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
    /// A record of the archive is not what the format says, or is there twice.
    #[error("{collection}: {what}")]
    Record {
        /// The collection.
        collection: &'static str,
        /// Which record, and what is wrong with it.
        what: String,
    },
    /// The platform already has what the archive brings.
    #[error("{what}")]
    Conflict {
        /// The obstacle, and what to do.
        what: String,
    },
    /// The user itself is there, and is not to be replaced.
    #[error("{what}")]
    AlreadyThere {
        /// The user, or what is there of it.
        what: String,
    },
    /// The user is restored, but a later step failed.
    #[error(
        "the user is restored, but not all of it is in place ({0}); the next restore into this platform finishes it"
    )]
    Unfinished(Box<RestoreError>),
    /// It could not be found out whether the user is restored.
    #[error(
        "whether the user is restored could not be found out ({0}); the next restore into this platform finds out"
    )]
    Unknown(Box<RestoreError>),
    /// The archive cannot be read.
    #[error(transparent)]
    Archive(#[from] decryptor_wasm::Error),
}

impl RestoreError {
    /// Advice, where the sentence gives none.
    #[must_use]
    pub fn advice(&self) -> Option<Advice> {
        match self {
            RestoreError::Platform(error) => error.advice(),
            RestoreError::AlreadyThere { .. } => Some(Advice::Overwrite),
            RestoreError::Unfinished(error) | RestoreError::Unknown(error) => error.advice(),
            RestoreError::Archive(error) => Some(Advice::Core(Box::new(error.clone()))),
            _ => None,
        }
    }

    /// The sentence, and what helps.
    #[must_use]
    pub fn sentence(&self) -> Sentence {
        Sentence::new(self.to_string(), self.advice())
    }
}

const THERE: &str = "something else is there: look what it is, and move it away";

/// Advice for an error of the system.
fn advice(source: &io::Error) -> &'static str {
    use io::ErrorKind as Kind;
    match source.kind() {
        Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => "make room on its disk",
        Kind::PermissionDenied | Kind::ReadOnlyFilesystem => {
            "check that this user may write there, and restore again"
        }
        Kind::AlreadyExists
        | Kind::IsADirectory
        | Kind::NotADirectory
        | Kind::DirectoryNotEmpty => THERE,
        // A link, where none is followed.
        _ if source.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => THERE,
        _ => "see the system's log, and restore again",
    }
}
