//! A platform made by Pryv.io itself, backed up with the real command, sealed, and opened with the script that lies in
//! the archive: it must hold what Pryv.io's own backup of that platform holds, and more only where that one falls short.
#![allow(clippy::unwrap_used, clippy::panic)]

use pryv_backup_tests::command::{report, run, text, tool};
use pryv_backup_tests::compare::{Differences, Meant, users};
use pryv_backup_tests::folder;
use pryv_backup_tests::need;
use pryv_backup_tests::plain::{Plain, lines};
use pryv_backup_tests::rqlite::{Scratch, Setup};
use rusqlite::Connection;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const MEANT: &[Meant] = &[
    Meant {
        what: "manifest: user.otherNames only in ours",
        times: 4,
        reason: "Pryv's tool knows present names only",
    },
    Meant {
        what: "account: passwords[].createdBy only in ours",
        times: 12,
        reason: "Pryv's tool leaves out who set a password, and then cannot restore it",
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

/// The archive, sealed and opened, beside Pryv's.
struct Case {
    fixtures: PathBuf,
    folder: TempDir,
    /// The report of the command.
    report: Value,
}

impl Case {
    /// `None` where the fixtures are absent.
    fn new() -> Option<Self> {
        let fixtures = need::fixtures()?;
        let platform = fixtures.join("platform-sqlite");
        let folder = TempDir::new().unwrap();
        let at = |name: &str| folder.path().join(name);
        folder::copy(&platform.join("users"), &at("users"));

        let scratch = Scratch::new(Setup::default());
        let rows = fs::read(platform.join("platform-keyvalue.json")).unwrap();
        let rows: Vec<Value> = serde_json::from_slice(&rows).unwrap();
        let texts = |row: &Value| {
            let text = |name: &str| row[name].as_str().unwrap().to_owned();
            (text("key"), text("value"))
        };
        let rows: Vec<_> = rows.iter().map(texts).collect();
        scratch.fill(rows.iter().map(|(k, v)| (k.as_str(), v.as_str())));

        let config = fs::read_to_string(platform.join("config.yml")).unwrap();
        let config = config
            .replace("__USERS_DIR__", at("users").to_str().unwrap())
            .replace("__RQLITE_URL__", &scratch.url);
        fs::write(at("config.yml"), config).unwrap();
        let made = run(Command::new(tool())
            .arg("--pryv-root")
            .arg(folder.path())
            .arg("--config")
            .arg(at("config.yml"))
            .arg("--recipient-pubkey")
            .arg(fixtures.join("keys/recipient.pub.pem"))
            .args(["--include-ephemeral", "--json", "--output"])
            .arg(at("sealed")));
        assert_eq!(made.status.code(), Some(0), "{}", text(&made));
        let report = report(&made);
        for (out, extra) in [("opened", None), ("plain", Some("--gunzip"))] {
            let opened = run(Command::new("node")
                .current_dir(at("sealed"))
                .args(["decrypt-backup.mjs", ".", "--private-key"])
                .arg(fixtures.join("keys/recipient.key.pem"))
                .arg("--out")
                .arg(at(out))
                .args(extra));
            assert_eq!(opened.status.code(), Some(0), "{}", text(&opened));
        }
        Some(Self {
            fixtures,
            folder,
            report,
        })
    }

    /// A file of the platform: in a folder below three of one letter each, the last ones of its name.
    fn store(&self, name: &str, file: &str) -> PathBuf {
        let mut path = self.folder.path().join("users");
        path.extend(name.chars().rev().take(3).map(String::from));
        path.join(name).join(file)
    }

    fn read(&self, name: &str) -> Plain {
        Plain::read(&self.folder.path().join(name))
    }
}

#[test]
fn what_comes_out_is_what_pryv_backs_up() {
    let Some(case) = Case::new() else { return };
    let ours = case.read("plain");
    let theirs = Plain::read(&case.fixtures.join("archives/plain-sqlite"));
    for path in theirs.0.keys() {
        let name = path.trim_end_matches(".gz");
        assert!(ours.0.contains_key(name), "no {name}");
    }
    Differences::of_archives(&ours, &theirs).assert_meant(MEANT);
}

/// Where Pryv's backup falls short there is nothing to compare with but the platform's own files.
#[test]
fn what_pryv_leaves_out_is_that_of_the_platform() {
    let Some(case) = Case::new() else { return };
    let archive = case.read("plain");
    let (mut points, mut passwords) = (0, 0);
    for user in users(&archive.json("manifest.json")) {
        let [id, name] = ["userId", "username"].map(|key| user[key].as_str().unwrap());
        let namespace = format!("user.{name}");
        let mut found = Vec::new();
        for line in archive.records(&format!("users/{id}/series/series")) {
            assert_eq!(line["namespace"], namespace);
            for point in line["points"].as_array().unwrap() {
                found.push((line["measurement"].to_string(), point.to_string()));
            }
        }
        found.sort();
        let mut stored = stored_points(&case.store(&namespace, "series-1.0.0.sqlite"));
        stored.sort();
        assert!(found == stored, "series of {name}");
        points += found.len();

        let account = archive.records(&format!("users/{id}/account"));
        let authors: Vec<_> = account[0]["passwords"]
            .as_array()
            .unwrap()
            .iter()
            .map(|password| (password["hash"].clone(), password["createdBy"].clone()))
            .collect();
        let database = Connection::open(case.store(id, "account-1.0.0.sqlite")).unwrap();
        let mut statement = database
            .prepare("SELECT createdBy FROM passwords WHERE hash = ?")
            .unwrap();
        for (hash, author) in authors {
            let stored: String = statement
                .query_row([hash.as_str().unwrap()], |row| row.get(0))
                .unwrap();
            assert_eq!(author, stored, "password of {name}");
            passwords += 1;
        }
    }
    assert_eq!((points, passwords), (4 * 207, 12));
}

/// Measurement and point, as the format has them.
fn stored_points(path: &Path) -> Vec<(String, String)> {
    let database = Connection::open(path).unwrap();
    let sql = "SELECT event_id, delta_time, fields FROM series_data";
    let mut statement = database.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| {
        let (event, nanoseconds): (String, i64) = (row.get(0)?, row.get(1)?);
        let fields: String = row.get(2)?;
        let fields: Map<String, Value> = serde_json::from_str(&fields).unwrap();
        let mut point = Map::new();
        let time = match nanoseconds % 1_000_000 {
            0 => json!(nanoseconds / 1_000_000),
            #[allow(clippy::cast_precision_loss)]
            _ => json!(nanoseconds as f64 / 1e6),
        };
        point.insert("time".to_owned(), time);
        point.extend(fields);
        Ok((json!(event).to_string(), Value::from(point).to_string()))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

#[test]
fn the_counts_are_those_of_the_files() {
    let Some(case) = Case::new() else { return };
    let (sealed, opened, plain) = (case.read("sealed"), case.read("opened"), case.read("plain"));
    let manifest = opened.json("manifest.json");
    let mut totals: Map<String, Value> = Map::new();
    let mut listed = BTreeSet::new();
    let mut check = |inventory: &Value| {
        for entry in inventory["files"].as_array().unwrap() {
            let path = entry["path"].as_str().unwrap();
            assert!(listed.insert(path.to_owned()), "{path} is listed twice");
            assert_eq!(entry["size"], sealed.0[path].len(), "{path}");
            if entry.get("salt").is_some() {
                assert_eq!(entry["contentSize"], opened.0[path].len(), "{path}");
            }
            let name = path.trim_end_matches(".gz");
            let counted = name
                .ends_with(".jsonl")
                .then(|| lines(name, &plain.0[name]).len());
            assert_eq!(
                entry.get("records").cloned(),
                counted.map(Value::from),
                "{path}"
            );
        }
    };
    check(&manifest["inventory"]);
    for user in users(&manifest) {
        let id = user["userId"].as_str().unwrap();
        let mut own = opened.json(&format!("users/{id}/user-manifest.json"));
        check(&own["inventory"]);
        for key in ["inventory", "losses"] {
            own.as_object_mut().unwrap().remove(key);
        }
        assert_eq!(&own, user);
        for (kind, stat) in user["stats"].as_object().unwrap() {
            let counted = match kind.as_str() {
                "attachments" => plain.attachments(id).len(),
                "series" => plain.records(&format!("users/{id}/series/series")).len(),
                kind => plain.records(&format!("users/{id}/{kind}")).len(),
            };
            assert_eq!(*stat, counted, "{kind} of {id}");
            let sum = totals.get(kind).and_then(Value::as_u64).unwrap_or(0);
            totals.insert(kind.clone(), (sum + stat.as_u64().unwrap()).into());
        }
        for kind in ["events", "audit"] {
            let folder = format!("users/{id}/{kind}/");
            let files = opened.0.keys().filter_map(|p| p.strip_prefix(&folder));
            assert!(user["chunks"][kind].as_array().unwrap().iter().eq(files));
        }
    }
    assert_eq!(case.report["records"], Value::from(totals));
    assert_eq!(case.report["users"], 4);
    assert_eq!(case.report["losses"], json!([]));
    // The page in the archive is the one whose digest was printed.
    let page = pryv_backup_engine::archive::sha256_hex(&sealed.0["decrypt-backup.html"]);
    assert_eq!(case.report["pageSha256"], page);
    let readme = String::from_utf8_lossy(&sealed.0["RESTORE-README.md"]);
    assert!(readme.contains("Double-click `decrypt-backup.html`"));
    // The four files that no inventory can list.
    for path in [
        "manifest.json",
        "manifest.json.minisig",
        "encryption.json",
        "SHA256SUMS",
    ] {
        assert!(listed.insert(path.to_owned()), "{path}");
    }
    assert!(
        listed.iter().eq(sealed.0.keys()),
        "files that nothing lists"
    );
    let decrypted = sealed
        .0
        .iter()
        .filter(|(_, bytes)| bytes.starts_with(b"PRYVBKE1"));
    assert!(decrypted.map(|(path, _)| path).eq(opened.0.keys()));
}

/// Pryv's own backup has none of these.
#[test]
fn all_that_users_share_comes_along() {
    let Some(case) = Case::new() else { return };
    let plain = case.read("plain");
    for (file, table, name, query) in [
        (
            "user-index.db",
            "alias4id",
            "platform/aliases",
            "SELECT json_object('alias', alias, 'userId', userId) FROM alias4id ORDER BY alias",
        ),
        (
            "_shared/baseStorage.sqlite",
            "sessions",
            "platform/sessions",
            "SELECT json_object('id', id, 'data', json(data), 'expires', expires) FROM sessions ORDER BY id",
        ),
        (
            "_shared/baseStorage.sqlite",
            "password_resets",
            "platform/password-resets",
            "SELECT json_object('id', id, 'username', username, 'expires', expires) FROM password_resets ORDER BY id",
        ),
    ] {
        let stored = Connection::open(case.folder.path().join("users").join(file)).unwrap();
        let mut statement = stored.prepare(query).unwrap();
        let rows = statement
            .query_map([], |row| row.get::<_, String>(0))
            .unwrap();
        let rows: Vec<Value> = rows
            .map(|row| serde_json::from_str(&row.unwrap()).unwrap())
            .collect();
        assert!(rows.len() > 3, "{table}");
        assert_eq!(plain.records(name), rows, "{table}");
    }

    let stored = fs::read(case.fixtures.join("platform-sqlite/platform-keyvalue.json")).unwrap();
    let stored: Vec<Value> = serde_json::from_slice(&stored).unwrap();
    let key = |row: &Value| row["key"].as_str().unwrap().to_owned();
    let begins = |row: &Value, with: &str| key(row).starts_with(with);
    let mut due: Vec<Value> = stored
        .into_iter()
        .filter(|row| !begins(row, "user-unique/") && !begins(row, "user-indexed/"))
        .collect();
    due.sort_by_key(key);
    for kind in [
        "access-index/",
        "user-core/",
        "core-info/",
        "invitation/",
        "mail-template/",
    ] {
        assert!(due.iter().any(|row| begins(row, kind)), "{kind}");
    }
    let mut keys = plain.records("platform/keys");
    keys.sort_by_key(key);
    assert_eq!(keys, due);
    assert_eq!(case.report["platform"]["keys"], due.len());
    assert_eq!(case.report["platform"]["aliases"], 4);
}
