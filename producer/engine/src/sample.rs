//! A small platform of made-up people, always the same, for demonstrations and tests.

use crate::files;
use rusqlite::{Connection, params};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Its people: user id, username, first name.
const PEOPLE: [(&str, &str, &str); 3] = [
    ("csample0000000000000alice", "alice", "Alice"),
    ("csample00000000000000zoe", "zoe-m", "Zoë"),
    ("csample00000000000000ken", "ken01", "健"),
];

/// The moment at which its story begins, seconds since 1970.
const START: f64 = 1_780_000_000.5;
/// Notes per person.
const NOTES: u32 = 40;
/// Points of the series of each person.
const POINTS: i64 = 250;

/// Why the sample could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// A file cannot be written.
    #[error("cannot write {path}: {source}; choose an empty folder that this user may write to")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
    /// SQLite refuses.
    #[error("cannot write the sample platform: {0}; choose an empty folder")]
    Sqlite(#[from] rusqlite::Error),
}

/// Writes a platform with SQLite engines into `dir`: `users/` and a `config.yml` that points to it.
///
/// # Errors
/// When `dir` cannot be written or holds a platform already.
pub fn create_sample_platform(dir: &Path) -> Result<(), SampleError> {
    let users = dir.join("users");
    make_dir(&users)?;
    let index = create(&users.join("user-index.db"), INDEX_SCHEMA)?;
    for (number, (id, username, name)) in PEOPLE.iter().enumerate() {
        index.execute("INSERT INTO id4name VALUES (?, ?)", [username, id])?;
        let person = Person {
            id,
            username,
            name,
            start: START + 1000.0 * f64::from(u32::try_from(number).unwrap_or(0)),
        };
        person.write(&users)?;
    }
    // JSON strings are YAML strings too, whatever the path holds.
    let path = serde_json::Value::from(users.display().to_string());
    let config = format!(
        "storages:\n  base: {{ engine: sqlite }}\n  audit: {{ engine: sqlite }}\n  series: {{ engine: sqlite }}\n  \
         file: {{ engine: filesystem }}\n  platform: {{ engine: rqlite }}\n  engines:\n    sqlite:\n      path: {path}\n\
         dnsLess:\n  publicUrl: https://sample.example/\n"
    );
    write_file(&dir.join("config.yml"), config.as_bytes())
}

struct Person<'a> {
    id: &'a str,
    username: &'a str,
    name: &'a str,
    start: f64,
}

impl Person<'_> {
    fn write(&self, users: &Path) -> Result<(), SampleError> {
        let folder = sharded(users, self.id);
        make_dir(&folder)?;
        self.base(&folder)?;
        self.account(&folder)?;
        self.events(&folder)?;
        self.audit(&folder)?;
        self.series(users)
    }

    fn base(&self, folder: &Path) -> Result<(), SampleError> {
        let base = create(&folder.join("baseStorage-1.0.0.sqlite"), BASE_SCHEMA)?;
        let (t, name) = (self.start, self.name);
        let streams = [
            ("diary", "null", "diary/", format!("{name} – journal 📓")),
            ("health", "null", "health/", "Santé & body".to_owned()),
            (
                "weight",
                "\"health\"",
                "health/weight/",
                "Weight".to_owned(),
            ),
            (
                "heart",
                "\"health\"",
                "health/heart/",
                "Heart \"rate\"".to_owned(),
            ),
            (
                "night",
                "\"heart\"",
                "health/heart/night/",
                "At night".to_owned(),
            ),
        ];
        for (id, parent, path, title) in streams {
            let title = serde_json::Value::from(title);
            let data = format!(
                r#"{{"name":{title},"parentId":{parent},"created":{t},"createdBy":"acc-app","modified":{t},"modifiedBy":"acc-app","path":"{path}"}}"#
            );
            base.execute("INSERT INTO streams VALUES (?, NULL, ?)", params![id, data])?;
        }
        base.execute(
            "INSERT INTO streams VALUES ('old', ?, '{\"path\":\"old/\"}')",
            [t + 5.25],
        )?;
        let access = |kind: &str, level: &str| {
            format!(
                r#"{{"token":"sample-{}-{kind}","name":"{kind} of {name}","type":"{kind}","permissions":[{{"streamId":"health","level":"{level}"}}],"created":{t},"createdBy":"system","modified":{t},"modifiedBy":"system"}}"#,
                self.username
            )
        };
        let insert = "INSERT INTO accesses VALUES (?, ?, ?, ?)";
        for (id, head, deleted, data) in [
            ("acc-app", None, None, access("app", "manage")),
            ("acc-app-v1", Some("acc-app"), None, access("app", "read")),
            ("acc-shared", None, None, access("shared", "read")),
            (
                "acc-gone",
                None,
                Some(t + 7.0),
                access("shared", "contribute"),
            ),
        ] {
            base.execute(insert, params![id, head, deleted, data])?;
        }
        let profile = format!(
            r#"{{"data":{{"name":"{name}","languages":["fr","en"],"big":9007199254740993}}}}"#
        );
        base.execute("INSERT INTO profile VALUES ('public', ?)", [profile])?;
        let hook = format!(
            r#"{{"accessId":"acc-app","url":"https://hook.example/{}","state":"active","runCount":0,"failCount":0}}"#,
            self.username
        );
        base.execute("INSERT INTO webhooks VALUES ('hook', NULL, ?)", [hook])?;
        Ok(())
    }

    fn account(&self, folder: &Path) -> Result<(), SampleError> {
        let account = create(&folder.join("account-1.0.0.sqlite"), ACCOUNT_SCHEMA)?;
        // A hash of the right shape that belongs to no password.
        let hash = format!(
            "$2b$10${}",
            "samplesample".repeat(5).get(..53).unwrap_or_default()
        );
        account.execute(
            "INSERT INTO passwords VALUES (?, ?, 'system')",
            params![self.start, hash],
        )?;
        account.execute(
            "INSERT INTO storeKeyValueData VALUES ('local', 'settings', '{\"theme\":\"dark\"}')",
            [],
        )?;
        let email = format!("\"{}@sample.example\"", self.username);
        for (field, value, after) in [
            ("email", "\"first@sample.example\"", 0.0),
            ("email", email.as_str(), 60.0),
            ("language", "\"fr\"", 0.0),
        ] {
            account.execute(
                "INSERT INTO account_fields VALUES (?, ?, ?, 'acc-app')",
                params![field, value, self.start + after],
            )?;
        }
        Ok(())
    }

    fn events(&self, folder: &Path) -> Result<(), SampleError> {
        let mut store = create(&folder.join("local-1.0.0.sqlite"), EVENTS_SCHEMA)?;
        let events = store.transaction()?;
        let insert = "INSERT INTO events (eventid, headId, streamIds, time, deleted, endTime, type, content, attachments, created, createdBy, modified, modifiedBy) \
                      VALUES (?1, ?2, ?3, ?4, NULL, ?5, ?6, ?7, ?8, ?4, 'acc-app', ?9, 'acc-app')";
        for n in 0..NOTES {
            let time = self.start + f64::from(n) * 3600.0;
            let (streams, kind, content) = if n % 2 == 0 {
                (
                    "diary ..",
                    "note/txt",
                    serde_json::Value::from(format!("{} n° {n}: 日記 ✍️ \"ça va\"", self.name))
                        .to_string(),
                )
            } else {
                (
                    "weight health ..",
                    "mass/kg",
                    format!("{}.{}", 60 + n % 7, n % 10),
                )
            };
            let none = None::<&str>;
            events.execute(
                insert,
                params![
                    format!("event-{n:04}"),
                    none,
                    streams,
                    time,
                    time,
                    kind,
                    content,
                    none,
                    time
                ],
            )?;
        }
        let time = self.start + 10.0;
        events.execute(
            insert,
            params![
                "event-0000-v1",
                "event-0000",
                "diary ..",
                time,
                time,
                "note/txt",
                "\"first draft\"",
                None::<&str>,
                time
            ],
        )?;
        events.execute(
            "INSERT INTO events (eventid, streamIds, deleted) VALUES ('event-gone', '..', ?)",
            [self.start + 99.0],
        )?;
        let series = params![
            "event-heart",
            None::<&str>,
            "heart night ..",
            time,
            None::<f64>,
            "series:frequency/bpm",
            "{}",
            None::<&str>,
            time
        ];
        events.execute(insert, series)?;

        let insert_files = |listed: String| {
            let none = None::<&str>;
            let (id, kind) = ("event-files", "file/attached-multiple");
            let values = params![id, none, "diary ..", time, time, kind, none, listed, time];
            events.execute(insert, values)
        };
        insert_files(self.attachments(folder)?)?;
        events.commit()?;
        Ok(())
    }

    /// Writes the attachments of one event, and returns how it lists them.
    fn attachments(&self, folder: &Path) -> Result<String, SampleError> {
        let portrait: Vec<u8> = (0..200_000_u32)
            .map(|i| u8::try_from(i.wrapping_mul(2_654_435_761) >> 24).unwrap_or(0))
            .collect();
        let letter = format!("Dear {},\nall is well.\n", self.name).into_bytes();
        let files: [(&str, &str, &[u8]); 3] = [
            ("file-portrait", "pörtrait 🖼.bin", &portrait),
            ("file-letter", "letter.txt", &letter),
            ("file-empty", "empty.txt", &[]),
        ];
        let listed: Vec<String> = files
            .iter()
            .map(|(id, name, bytes)| format!(r#"{{"id":"{id}","fileName":"{name}","type":"application/octet-stream","size":{}}}"#, bytes.len()))
            .collect();
        let place = folder.join("attachments").join("event-files");
        make_dir(&place)?;
        for (id, _, bytes) in files {
            write_file(&place.join(id), bytes)?;
        }
        Ok(format!("[{}]", listed.join(",")))
    }

    fn audit(&self, folder: &Path) -> Result<(), SampleError> {
        let mut store = create(&folder.join("audit-1.0.0.sqlite"), EVENTS_SCHEMA)?;
        let audit = store.transaction()?;
        for n in 0..20 {
            audit.execute(
                "INSERT INTO events (eventid, streamIds, time, endTime, type, content, created, createdBy, modified, modifiedBy) \
                 VALUES (?1, 'access-acc-app action-events.get ..', ?2, ?2, 'audit-log/pryv-api', \
                 '{\"source\":{\"name\":\"http\",\"ip\":\"127.0.0.1\"},\"action\":\"events.get\",\"query\":{}}', ?2, 'system', ?2, 'system')",
                params![format!("audit-{n:04}"), self.start + f64::from(n)],
            )?;
        }
        Ok(audit.commit()?)
    }

    fn series(&self, users: &Path) -> Result<(), SampleError> {
        let folder = sharded(users, &format!("user.{}", self.username));
        make_dir(&folder)?;
        let mut store = create(&folder.join("series-1.0.0.sqlite"), SERIES_SCHEMA)?;
        let points = store.transaction()?;
        for n in 0..POINTS {
            let fields = format!("{{\"value\":{}}}", 55 + n * 7 % 40);
            points.execute(
                "INSERT INTO series_data VALUES ('event.event-heart', ?1, ?1, ?2)",
                params![n * 1_000_000_007, fields],
            )?;
        }
        Ok(points.commit()?)
    }
}

/// The folder of an id: sharded by its last three characters, last first.
fn sharded(users: &Path, id: &str) -> PathBuf {
    let mut folder = users.to_owned();
    folder.extend(id.chars().rev().take(3).map(String::from));
    folder.join(id)
}

fn create(path: &Path, schema: &str) -> Result<Connection, SampleError> {
    let connection = Connection::open(path)?;
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;")?;
    connection.execute_batch(schema)?;
    Ok(connection)
}

fn make_dir(path: &Path) -> Result<(), SampleError> {
    fs::create_dir_all(path).map_err(|source| SampleError::Io {
        path: path.to_owned(),
        source,
    })
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), SampleError> {
    files::write(path, bytes).map_err(|source| SampleError::Io {
        path: path.to_owned(),
        source,
    })
}

const INDEX_SCHEMA: &str = "
    CREATE TABLE id4name (username TEXT PRIMARY KEY, userId TEXT NOT NULL);
    CREATE INDEX id4name_id ON id4name(userId);
    CREATE TABLE alias4id (alias TEXT PRIMARY KEY, userId TEXT NOT NULL);
    CREATE INDEX alias4id_id ON alias4id(userId);";

const BASE_SCHEMA: &str = "
    CREATE TABLE streams (id TEXT PRIMARY KEY, deleted INTEGER, data TEXT NOT NULL);
    CREATE TABLE accesses (id TEXT PRIMARY KEY, head_id TEXT, deleted INTEGER, data TEXT NOT NULL);
    CREATE TABLE webhooks (id TEXT PRIMARY KEY, deleted INTEGER, data TEXT NOT NULL);
    CREATE TABLE profile (id TEXT PRIMARY KEY, data TEXT NOT NULL);";

const ACCOUNT_SCHEMA: &str = "
    CREATE TABLE passwords (time REAL PRIMARY KEY, hash TEXT NOT NULL, createdBy TEXT NOT NULL);
    CREATE TABLE storeKeyValueData (storeId TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (storeId, key));
    CREATE TABLE account_fields (field TEXT NOT NULL, value TEXT, time REAL NOT NULL, createdBy TEXT NOT NULL, PRIMARY KEY (field, time));";

/// Without the full-text index of Pryv.io, which reading does not need.
const EVENTS_SCHEMA: &str = "
    CREATE TABLE events (eventid TEXT UNIQUE, headId TEXT DEFAULT NULL, streamIds TEXT, time REAL, deleted REAL DEFAULT NULL,
      endTime REAL, type TEXT, content TEXT, description TEXT, clientData TEXT, integrity TEXT, attachments TEXT,
      trashed INTEGER DEFAULT 0, created REAL, createdBy TEXT, modified REAL, modifiedBy TEXT);";

const SERIES_SCHEMA: &str = "
    CREATE TABLE series_data (event_id TEXT NOT NULL, point_time INTEGER NOT NULL, delta_time INTEGER NOT NULL,
      fields TEXT NOT NULL, PRIMARY KEY (event_id, point_time));
    CREATE INDEX idx_event_delta ON series_data(event_id, delta_time);";
