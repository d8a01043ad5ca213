//! How SQLite files are connected to: the flags, waiting for others, and what lies beside a file.

use crate::interrupt;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How long to wait for a writer that holds a file; Pryv's own writes last milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long it waits until it looks again.
const PAUSE: Duration = Duration::from_millis(25);

/// No links on the way to a file, and one thread at a time.
pub(super) const FLAGS: OpenFlags =
    OpenFlags::SQLITE_OPEN_NO_MUTEX.union(OpenFlags::SQLITE_OPEN_NOFOLLOW);

pub(super) type Stamp = (SystemTime, u64);

/// Waits for locks of others, but not when the run is interrupted.
pub fn wait_for_others(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_handler(Some(|tries: i32| waited(tries.unsigned_abs())))
}

/// Puts the file into WAL mode and syncs each commit.
///
/// A first switch asks for the whole file, and SQLite does not call the busy handler for it
/// (`PRAGMA journal_mode` reads before it locks): so this waits itself.
pub fn use_log(connection: &Connection) -> rusqlite::Result<()> {
    let mut tries = 0;
    loop {
        let done = connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
        let busy = done
            .as_ref()
            .is_err_and(|e| e.sqlite_error_code() == Some(ErrorCode::DatabaseBusy));
        if !busy || !waited(tries) {
            return done;
        }
        tries += 1;
    }
}

/// Waits a little; false when it has waited long enough, or the run is interrupted.
fn waited(tries: u32) -> bool {
    let waits = PAUSE * tries < PATIENCE && interrupt::check().is_ok();
    if waits {
        std::thread::sleep(PAUSE);
    }
    waits
}

/// Starts the read transaction; the first read fixes its moment.
pub(super) fn begin(mut connection: Connection) -> rusqlite::Result<Connection> {
    wait_for_others(&mut connection)?;
    connection.execute_batch("PRAGMA query_only = 1; BEGIN")?;
    connection.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))?;
    Ok(connection)
}

pub(super) fn stamp(path: &Path) -> std::io::Result<Stamp> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.modified()?, metadata.len()))
}

/// The name of what lies beside a file.
pub(super) fn companion(path: &Path, suffix: &str) -> PathBuf {
    let mut companion = path.as_os_str().to_owned();
    companion.push(suffix);
    companion.into()
}
