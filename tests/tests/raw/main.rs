//! Raw dumps, and putting them back: what the restored platform holds, what readers make of a dump, how it stands faults. Against real
//! PostgreSQL and InfluxDB servers.
#![allow(clippy::unwrap_used, clippy::panic)]

mod around;
mod faults;
mod kills;
mod meanwhile;
mod readers;
mod refusals;
mod round_trips;

use pryv_backup_engine::archive::sha256_hex;
use pryv_backup_tests::{
    command::{report, run, text},
    folder,
    stage::{Platform, Stage},
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A dump with `--json` and these flags, to the fixtures' recipient.
fn dumping(stage: &Stage, platform: &Platform<'_>, output: &Path, flags: &[&str]) -> Command {
    let mut command = platform.command();
    command
        .args(["raw", "--json", "--recipient-pubkey"])
        .arg(stage.fixtures.join("keys/recipient.pub.pem"))
        .arg("--output")
        .arg(output)
        .args(flags);
    command
}

/// A dump that succeeds, and its report.
fn dump(stage: &Stage, platform: &Platform<'_>, name: &str, flags: &[&str]) -> (PathBuf, Value) {
    let output = stage.at(name);
    let made = run(&mut dumping(stage, platform, &output, flags));
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    (output, report(&made))
}

/// A restore with `--json` and these flags, which expects this very dump unless they say something else of who made it.
fn restoring(stage: &Stage, platform: &Platform<'_>, dump: &Path, flags: &[&str]) -> Command {
    let mut command = platform.command();
    command
        .arg("raw-restore")
        .arg(dump)
        .args(["--json", "--private-key"])
        .arg(stage.key())
        .args(flags);
    let is_said = |flag: &&str| ["--expect-id", "--signer", "--state-dir"].contains(flag);
    match fs::read(dump.join("manifest.json")) {
        _ if flags.iter().any(is_said) => {}
        Ok(manifest) => drop(command.args(["--expect-id", &sha256_hex(&manifest)])),
        Err(_) => drop(command.arg("--accept-unsigned")),
    }
    command
}

/// The one line that a failed command ends with.
fn one_line(failed: &Output, code: i32) -> String {
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    let errors: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("error: "))
        .collect();
    assert_eq!(failed.status.code(), Some(code), "{}", text(failed));
    assert_eq!(errors.len(), 1, "{said}");
    errors[0].to_owned()
}

/// A platform whose files are in another folder.
fn at<'s>(mut platform: Platform<'s>, users: PathBuf) -> Platform<'s> {
    platform.users = users;
    platform
}

/// An empty database and no files, with the engines of another platform.
fn empty_like<'s>(stage: &'s Stage, platform: &Platform<'s>, name: &str) -> Platform<'s> {
    let mut empty = stage.copy(platform);
    let _ = fs::remove_dir_all(&empty.users);
    empty.users = stage.at(name);
    match &platform.database {
        Some(_) => {
            let database = stage.server().unwrap().database();
            empty.database = Some(database.clone());
            empty.with("storages__engines__postgresql__database", &database)
        }
        None => empty,
    }
}

/// The database as text, without what differs in each dump of one database.
fn database(stage: &Stage, platform: &Platform<'_>) -> String {
    let made = stage
        .server()
        .unwrap()
        .client("pg_dump")
        .arg(platform.database.as_ref().unwrap())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", text(&made));
    let dump = String::from_utf8(made.stdout).unwrap();
    let lines = dump.lines().filter(|line| !line.contains("restrict "));
    lines.collect::<Vec<_>>().join("\n")
}

/// Of each file and folder: permissions, owner, group, time, and what it holds; of a SQLite file all rows.
fn files(root: &Path) -> BTreeMap<String, (u32, u32, u32, i64, i64, String)> {
    let mut all = BTreeMap::new();
    for path in folder::files(root).into_iter().chain([root.to_owned()]) {
        let about = fs::symlink_metadata(&path).unwrap();
        let name = path.strip_prefix(root).unwrap().display().to_string();
        if ["-wal", "-shm", "-journal"]
            .iter()
            .any(|end| name.ends_with(end))
        {
            continue;
        }
        let bytes = if about.is_file() {
            fs::read(&path).unwrap()
        } else {
            Vec::new()
        };
        let holds = match bytes.starts_with(b"SQLite format 3\0") && !name.contains("attachments/")
        {
            true => rows(&path),
            false => format!("{bytes:?}"),
        };
        let times = (about.mtime(), about.mtime_nsec());
        all.insert(
            name,
            (
                about.mode(),
                about.uid(),
                about.gid(),
                times.0,
                times.1,
                holds,
            ),
        );
    }
    all
}

/// All that a SQLite file holds, as statements and rows; a copy is read, so that nothing is left beside it.
fn rows(path: &Path) -> String {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy");
    fs::copy(path, &copy).unwrap();
    let log = PathBuf::from(format!("{}-wal", path.display()));
    if log.exists() {
        fs::copy(log, folder.path().join("copy-wal")).unwrap();
    }
    let file = rusqlite::Connection::open(copy).unwrap();
    let texts = |sql: &str| -> Vec<(String, Option<String>)> {
        let mut statement = file.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.unwrap().map(Result::unwrap).collect()
    };
    let mut all = String::new();
    for (name, sql) in texts("SELECT name, sql FROM sqlite_master ORDER BY name") {
        all += &format!("{name}: {sql:?}\n");
    }
    for (table, _) in texts(
        "SELECT name, NULL FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name",
    ) {
        let mut statement = file.prepare(&format!("SELECT * FROM \"{table}\"")).unwrap();
        let columns = statement.column_count();
        let mut found = statement.query([]).unwrap();
        while let Some(row) = found.next().unwrap() {
            for column in 0..columns {
                let value: rusqlite::types::Value = row.get(column).unwrap();
                all += &format!("{value:?}|");
            }
            all.push('\n');
        }
    }
    all
}

/// Gives files of a platform permissions, owners and times that none has by itself.
fn mark(users: &Path) {
    let all = folder::files(users);
    for (number, path) in all.iter().enumerate() {
        let about = fs::symlink_metadata(path).unwrap();
        let mode = if about.is_dir() { 0o750 } else { 0o640 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        if about.uid() == 0 {
            let owner = 1000 + u32::try_from(number % 3).unwrap();
            std::os::unix::fs::chown(path, Some(owner), Some(1000)).unwrap();
        }
    }
    // Folders last: what is done in them changes their times.
    for (number, path) in all.iter().enumerate() {
        let seconds = 1_500_000_000 + u64::try_from(number).unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::new(seconds, 123_456_789);
        fs::File::open(path).unwrap().set_modified(time).unwrap();
    }
}
