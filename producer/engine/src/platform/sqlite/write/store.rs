//! A file of a user in the making: nothing but this process knows of it, so it is written without precautions.

use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, params_from_iter};

use crate::platform::PlatformError;
use crate::platform::write::RestoreError;

/// An open file, inside a transaction.
pub struct Store {
    connection: Connection,
    path: PathBuf,
}

impl Store {
    /// A new file with these tables.
    pub fn create(path: &Path, schema: &str) -> Result<Self, RestoreError> {
        let failed = |e| failed(path, e);
        let connection = Connection::open(path).map_err(failed)?;
        connection
            .execute_batch(
                "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -16000",
            )
            .and_then(|()| connection.execute_batch(schema))
            .and_then(|()| connection.execute_batch("BEGIN"))
            .map_err(failed)?;
        Ok(Self {
            connection,
            path: path.to_owned(),
        })
    }

    /// Adds a row; one that is there already is an error that names it.
    pub fn insert(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
        collection: &'static str,
        id: impl FnOnce() -> String,
    ) -> Result<(), RestoreError> {
        let mut statement = self
            .connection
            .prepare_cached(sql)
            .map_err(|e| failed(&self.path, e))?;
        match statement.execute(params_from_iter(values)) {
            Ok(_) => Ok(()),
            Err(e) if e.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                Err(RestoreError::Record {
                    collection,
                    what: format!("{:?} is there twice, or lacks what it needs ({e})", id()),
                })
            }
            Err(e) => Err(failed(&self.path, e)),
        }
    }

    /// Ends it: indexes and what else is derived, and the mode in which the platform keeps its files.
    pub fn finish(self, derived: &str) -> Result<(), RestoreError> {
        let failed = |e| failed(&self.path, e);
        self.connection.flush_prepared_statement_cache();
        self.connection
            .execute_batch(derived)
            .and_then(|()| {
                self.connection
                    .execute_batch("COMMIT; PRAGMA journal_mode = WAL")
            })
            .map_err(failed)?;
        self.connection.close().map_err(|(_, e)| failed(e))
    }
}

/// An error of SQLite with the file that it is about.
pub fn failed(path: &Path, source: rusqlite::Error) -> RestoreError {
    RestoreError::Platform(PlatformError::Sqlite {
        path: path.to_owned(),
        source,
    })
}
