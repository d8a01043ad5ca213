//! A small platform, a key, and archives of the one to the other.

use std::{
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    command::{run, text, tool},
    folder::tree,
};

/// The sample platform in `platform`, and a key pair in `key.pem` and `key.pub.pem`.
pub struct Stage {
    dir: TempDir,
}

impl Default for Stage {
    fn default() -> Self {
        Stage::new()
    }
}

impl Stage {
    /// Makes both.
    ///
    /// # Panics
    /// When a command fails.
    #[must_use]
    pub fn new() -> Self {
        let stage = Stage {
            dir: TempDir::new().unwrap(),
        };
        stage.good(&["sample", "platform"]);
        stage.key("key.pem");
        stage
    }

    /// A key pair of that name; its fingerprint.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn key(&self, name: &str) -> String {
        let said = self.good(&["keygen", "--bits", "2048", "--output", name]);
        let line = said
            .lines()
            .find_map(|line| line.strip_prefix("fingerprint: "));
        line.unwrap().to_owned()
    }

    /// Where something is.
    #[must_use]
    pub fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A command that is not yet run.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(tool());
        command.current_dir(self.dir.path()).args(args);
        command
    }

    /// Runs a command, whatever comes of it.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn run(&self, args: &[&str]) -> Output {
        run(&mut self.command(args))
    }

    /// Starts a command.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(&self, args: &[&str]) -> Child {
        let mut command = self.command(args);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    /// Output of a command that must succeed.
    ///
    /// # Panics
    /// When it does not.
    pub fn good(&self, args: &[&str]) -> String {
        self.ends(args, 0)
    }

    /// Standard output of a command that must end with that code.
    ///
    /// # Panics
    /// When it ends with another.
    pub fn ends(&self, args: &[&str], code: i32) -> String {
        let done = self.run(args);
        assert_eq!(done.status.code(), Some(code), "{args:?}: {}", text(&done));
        String::from_utf8(done.stdout).unwrap()
    }

    /// The JSON that a command prints that succeeds; of several lines the last.
    ///
    /// # Panics
    /// When it fails, or prints something else.
    #[must_use]
    pub fn json(&self, args: &[&str]) -> Value {
        self.json_of(args, 0)
    }

    /// The same of one that ends with that code.
    ///
    /// # Panics
    /// When it ends with another, or prints something else.
    #[must_use]
    pub fn json_of(&self, args: &[&str], code: i32) -> Value {
        let said = self.ends(args, code);
        serde_json::from_str(said.lines().last().unwrap()).unwrap()
    }

    /// A backup of that name to the key.
    ///
    /// # Panics
    /// When it fails.
    pub fn backup(&self, name: &str) {
        self.backup_with(name, &["--recipient-pubkey", "key.pub.pem"]);
    }

    /// A backup of that name with other options.
    ///
    /// # Panics
    /// When it fails.
    pub fn backup_with(&self, name: &str, more: &[&str]) {
        let place = ["--pryv-root", "platform", "--config", "platform/config.yml"];
        let how = ["--platform", "none", "--quiet", "--output", name];
        self.ends(&[&place[..], &how, more].concat(), 0);
    }

    /// A chain of two runs in `files` and in `volumes`; the state is in `state`.
    ///
    /// # Panics
    /// When a command fails.
    #[must_use]
    pub fn with_chains() -> Self {
        let stage = Stage::new();
        let to = ["--recipient-pubkey", "key.pub.pem"];
        let chain = ["--incremental", "--state-dir", "state"];
        for run in 1..=2 {
            stage.backup_with("files", &[&to[..], &chain].concat());
            let change = format!("UPDATE events SET modified = {run}");
            stage.sql("local-1.0.0.sqlite", &change);
        }
        let how = ["--layout", "volumes", "--volume-size", "64K", "--jobs", "1"];
        stage.good(&[&["copy", "files", "volumes"], &how[..]].concat());
        stage
    }

    /// A file of the platform, by a part of its path.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn file(&self, part: &str) -> PathBuf {
        let platform = self.at("platform");
        let found = tree(&platform).into_keys().find(|p| p.contains(part));
        platform.join(found.unwrap())
    }

    /// Changes a database of the platform.
    ///
    /// # Panics
    /// When it refuses.
    pub fn sql(&self, file: &str, statements: &str) {
        let database = Connection::open(self.file(file)).unwrap();
        database.execute_batch(statements).unwrap();
    }
}
