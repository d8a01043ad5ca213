//! A file that a killed writer has left with a journal, or with a log whose index cannot be made where it lies: SQLite brings a copy in
//! order, and that is read.

use super::connect::{FLAGS, Stamp, begin, companion, stamp};
use crate::interrupt;
use crate::limits::BLOCK;
use crate::{platform::PlatformError, regular};
use rusqlite::{Connection, OpenFlags};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

/// The file, its journal and its log.
const PARTS: [&str; 3] = ["", "-journal", "-wal"];

/// A connection to a copy, which nobody else finds: its folder is gone when this returns.
///
/// # Errors
/// When the copy cannot be made, or when somebody writes to the file meanwhile.
pub fn brought_in_order(path: &Path) -> Result<rusqlite::Result<Connection>, PlatformError> {
    let failed = |source| PlatformError::Io {
        path: path.to_owned(),
        source,
    };
    let stamps = || -> io::Result<Vec<Option<Stamp>>> {
        let of = |part: &&str| match stamp(&companion(path, part)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            other => other.map(Some),
        };
        PARTS.iter().map(of).collect()
    };
    let before = stamps().map_err(failed)?;
    // Only its owner may enter it.
    let folder = tempfile::Builder::new().prefix("pryv-backup-").tempdir();
    let unmade = |e: io::Error| PlatformError::Record {
        path: path.to_owned(),
        what: format!(
            "a writer was killed at work on this file, and the copy on which that is put right cannot be made in {}: {e}; make room \
             there, or set TMPDIR to another folder",
            std::env::temp_dir().display()
        ),
    };
    let folder = folder.map_err(unmade)?;
    // A folder above may be a link.
    let copy = folder.path().canonicalize().map_err(unmade)?.join("copy");
    for (part, there) in PARTS.iter().zip(&before) {
        if there.is_none() {
            continue;
        }
        let from = regular::open(&companion(path, part)).map_err(failed)?;
        let to = File::create_new(companion(&copy, part)).map_err(unmade)?;
        copied(from, to).map_err(unmade)?;
        if interrupt::check().is_err() {
            return Err(PlatformError::Interrupted);
        }
    }
    if stamps().map_err(failed)? != before {
        return Err(PlatformError::Changed {
            path: path.to_owned(),
        });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | FLAGS;
    Ok(Connection::open_with_flags(&copy, flags).and_then(begin))
}

/// Copies a file; a signal ends it early.
fn copied(mut from: File, mut to: File) -> io::Result<()> {
    let mut piece = vec![0; BLOCK];
    while interrupt::check().is_ok() {
        match from.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => to.write_all(&piece[..n])?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::platform::sqlite::file::SqliteFile;
    use rusqlite::Connection;
    use std::{fs, path::Path};

    /// Leaves the files of a writer that is killed in the middle.
    fn killed(dir: &Path, mode: &str) -> std::path::PathBuf {
        let live = dir.join("live");
        let writer = Connection::open(&live).unwrap();
        writer
            .execute_batch(&format!(
                "PRAGMA journal_mode = {mode}; PRAGMA cache_size = 2; CREATE TABLE t(a); \
                 WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 500) INSERT INTO t SELECT hex(randomblob(200)) FROM n"
            ))
            .unwrap();
        writer
            .execute_batch("BEGIN; UPDATE t SET a = 'uncommitted' || a")
            .unwrap();
        let left = dir.join("left");
        for part in ["", "-journal", "-wal"] {
            let from = super::companion(&live, part);
            if from.exists() {
                fs::copy(from, super::companion(&left, part)).unwrap();
            }
        }
        left
    }

    #[test]
    fn what_was_not_committed_is_not_read() {
        for mode in ["DELETE", "WAL"] {
            let dir = tempfile::tempdir().unwrap();
            let path = killed(dir.path(), mode);
            let before = fs::read(&path).unwrap();
            assert_eq!(
                mode == "DELETE",
                before.windows(11).any(|w| w == b"uncommitted")
            );
            let file = SqliteFile::open(&path).unwrap();
            let count = "SELECT count(*), sum(a LIKE 'uncommitted%') FROM t";
            let found = file
                .connection
                .query_row(count, [], |row| Ok((row.get(0)?, row.get(1)?)));
            assert_eq!(found.unwrap(), (500, 0), "{mode}");
            assert!(file.unchanged().is_ok());
            // Nothing was put right here.
            assert!(fs::read(&path).unwrap() == before);
        }
    }
}
