//! One SQLite file of the platform, opened for reading inside one read transaction.

use crate::platform::PlatformError;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long to wait for a writer that holds a file; Pryv's own writes last milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// An open file: all that is read through it belongs to one moment.
pub struct SqliteFile {
    /// The connection, inside a read transaction.
    pub connection: Connection,
    /// Where the file is, for errors.
    pub path: PathBuf,
}

impl SqliteFile {
    /// Opens a file that must exist, honouring its write-ahead log, without ever creating or migrating anything.
    ///
    /// # Errors
    /// When the file is absent, unreadable or no SQLite database.
    pub fn open(path: &Path) -> Result<Self, PlatformError> {
        fs::File::open(path).map_err(|source| PlatformError::Io {
            path: path.to_owned(),
            source,
        })?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = match Connection::open_with_flags(path, flags).and_then(begin) {
            // A WAL-mode file in a place where its index cannot be created: without a log, nothing else can be written
            // there either, so that the file may be read as it is.
            Err(e) if needs_index(&e) && !has_log(path) => {
                Connection::open_with_flags(immutable_uri(path), flags | OpenFlags::SQLITE_OPEN_URI)
                    .and_then(begin)
            }
            other => other,
        };
        let path = path.to_owned();
        match connection {
            Ok(connection) => Ok(Self { connection, path }),
            Err(source) => Err(PlatformError::Sqlite { path, source }),
        }
    }

    /// Whether the table exists: Pryv creates most of them at first use.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn has_table(&self, name: &str) -> Result<bool, PlatformError> {
        self.connection
            .query_row(
                "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?",
                [name],
                |row| row.get::<_, i64>(0),
            )
            .map(|n| n > 0)
            .map_err(|e| self.error(e))
    }

    /// An error of SQLite with this file's name.
    #[must_use]
    pub fn error(&self, source: rusqlite::Error) -> PlatformError {
        PlatformError::Sqlite {
            path: self.path.clone(),
            source,
        }
    }
}

/// Starts the read transaction; the first read fixes its moment.
fn begin(connection: Connection) -> rusqlite::Result<Connection> {
    connection.busy_timeout(PATIENCE)?;
    connection.execute_batch("PRAGMA query_only = 1; BEGIN")?;
    connection.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))?;
    Ok(connection)
}

fn needs_index(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)
    )
}

/// Whether the file has a write-ahead log with anything in it.
fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    match fs::metadata(log) {
        Ok(metadata) => metadata.len() > 0,
        Err(e) => e.kind() != std::io::ErrorKind::NotFound,
    }
}

fn immutable_uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                uri.push(char::from(*byte))
            }
            _ => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    uri + "?immutable=1"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_carry_any_path() {
        assert_eq!(
            immutable_uri(Path::new("/a b/ü?.db")),
            "file:/a%20b/%c3%bc%3f.db?immutable=1"
        );
    }
}
