//! One SQLite file of the platform, opened for reading inside one read transaction.

use super::aside;
use super::connect::{FLAGS, Stamp, begin, companion, stamp};
use crate::interrupt;
use crate::{platform::PlatformError, regular};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Endings of the files that SQLite keeps beside a file.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// An open file: all that is read through it belongs to one moment.
pub struct SqliteFile {
    /// The connection, inside a read transaction.
    pub connection: Connection,
    /// Where the file is, for errors.
    pub path: PathBuf,
    /// Stamp of the file, when nothing else tells whether it was written to meanwhile.
    stamp: Option<Stamp>,
}

impl SqliteFile {
    /// Opens a file that must exist, honouring its log or journal, without creating, migrating or locking anything.
    ///
    /// Even a read-only connection to a file in WAL mode makes a log and an index beside it when there are none, and
    /// leaves them there. A file without them is in use by nobody, so it is read as it is; [`Self::unchanged`] tells
    /// afterwards whether that held. What a writer that was killed has left is brought in order on a copy, never here.
    ///
    /// # Errors
    /// When the file is absent, unreadable, no SQLite database, or not a regular file that lies where it should.
    pub fn open(path: &Path) -> Result<Self, PlatformError> {
        if interrupt::check().is_err() {
            return Err(PlatformError::Interrupted);
        }
        let failed = |source| PlatformError::Io {
            path: path.to_owned(),
            source,
        };
        let file = regular::open(path).map_err(failed)?;
        for suffix in COMPANIONS {
            let companion = companion(path, suffix);
            match fs::symlink_metadata(&companion) {
                Ok(about) => regular::check(&about).map_err(|source| PlatformError::Io {
                    path: companion,
                    source,
                })?,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(failed(e)),
            }
        }
        let mut before = Some(stamp(path).map_err(failed)?);
        let connection = if at_rest(path, &file).map_err(failed)? {
            as_it_is(path)
        } else {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | FLAGS;
            match Connection::open_with_flags(path, flags).and_then(begin) {
                Err(e) if needs_writing(&e) => {
                    if filled(path, "-wal") || filled(path, "-journal") {
                        before = None;
                        aside::brought_in_order(path)?
                    } else {
                        // The index cannot be made here, and the log holds nothing.
                        as_it_is(path)
                    }
                }
                other => {
                    before = None;
                    other
                }
            }
        };
        let same = fs::symlink_metadata(path)
            .and_then(|there| Ok((there.dev(), there.ino(), file.metadata()?)))
            .map(|(dev, ino, opened)| dev == opened.dev() && ino == opened.ino());
        if !same.map_err(failed)? {
            return Err(PlatformError::Changed {
                path: path.to_owned(),
            });
        }
        let path = path.to_owned();
        match connection {
            Ok(connection) => Ok(Self {
                connection,
                path,
                stamp: before,
            }),
            Err(_) if interrupt::check().is_err() => Err(PlatformError::Interrupted),
            Err(source) => Err(PlatformError::Sqlite { path, source }),
        }
    }

    /// Checks, once all is read, that it belonged to one moment.
    ///
    /// # Errors
    /// When the platform began to write to a file that nobody used before.
    pub fn unchanged(&self) -> Result<(), PlatformError> {
        let Some(before) = self.stamp else {
            return Ok(());
        };
        match stamp(&self.path) {
            Ok(now) if now == before => Ok(()),
            _ => Err(PlatformError::Changed {
                path: self.path.clone(),
            }),
        }
    }

    /// Whether the table exists.
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

    /// Checks that a table is there which Pryv.io makes together with the file.
    ///
    /// # Errors
    /// When it is not, or when the file cannot be read.
    pub fn must_have(&self, table: &str) -> Result<(), PlatformError> {
        match self.has_table(table)? {
            true => Ok(()),
            false => Err(self.without(table)),
        }
    }

    /// Whether a table is there and not empty.
    #[must_use]
    pub fn has_rows(&self, table: &str) -> bool {
        let sql = format!("SELECT 1 FROM {table} LIMIT 1");
        self.connection.query_row(&sql, [], |_| Ok(())).is_ok()
    }

    /// The error for a file without what it is for.
    #[must_use]
    pub fn without(&self, table: &str) -> PlatformError {
        PlatformError::Record {
            path: self.path.clone(),
            what: format!(
                "there is no table {table} in this file: it is empty, or something has not made or changed it to the end; \
                 put it right, or back from a copy"
            ),
        }
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

/// Reads a file as it lies there: only one that has neither log nor journal.
fn as_it_is(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | FLAGS;
    Connection::open_with_flags(immutable_uri(path), flags).and_then(begin)
}

/// Whether the file could not be read because something would have to be written before.
fn needs_writing(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)
    )
}

/// Whether a file in WAL mode has neither log nor index, thus no user.
fn at_rest(path: &Path, file: &fs::File) -> std::io::Result<bool> {
    // Bytes 18 and 19 of the header: 2 for WAL mode (SQLite file format, 1.3.3). Too short is no database.
    let mut header = Vec::new();
    file.take(20).read_to_end(&mut header)?;
    let in_use = COMPANIONS.iter().any(|suffix| filled(path, suffix));
    Ok(header.get(18..20) == Some(&[2, 2]) && !in_use)
}

/// Whether a companion of the file is there with anything in it; when in doubt, it is.
fn filled(path: &Path, suffix: &str) -> bool {
    match fs::symlink_metadata(companion(path, suffix)) {
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
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A checkpointed file in WAL mode, without companions.
    fn checkpointed() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a b?.sqlite");
        let writer = Connection::open(&path).unwrap();
        writer
            .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t(a)")
            .unwrap();
        (dir, path)
    }

    #[test]
    fn reading_a_file_at_rest_leaves_no_trace() {
        let (dir, path) = checkpointed();
        let file = SqliteFile::open(&path).unwrap();
        assert!(file.has_table("t").unwrap());
        assert!(file.unchanged().is_ok());
        drop(file);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_write_to_a_file_at_rest_is_noticed() {
        let (_dir, path) = checkpointed();
        let file = SqliteFile::open(&path).unwrap();
        let writer = Connection::open(&path).unwrap();
        writer.execute_batch("CREATE TABLE u(a)").unwrap();
        drop(writer);
        assert!(file.unchanged().is_err());
    }

    #[test]
    fn a_file_in_use_is_read_with_its_log() {
        let (_dir, path) = checkpointed();
        let writer = Connection::open(&path).unwrap();
        writer.execute_batch("CREATE TABLE u(a)").unwrap();
        let file = SqliteFile::open(&path).unwrap();
        assert!(file.has_table("u").unwrap());
        writer.execute_batch("CREATE TABLE v(a)").unwrap();
        assert!(!file.has_table("v").unwrap() && file.unchanged().is_ok());
    }

    #[test]
    fn an_absent_file_is_not_created() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("none.sqlite");
        assert!(SqliteFile::open(&path).is_err());
        assert!(!path.exists());
    }

    #[test]
    fn uris_carry_any_path() {
        assert_eq!(
            immutable_uri(Path::new("/a b/ü?.db")),
            "file:/a%20b/%c3%bc%3f.db?immutable=1"
        );
    }
}
