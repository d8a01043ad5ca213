//! A platform, and what its operator does with an object store.

use std::{
    collections::BTreeMap,
    fs,
    process::{Command, Output},
};

use pryv_backup_tests::{
    command::{run, text},
    folder::tree,
    object_store::ObjectStore,
    sampled::Stage,
};
use serde_json::Value;

pub const KEY: [&str; 2] = ["--private-key", "key.pem"];
pub const BACKUP: [&str; 9] = [
    "--platform",
    "none",
    "--config",
    "platform/config.yml",
    "--pryv-root",
    "platform",
    "--recipient-pubkey",
    "key.pub.pem",
    "--output",
];

/// A platform, and a store that is reached directly or by way of a proxy.
pub struct Work<'s> {
    pub stage: &'s Stage,
    pub store: &'s ObjectStore,
    pub port: u16,
}

impl<'s> Work<'s> {
    pub fn of(stage: &'s Stage, store: &'s ObjectStore) -> Self {
        Work {
            stage,
            store,
            port: store.port,
        }
    }

    /// The same, by way of a proxy at `port`.
    pub fn by_way_of(&self, port: u16) -> Self {
        Work { port, ..*self }
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.stage.command(args);
        self.store.reach(&mut command, self.port);
        command.env("PRYV_BACKUP_STATE_DIR", self.stage.at("state"));
        command
    }

    pub fn run(&self, args: &[&str]) -> Output {
        run(&mut self.command(args))
    }

    pub fn good(&self, args: &[&str]) -> String {
        let done = self.run(args);
        assert!(done.status.success(), "{args:?}: {}", text(&done));
        text(&done)
    }

    pub fn ends(&self, args: &[&str], code: i32) -> String {
        let done = self.run(args);
        assert_eq!(done.status.code(), Some(code), "{args:?}: {}", text(&done));
        text(&done)
    }

    pub fn backup(&self, place: &str, more: &[&str]) -> String {
        self.good(&[&BACKUP[..], &[place], more].concat())
    }

    /// Verifies with the key and without it.
    pub fn is_good(&self, place: &str) {
        for secret in [&KEY[..], &[]] {
            let report = self.good(&[&["verify", place, "--json"], secret].concat());
            let last = report.lines().rfind(|line| line.starts_with('{')).unwrap();
            let report: Value = serde_json::from_str(last).unwrap();
            assert_eq!(report["verdict"], "good", "{place}: {report}");
            assert_eq!(report["warnings"], serde_json::json!([]), "{place}");
        }
    }

    /// Compares two backups, record by record.
    pub fn is_same(&self, one: &str, other: &str) {
        let said = self.good(&[&["diff", one, other, "--json"], &KEY[..]].concat());
        let last = said.lines().rfind(|line| line.starts_with('{')).unwrap();
        let diff: Value = serde_json::from_str(last).unwrap();
        assert_eq!(diff["same"], true, "{one} and {other}: {diff}");
    }

    /// The content of an archive, decrypted and inflated.
    pub fn content(&self, place: &str) -> BTreeMap<String, Vec<u8>> {
        let _ = fs::remove_dir_all(self.stage.at("opened"));
        self.good(&[&["decrypt", place, "--gunzip", "--out", "opened"], &KEY[..]].concat());
        let mut files = tree(&self.stage.at("opened"));
        files.retain(|path, _| !path.ends_with("manifest.json"));
        files
    }
}

/// The one line in which a command ends.
pub fn error_line(said: &str) -> &str {
    let errors: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("error: "))
        .collect();
    assert_eq!(errors.len(), 1, "{said}");
    errors[0]
}
