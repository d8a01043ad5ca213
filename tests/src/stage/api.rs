//! The platform that was filled through Pryv's HTTP API: base and series in PostgreSQL, audit in SQLite, its own entries in rqlite.

use super::{CORE, Platform, Stage, TABLES};
use crate::folder;
use crate::rqlite::{Scratch, Setup};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

impl Stage {
    /// The files of that platform, unpacked, with Pryv's own archive of it in `pryv-archive`.
    ///
    /// # Panics
    /// When they cannot be unpacked.
    #[must_use]
    pub fn api_files(&self) -> PathBuf {
        let files = self.at("platform-api");
        if !files.exists() {
            let unpacked = Command::new("tar")
                .arg("xzf")
                .arg(self.fixtures.join("platform-api.tar.gz"))
                .arg("-C")
                .arg(self.dir.path())
                .status();
            assert!(unpacked.unwrap().success());
        }
        files
    }

    /// That platform; `None` where PostgreSQL is not installed.
    ///
    /// # Panics
    /// When it cannot be copied.
    #[must_use]
    pub fn api_fixture(&self) -> Option<Platform<'_>> {
        let files = self.api_files();
        let database = self.server()?.load(&files.join("dump.sql.gz"));
        let platform = self.api_like(database);
        folder::copy(&files.join("users"), &platform.users);
        let rows = fs::read(files.join("platform-keyvalue.json")).unwrap();
        let rows: Vec<Value> = serde_json::from_slice(&rows).unwrap();
        let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
        let rows: Vec<_> = rows
            .iter()
            .map(|row| (text(row, "key"), text(row, "value")))
            .filter(|(key, _)| key != "core-info/single")
            .collect();
        let rqlite = platform.rqlite.as_ref().unwrap();
        rqlite.fill(rows.iter().map(|(k, v)| (k.as_str(), v.as_str())));
        Some(self.with_api_accounts(platform))
    }

    /// One like it without anybody.
    #[must_use]
    pub fn api_empty(&self) -> Option<Platform<'_>> {
        let server = self.server()?;
        let database = server.load(&self.api_files().join("dump.sql.gz"));
        let tables: Vec<&str> = TABLES.into_iter().filter(|t| *t != "platform_kv").collect();
        server.sql(&database, &format!("TRUNCATE {}", tables.join(", ")));
        Some(self.with_api_accounts(self.api_like(database)))
    }

    fn api_like(&self, database: String) -> Platform<'_> {
        let rqlite = Scratch::new(Setup::default());
        rqlite.fill([("core-info/single", CORE)]);
        let settings = [
            (
                "storages__engines__postgresql__port",
                self.server().unwrap().port.to_string(),
            ),
            ("storages__engines__postgresql__database", database.clone()),
            ("storages__engines__postgresql__user", "postgres".to_owned()),
            ("storages__engines__rqlite__url", rqlite.url.clone()),
        ];
        let users = self.new_folder("api");
        self.platform(users, Some(rqlite), Some(database), settings)
    }

    /// A platform whose accounts have the fields of that one.
    ///
    /// # Panics
    /// When the configuration cannot be written.
    #[must_use]
    pub fn with_api_accounts<'s>(&'s self, platform: Platform<'s>) -> Platform<'s> {
        let path = self.at("api-accounts.yml");
        let fields = "custom:\n  systemStreams:\n    account:\n    - { id: email, isIndexed: true, isUnique: true, type: email/string }\n    \
            - { id: insurancenumber, isIndexed: true, isUnique: true, type: identifier/string }\n    \
            - { id: phone, isIndexed: true, isUnique: false, type: note/txt }\n";
        fs::write(&path, fields).unwrap();
        platform.with("config", path.to_str().unwrap())
    }
}
