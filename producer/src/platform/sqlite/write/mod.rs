//! The way back in for the SQLite engine: new files for each user, put in the place of the old ones.

pub mod rows;
mod store;
mod user;

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use self::store::failed;
pub use self::user::{SqliteUser, path};
use super::{SqlitePlatform, schema};
use crate::platform::json::Fields;
use crate::platform::staging::{Journal, Mark, Staging, refused};
use crate::platform::write::{
    Obstacle, PlatformWriter, Recovered, RestoreError, SharedWriter, Unheld, UserWriter,
};
use crate::platform::{Collection, Platform, Shared, User, rqlite};

/// A platform whose base engine is SQLite, as one that takes users.
pub struct SqliteWriter {
    users_dir: PathBuf,
    index: Option<rqlite::Rqlite>,
    staging: Staging,
    /// Where the archive comes from: what is JSON text in this engine is JSON in the other.
    pub(super) from_sqlite: bool,
}

impl SqliteWriter {
    /// The platform in `users_dir`, which is made when it is missing; `index` is its own database, left alone when `None`.
    ///
    /// # Errors
    /// When the folder cannot be written, or when another restore is at work there.
    pub fn new(
        users_dir: &Path,
        index: Option<rqlite::Rqlite>,
        from_sqlite: bool,
    ) -> Result<Self, RestoreError> {
        Ok(Self {
            users_dir: users_dir.to_owned(),
            index,
            staging: Staging::open(users_dir)?,
            from_sqlite,
        })
    }

    /// Does what a journal has decided.
    pub(super) fn stand(&self, journal: Journal) -> Result<(), RestoreError> {
        journal.place()?;
        let (path, index) = self.open_index()?;
        let User { user_id, username } = &journal.user;
        let rows = || -> rusqlite::Result<()> {
            let change = index.unchecked_transaction()?;
            change.execute("DELETE FROM id4name WHERE userId = ?", [user_id])?;
            change.execute(
                "INSERT OR REPLACE INTO id4name (username, userId) VALUES (?, ?)",
                [username, user_id],
            )?;
            change.commit()
        };
        rows().map_err(|e| failed(&path, e))?;
        journal.finish()
    }

    fn open_index(&self) -> Result<(PathBuf, Connection), RestoreError> {
        open(self.users_dir.join("user-index.db"), schema::INDEX)
    }

    fn reader(&self) -> SqlitePlatform {
        SqlitePlatform::new(self.users_dir.clone(), None)
    }
}

/// A file that the platform has open too, or will.
fn open(path: PathBuf, schema: &str) -> Result<(PathBuf, Connection), RestoreError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|e| refused(folder, e))?;
    }
    let connection = Connection::open(&path).map_err(|e| failed(&path, e))?;
    connection
        .busy_timeout(std::time::Duration::from_secs(10))
        .and_then(|()| {
            connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
        })
        .and_then(|()| connection.execute_batch(schema))
        .map_err(|e| failed(&path, e))?;
    Ok((path, connection))
}

impl PlatformWriter for SqliteWriter {
    fn recover(&self) -> Result<Vec<Recovered>, RestoreError> {
        let mut recovered = Vec::new();
        for journal in self.staging.journals()? {
            recovered.push(Recovered {
                user: journal.user.clone(),
                finished: true,
            });
            self.stand(journal)?;
        }
        self.staging.sweep()?;
        Ok(recovered)
    }

    fn obstacles(&self, bytes: u64) -> Result<Vec<Obstacle>, RestoreError> {
        let mut obstacles = Vec::new();
        let room = self.staging.room()?;
        if room < bytes {
            obstacles.push(Obstacle {
                fatal: true,
                what: format!(
                    "{} has {} MB left and about {} MB are needed; make room",
                    self.users_dir.display(),
                    room / 1_000_000,
                    bytes / 1_000_000
                ),
            });
        }
        let index = self.users_dir.join("user-index.db-wal");
        if std::fs::metadata(&index).is_ok_and(|file| file.len() > 0) {
            obstacles.push(Obstacle {
                fatal: false,
                what: "a Pryv.io core seems to be running on this platform: stop it first, or restart it afterwards".to_owned(),
            });
        }
        Ok(obstacles)
    }

    fn users(&self) -> Result<Vec<User>, RestoreError> {
        if !self.users_dir.join("user-index.db").exists() {
            return Ok(Vec::new());
        }
        Ok(self.reader().users()?)
    }

    fn aliases(&self) -> Result<HashMap<String, String>, RestoreError> {
        if !self.users_dir.join("user-index.db").exists() {
            return Ok(HashMap::new());
        }
        let (path, index) = self.open_index()?;
        let read = || -> rusqlite::Result<HashMap<String, String>> {
            let mut statement = index.prepare("SELECT alias, userId FROM alias4id")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        };
        read().map_err(|e| failed(&path, e))
    }

    fn begin<'a>(
        &'a self,
        user: &User,
        replace: bool,
    ) -> Result<Box<dyn UserWriter + 'a>, RestoreError> {
        let staged = self.staging.begin(user)?;
        Ok(Box::new(SqliteBase {
            platform: self,
            files: SqliteUser::new(user, staged, self.from_sqlite, replace)?,
        }))
    }

    fn shared<'a>(&'a self) -> Result<Option<Box<dyn SharedWriter + 'a>>, RestoreError> {
        Ok(Some(Box::new(SqliteShared(self))))
    }
}

/// A user all of whom is in files.
struct SqliteBase<'a> {
    platform: &'a SqliteWriter,
    files: SqliteUser,
}

impl UserWriter for SqliteBase<'_> {
    fn records(&mut self, collection: Collection, lines: &[u8]) -> Result<(), RestoreError> {
        self.files.records(collection, lines)
    }

    fn attachment(
        &mut self,
        event_id: &str,
        file_id: &str,
        content: &mut dyn Read,
    ) -> Result<(), RestoreError> {
        self.files.attachment(event_id, file_id, content)
    }

    fn flush(&mut self) -> Result<(), RestoreError> {
        self.files.flush()
    }

    fn read_back(
        &mut self,
        collection: Collection,
        take: &mut dyn FnMut(&[u8]) -> Result<(), RestoreError>,
    ) -> Result<(), RestoreError> {
        self.files.read_back(collection, take)
    }

    fn unheld(&self) -> Vec<Unheld> {
        self.files.unheld()
    }

    fn commit(self: Box<Self>) -> Result<(), RestoreError> {
        match self.files.decide(Mark::Journal)? {
            Some(journal) => self.platform.stand(journal),
            None => Ok(()),
        }
    }
}

/// What belongs to no user, or to all: the platform's own database, and what all share of the files.
struct SqliteShared<'a>(&'a SqliteWriter);

impl SharedWriter for SqliteShared<'_> {
    fn values(&mut self, keys: &[String]) -> Result<Vec<Option<String>>, RestoreError> {
        match &self.0.index {
            Some(index) => Ok(index.values(keys)?),
            None => Ok(vec![None; keys.len()]),
        }
    }

    fn put(&mut self, entries: &[(String, String)]) -> Result<(), RestoreError> {
        match &self.0.index {
            Some(index) => Ok(index.put(entries)?),
            None => Ok(()),
        }
    }

    fn short_lived(&mut self, kind: Shared, lines: &[u8]) -> Result<(), RestoreError> {
        let (path, file) = match kind {
            Shared::Aliases => self.0.open_index()?,
            _ => open(
                self.0.users_dir.join("_shared/baseStorage.sqlite"),
                schema::SHARED,
            )?,
        };
        let (sql, names): (_, &[&str]) = match kind {
            Shared::Aliases => (
                "INSERT OR REPLACE INTO alias4id (alias, userId) VALUES (?, ?)",
                &["alias", "userId"],
            ),
            Shared::Sessions => (
                "INSERT OR REPLACE INTO sessions (id, data, expires) VALUES (?, ?, ?)",
                &["id", "data", "expires"],
            ),
            Shared::PasswordResets => (
                "INSERT OR REPLACE INTO password_resets (id, username, expires) VALUES (?, ?, ?)",
                &["id", "username", "expires"],
            ),
            Shared::Index | Shared::Keys => return Ok(()),
        };
        let change = file.unchecked_transaction().map_err(|e| failed(&path, e))?;
        for line in lines.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            let text = String::from_utf8_lossy(line);
            let fields = Fields::parse(&text).map_err(|what| RestoreError::Record {
                collection: "platform",
                what,
            })?;
            let row = names.iter().map(|name| match *name {
                "data" => rows::document(fields.get(name)),
                "expires" => match rows::scalar(fields.get(name)) {
                    #[allow(clippy::cast_possible_truncation)]
                    rusqlite::types::Value::Real(time) => {
                        rusqlite::types::Value::Integer(time as i64)
                    }
                    other => other,
                },
                name => rows::scalar(fields.get(name)),
            });
            change
                .prepare_cached(sql)
                .and_then(|mut statement| statement.execute(rusqlite::params_from_iter(row)))
                .map_err(|e| failed(&path, e))?;
        }
        change.commit().map_err(|e| failed(&path, e))
    }
}
