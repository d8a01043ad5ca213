//! Reading one user: rows become records, what cannot be read becomes a loss.

use super::file::SqliteFile;
use super::file_fingerprint::fingerprint;
use crate::platform::json::Object;
use crate::platform::{Collection, ExportError, PlatformError, PlatformLoss, User, UserSink};
use crate::regular;
use rusqlite::Row;
use std::path::Path;

/// The user being read and the sink that takes the records.
pub struct Reading<'a> {
    /// Owner of these records.
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

    /// Whether nobody has written to the files of these collections since the run before, so that they need not be read.
    pub fn as_it_was(&mut self, files: &[&Path], collections: &[Collection]) -> bool {
        let mut all = Vec::new();
        for path in files {
            match fingerprint(path) {
                Some(fingerprint) => all.extend(fingerprint),
                None => return false,
            }
        }
        self.sink.as_it_was(collections, &all)
    }

    /// Notes a loss.
    ///
    /// # Errors
    /// That of the sink.
    pub fn lose(
        &mut self,
        collection: &str,
        path: &Path,
        what: impl Into<String>,
    ) -> Result<(), ExportError> {
        let loss = PlatformLoss {
            user_id: Some(self.user.user_id.clone()),
            collection: Some(collection.to_owned()),
            path: Some(path.display().to_string()),
            what: what.into(),
        };
        self.sink.loss(loss).map_err(ExportError::Sink)
    }

    /// Turns an unreadable store into a loss, so that the rest of the user is saved; the sink's errors pass.
    pub fn survive(
        &mut self,
        collection: &str,
        path: &Path,
        outcome: Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        match outcome {
            Err(ExportError::Platform(PlatformError::Interrupted)) => {
                Err(PlatformError::Interrupted.into())
            }
            Err(ExportError::Platform(error)) => {
                self.lose(collection, path, error.beside(path))?;
                self.sink.incomplete(collection);
                Ok(())
            }
            other => other,
        }
    }

    /// Takes note that what holds the records of a collection is not there, which Pryv.io makes when the first one comes: a loss when
    /// there were some in the run before. Whether it was one.
    ///
    /// # Errors
    /// That of the sink.
    pub fn absent(
        &mut self,
        collection: Collection,
        path: &Path,
        what: &str,
    ) -> Result<bool, ExportError> {
        let known = self.sink.absent(collection);
        if known {
            let what = format!(
                "{what}, and the run before has records of it; they stay as they were: put it back, or remove the state of the chain \
                 for a full run"
            );
            self.lose(collection.name(), path, what)?;
        }
        Ok(known)
    }

    /// Hands over one record per row of `sql`, whose first column names the row.
    pub fn rows(
        &mut self,
        file: &SqliteFile,
        collection: Collection,
        table: &str,
        sql: &str,
        make: &dyn Fn(&Row<'_>) -> Result<Object, String>,
    ) -> Result<(), ExportError> {
        file.must_have(table)?;
        each_row(file, sql, &mut |row| {
            let id = || row.get::<_, String>(0).unwrap_or_default();
            let mut lose = |what: &str| {
                let what = format!("record {:?} of {table}: {what}", id());
                self.lose(collection.name(), &file.path, what)
            };
            match make(row) {
                Ok(object) => {
                    object.lost().iter().try_for_each(|what| lose(what))?;
                    self.record(collection, &object.finish())
                }
                Err(what) => {
                    lose(&format!("{what}; it was left out"))?;
                    let noted = self.sink.unreadable(collection, id().as_bytes(), true);
                    noted.map_err(ExportError::Sink)
                }
            }
        })
    }
}

/// Reads a file that must exist.
pub fn with_file(
    path: &Path,
    read: impl FnOnce(&SqliteFile) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    let file = SqliteFile::open(path)?;
    read(&file)?;
    Ok(file.unchanged()?)
}

/// The same, of a file that may be absent.
pub fn if_there(
    path: &Path,
    read: impl FnOnce(&SqliteFile) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    match regular::is_there(path) {
        true => with_file(path, read),
        false => Ok(()),
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
