//! The fingerprint of a file: it tells, without reading the file, that nobody has written to it.

use super::connect::companion;
use crate::regular;
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// A write within the same tick of the clock would not show: a file that was written to so lately has no fingerprint.
const TICK: Duration = Duration::from_secs(2);

/// Of a file and its log: size, inode, time of the last write, and what SQLite itself counts up. (Not when the file was last changed
/// in any way: opening a log as root gives it its owner anew.) None of a file that was written to lately, or that cannot be looked at.
pub fn fingerprint(path: &Path) -> Option<Vec<u8>> {
    let mut fingerprint = Vec::new();
    // A writer was killed, or is at work.
    if regular::is_there(&companion(path, "-journal")) {
        return None;
    }
    // The change counter, and the salts of the log.
    of_file(path, 24..28, &mut fingerprint)?;
    let log = &companion(path, "-wal");
    match fs::symlink_metadata(log) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        _ => of_file(log, 16..24, &mut fingerprint)?,
    }
    Some(fingerprint)
}

fn of_file(path: &Path, place: std::ops::Range<usize>, fingerprint: &mut Vec<u8>) -> Option<()> {
    let file = regular::open(path).ok()?;
    let facts = file.metadata().ok()?;
    let age = SystemTime::now().duration_since(facts.modified().ok()?);
    if age.ok()? < TICK {
        return None;
    }
    for number in [
        facts.size(),
        facts.ino(),
        facts.mtime() as u64,
        facts.mtime_nsec() as u64,
    ] {
        fingerprint.extend_from_slice(&number.to_le_bytes());
    }
    let mut counted = vec![0; place.len()];
    // An empty log has none.
    if file.read_exact_at(&mut counted, place.start as u64).is_ok() {
        fingerprint.extend_from_slice(&counted);
    }
    Some(())
}
