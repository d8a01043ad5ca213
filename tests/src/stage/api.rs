//! The fixture platform that was filled through Pryv's own API, one of whose users was renamed.

use super::{Platform, Stage};
use crate::rqlite::{Scratch, Setup};
use serde_json::Value;
use std::{fs, process::Command};

impl Stage {
    /// The platform: base and series in PostgreSQL, the audit trail in SQLite, keys in rqlite. `None` where PostgreSQL is not installed.
    ///
    /// # Panics
    /// When it cannot be unpacked.
    #[must_use]
    pub fn api_fixture(&self) -> Option<Platform<'_>> {
        let server = self.server()?;
        let folder = self.new_folder("api");
        fs::create_dir_all(&folder).unwrap();
        let unpacked = Command::new("tar")
            .arg("-xzf")
            .arg(self.fixtures.join("platform-api.tar.gz"))
            .arg("-C")
            .arg(&folder)
            .args(["--strip-components=1", "--exclude=pryv-archive"])
            .status();
        assert!(unpacked.unwrap().success());
        let rqlite = Scratch::new(Setup::default());
        let rows = fs::read(folder.join("platform-keyvalue.json")).unwrap();
        let rows: Vec<Value> = serde_json::from_slice(&rows).unwrap();
        let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
        let rows = rows
            .iter()
            .map(|row| (text(row, "key"), text(row, "value")));
        let rows: Vec<_> = rows.collect();
        rqlite.fill(
            rows.iter()
                .map(|(key, value)| (key.as_str(), value.as_str())),
        );
        let database = server.load(&folder.join("dump.sql.gz"));
        let users = folder.join("users");
        let settings = [
            ("storages__engines__rqlite__url", rqlite.url.clone()),
            (
                "storages__engines__postgresql__port",
                server.port.to_string(),
            ),
            ("storages__engines__postgresql__database", database.clone()),
            ("storages__engines__postgresql__user", "postgres".to_owned()),
        ];
        let platform = self.platform(users, Some(rqlite), Some(database), settings);
        Some(self.with_api_accounts(platform))
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
