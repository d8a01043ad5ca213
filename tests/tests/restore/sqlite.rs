//! Restores into SQLite platforms: what comes back is what was there, whole users only, whatever comes between.
#![allow(clippy::unwrap_used, clippy::panic)]

use pryv_backup_tests::{
    command::{report, run, text, tool},
    folder,
    rqlite::{Scratch, Setup},
};
use rusqlite::{Connection, types::Value as Cell};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// Platforms below one folder, and archives beside them.
struct Stage {
    dir: TempDir,
    fixtures: PathBuf,
}

impl Stage {
    /// `None` where the fixtures are absent.
    fn new() -> Option<Self> {
        let fixtures = folder::fixtures()?;
        let dir = TempDir::new().unwrap();
        Some(Self { dir, fixtures })
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The platform of the fixtures, and a server with its own database.
    fn source(&self) -> Scratch {
        folder::copy(
            &self.fixtures.join("platform-sqlite/users"),
            &self.at("source"),
        );
        let scratch = Scratch::new(Setup::default());
        let rows = fs::read(self.fixtures.join("platform-sqlite/platform-keyvalue.json")).unwrap();
        let rows: Vec<Value> = serde_json::from_slice(&rows).unwrap();
        let rows: Vec<_> = rows
            .iter()
            .map(|r| [r["key"].as_str().unwrap(), r["value"].as_str().unwrap()])
            .collect();
        scratch.fill(rows.iter().map(|[k, v]| (*k, *v)));
        scratch
    }

    fn command(&self, platform: &str, url: &str) -> Command {
        let mut command = Command::new(tool());
        command
            .current_dir(self.dir.path())
            .env("storages__base__engine", "sqlite")
            .env("storages__series__engine", "sqlite")
            .env("storages__engines__sqlite__path", self.at(platform))
            .env("storages__engines__rqlite__url", url)
            .env("platform__piiMode", "cleartext")
            .stdin(Stdio::null());
        command
    }

    fn backup(&self, platform: &str, url: &str, name: &str) {
        let made = run(self
            .command(platform, url)
            .args(["--include-ephemeral", "--quiet", "--recipient-pubkey"])
            .arg(self.fixtures.join("keys/recipient.pub.pem"))
            .args(["--output", name]));
        assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    }

    fn restore(&self, archive: &Path, platform: &str, url: &str, flags: &[&str]) -> Output {
        run(self
            .command(platform, url)
            .arg("--restore")
            .arg(archive)
            .arg("--private-key")
            .arg(self.fixtures.join("keys/recipient.key.pem"))
            .arg("--json")
            .args(flags))
    }

    fn diff(&self, old: &str, new: &str) -> Value {
        let found = run(Command::new(tool())
            .current_dir(self.dir.path())
            .args(["diff", old, new, "--json", "--private-key"])
            .arg(self.fixtures.join("keys/recipient.key.pem")));
        assert_eq!(found.status.code(), Some(0), "{}", text(&found));
        serde_json::from_slice(&found.stdout).unwrap()
    }
}

/// Every row of every table of every file of a platform, but for what the full-text index keeps for itself.
fn rows(users: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let mut all = BTreeMap::new();
    for path in folder::tree(users).into_keys() {
        let is_database = path.ends_with(".sqlite") || path.ends_with(".db");
        if !is_database {
            continue;
        }
        let database = Connection::open(users.join(&path)).unwrap();
        let mut tables = database
            .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'events_fts%'")
            .unwrap();
        let tables: Vec<String> = tables
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        for table in tables {
            let mut statement = database.prepare(&format!("SELECT * FROM {table}")).unwrap();
            let columns = statement.column_count();
            let names: Vec<String> = statement.column_names().map(ToString::to_string).collect();
            let mut found = statement.query([]).unwrap();
            let mut set = BTreeSet::new();
            while let Some(row) = found.next().unwrap() {
                let cells: Vec<String> = (0..columns)
                    .map(|i| cell(&names[i], row.get::<_, Cell>(i).unwrap()))
                    .collect();
                assert!(set.insert(cells.join(" | ")), "{path} {table}: a row twice");
            }
            all.insert(format!("{path} {table}"), set);
        }
    }
    all
}

/// A document by its content: the order of its members says nothing, nor does what is false by default. The path of a stream
/// follows from its parents, and Pryv.io itself loses it when a stream is changed.
fn cell(name: &str, value: Cell) -> String {
    match value {
        Cell::Text(text) if name == "data" => {
            let value: Value = serde_json::from_str(&text).unwrap();
            let mut sorted: BTreeMap<String, Value> = serde_json::from_value(value).unwrap();
            sorted.remove("path");
            sorted.retain(|key, value| {
                !(*value == false && (key == "trashed" || key == "singleActivity"))
            });
            format!("{sorted:?}")
        }
        // No record tells a content that is null from one that is not there.
        Cell::Text(text) if name == "content" && text == "null" => format!("{:?}", Cell::Null),
        other => format!("{other:?}"),
    }
}

/// Every stream that is not deleted has the ids from the root down to it as its path.
fn assert_paths(users: &Path) {
    let mut nested = 0;
    for path in folder::tree(users).into_keys() {
        if !path.ends_with("/baseStorage-1.0.0.sqlite") || path.starts_with("_shared") {
            continue;
        }
        let database = Connection::open(users.join(&path)).unwrap();
        let mut statement = database
            .prepare(
                "SELECT id, data->>'parentId', data->>'path' FROM streams WHERE deleted IS NULL",
            )
            .unwrap();
        let rows = statement
            .query_map([], |r| Ok((r.get(0)?, (r.get(1)?, r.get(2)?))))
            .unwrap();
        let streams: BTreeMap<String, (Option<String>, String)> =
            rows.map(Result::unwrap).collect();
        for (id, (parent, path)) in &streams {
            let above = parent
                .as_ref()
                .and_then(|p| streams.get(p))
                .map_or("", |(_, path)| path);
            assert_eq!(*path, format!("{above}{id}/"));
            nested += usize::from(!above.is_empty());
        }
    }
    assert!(nested > 10);
}

#[test]
fn a_platform_comes_back_row_by_row() {
    let Some(stage) = Stage::new() else { return };
    let source = stage.source();
    stage.backup("source", &source.url, "first");
    // An empty platform that was started once knows its core.
    let empty = Scratch::new(Setup::default());
    let core = "{\"id\":\"single\",\"url\":\"http://127.0.0.1:3000\",\"available\":true}";
    empty.fill([("core-info/single", core)]);
    let done = stage.restore(
        &stage.at("first"),
        "target",
        &empty.url,
        &["--verify-integrity"],
    );
    let said = report(&done);
    assert_eq!(done.status.code(), Some(0), "{said}");
    assert_eq!(said["users"].as_array().unwrap().len(), 4);
    // Real platforms hold records that never matched.
    assert!(
        said["users"]
            .as_array()
            .unwrap()
            .iter()
            .all(|u| u["integrity"]["matching"].as_u64().unwrap() > 20)
    );

    let (before, after) = (rows(&stage.at("source")), rows(&stage.at("target")));
    for (table, rows) in &before {
        let restored = after.get(table).cloned().unwrap_or_default();
        let lacking: Vec<_> = rows.difference(&restored).collect();
        let added: Vec<_> = restored.difference(rows).collect();
        // The reader gives every shared access a device, were it none.
        let explained = |row: &&&String| table.ends_with(" accesses") && row.contains("shared");
        assert!(
            lacking.iter().all(|row| explained(&row)) && lacking.len() == added.len(),
            "{table}: {lacking:#?} {added:#?}"
        );
    }
    for (path, bytes) in folder::tree(&stage.at("source")) {
        if path.contains("/attachments/") {
            assert!(
                fs::read(stage.at("target").join(&path)).unwrap() == bytes,
                "{path}"
            );
        }
    }
    assert_paths(&stage.at("target"));
    // Stream queries go through the full-text index.
    for path in folder::tree(&stage.at("target")).into_keys() {
        if path.ends_with("/local-1.0.0.sqlite") || path.ends_with("/audit-1.0.0.sqlite") {
            let database = Connection::open(stage.at("target").join(&path)).unwrap();
            database
                .execute_batch(
                    "INSERT INTO events_fts (events_fts, rank) VALUES ('integrity-check', 1)",
                )
                .unwrap();
            let count = |sql: &str| {
                database
                    .query_row(sql, [], |row| row.get::<_, i64>(0))
                    .unwrap()
            };
            assert_eq!(
                count("SELECT count(*) FROM events_fts WHERE events_fts MATCH '\"..\"'"),
                count("SELECT count(*) FROM events")
            );
        }
    }
    assert!(!stage.at("target/.pryv-backup-restore").join("x").exists());
    stage.backup("target", &empty.url, "second");
    // Where the platform is at home is not restored; on which of its cores the users are, is.
    let found = stage.diff("first", "second");
    assert_eq!(
        found["users"],
        serde_json::json!({"": {"platform/keys": {"added": 0, "changed": 1, "removed": 0}}})
    );

    // Again: nothing without being told to, and the same with it.
    let again = stage.restore(&stage.at("first"), "target", &empty.url, &[]);
    assert_eq!(again.status.code(), Some(5), "{}", text(&again));
    let state = rows(&stage.at("target"));
    assert!(
        report(&again)["users"]
            .as_array()
            .unwrap()
            .iter()
            .all(|u| u["outcome"] == "skipped")
    );
    let again = stage.restore(&stage.at("first"), "target", &empty.url, &["--overwrite"]);
    assert_eq!(again.status.code(), Some(0), "{}", text(&again));
    assert!(rows(&stage.at("target")) == state);
}

/// Archives of Pryv's own tool, from either engine.
#[test]
fn archives_of_pryv_come_back_too() {
    let Some(stage) = Stage::new() else { return };
    let scratch = Scratch::new(Setup::default());
    for (name, archive) in [("from-sqlite", "plain-sqlite"), ("from-pg", "plain-pg")] {
        let archive = stage.fixtures.join("archives").join(archive);
        let done = stage.restore(&archive, name, &scratch.url, &["--overwrite"]);
        let said = report(&done);
        assert!(matches!(done.status.code(), Some(0 | 5)), "{said}");
        for user in said["users"].as_array().unwrap() {
            assert_eq!(user["outcome"], "restored", "{user}");
            assert!(user["records"]["events"].as_u64().unwrap() > 50);
            assert!(user["records"]["audit"].as_u64().unwrap() > 10);
            assert!(user["records"]["attachments"].as_u64().unwrap() > 5);
        }
        // Who set a password is not in these; all rows are.
        let rows = rows(&stage.at(name));
        let total = |ending: &str| -> usize {
            rows.iter()
                .filter(|(t, _)| t.ends_with(ending))
                .map(|(_, r)| r.len())
                .sum()
        };
        assert_eq!(total(" passwords"), 12);
        assert!(total("audit-1.0.0.sqlite events") > 2000);
        let audit = rows
            .iter()
            .filter(|(t, _)| t.ends_with("audit-1.0.0.sqlite events"));
        for (_, rows) in audit {
            assert!(
                rows.iter()
                    .all(|row| row.contains("access-") && row.contains(".."))
            );
        }
        // What is JSON in one engine is the text of it in the other.
        for (table, rows) in rows
            .iter()
            .filter(|(t, _)| t.ends_with(" storeKeyValueData"))
        {
            assert!(
                rows.iter()
                    .any(|row| row.contains("k2") && row.contains("\\\"str\\\"")),
                "{table}: {rows:?}"
            );
        }
    }
}

/// Somebody else is there under the name, the id or the address.
#[test]
fn whoever_is_there_already_is_in_the_way() {
    let Some(stage) = Stage::new() else { return };
    let source = stage.source();
    stage.backup("source", &source.url, "archive");
    let archive = stage.at("archive");
    let scratch = Scratch::new(Setup::default());
    let url = &scratch.url;
    fs::create_dir(stage.at("target")).unwrap();
    let index = Connection::open(stage.at("target/user-index.db")).unwrap();
    index
        .execute_batch(
            "CREATE TABLE id4name (username TEXT PRIMARY KEY, userId TEXT NOT NULL); \
             CREATE TABLE alias4id (alias TEXT PRIMARY KEY, userId TEXT NOT NULL); \
             INSERT INTO id4name VALUES ('alice', 'someone-else-altogether')",
        )
        .unwrap();
    drop(index);
    let refused = stage.restore(&archive, "target", url, &[]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert!(
        text(&refused).contains("another user called \"alice\""),
        "{}",
        text(&refused)
    );
    assert_eq!(rows(&stage.at("target")).len(), 2, "something was written");
    let dry = stage.restore(&archive, "target", url, &["--dry-run"]);
    assert_eq!(dry.status.code(), Some(5), "{}", text(&dry));
    assert_eq!(
        report(&dry)["users"][0]["records"]
            .as_object()
            .unwrap()
            .len(),
        0
    );

    // With another name there is room.
    let done = stage.restore(&archive, "target", url, &["--remap-user", "alice=alicia"]);
    let said = report(&done);
    assert_eq!(done.status.code(), Some(0), "{said}");
    let index = Connection::open(stage.at("target/user-index.db")).unwrap();
    let names: i64 = index
        .query_row(
            "SELECT count(*) FROM id4name WHERE username IN ('alice', 'alicia')",
            [],
            |r| r.get(0),
        )
        .unwrap();
    assert_eq!(names, 2);
    assert!(
        folder::tree(&stage.at("target"))
            .keys()
            .any(|p| p.contains("user.alicia/series"))
    );

    // A unique value that another user holds.
    let held = Scratch::new(Setup::default());
    let entries = folder::tree(&stage.fixtures.join("archives/plain-sqlite/platform"));
    let entries =
        pryv_backup_tests::plain::lines("platform.jsonl.gz", entries.values().next().unwrap());
    let mine = entries
        .iter()
        .find(|e| e["isUnique"] == true && e["field"] == "email" && e["username"] == "alice")
        .unwrap();
    let key = format!("user-unique/email/{}", mine["value"].as_str().unwrap());
    held.fill([(key.as_str(), "mallory")]);
    let refused = stage.restore(&archive, "other", &held.url, &[]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert!(
        text(&refused).contains("the email of \"alice\""),
        "{}",
        text(&refused)
    );
    let done = stage.restore(&archive, "other", &held.url, &["--skip-conflicts"]);
    assert_eq!(done.status.code(), Some(5), "{}", text(&done));
    let outcomes: Vec<_> = report(&done)["users"]
        .as_array()
        .unwrap()
        .iter()
        .map(|u| u["outcome"].clone())
        .collect();
    assert_eq!(outcomes.iter().filter(|o| **o == "restored").count(), 3);
}

/// With what of the platform's own database is hers.
#[test]
fn one_user_comes_alone() {
    let Some(stage) = Stage::new() else { return };
    let source = stage.source();
    stage.backup("source", &source.url, "archive");
    let scratch = Scratch::new(Setup::default());
    let done = stage.restore(
        &stage.at("archive"),
        "target",
        &scratch.url,
        &["--user", "alice"],
    );
    let said = report(&done);
    assert_eq!(done.status.code(), Some(0), "{said}");
    assert_eq!(said["users"].as_array().unwrap().len(), 1);
    assert!(said["platform"].as_u64().unwrap() > 5, "{said}");
    stage.backup("target", &scratch.url, "again");
    let again = run(Command::new(tool())
        .current_dir(stage.dir.path())
        .args(["cat", "again", "platform/platform.jsonl", "--private-key"])
        .arg(stage.fixtures.join("keys/recipient.key.pem")));
    let entries = String::from_utf8(again.stdout).unwrap();
    assert!(
        entries.lines().count() > 3 && entries.contains("\"email\""),
        "{entries}"
    );
    assert!(
        entries.lines().all(|line| line.contains("\"alice\"")),
        "{entries}"
    );
    let nobody = stage.restore(
        &stage.at("archive"),
        "target",
        &scratch.url,
        &["--user", "nobody"],
    );
    assert_eq!(nobody.status.code(), Some(2), "{}", text(&nobody));
}

#[test]
fn a_damaged_backup_is_not_restored_at_all() {
    let Some(stage) = Stage::new() else { return };
    let source = stage.source();
    stage.backup("source", &source.url, "archive");
    let scratch = Scratch::new(Setup::default());
    let some = folder::tree(&stage.at("archive"));
    let victim = some.keys().rfind(|p| p.contains("/audit/")).unwrap();
    let path = stage.at("archive").join(victim);
    let mut bytes = some[victim].clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    let refused = stage.restore(&stage.at("archive"), "target", &scratch.url, &[]);
    assert_eq!(refused.status.code(), Some(4), "{}", text(&refused));
    assert!(
        text(&refused).contains(victim.as_str()),
        "{}",
        text(&refused)
    );
    assert!(!stage.at("target").exists());
    fs::write(&path, &some[victim]).unwrap();
    let fine = stage.restore(
        &stage.at("archive"),
        "target",
        &scratch.url,
        &["--verify-only"],
    );
    assert_eq!(fine.status.code(), Some(0), "{}", text(&fine));
    assert!(!stage.at("target").exists());
    let wrong = run(stage
        .command("target", &scratch.url)
        .arg("--restore")
        .arg(stage.at("archive"))
        .arg("--private-key")
        .arg(stage.fixtures.join("keys/recipient.pub.pem")));
    assert_eq!(wrong.status.code(), Some(3), "{}", text(&wrong));
}

/// The backup goes only when every user of it came back.
#[test]
fn the_backup_is_moved_or_removed_when_all_is_well() {
    let Some(stage) = Stage::new() else { return };
    let source = stage.source();
    let scratch = Scratch::new(Setup::default());
    for flags in [
        ["--delete-on-success", ""],
        ["--move-on-success", "done/moved"],
    ] {
        stage.backup("source", &source.url, "archive");
        let before = folder::tree(&stage.at("archive"));
        let flags: Vec<&str> = flags.into_iter().filter(|f| !f.is_empty()).collect();
        // Everybody is there already.
        stage.backup("source", &source.url, "kept");
        let all = [&flags[..], &["--skip-conflicts"]].concat();
        let none = stage.restore(&stage.at("kept"), "source", &source.url, &all);
        assert_eq!(none.status.code(), Some(5), "{}", text(&none));
        assert!(folder::tree(&stage.at("kept")).len() == before.len());
        let one = [&flags[..], &["--user", "alice", "--overwrite"]].concat();
        let one = stage.restore(&stage.at("kept"), "one", &scratch.url, &one);
        assert_eq!(one.status.code(), Some(2), "{}", text(&one));
        assert!(stage.at("kept/manifest.json").exists());
        fs::remove_dir_all(stage.at("kept")).unwrap();

        let all = [&flags[..], &["--overwrite"]].concat();
        let done = stage.restore(&stage.at("archive"), "target", &scratch.url, &all);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        assert!(!stage.at("archive").exists());
        if flags.len() > 1 {
            assert!(folder::tree(&stage.at("done/moved")) == before);
        }
    }
}

/// Whenever the run is killed, the next one finds every user old or new, and finishes.
#[test]
fn a_killed_run_leaves_every_user_old_or_new() {
    let Some(stage) = Stage::new() else { return };
    let source = stage.source();
    stage.backup("source", &source.url, "archive");
    let scratch = Scratch::new(Setup::default());
    let url = &scratch.url;
    let done = stage.restore(&stage.at("archive"), "target", url, &[]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    let restored = rows(&stage.at("target"));
    // What stands before is recognisably other: every event has another description.
    for path in folder::tree(&stage.at("target")).into_keys() {
        if path.ends_with("/local-1.0.0.sqlite") {
            let database = Connection::open(stage.at("target").join(&path)).unwrap();
            database
                .execute_batch("UPDATE events SET description = 'old'")
                .unwrap();
        }
    }
    folder::copy(&stage.at("target"), &stage.at("old"));
    let old = rows(&stage.at("old"));
    let mut mixed = 0;
    for seed in 0..50u64 {
        fs::remove_dir_all(stage.at("target")).unwrap();
        folder::copy(&stage.at("old"), &stage.at("target"));
        let mut child = stage
            .command("target", url)
            .arg("--restore")
            .arg(stage.at("archive"))
            .arg("--private-key")
            .arg(stage.fixtures.join("keys/recipient.key.pem"))
            .args(["--overwrite", "--skip-platform", "--quiet"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(20 + (seed * 37) % 700));
        let _ = child.kill();
        child.wait().unwrap();
        // Recovery is what any next run does first; this one then has nothing more to do.
        let next = stage.restore(&stage.at("archive"), "target", url, &["--skip-platform"]);
        assert!(matches!(next.status.code(), Some(0 | 5)), "{}", text(&next));
        let now = rows(&stage.at("target"));
        let mut states = BTreeSet::new();
        for (table, rows) in &now {
            let user_file = table.contains("/local-1.0.0.sqlite events");
            if user_file {
                let (was, is) = (
                    old.get(table) == Some(rows),
                    restored.get(table) == Some(rows),
                );
                assert!(was || is, "seed {seed}: {table} is neither");
                states.insert(was);
            }
        }
        mixed += usize::from(states.len() == 2);
        let left: Vec<_> = fs::read_dir(stage.at("target/.pryv-backup-restore"))
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .filter(|name| name != "lock")
            .collect();
        assert!(left.is_empty(), "seed {seed}: {left:?}");
    }
    println!("{mixed} of 50 runs were killed between two users");
    let done = stage.restore(
        &stage.at("archive"),
        "target",
        url,
        &["--overwrite", "--skip-platform"],
    );
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    assert!(rows(&stage.at("target")) == restored);
}
