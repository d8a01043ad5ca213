//! Platforms of either engine beside each other, archives between them, and all that a platform holds as rows to compare.

mod api;
mod engines;
mod platform;
mod rename;
mod rows;

pub use engines::{BESIDE, Engines};
pub use platform::Platform;
pub use rows::{Rows, TABLES, assert_full_text, assert_paths, of_files, of_user};

use crate::command::{run, text, tool};
use crate::folder;
use crate::need;
use crate::postgres::Postgres;
use crate::rqlite::{Scratch, Setup};
use serde_json::Value;
use std::cell::{Cell, OnceCell};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
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
                let copy = self.platform(users, None, Some(database), [name]);
                match platform.rqlite {
                    None => copy,
                    Some(_) => copy.with_rqlite(),
                }
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

/// The description that a single core gives of itself.
const CORE: &str = r#"{"id":"single","available":true}"#;
