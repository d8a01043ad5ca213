//! A PostgreSQL platform made by Pryv.io itself, backed up with the real command, sealed, and opened with the script
//! that lies in the archive: it must hold what Pryv.io's own backup of that platform holds, and more only where that
//! one falls short.
#![allow(clippy::unwrap_used, clippy::panic)]

use pryv_backup_tests::command::{run, text, tool};
use pryv_backup_tests::compare::{Differences, Meant};
use pryv_backup_tests::folder;
use pryv_backup_tests::plain::Plain;
use pryv_backup_tests::postgres::Postgres;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const COLLECTIONS: [&str; 7] = [
    "streams", "accesses", "profile", "webhooks", "events", "account", "audit",
];

const MEANT: &[Meant] = &[
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
        let fixtures = folder::fixtures()?;
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

    /// A sealed backup, opened and decompressed by the script in it.
    fn opened(&self, name: &str, settings: &[(&str, &str)]) -> Plain {
        let key = self.fixtures.join("keys/recipient.pub.pem");
        let key = ["--recipient-pubkey", key.to_str().unwrap()];
        let made = self.backup(name, settings, &key);
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

fn compare(ours: &Plain, theirs: &Plain) -> Differences {
    let mut found = Differences::default();
    let manifests = [ours.json("manifest.json"), theirs.json("manifest.json")];
    let [mine, other] = &manifests;
    found.values("manifest", "config", &mine["config"], &other["config"]);
    assert_eq!(users(mine).count(), users(other).count());
    for (mine, other) in users(mine).zip(users(other)) {
        let [mine, other] = [mine, other].map(without_time);
        found.values("manifest", "user", &mine, &other);
        let user = mine["userId"].as_str().unwrap();
        for kind in COLLECTIONS {
            let name = format!("users/{user}/{kind}");
            let records = ours.records(&name);
            assert!(!records.is_empty(), "no {kind} of {user}");
            found.records(kind, &records, &theirs.records(&name));
        }
        let name = format!("users/{user}/series/series");
        found.records("series", &ours.records(&name), &theirs.records(&name));
        let (mine, other) = (ours.attachments(user), theirs.attachments(user));
        assert!(!mine.is_empty());
        assert!(mine == other, "attachments of {user}");
    }
    let name = "platform/platform";
    found.records("platform", &ours.records(name), &theirs.records(name));
    found
}

fn users(manifest: &Value) -> impl Iterator<Item = &Value> {
    manifest["users"].as_array().unwrap().iter()
}

/// A user of a manifest without what no two backups share, and with the names that decompressed files have.
fn without_time(user: &Value) -> Value {
    let mut user = user.clone();
    let removed = user.as_object_mut().unwrap().remove("backupTimestamp");
    assert!(removed.unwrap().is_number());
    for names in user["chunks"].as_object_mut().unwrap().values_mut() {
        for name in names.as_array_mut().unwrap() {
            *name = name.as_str().unwrap().trim_end_matches(".gz").into();
        }
    }
    user
}

fn theirs(fixtures: &Path) -> Plain {
    Plain::read(&fixtures.join("archives/plain-pg"))
}

#[test]
fn what_comes_out_is_what_pryv_backs_up() {
    let Some(case) = Case::new() else { return };
    let ours = case.opened("sealed", &[]);
    compare(&ours, &theirs(&case.fixtures)).assert_meant(MEANT);
}
