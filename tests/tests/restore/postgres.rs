//! Restores into PostgreSQL platforms: every row comes back, in one transaction for each user, whatever comes between.
#![allow(clippy::unwrap_used, clippy::panic)]

use pryv_backup_tests::{
    command::{report, run, text, tool},
    folder,
    postgres::Postgres,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};
use tempfile::TempDir;

const TABLES: [&str; 17] = [
    "accesses",
    "account_fields",
    "alias_index",
    "attachment_files",
    "audit_events",
    "event_streams",
    "events",
    "password_resets",
    "passwords",
    "platform_kv",
    "profile",
    "series_data",
    "sessions",
    "store_key_values",
    "streams",
    "users_index",
    "webhooks",
];

/// The platform of the fixtures, and places beside it.
struct Stage {
    dir: TempDir,
    fixtures: PathBuf,
    server: Postgres,
    source: String,
}

impl Stage {
    /// `None` where the fixtures or the server's programs are absent.
    fn new() -> Option<Self> {
        let fixtures = folder::fixtures()?;
        let server = Postgres::start()?;
        let source = server.load(&fixtures.join("platform-postgresql/dump.sql.gz"));
        let dir = TempDir::new().unwrap();
        folder::copy(
            &fixtures.join("platform-postgresql/users"),
            &dir.path().join(&source),
        );
        Some(Self {
            dir,
            fixtures,
            server,
            source,
        })
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A platform without anybody, started once, so that it knows its core.
    fn empty(&self) -> String {
        let database = self
            .server
            .load(&self.fixtures.join("platform-postgresql/dump.sql.gz"));
        let core = "SELECT value FROM platform_kv WHERE key = 'core-info/single'";
        let core = self.server.sql(&database, core);
        self.server.sql(
            &database,
            &format!(
                "TRUNCATE {}; INSERT INTO platform_kv VALUES ('core-info/single', '{core}')",
                TABLES.join(", ")
            ),
        );
        database
    }

    fn command(&self, database: &str, settings: &[(&str, &str)]) -> Command {
        let mut command = Command::new(tool());
        command
            .current_dir(self.dir.path())
            .env(
                "storages__engines__postgresql__port",
                self.server.port.to_string(),
            )
            .env("storages__engines__postgresql__database", database)
            .env("storages__engines__postgresql__user", "postgres")
            .env("storages__engines__sqlite__path", self.at(database))
            .env("storages__platform__engine", "postgresql")
            .env("storages__audit__engine", "postgresql")
            .env("platform__piiMode", "cleartext")
            .envs(settings.iter().copied())
            .stdin(Stdio::null());
        command
    }

    fn backup(&self, database: &str, name: &str, settings: &[(&str, &str)]) {
        let made = run(self
            .command(database, settings)
            .args(["--include-ephemeral", "--quiet", "--recipient-pubkey"])
            .arg(self.fixtures.join("keys/recipient.pub.pem"))
            .args(["--output", name]));
        assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    }

    fn restoring(
        &self,
        archive: &Path,
        database: &str,
        settings: &[(&str, &str)],
        flags: &[&str],
    ) -> Command {
        let mut command = self.command(database, settings);
        command
            .arg("--restore")
            .arg(archive)
            .arg("--private-key")
            .arg(self.fixtures.join("keys/recipient.key.pem"))
            .arg("--json")
            .args(flags);
        command
    }

    fn restore(
        &self,
        archive: &Path,
        database: &str,
        settings: &[(&str, &str)],
        flags: &[&str],
    ) -> Output {
        run(&mut self.restoring(archive, database, settings, flags))
    }

    fn diff(&self, old: &str, new: &str) -> Value {
        let found = run(Command::new(tool())
            .current_dir(self.dir.path())
            .args(["diff", old, new, "--json", "--private-key"])
            .arg(self.fixtures.join("keys/recipient.key.pem")));
        assert_eq!(found.status.code(), Some(0), "{}", text(&found));
        serde_json::from_slice(&found.stdout).unwrap()
    }

    /// Every row of every table.
    fn rows(&self, database: &str) -> BTreeMap<&'static str, BTreeSet<String>> {
        TABLES
            .iter()
            .map(|table| {
                let rows = self.server.sql(
                    database,
                    &format!("SELECT to_jsonb(t)::text FROM {table} t"),
                );
                (*table, rows.lines().map(str::to_owned).collect())
            })
            .collect()
    }
}

#[test]
fn a_platform_comes_back_row_by_row() {
    let Some(stage) = Stage::new() else { return };
    stage.backup(&stage.source, "first", &[]);
    let target = stage.empty();
    let archive = stage.at("first");
    let done = stage.restore(&archive, &target, &[], &["--verify-integrity"]);
    let said = report(&done);
    assert_eq!(done.status.code(), Some(0), "{said}");
    assert_eq!(said["users"].as_array().unwrap().len(), 4);

    let (before, after) = (stage.rows(&stage.source), stage.rows(&target));
    for table in TABLES {
        let lacking: Vec<_> = before[table].difference(&after[table]).collect();
        let added: Vec<_> = after[table].difference(&before[table]).collect();
        // Of a deleted stream no record tells where it was.
        let explained = |row: &&&String| table == "streams" && !row.contains("\"deleted\": null");
        assert!(
            lacking.iter().all(|row| explained(&row)) && lacking.len() == added.len(),
            "{table}: {lacking:#?} {added:#?}"
        );
    }
    for (path, bytes) in folder::tree(&stage.at(&stage.source)) {
        if path.contains("/attachments/") {
            assert!(
                fs::read(stage.at(&target).join(&path)).unwrap() == bytes,
                "{path}"
            );
        }
    }
    stage.backup(&target, "second", &[]);
    assert_eq!(
        stage.diff("first", "second")["same"],
        true,
        "{}",
        stage.diff("first", "second")
    );

    // Again: nothing without being told to, and the same with it.
    let again = stage.restore(&archive, &target, &[], &[]);
    assert_eq!(again.status.code(), Some(5), "{}", text(&again));
    assert!(stage.rows(&target) == after);
    let again = stage.restore(&archive, &target, &[], &["--overwrite"]);
    assert_eq!(again.status.code(), Some(0), "{}", text(&again));
    assert!(stage.rows(&target) == after);
    let left = fs::read_dir(stage.at(&target).join(".pryv-backup-restore")).unwrap();
    assert_eq!(left.count(), 1, "more than the lock");
}

/// The stock platform keeps the audit trail in SQLite files; here attachments and series are elsewhere too.
#[test]
fn stores_may_be_mixed() {
    let Some(stage) = Stage::new() else { return };
    stage.backup(&stage.source, "first", &[]);
    let target = stage.empty();
    let settings = [
        ("storages__audit__engine", "sqlite"),
        ("storages__file__engine", "postgresql"),
        ("storages__series__engine", "sqlite"),
    ];
    let done = stage.restore(
        &stage.at("first"),
        &target,
        &settings,
        &["--verify-integrity"],
    );
    assert_eq!(done.status.code(), Some(0), "{}", report(&done));
    let count = |sql: &str| stage.server.sql(&target, sql).parse::<usize>().unwrap();
    assert!(count("SELECT count(*) FROM attachment_files") > 10);
    assert_eq!(count("SELECT count(*) FROM audit_events"), 0);
    assert_eq!(count("SELECT count(*) FROM series_data"), 0);
    let files: Vec<String> = folder::tree(&stage.at(&target)).into_keys().collect();
    assert_eq!(
        files
            .iter()
            .filter(|f| f.ends_with("/audit-1.0.0.sqlite"))
            .count(),
        4
    );
    assert_eq!(
        files
            .iter()
            .filter(|f| f.ends_with("/series-1.0.0.sqlite"))
            .count(),
        4
    );
    assert!(!files.iter().any(|f| f.contains("/attachments/")));
    stage.backup(&target, "second", &settings);
    let found = stage.diff("first", "second");
    // The audit trail of the two engines has other names for the same columns.
    for (user, collections) in found["users"].as_object().unwrap() {
        let names: Vec<&String> = collections.as_object().unwrap().keys().collect();
        assert_eq!(names, ["audit"], "{user}: {collections}");
        assert_eq!(collections["audit"]["added"], 0);
        assert_eq!(collections["audit"]["removed"], 0);
    }
}

/// Archives of Pryv's own tool, and of a platform of the other engine.
#[test]
fn archives_from_elsewhere_come_back_too() {
    let Some(stage) = Stage::new() else { return };
    for archive in ["plain-pg", "plain-sqlite"] {
        let target = stage.empty();
        let done = stage.restore(
            &stage.fixtures.join("archives").join(archive),
            &target,
            &[],
            &[],
        );
        let said = report(&done);
        assert!(matches!(done.status.code(), Some(0 | 5)), "{said}");
        for user in said["users"].as_array().unwrap() {
            assert_eq!(user["outcome"], "restored", "{archive}: {user}");
        }
        let count = |sql: &str| stage.server.sql(&target, sql).parse::<usize>().unwrap();
        assert_eq!(count("SELECT count(*) FROM passwords"), 12);
        assert!(count("SELECT count(*) FROM audit_events") > 2000);
        assert_eq!(
            count(
                "SELECT count(*) FROM audit_events WHERE stream_ids IS NULL OR created_by IS NULL OR end_time IS NULL"
            ),
            0
        );
        assert!(
            count("SELECT count(*) FROM audit_events WHERE jsonb_typeof(content) = 'object'")
                > 2000
        );
        assert_eq!(
            count("SELECT count(*) FROM store_key_values WHERE key = 'k2' AND value = '\"str\"'"),
            4
        );
        assert_eq!(
            count(
                "SELECT count(*) FROM store_key_values WHERE key = 'k1' AND jsonb_typeof(value) = 'object'"
            ),
            4
        );
        // Every live event is found by its streams, and no version is.
        assert_eq!(
            count(
                "SELECT count(*) FROM events e CROSS JOIN LATERAL jsonb_array_elements_text(e.stream_ids) s(id) \
                 LEFT JOIN event_streams x ON x.user_id = e.user_id AND x.event_id = e.id AND x.stream_id = s.id \
                 WHERE e.head_id IS NULL AND e.deleted IS NULL AND x.event_id IS NULL"
            ),
            0
        );
        assert_eq!(
            count(
                "SELECT count(*) FROM event_streams x JOIN events e ON e.user_id = x.user_id AND e.id = x.event_id WHERE e.head_id IS NOT NULL"
            ),
            0
        );
        assert_eq!(
            count(
                "SELECT count(*) FROM streams c JOIN streams p ON p.user_id = c.user_id AND p.id = c.parent_id WHERE c.path <> p.path || c.id || '/'"
            ),
            0
        );
    }
}

/// What is wrong with one user costs that user alone.
#[test]
fn a_user_that_fails_is_as_before_and_the_others_stand() {
    let Some(stage) = Stage::new() else { return };
    // A plain archive, so that it can be tampered with as whoever has no inventory can.
    folder::copy(
        &stage.fixtures.join("archives/plain-pg"),
        &stage.at("archive"),
    );
    let manifest = fs::read(stage.at("archive/manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let victim = manifest["users"][1]["userId"].as_str().unwrap();
    let events = stage
        .at("archive")
        .join(format!("users/{victim}/events/events-0001.jsonl.gz"));
    let plain = pryv_backup_tests::plain::lines("x.jsonl.gz", &fs::read(&events).unwrap());
    let rewrite = |lines: &[Value]| {
        let text: String = lines.iter().map(|l| format!("{l}\n")).collect();
        let file = events.with_extension("");
        fs::write(&file, text).unwrap();
        let done = Command::new("gzip")
            .args(["--force", "--no-name"])
            .arg(&file)
            .status();
        assert!(done.unwrap().success());
    };
    // The platform held something else of this user before.
    let target = stage.empty();
    let first = stage.restore(&stage.at("archive"), &target, &[], &["--user", victim]);
    assert!(
        matches!(first.status.code(), Some(0 | 5)),
        "{}",
        text(&first)
    );
    stage
        .server
        .sql(&target, "UPDATE events SET description = 'old'");
    let before = stage.rows(&target);

    let mut tampered = plain.clone();
    let hashed = tampered
        .iter_mut()
        .find(|e| e["integrity"].is_string() && e["headId"].is_null());
    hashed.unwrap()["content"] = "tampered".into();
    let doubled = [plain.clone(), vec![plain[0].clone()]].concat();
    let mut sql = plain.clone();
    sql[0]["\"; DROP TABLE events; --"] = 1.into();
    for (lines, flags, says) in [
        (
            &tampered,
            &["--verify-integrity"][..],
            "does not match its hash",
        ),
        (&doubled, &[], "there twice"),
    ] {
        rewrite(lines);
        let flags = [&["--overwrite", "--skip-platform"], flags].concat();
        let done = stage.restore(&stage.at("archive"), &target, &[], &flags);
        let said = report(&done);
        assert_eq!(done.status.code(), Some(5), "{said}");
        for user in said["users"].as_array().unwrap() {
            if user["userId"] == victim {
                assert_eq!(user["outcome"], "failed", "{said}");
                assert!(user["reason"].as_str().unwrap().contains(says), "{said}");
            } else {
                assert_ne!(user["outcome"], "skipped", "{user}");
            }
        }
        let after = stage.rows(&target);
        for table in [
            "events",
            "streams",
            "accesses",
            "event_streams",
            "passwords",
        ] {
            let of = |rows: &BTreeSet<String>| -> Vec<String> {
                rows.iter()
                    .filter(|row| row.contains(victim))
                    .cloned()
                    .collect()
            };
            assert!(of(&before[table]) == of(&after[table]), "{table}");
        }
    }
    rewrite(&sql);
    let done = stage.restore(
        &stage.at("archive"),
        &target,
        &[],
        &["--overwrite", "--skip-platform"],
    );
    let said = report(&done).to_string();
    assert_eq!(done.status.code(), Some(5), "{said}");
    assert!(
        said.contains("DROP TABLE") && said.contains("has no place"),
        "{said}"
    );
}

/// Whenever the run is killed, the next one finds every user old or new, and finishes.
#[test]
fn a_killed_run_leaves_every_user_old_or_new() {
    let Some(stage) = Stage::new() else { return };
    stage.backup(&stage.source, "archive", &[]);
    let target = stage.empty();
    let settings = [("storages__audit__engine", "sqlite")];
    let archive = stage.at("archive");
    let done = stage.restore(&archive, &target, &settings, &[]);
    assert_eq!(done.status.code(), Some(0), "{}", report(&done));
    let users: Vec<String> = stage
        .server
        .sql(&target, "SELECT user_id FROM users_index")
        .lines()
        .map(str::to_owned)
        .collect();
    let whole = |table: &'static str| stage.rows(&target)[table].clone();
    let restored = whole("events");
    let file = |user: &str| {
        let files = folder::tree(&stage.at(&target));
        let mine = files
            .into_iter()
            .filter(|(p, _)| p.contains(user) && p.contains("/attachments/"));
        mine.collect::<BTreeMap<String, Vec<u8>>>()
    };
    let new_files: Vec<_> = users.iter().map(|user| file(user)).collect();
    for seed in 0..50u64 {
        // What stands before is recognisably other, in the database and in files.
        stage
            .server
            .sql(&target, "UPDATE events SET description = 'old'");
        for (path, _) in folder::tree(&stage.at(&target)) {
            if path.contains("/attachments/") {
                fs::write(stage.at(&target).join(path), "old").unwrap();
            }
        }
        let old = whole("events");
        let mut child = stage
            .restoring(
                &archive,
                &target,
                &settings,
                &["--overwrite", "--skip-platform"],
            )
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(150 + (seed * 53) % 900));
        let _ = child.kill();
        child.wait().unwrap();
        // The server may need a moment to notice.
        let busy = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pryv-backup'";
        while stage.server.sql(&target, busy) != "0" {
            std::thread::sleep(Duration::from_millis(5));
        }
        let next = stage.restore(&archive, &target, &settings, &["--skip-platform"]);
        assert_eq!(next.status.code(), Some(5), "{}", text(&next));
        let now = whole("events");
        for (user, new_files) in users.iter().zip(&new_files) {
            let of = |rows: &BTreeSet<String>| -> BTreeSet<String> {
                rows.iter()
                    .filter(|row| row.contains(user.as_str()))
                    .cloned()
                    .collect()
            };
            let is_new = of(&now) == of(&restored);
            assert!(
                is_new || of(&now) == of(&old),
                "seed {seed}: {user} is neither"
            );
            let files = file(user);
            if is_new {
                assert!(
                    files == *new_files,
                    "seed {seed}: {user} is new, its files are not"
                );
            } else {
                assert!(
                    files.values().all(|f| f == b"old"),
                    "seed {seed}: {user} is old, its files are not"
                );
            }
        }
        let left = fs::read_dir(stage.at(&target).join(".pryv-backup-restore")).unwrap();
        assert_eq!(left.count(), 1, "seed {seed}: more than the lock");
    }
    let done = stage.restore(
        &archive,
        &target,
        &settings,
        &["--overwrite", "--skip-platform"],
    );
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    assert!(whole("events") == restored);
}
