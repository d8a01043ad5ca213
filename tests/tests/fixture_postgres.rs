//! A PostgreSQL platform made by Pryv.io itself, backed up with the real command, sealed, and opened with the script
//! that lies in the archive: it must hold what Pryv.io's own backup of that platform holds, and more only where that
//! one falls short.
#![allow(clippy::unwrap_used, clippy::panic)]

use pryv_backup_tests::command::{report, run, text, tool};
use pryv_backup_tests::compare::{Differences, Meant, users};
use pryv_backup_tests::folder;
use pryv_backup_tests::need;
use pryv_backup_tests::plain::Plain;
use pryv_backup_tests::postgres::Postgres;
use rusqlite::Connection;
use serde_json::Value;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const MEANT: &[Meant] = &[
    Meant {
        what: "manifest: user.otherNames only in ours",
        times: 4,
        reason: "Pryv's tool knows present names only",
    },
    Meant {
        what: "events: content is 9007199254740993, in theirs 9007199254740992",
        times: 4,
        reason: "Pryv's tool rounds what is beyond a double",
    },
    Meant {
        what: "platform: value is \"weird+tag%/slash@exa.example\", in theirs \"weird+tag%\"",
        times: 1,
        reason: "Pryv's tool cuts unique values at a slash",
    },
    Meant {
        what: "series: a record only in ours",
        times: 12,
        reason: "Pryv's tool looks for series where the platform does not keep them",
    },
    Meant {
        what: "manifest: user.stats.series is 3, in theirs 0",
        times: 4,
        reason: "the same series, counted",
    },
];

/// The platform in a server of its own, and a place for archives.
struct Case {
    fixtures: PathBuf,
    folder: TempDir,
    server: Postgres,
    database: String,
}

impl Case {
    /// `None` where the fixtures or the server's programs are absent.
    fn new() -> Option<Self> {
        let fixtures = need::fixtures()?;
        let server = Postgres::start()?;
        let platform = fixtures.join("platform-postgresql");
        let database = server.load(&platform.join("dump.sql.gz"));
        let folder = TempDir::new().unwrap();
        folder::copy(&platform.join("users"), &folder.path().join("users"));
        let config = fs::read_to_string(platform.join("config.yml")).unwrap();
        let config = config
            .replace(
                "__USERS_DIR__",
                folder.path().join("users").to_str().unwrap(),
            )
            .replace("__PGPORT__", &server.port.to_string())
            .replace("__PGDATABASE__", &database);
        fs::write(folder.path().join("config.yml"), config).unwrap();
        Some(Self {
            fixtures,
            folder,
            server,
            database,
        })
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A backup into the folder `name`, with further settings and flags.
    fn backup(&self, name: &str, settings: &[(&str, &str)], flags: &[&str]) -> Output {
        run(Command::new(tool())
            .envs(settings.iter().copied())
            .arg("--pryv-root")
            .arg(self.folder.path())
            .arg("--config")
            .arg(self.at("config.yml"))
            .args(flags)
            .args(["--json", "--output"])
            .arg(self.at(name)))
    }

    /// Puts the files of the users into `attachment_files`, as Pryv.io does: pieces of 1 MiB.
    fn fill_attachment_files(&self, users: &Path) {
        let mut script = String::from("COPY attachment_files FROM stdin;\n");
        for (path, bytes) in folder::tree(users) {
            let parts: Vec<&str> = path.split('/').collect();
            let [_, _, _, user, "attachments", event, file] = parts.as_slice() else {
                continue;
            };
            let mut pieces: Vec<&[u8]> = bytes.chunks(1 << 20).collect();
            if pieces.is_empty() {
                pieces.push(&[]);
            }
            for (seq, piece) in pieces.iter().enumerate() {
                let _ = write!(script, "{user}\t{event}\t{file}\t{seq}\t\\\\x");
                piece.iter().for_each(|b| {
                    let _ = write!(script, "{b:02x}");
                });
                script.push('\n');
            }
        }
        script.push_str("\\.\n");
        self.server.feed(&self.database, script.as_bytes());
    }

    /// A sealed backup, opened and decompressed by the script in it.
    fn opened(&self, name: &str, settings: &[(&str, &str)], flags: &[&str]) -> Plain {
        let key = self.fixtures.join("keys/recipient.pub.pem");
        let mut all = vec!["--recipient-pubkey", key.to_str().unwrap()];
        all.extend(flags);
        let made = self.backup(name, settings, &all);
        assert_eq!(made.status.code(), Some(0), "{}", text(&made));
        let plain = self.at(&format!("{name}-plain"));
        let opened = run(Command::new("node")
            .current_dir(self.at(name))
            .args(["decrypt-backup.mjs", ".", "--gunzip", "--private-key"])
            .arg(self.fixtures.join("keys/recipient.key.pem"))
            .arg("--out")
            .arg(&plain));
        assert_eq!(opened.status.code(), Some(0), "{}", text(&opened));
        Plain::read(&plain)
    }
}

fn theirs(fixtures: &Path) -> Plain {
    Plain::read(&fixtures.join("archives/plain-pg"))
}

#[test]
fn what_comes_out_is_what_pryv_backs_up() {
    let Some(case) = Case::new() else { return };
    let ours = case.opened("sealed", &[], &[]);
    Differences::of_archives(&ours, &theirs(&case.fixtures)).assert_meant(MEANT);
}

/// The stock platform: audit trail in SQLite files, and here the attachments in the database.
#[test]
fn stores_may_be_mixed() {
    let Some(case) = Case::new() else { return };
    let users = case.at("users");
    case.fill_attachment_files(&users);
    case.server.sql(&case.database, "DROP TABLE audit_events");
    // The folder with the files of the attachments must not be looked at.
    let other = case.at("other");
    let settings = [
        ("storages__audit__engine", "sqlite"),
        ("storages__file__engine", "postgresql"),
        ("storages__engines__sqlite__path", other.to_str().unwrap()),
    ];
    let alice = "unncidtgvkosts1i5wrn5y28";
    let audit = case.at("other/8/2/y").join(alice);
    fs::create_dir_all(&audit).unwrap();
    Connection::open(audit.join("audit-1.0.0.sqlite"))
        .unwrap()
        .execute_batch(
            "CREATE TABLE events (eventid, headId, streamIds, time, deleted, endTime, type, content, description, clientData, \
             integrity, attachments, trashed, created, createdBy, modified, modifiedBy); \
             INSERT INTO events (eventid, streamIds, content) VALUES ('x', 'a ..', '{}')",
        )
        .unwrap();
    let ours = case.opened("mixed", &settings, &[]);
    let theirs = theirs(&case.fixtures);
    for user in users_of(&theirs) {
        assert!(
            ours.attachments(&user) == theirs.attachments(&user),
            "{user}"
        );
        assert!(!ours.attachments(&user).is_empty());
        let audit = ours.records(&format!("users/{user}/audit"));
        assert_eq!(audit.len(), usize::from(user == alice), "{user}");
    }
}

/// Databases before Pryv's migrations 1 to 3 lack columns; upgraded ones have them in another order.
#[test]
fn columns_may_be_missing_or_moved() {
    let Some(case) = Case::new() else { return };
    case.server.sql(
        &case.database,
        "ALTER TABLE accesses DROP COLUMN alias, DROP COLUMN serial, DROP COLUMN head_id, DROP COLUMN created_by_serial, \
             DROP COLUMN modified_by_serial; ALTER TABLE webhooks DROP COLUMN scopes; \
         ALTER TABLE events ADD COLUMN moved text; UPDATE events SET moved = type; ALTER TABLE events DROP COLUMN type; \
         ALTER TABLE events RENAME COLUMN moved TO type; \
         ALTER TABLE profile ADD COLUMN \"my Extra\" numeric DEFAULT 12345678901234567890.50",
    );
    let (ours, theirs) = (case.opened("old", &[], &[]), theirs(&case.fixtures));
    for user in users_of(&theirs) {
        let mut found = Differences::default();
        for kind in ["events", "accesses", "profile"] {
            let name = format!("users/{user}/{kind}");
            found.records(kind, &ours.records(&name), &theirs.records(&name));
        }
        let allowed = [
            "accesses: headId only in theirs",
            "accesses: serial only in theirs",
            "accesses: createdBySerial only in theirs",
            "accesses: modifiedBySerial only in theirs",
            "events: content is 9007199254740993, in theirs 9007199254740992",
            "profile: my Extra only in ours",
        ];
        found.0.retain(|what, _| !allowed.contains(&what.as_str()));
        assert!(found.0.is_empty(), "{user}: {found:?}");
        let line = &ours.0[&format!("users/{user}/profile.jsonl")];
        assert!(String::from_utf8_lossy(line).contains("\"my Extra\":12345678901234567890.50"));
    }
}

fn users_of(archive: &Plain) -> Vec<String> {
    let manifest = archive.json("manifest.json");
    let ids = users(&manifest).map(|user| user["userId"].as_str().unwrap().to_owned());
    ids.collect()
}

#[test]
fn all_that_users_share_comes_along() {
    let Some(case) = Case::new() else {
        return;
    };
    // Both engines of the platform's own database; here it is the tables of this one.
    let asked = ["--include-ephemeral"];
    let plain = case.opened("all", &[], &asked);
    for (table, name, query) in [
        (
            "platform_kv",
            "platform/keys",
            "SELECT jsonb_build_object('key', key, 'value', value) FROM platform_kv \
             WHERE key NOT LIKE 'user-unique/%' AND key NOT LIKE 'user-indexed/%' ORDER BY key COLLATE \"C\"",
        ),
        (
            "alias_index",
            "platform/aliases",
            "SELECT jsonb_build_object('alias', alias, 'userId', user_id) FROM alias_index ORDER BY alias COLLATE \"C\"",
        ),
        (
            "sessions",
            "platform/sessions",
            "SELECT jsonb_build_object('id', id, 'data', data, 'expires', (extract(epoch FROM expires) * 1000)::bigint) FROM sessions ORDER BY id COLLATE \"C\"",
        ),
        (
            "password_resets",
            "platform/password-resets",
            "SELECT jsonb_build_object('id', id, 'username', username, 'expires', (extract(epoch FROM expires) * 1000)::bigint) FROM password_resets ORDER BY id COLLATE \"C\"",
        ),
    ] {
        let rows = case
            .server
            .client("psql")
            .args(["-qAtc", query, &case.database])
            .output()
            .unwrap();
        let rows = String::from_utf8(rows.stdout).unwrap();
        let rows: Vec<Value> = rows
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert!(rows.len() > 3, "{table}");
        assert_eq!(plain.records(name), rows, "{table}");
    }

    let hers = case.opened("hers", &[], &["--include-ephemeral", "--user", "alice"]);
    let sessions = hers.records("platform/sessions");
    assert!(!sessions.is_empty());
    assert!(
        sessions
            .iter()
            .all(|one| one["data"]["username"] == "alice")
    );
    assert!(sessions.len() < plain.records("platform/sessions").len());
    // Her entries in the platform's own database.
    let entries = hers.records("platform/platform");
    assert!(entries.len() > 3 && entries.iter().all(|one| one["username"] == "alice"));
    assert!(entries.len() < plain.records("platform/platform").len());
    let keys = hers.records("platform/keys");
    let key = |one: &Value| one["key"].as_str().unwrap().to_owned();
    assert!(keys.iter().any(|one| key(one) == "user-core/alice"));
    assert!(
        keys.iter()
            .filter(|one| key(one).starts_with("access-index/"))
            .count()
            > 1
    );
    assert!(keys.len() < plain.records("platform/keys").len());
    let aliases = hers.records("platform/aliases");
    let id = &hers.json("manifest.json")["users"][0]["userId"];
    assert_eq!((aliases.len(), &aliases[0]["userId"]), (1, id));
    let as_pryv = case.opened("as-pryv", &[], &["--platform", "pryv"]);
    assert!(as_pryv.records("platform/aliases").is_empty());

    // As good as passwords: not into an archive that anyone can read, nor unasked.
    let made = case.backup("clear", &[], &asked);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    let said = report(&made);
    assert!(said["withheld"].as_u64().unwrap() > 8, "{said}");
    assert!(
        case.opened("unasked", &[], &[])
            .records("platform/sessions")
            .is_empty()
    );
    assert!(!case.at("clear/platform/sessions.jsonl.gz").exists());
}
