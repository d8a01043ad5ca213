//! Stores that a killed writer left: what it had not committed is not in the backup, and what it had is.

use crate::{backup, file, platforms};
use pryv_backup_tests::{
    command::text,
    disk::SmallDisk,
    folder,
    stage::{Platform, Stage},
};
use rusqlite::Connection;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The files as they lie there when a writer is killed that has done `statements` and not committed them.
fn leave(path: &Path, mode: &str, statements: &str) {
    let parts = |path: &Path| -> Vec<PathBuf> {
        let of = |end: &&str| PathBuf::from(format!("{}{end}", path.display()));
        ["", "-journal", "-wal"].iter().map(of).collect()
    };
    let live = path.with_extension("live");
    fs::rename(path, &live).unwrap();
    let writer = Connection::open(&live).unwrap();
    writer
        .execute_batch(&format!(
            "PRAGMA journal_mode = {mode}; PRAGMA cache_size = 2; PRAGMA wal_autocheckpoint = 0; {statements}"
        ))
        .unwrap();
    for (from, to) in parts(&live).iter().zip(parts(path)) {
        if from.exists() {
            fs::copy(from, to).unwrap();
        }
    }
    drop(writer);
    for left in parts(&live) {
        let _ = fs::remove_file(left);
    }
}

/// Opens what was backed up and puts all of it together.
fn content(stage: &Stage, archive: &Path) -> String {
    let opened = stage.open(archive);
    let files = folder::tree(&opened).into_iter();
    let lines =
        files.filter(|(path, _)| path.ends_with(".jsonl") || path.ends_with("manifest.json"));
    let all = lines.map(|(_, bytes)| String::from_utf8(bytes).unwrap());
    let all = all.collect();
    fs::remove_dir_all(opened).unwrap();
    all
}

fn backed_up(stage: &Stage, platform: &Platform<'_>) -> String {
    let archive = stage.at("archive");
    let done = backup(stage, platform, &archive);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    let content = content(stage, &archive);
    fs::remove_dir_all(archive).unwrap();
    content
}

const SPILL: &str =
    "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 3000)";

#[test]
fn a_hot_journal_is_rolled_back() {
    let Some(stage) = Stage::new() else { return };
    let platform = platforms(&stage, 2).remove(0);
    let due = backed_up(&stage, &platform);
    let local = file(&platform, "local-1.0.0.sqlite");
    let statements = format!(
        "BEGIN; UPDATE events SET description = 'uncommitted'; \
         {SPILL} INSERT INTO events (eventid, time, type, description) SELECT 'uncommitted-' || n, n, 't', hex(randomblob(100)) FROM n"
    );
    leave(&local, "DELETE", &statements);
    let index = platform.users.join("user-index.db");
    let statements = format!(
        "BEGIN; UPDATE id4name SET username = 'uncommitted' || rowid; \
         {SPILL} INSERT INTO alias4id SELECT 'uncommitted-' || n || hex(randomblob(100)), 'x' FROM n"
    );
    leave(&index, "DELETE", &statements);
    for path in [&local, &index] {
        let bytes = fs::read(path).unwrap();
        assert!(bytes.windows(11).any(|w| w == b"uncommitted"));
    }
    let before = folder::tree(&platform.users);
    let now = backed_up(&stage, &platform);
    assert!(!now.contains("uncommitted"));
    assert_eq!(now.lines().count(), due.lines().count());
    assert!(
        folder::tree(&platform.users) == before,
        "nothing is put right there"
    );
}

#[test]
fn a_log_without_its_index_counts_on_a_disk_that_is_read_only() {
    let Some(stage) = Stage::new() else { return };
    let platform = platforms(&stage, 2).remove(0);
    leave(
        &file(&platform, "local-1.0.0.sqlite"),
        "WAL",
        "UPDATE events SET description = 'committed'",
    );
    let kept = stage.at("kept");
    fs::rename(&platform.users, &kept).unwrap();
    let Some(disk) = SmallDisk::mount(platform.users.clone(), "size=100m") else {
        return;
    };
    folder::copy(&kept, &platform.users);
    let remount = ["-o", "remount,ro"];
    let done = Command::new("mount").args(remount).arg(&disk.0).status();
    assert!(done.unwrap().success());
    assert!(backed_up(&stage, &platform).contains("committed"));
}
