//! A platform of a stage: commands on it, and what it holds.

use super::{Rows, Stage, TABLES, of_files};
use crate::command::{run, text, tool};
use crate::rqlite::{Scratch, post};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A platform that can be backed up and restored into.
pub struct Platform<'s> {
    /// The folder of the users' files.
    pub users: PathBuf,
    /// The platform's own database, when it is rqlite.
    pub rqlite: Option<Scratch>,
    /// The PostgreSQL database, when something is there.
    pub database: Option<String>,
    pub(super) stage: &'s Stage,
    pub(super) settings: Vec<(String, String)>,
}

/// How long a killed run's connections may stay on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(120);

impl Platform<'_> {
    /// The same with another setting, as a variable of the environment.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.settings.retain(|(known, _)| known != key);
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }

    /// The command, told where the platform is.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(tool());
        command
            .current_dir(self.stage.dir.path())
            .env("storages__engines__sqlite__path", &self.users)
            .envs(self.settings.iter().map(|(k, v)| (k, v)))
            .stdin(Stdio::null());
        command
    }

    /// Backs everything up into a new archive, which is returned.
    ///
    /// # Panics
    /// When that fails, or anything is lost.
    #[must_use]
    pub fn backup(&self, name: &str) -> PathBuf {
        let archive = self.stage.at(name);
        let made = run(self
            .command()
            .args(["--include-ephemeral", "--quiet", "--recipient-pubkey"])
            .arg(self.stage.fixtures.join("keys/recipient.pub.pem"))
            .arg("--output")
            .arg(&archive));
        assert_eq!(made.status.code(), Some(0), "{}", text(&made));
        archive
    }

    /// Restores an archive, with `--json` and these flags.
    #[must_use]
    pub fn restore(&self, archive: &Path, flags: &[&str]) -> Output {
        run(&mut self.restoring(archive, flags))
    }

    /// The same, not yet started.
    #[must_use]
    pub fn restoring(&self, archive: &Path, flags: &[&str]) -> Command {
        let mut command = self.command();
        command
            .args(["--create-users-dir", "--restore"])
            .arg(archive)
            .arg("--json");
        if archive.join("encryption.json").exists() {
            command.arg("--private-key").arg(self.stage.key());
        }
        command.args(flags).env_remove("PRYV_BACKUP_PASSPHRASE");
        command
    }

    /// Runs statements in its database.
    ///
    /// # Panics
    /// When it has none, or one fails.
    pub fn sql(&self, statements: &str) -> String {
        let database = self.database.as_ref().unwrap();
        self.stage.server().unwrap().sql(database, statements)
    }

    /// A number from its database.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn count(&self, statement: &str) -> usize {
        self.sql(statement).parse().unwrap()
    }

    /// Everything that it holds.
    #[must_use]
    pub fn rows(&self) -> Rows {
        let mut all = of_files(&self.users);
        if self.database.is_some() {
            let outside = |table: &str| table == "platform_kv" && self.rqlite.is_some();
            let tables: Vec<_> = TABLES.into_iter().filter(|table| !outside(table)).collect();
            for table in &tables {
                all.insert((*table).to_owned(), BTreeSet::new());
            }
            // One question for all: each costs a program and a process of the server.
            let each = tables
                .iter()
                .map(|table| format!("SELECT '{table}', to_jsonb(t)::text FROM {table} t"));
            let rows = self.sql(&each.collect::<Vec<_>>().join(" UNION ALL "));
            for line in rows.lines() {
                let (table, row) = line.split_once('|').unwrap();
                all.entry(table.to_owned())
                    .or_default()
                    .insert(row.to_owned());
            }
        }
        if self.rqlite.is_some() {
            let entries = self.entries().into_iter();
            all.insert(
                "keyValue".to_owned(),
                entries.map(|(k, v)| format!("{k} = {v}")).collect(),
            );
        }
        all
    }

    /// The entries of the platform's own database.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn entries(&self) -> BTreeSet<(String, String)> {
        let Some(rqlite) = &self.rqlite else {
            let rows = self.sql("SELECT json_build_array(key, value)::text FROM platform_kv");
            let rows = rows.lines().filter(|line| !line.is_empty());
            return rows.map(|row| serde_json::from_str(row).unwrap()).collect();
        };
        let all = json!(["SELECT key, value FROM keyValue"]);
        let (_, answer) = post(&rqlite.url, "/db/query", &all);
        let rows = answer["results"][0]["values"].clone();
        match rows {
            Value::Null => BTreeSet::new(),
            rows => serde_json::from_value(rows).unwrap(),
        }
    }

    /// Waits until a killed run's connections are gone from the server.
    ///
    /// # Panics
    /// When they stay.
    pub fn wait_until_alone(&self) {
        if self.database.is_none() {
            return;
        }
        let busy = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let deadline = Instant::now() + PATIENCE;
        while self.sql(busy) != "0" {
            assert!(Instant::now() < deadline, "somebody is still connected");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Removes all of it, to save room.
    pub fn remove(self) {
        let _ = fs::remove_dir_all(&self.users);
        if let Some(database) = &self.database {
            let drop = format!("DROP DATABASE {database} WITH (FORCE)");
            self.stage.server().unwrap().sql("postgres", &drop);
        }
    }

    /// Whether a restore has left anything beside the users' folders.
    #[must_use]
    pub fn is_left_clean(&self) -> bool {
        !self.users.join(".pryv-backup-restore").exists()
    }
}
