//! SQLite files as a whole: which files are some, and copies of one moment.

use super::connect::companion;
use super::file::SqliteFile;
use super::until_unchanged;
use crate::interrupt;
use crate::platform::PlatformError;
use crate::regular;
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

/// Pages that are copied until it is checked whether the run was interrupted.
const PAGES: i32 = 1024;
/// How long it waits for whoever writes.
const PAUSE: Duration = Duration::from_millis(25);
/// What SQLite keeps beside a file.
pub const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Whether a file is one of SQLite, which must not be copied byte by byte: by what it begins with, or where all that it holds is in a log.
///
/// # Errors
/// When it cannot be read, or is no regular file.
pub fn is_database(path: &Path) -> io::Result<bool> {
    let mut head = Vec::new();
    let file = regular::open(path)?;
    file.take(MAGIC.len() as u64).read_to_end(&mut head)?;
    Ok(head == MAGIC || (head.is_empty() && regular::is_there(&companion(path, "-wal"))))
}

/// Copies a SQLite file as of one moment into `to`, a new file, with what its log holds. One that the platform began to write to meanwhile is copied
/// again.
///
/// # Errors
/// When it cannot be read, or the copy cannot be written.
pub fn copy(path: &Path, to: &Path) -> Result<File, PlatformError> {
    until_unchanged(|| {
        copy_once(path, to).inspect_err(|_| {
            // What was begun is in the way of the next copy.
            let _ = fs::remove_file(to);
        })
    })
}

fn copy_once(path: &Path, to: &Path) -> Result<File, PlatformError> {
    let source = SqliteFile::open(path)?;
    let failed = |error| source.error(error);
    let mut target = Connection::open(to).map_err(failed)?;
    target
        .execute_batch("PRAGMA synchronous = OFF")
        .map_err(failed)?;
    {
        let backup = Backup::new(&source.connection, &mut target).map_err(failed)?;
        loop {
            if interrupt::check().is_err() {
                return Err(PlatformError::Interrupted);
            }
            match backup.step(PAGES).map_err(failed)? {
                StepResult::Done => break,
                StepResult::More => {}
                _ => std::thread::sleep(PAUSE),
            }
        }
    }
    target.close().map_err(|(_, error)| failed(error))?;
    source.unchanged()?;
    let at = |source| PlatformError::Io {
        path: to.to_owned(),
        source,
    };
    let copied = File::open(to).map_err(at)?;
    fs::remove_file(to).map_err(at)?;
    Ok(copied)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_to_meanwhile_is_read_again() {
        let mut times = 0;
        let mut read = |good| {
            times = 0;
            let read = until_unchanged(|| {
                times += 1;
                match times == good {
                    true => Ok(()),
                    false => Err(PlatformError::Changed { path: "a".into() }),
                }
            });
            (read.is_ok(), times)
        };
        assert_eq!(read(1), (true, 1));
        assert_eq!(read(3), (true, 3));
        assert_eq!(read(0), (false, 6));
        let missing = tempfile::tempdir().unwrap();
        let missing = missing.path().canonicalize().unwrap();
        assert!(copy(&missing.join("a"), &missing.join("copy")).is_err());
    }

    #[test]
    fn a_copy_holds_what_the_log_does() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let (path, to) = (root.join("a.sqlite"), root.join("copy"));
        let writer = Connection::open(&path).unwrap();
        writer
            .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t(a); INSERT INTO t VALUES (5)")
            .unwrap();
        assert!(is_database(&path).unwrap());
        let mut copied = copy(&path, &to).unwrap();
        let mut bytes = Vec::new();
        copied.read_to_end(&mut bytes).unwrap();
        assert!(!to.exists());
        fs::write(&to, bytes).unwrap();
        let read = Connection::open(&to).unwrap();
        let value: i64 = read.query_row("SELECT a FROM t", [], |r| r.get(0)).unwrap();
        assert_eq!(value, 5);
        fs::write(root.join("other"), "x").unwrap();
        assert!(!is_database(&root.join("other")).unwrap());
    }
}
