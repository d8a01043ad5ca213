//! Reading one user: rows become records, what cannot be read becomes a loss.

use super::file::SqliteFile;
use crate::platform::{Collection, ExportError, Loss, PlatformError, User, UserSink};
use rusqlite::Row;
use std::path::Path;

/// The user being read and the sink that takes the records.
pub struct Reading<'a> {
    /// Whose records these are.
    pub user: &'a User,
    /// Who takes them.
    pub sink: &'a mut dyn UserSink,
}

impl Reading<'_> {
    /// Hands over one record.
    pub fn record(&mut self, collection: Collection, line: &[u8]) -> Result<(), ExportError> {
        self.sink
            .record(collection, line)
            .map_err(ExportError::Sink)
    }

    /// Notes a loss.
    pub fn lose(&mut self, collection: &str, path: &Path, what: impl Into<String>) {
        self.sink.loss(Loss {
            user_id: Some(self.user.user_id.clone()),
            collection: Some(collection.to_owned()),
            path: Some(path.display().to_string()),
            what: what.into(),
        });
    }

    /// Turns an unreadable store into a loss, so that the rest of the user is saved; the sink's errors pass.
    pub fn survive(
        &mut self,
        collection: &str,
        path: &Path,
        outcome: Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        match outcome {
            Err(ExportError::Platform(error)) => {
                self.lose(collection, path, error.to_string());
                self.sink.incomplete(collection);
                Ok(())
            }
            other => other,
        }
    }

    /// Hands over one record per row of `sql`, whose first column names the row; none when the table is absent.
    pub fn rows(
        &mut self,
        file: &SqliteFile,
        collection: Collection,
        table: &str,
        sql: &str,
        make: &dyn Fn(&Row<'_>) -> Result<Vec<u8>, String>,
    ) -> Result<(), ExportError> {
        if !file.has_table(table)? {
            return Ok(());
        }
        each_row(file, sql, &mut |row| match make(row) {
            Ok(line) => self.record(collection, &line),
            Err(what) => {
                let id = row.get::<_, String>(0).unwrap_or_default();
                self.lose(
                    collection.name(),
                    &file.path,
                    format!("record {id:?} of {table}: {what}; it was left out"),
                );
                let noted = self.sink.unreadable(collection, id.as_bytes());
                noted.map_err(ExportError::Sink)
            }
        })
    }
}

/// Walks the rows of a query, one at a time.
pub fn each_row(
    file: &SqliteFile,
    sql: &str,
    take: &mut dyn FnMut(&Row<'_>) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    let failed = |e| ExportError::from(file.error(e));
    let mut statement = file.connection.prepare(sql).map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        take(row)?;
    }
    Ok(())
}

/// A stored value that is not what Pryv writes.
pub fn malformed(file: &SqliteFile, what: impl Into<String>) -> PlatformError {
    PlatformError::Record {
        path: file.path.clone(),
        what: what.into(),
    }
}
