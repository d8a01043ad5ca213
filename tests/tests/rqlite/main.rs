//! The platform's entries in rqlite: what a backup holds of them, and how it fails when they cannot be read. With
//! `RQLITE_URL`, the address of a real and empty rqlite server, what holds for the server here must hold for that one too.
#![allow(clippy::unwrap_used, clippy::panic)]

mod entries;
mod server;

use pryv_backup_tests::command::{run, text, tool};
use serde_json::{Value, json};
use std::fs;
use std::process::{Command, Output};
use tempfile::TempDir;

/// The sample platform with its index in an rqlite server.
struct Platform {
    folder: TempDir,
}

impl Platform {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let made = run(Command::new(tool())
            .arg("sample")
            .arg(folder.path().join("platform")));
        assert!(made.status.success(), "{}", text(&made));
        Self { folder }
    }

    /// The default backup, unencrypted, without compression.
    fn backup(&self, name: &str, url: &str) -> Output {
        self.backup_with(name, url, &[])
    }

    fn backup_with(&self, name: &str, url: &str, flags: &[&str]) -> Output {
        run(&mut self.command(name, url, flags))
    }

    fn command(&self, name: &str, url: &str, flags: &[&str]) -> Command {
        let mut command = Command::new(tool());
        command
            .args(flags)
            .env("storages__engines__rqlite__url", url)
            // The way to the Internet is not the way to a server beside us.
            .env("HTTP_PROXY", "http://127.0.0.1:1")
            .arg("--pryv-root")
            .arg(self.folder.path())
            .arg("--config")
            .arg(self.folder.path().join("platform/config.yml"))
            .args(["--no-compress", "--output"])
            .arg(self.folder.path().join(name));
        command
    }

    /// The lines of the platform file of a backup that succeeds.
    fn entries(&self, name: &str, url: &str) -> Vec<Value> {
        let made = self.backup(name, url);
        assert_eq!(made.status.code(), Some(0), "{}", text(&made));
        let archive = self.folder.path().join(name);
        let manifest = fs::read(archive.join("manifest.json")).unwrap();
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        assert_eq!(manifest["platform"]["mode"], "full");
        let lines = fs::read_to_string(archive.join("platform/platform.jsonl")).unwrap();
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The one line of a backup that fails, and leaves nothing behind.
    fn failure(&self, name: &str, url: &str) -> String {
        let made = self.backup(name, url);
        let said = text(&made);
        assert_eq!(made.status.code(), Some(1), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.starts_with("error: rqlite at http"), "{said}");
        assert!(said.contains("storages.engines.rqlite.url"), "{said}");
        let left: Vec<_> = fs::read_dir(self.folder.path().join(name))
            .map(|entries| entries.map(|e| e.unwrap().path()).collect())
            .unwrap_or_default();
        assert!(left.is_empty(), "{left:?}");
        said
    }
}

fn unique(field: &str, username: &str, value: &str) -> Value {
    json!({ "isUnique": true, "field": field, "username": username, "value": value })
}

fn indexed(field: &str, username: &str, value: &str) -> Value {
    json!({ "isUnique": false, "field": field, "username": username, "value": value })
}
