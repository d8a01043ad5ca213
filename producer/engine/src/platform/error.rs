//! Why a platform could not be read, or what is read not be taken.

use std::path::{Path, PathBuf};

use tokio_postgres::error::SqlState;

use super::{SinkError, User};

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
    #[error(
        "rqlite at {url} (storages.engines.rqlite.url): {what}, or pass {without} to leave the platform's own database out"
    )]
    Rqlite {
        /// Its address.
        url: String,
        /// The event.
        what: String,
        /// The flag that does without it.
        without: &'static str,
    },
    /// The PostgreSQL server does not answer as it should.
    #[error("PostgreSQL at {server} (storages.engines.postgresql): {what}")]
    Postgres {
        /// Host, port and database.
        server: String,
        /// One sentence: what happened and what to do.
        what: String,
        /// Answer of the server, when there was one.
        answer: Option<Box<Answer>>,
    },
    /// A signal came.
    #[error("interrupted")]
    Interrupted,
    /// The platform uses something this version cannot read.
    #[error("{what} is not supported yet by this version of pryv-backup")]
    Unsupported {
        /// The setting and its value.
        what: String,
    },
}

impl PlatformError {
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
pub struct Answer {
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
    pub fn answer(&self) -> Option<&Answer> {
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
