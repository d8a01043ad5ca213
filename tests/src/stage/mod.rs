//! Platforms of either engine beside each other, archives between them, and all that a platform holds as rows to compare.

mod api;
mod rename;
mod rows;

pub use rows::{Rows, TABLES, assert_full_text, assert_paths, of_files, of_user};

use crate::command::{run, text, tool};
use crate::folder;
use crate::need;
use crate::postgres::Postgres;
use crate::rqlite::{Scratch, Setup, post};
use serde_json::{Value, json};
use std::cell::{Cell, OnceCell};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A folder for platforms and archives, and a PostgreSQL server when one is asked for.
pub struct Stage {
    dir: TempDir,
    /// The sample data made by Pryv.io itself.
    pub fixtures: PathBuf,
    server: OnceCell<Option<Postgres>>,
    /// Databases with the fixture platform, and with nobody, that others are copied from.
    templates: OnceCell<[String; 2]>,
    made: Cell<usize>,
}

/// A platform that can be backed up and restored into.
pub struct Platform<'s> {
    /// The folder of the users' files.
    pub users: PathBuf,
    /// The platform's own database, when it is rqlite.
    pub rqlite: Option<Scratch>,
    /// The PostgreSQL database, when that is the base engine.
    pub database: Option<String>,
    stage: &'s Stage,
    settings: Vec<(String, String)>,
}

/// The engines of a platform, by Pryv.io's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Engines {
    /// Streams, accesses, profiles, webhooks, events, accounts.
    pub base: &'static str,
    /// High-frequency series.
    pub series: &'static str,
    /// The audit trail.
    pub audit: &'static str,
    /// Attachments.
    pub files: &'static str,
    /// The platform's own database.
    pub platform: &'static str,
}

impl std::fmt::Display for Engines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            base,
            series,
            audit,
            files,
            platform,
        } = self;
        write!(f, "{base}, {series}, {audit}, {files}, {platform}")
    }
}

impl Stage {
    /// `None` (and a line that says so) where the fixtures are absent.
    ///
    /// # Panics
    /// When no folder can be made.
    #[must_use]
    pub fn new() -> Option<Self> {
        Some(Self {
            dir: in_memory().unwrap_or_else(|| TempDir::new().unwrap()),
            fixtures: need::fixtures()?,
            server: OnceCell::new(),
            templates: OnceCell::new(),
            made: Cell::new(0),
        })
    }

    /// A path below the stage's folder.
    #[must_use]
    pub fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The server; `None` (and a line that says so) where PostgreSQL is not installed.
    pub fn server(&self) -> Option<&Postgres> {
        self.server.get_or_init(Postgres::start).as_ref()
    }

    fn new_folder(&self, kind: &str) -> PathBuf {
        self.made.set(self.made.get() + 1);
        self.at(&format!("{kind}-{}", self.made.get()))
    }

    /// A platform of the SQLite engine without anybody, which knows its core as any that was started once.
    #[must_use]
    pub fn sqlite(&self) -> Platform<'_> {
        let rqlite = Scratch::new(Setup::default());
        rqlite.fill([("core-info/single", CORE)]);
        let users = self.new_folder("sqlite");
        let settings = [
            ("storages__base__engine", "sqlite".to_owned()),
            ("storages__series__engine", "sqlite".to_owned()),
            ("storages__engines__rqlite__url", rqlite.url.clone()),
        ];
        self.platform(users, Some(rqlite), None, settings)
    }

    /// The fixture platform of the SQLite engine.
    ///
    /// # Panics
    /// When it cannot be copied.
    #[must_use]
    pub fn sqlite_fixture(&self) -> Platform<'_> {
        let platform = self.sqlite();
        let from = self.fixtures.join("platform-sqlite");
        folder::copy(&from.join("users"), &platform.users);
        let rows = fs::read(from.join("platform-keyvalue.json")).unwrap();
        let rows: Vec<Value> = serde_json::from_slice(&rows).unwrap();
        let rows: Vec<_> = rows
            .iter()
            .map(|row| [row["key"].as_str().unwrap(), row["value"].as_str().unwrap()])
            .filter(|[key, _]| *key != "core-info/single")
            .collect();
        let scratch = platform.rqlite.as_ref().unwrap();
        scratch.fill(rows.iter().map(|[k, v]| (*k, *v)));
        platform
    }

    /// A platform of the PostgreSQL engine without anybody, started once; everything but attachments is in the database.
    /// `None` where PostgreSQL is not installed.
    #[must_use]
    pub fn postgres(&self) -> Option<Platform<'_>> {
        self.postgres_like(1)
    }

    /// The fixture platform of the PostgreSQL engine.
    #[must_use]
    pub fn postgres_fixture(&self) -> Option<Platform<'_>> {
        let platform = self.postgres_like(0)?;
        folder::copy(
            &self.fixtures.join("platform-postgresql/users"),
            &platform.users,
        );
        Some(platform)
    }

    fn postgres_like(&self, template: usize) -> Option<Platform<'_>> {
        let server = self.server()?;
        let templates = self.templates.get_or_init(|| self.make_templates(server));
        let database = server.copy_of(&templates[template]);
        let users = self.new_folder("postgres");
        let settings = [
            (
                "storages__engines__postgresql__port",
                server.port.to_string(),
            ),
            ("storages__engines__postgresql__database", database.clone()),
            ("storages__engines__postgresql__user", "postgres".to_owned()),
            ("storages__platform__engine", "postgresql".to_owned()),
            ("storages__audit__engine", "postgresql".to_owned()),
        ];
        Some(self.platform(users, None, Some(database), settings))
    }

    /// A platform of these engines without anybody, started once. Where its series or files are on another server, the caller says where. `None`
    /// where PostgreSQL is not installed.
    #[must_use]
    pub fn mixed(&self, engines: Engines) -> Option<Platform<'_>> {
        let mut platform = self.postgres_like(1)?;
        if engines.platform == "rqlite" {
            let rqlite = Scratch::new(Setup::default());
            rqlite.fill([("core-info/single", CORE)]);
            platform = platform.with("storages__engines__rqlite__url", &rqlite.url);
            platform.rqlite = Some(rqlite);
        }
        for (kind, engine) in [
            ("base", engines.base),
            ("series", engines.series),
            ("audit", engines.audit),
            ("file", engines.files),
            ("platform", engines.platform),
        ] {
            platform = platform.with(&format!("storages__{kind}__engine"), engine);
        }
        Some(platform)
    }

    /// A platform that holds the same as another, which nobody may be using.
    ///
    /// # Panics
    /// When it cannot be copied.
    #[must_use]
    pub fn copy<'s>(&'s self, platform: &Platform<'s>) -> Platform<'s> {
        let mut copy = match &platform.database {
            None => self.sqlite(),
            Some(database) => {
                let server = self.server().unwrap();
                let database = server.copy_of(database);
                let users = self.new_folder("postgres");
                let name = ("storages__engines__postgresql__database", database.clone());
                self.platform(users, None, Some(database), [name])
            }
        };
        let own: Vec<String> = copy.settings.iter().map(|(key, _)| key.clone()).collect();
        let others = platform.settings.iter();
        copy.settings
            .extend(others.filter(|(key, _)| !own.contains(key)).cloned());
        if platform.users.exists() {
            folder::copy(&platform.users, &copy.users);
        }
        if let Some(rqlite) = &copy.rqlite {
            let entries = platform.entries();
            let entries = entries.iter().filter(|(key, _)| key != "core-info/single");
            let entries: Vec<_> = entries.map(|(k, v)| (k.as_str(), v.as_str())).collect();
            if !entries.is_empty() {
                rqlite.fill(entries);
            }
        }
        copy
    }

    fn make_templates(&self, server: &Postgres) -> [String; 2] {
        let full = server.load(&self.fixtures.join("platform-postgresql/dump.sql.gz"));
        let empty = server.copy_of(&full);
        let core = format!("INSERT INTO platform_kv VALUES ('core-info/single', '{CORE}')");
        server.sql(&empty, &format!("TRUNCATE {}; {core}", TABLES.join(", ")));
        [full, empty]
    }

    fn platform<const N: usize>(
        &self,
        users: PathBuf,
        rqlite: Option<Scratch>,
        database: Option<String>,
        settings: [(&str, String); N],
    ) -> Platform<'_> {
        let own = settings.map(|(key, value)| (key.to_owned(), value));
        Platform {
            users,
            rqlite,
            database,
            stage: self,
            settings: own.into(),
        }
        .with("platform__piiMode", "cleartext")
    }

    /// The key that opens the archives made here.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.fixtures.join("keys/recipient.key.pem")
    }

    /// Where two archives made here differ, as `diff --json` says.
    ///
    /// # Panics
    /// When they cannot be compared.
    #[must_use]
    pub fn diff(&self, old: &Path, new: &Path) -> Value {
        let found = run(Command::new(tool())
            .arg("diff")
            .args([old, new])
            .args(["--json", "--private-key"])
            .arg(self.key()));
        assert_eq!(found.status.code(), Some(0), "{}", text(&found));
        serde_json::from_slice(&found.stdout).unwrap()
    }

    /// Opens an archive made here, records in the clear, and returns the folder.
    ///
    /// # Panics
    /// When it does not open.
    #[must_use]
    pub fn open(&self, archive: &Path) -> PathBuf {
        self.open_run(archive, None)
    }

    /// The same of a run that was torn from its chain, or of the state at a run.
    ///
    /// # Panics
    /// When that fails.
    #[must_use]
    pub fn open_run(&self, archive: &Path, at: Option<usize>) -> PathBuf {
        let out = self.new_folder("opened");
        let mut command = Command::new(tool());
        command.arg("decrypt").arg(archive).arg("--gunzip");
        if archive.join("encryption.json").exists() {
            command.arg("--private-key").arg(self.key());
        }
        if let Some(at) = at {
            command.arg("--at").arg(at.to_string());
        }
        let opened = run(command.arg("--out").arg(&out));
        assert_eq!(opened.status.code(), Some(0), "{}", text(&opened));
        out
    }
}

/// A folder on a file system in memory, where there is one: what is synchronised with the disk at every step is slow otherwise.
fn in_memory() -> Option<TempDir> {
    TempDir::new_in("/dev/shm").ok()
}

/// How long a killed run's connections may stay on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(120);

/// The description that a single core gives of itself.
const CORE: &str = r#"{"id":"single","available":true}"#;

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
