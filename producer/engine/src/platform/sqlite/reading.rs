//! Reading one user from files: rows become records.

use super::file::SqliteFile;
use super::file_fingerprint::fingerprint;
use crate::platform::json::Object;
pub use crate::platform::reading::Reading;
use crate::platform::{Collection, ExportError, PlatformError};
use crate::regular;
use rusqlite::Row;
use std::path::Path;

impl Reading<'_> {
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
