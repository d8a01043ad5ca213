//! The way back in for the SQLite engine: new files for each user, put in the place of the old ones.

mod points;
mod read_back;
pub mod rows;
mod shared;
mod store;
mod user;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use self::shared::SqliteShared;
use self::store::failed;
pub use self::user::SqliteUser;
use super::file::SqliteFile;
use super::{SqlitePlatform, schema};
use crate::platform::sqlite::connect::{use_log, wait_for_others};
use crate::platform::staging::{Journal, JournalMark, Staging, decide, owner};
use crate::platform::write::{
    GroupWriter, Obstacle, PlatformWriter, Recovered, RestoreError, Room, SharedWriter, Unheld,
    UserWriter,
};
use crate::platform::{Collection, Platform, User, rqlite, running};

/// File of the records that all users share, beside the index of them.
const SHARED: &str = "_shared/baseStorage.sqlite";

/// What a platform keeps in files, as what takes users: all of them, or what is not in a database.
pub struct SqliteWriter {
    users_dir: PathBuf,
    index: Option<rqlite::Rqlite>,
    /// Where files lie until their users are decided to be restored.
    pub staging: Staging,
    /// Where the archive comes from: what is JSON text in this engine is JSON in the other.
    pub from_sqlite: bool,
}

impl SqliteWriter {
    /// The platform in `users_dir`; `index` is its own database, left alone when `None`.
    #[must_use]
    pub fn new(
        users_dir: &Path,
        index: Option<rqlite::Rqlite>,
        staging: Staging,
        from_sqlite: bool,
    ) -> Self {
        Self {
            users_dir: users_dir.to_owned(),
            index,
            staging,
            from_sqlite,
        }
    }

    /// Begins a user.
    ///
    /// # Errors
    /// When the disk refuses, or when files are there that are not to be replaced.
    pub fn stage(&self, user: &User, replace: bool) -> Result<SqliteUser, RestoreError> {
        let staged = self.staging.begin(user)?;
        SqliteUser::new(user, staged, self.from_sqlite, replace)
    }

    /// Puts a user in place whom a journal says to be committed, and whose base is in files.
    ///
    /// # Errors
    /// When the disk refuses; the journal stays, and the next run goes on.
    pub fn finish(&self, journal: Journal) -> Result<(), RestoreError> {
        journal.place()?;
        let (path, index) = self.open_index()?;
        let User {
            user_id, username, ..
        } = &journal.user;
        let rows = || -> rusqlite::Result<()> {
            let change = index.unchecked_transaction()?;
            change.execute("DELETE FROM id4name WHERE userId = ?", [user_id])?;
            let put = change.execute(
                "INSERT OR REPLACE INTO id4name (username, userId) VALUES (?, ?)",
                [username, user_id],
            )?;
            taken(put)?;
            change.commit()
        };
        rows().map_err(|e| failed(&path, e))?;
        self.staging.restored_users.add(user_id, None)?;
        self.staging.restored_users.sync()?;
        journal.finish()
    }

    /// Triggers of the files that all users share, which may keep rows out.
    fn triggers(&self) -> Result<Option<Obstacle>, RestoreError> {
        let mut all = Vec::new();
        for name in ["user-index.db", SHARED] {
            let path = self.users_dir.join(name);
            if !path.exists() {
                continue;
            }
            let file = SqliteFile::open(&path)?;
            let read = || -> rusqlite::Result<Vec<String>> {
                let sql = "SELECT 'trigger ' || name || ' of table ' || tbl_name FROM sqlite_master WHERE type = 'trigger' ORDER BY 1";
                let mut statement = file.connection.prepare(sql)?;
                let rows = statement.query_map([], |row| row.get(0))?;
                rows.collect()
            };
            all.extend(read().map_err(|e| file.error(e))?);
        }
        Ok(Obstacle::triggers(&all))
    }

    fn open_index(&self) -> Result<(PathBuf, Connection), RestoreError> {
        open(self.users_dir.join("user-index.db"), schema::INDEX)
    }

    fn reader(&self) -> SqlitePlatform {
        SqlitePlatform::new(self.users_dir.clone(), None)
    }
}

/// A row that a trigger has kept out is an error.
fn taken(rows: usize) -> rusqlite::Result<()> {
    match rows {
        0 => Err(rusqlite::Error::StatementChangedRows(0)),
        _ => Ok(()),
    }
}

/// A file that the platform has open too, or will.
fn open(path: PathBuf, schema: &str) -> Result<(PathBuf, Connection), RestoreError> {
    if let Some(folder) = path.parent() {
        owner::make(folder)?;
        // SQLite gives the files beside it to the owner of this one.
        owner::make_file(folder, &path)?;
    }
    let mut connection = Connection::open(&path).map_err(|e| failed(&path, e))?;
    wait_for_others(&mut connection)
        .and_then(|()| use_log(&connection))
        .and_then(|()| connection.execute_batch(schema))
        .map_err(|e| failed(&path, e))?;
    Ok((path, connection))
}

impl PlatformWriter for SqliteWriter {
    fn recover(&self) -> Result<Vec<Recovered>, RestoreError> {
        let mut recovered = Vec::new();
        for journal in self.staging.journals()? {
            if journal.mark != JournalMark::Journal {
                return Err(RestoreError::Conflict {
                    what: format!(
                        "an earlier restore was stopped while user {:?} was put in place, and PostgreSQL knows whether that was decided; the \
                         configuration names it no more: set it as it was for one more restore, or remove {} and restore this user again in place of what is there",
                        journal.user.username,
                        journal.path().display()
                    ),
                });
            }
            recovered.push(Recovered {
                user: journal.user.clone(),
                finished: true,
            });
            self.finish(journal)?;
        }
        self.staging.remove_unfinished()?;
        Ok(recovered)
    }

    fn obstacles(&self, room: Room) -> Result<Vec<Obstacle>, RestoreError> {
        let mut obstacles = self.staging.obstacles(room)?;
        if running::holders(&self.users_dir).is_empty()
            && std::fs::metadata(self.users_dir.join("user-index.db-wal"))
                .is_ok_and(|file| file.len() > 0)
        {
            obstacles.push(Obstacle::note(
                "the log of user-index.db is not empty: a Pryv.io core is running elsewhere on these files, or was not stopped in order; stop it first, or restart it afterwards",
            ));
        }
        obstacles.extend(self.triggers()?);
        Ok(obstacles)
    }

    fn keeps_in_files(&self, what: Option<Collection>) -> bool {
        let servers = self.staging.servers();
        match what {
            Some(Collection::Series) => servers.series.is_none(),
            Some(_) => true,
            None => servers.bucket.is_none(),
        }
    }

    fn users(&self) -> Result<Vec<User>, RestoreError> {
        if !self.users_dir.join("user-index.db").exists() {
            return Ok(Vec::new());
        }
        Ok(self.reader().users()?.to_vec())
    }

    fn aliases(&self) -> Result<HashMap<String, String>, RestoreError> {
        if !self.users_dir.join("user-index.db").exists() {
            return Ok(HashMap::new());
        }
        let index = SqliteFile::open(&self.users_dir.join("user-index.db"))?;
        if !index.has_table("alias4id")? {
            return Ok(HashMap::new());
        }
        let read = || -> rusqlite::Result<HashMap<String, String>> {
            let mut statement = index
                .connection
                .prepare("SELECT alias, userId FROM alias4id")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        };
        Ok(read().map_err(|e| index.error(e))?)
    }

    fn begin<'a>(
        &'a self,
        _users: &[&User],
        replace: bool,
    ) -> Result<Box<dyn GroupWriter + 'a>, RestoreError> {
        Ok(Box::new(SqliteGroup {
            platform: self,
            replace,
            files: None,
        }))
    }

    fn restored_users(&self) -> Result<HashSet<String>, RestoreError> {
        let entries = self.staging.restored_users.entries()?.into_iter();
        Ok(entries.map(|entry| entry.user_id).collect())
    }

    fn ended(&self, users: &HashSet<String>) -> Result<(), RestoreError> {
        self.staging.restored_users.remove_entries(users)
    }

    fn shared<'a>(&'a self) -> Result<Option<Box<dyn SharedWriter + 'a>>, RestoreError> {
        Ok(Some(Box::new(SqliteShared(self))))
    }
}

/// A user all of whom is in files.
struct SqliteGroup<'a> {
    platform: &'a SqliteWriter,
    replace: bool,
    files: Option<SqliteUser>,
}

impl SqliteGroup<'_> {
    fn files(&mut self) -> Result<&mut SqliteUser, RestoreError> {
        self.files.as_mut().ok_or_else(|| RestoreError::Conflict {
            what: "no user was begun".to_owned(),
        })
    }
}

impl GroupWriter for SqliteGroup<'_> {
    fn user<'g>(&'g mut self, user: &User) -> Result<Box<dyn UserWriter + 'g>, RestoreError> {
        let files = self.platform.stage(user, self.replace)?;
        Ok(Box::new(SqliteBase(self.files.insert(files))))
    }

    fn flush(&mut self) -> Result<(), RestoreError> {
        Ok(())
    }

    fn read_back(
        &mut self,
        _user: &User,
        collection: Collection,
        take: &mut dyn FnMut(&[u8]) -> Result<(), RestoreError>,
    ) -> Result<(), RestoreError> {
        self.files()?.read_back(collection, take)
    }

    fn commit(self: Box<Self>) -> Result<Vec<Option<RestoreError>>, RestoreError> {
        let files = self.files.map(SqliteUser::staged);
        let mut journals = decide(files.into_iter().collect(), &JournalMark::Journal)?.into_iter();
        // With the journal the user counts as restored.
        let finished = journals.try_for_each(|journal| self.platform.finish(journal));
        Ok(vec![
            finished
                .err()
                .map(|e| RestoreError::Unfinished(Box::new(e))),
        ])
    }
}

struct SqliteBase<'g>(&'g mut SqliteUser);

impl UserWriter for SqliteBase<'_> {
    fn stream_paths(&mut self, paths: BTreeMap<String, String>) {
        self.0.stream_paths = paths;
    }

    fn records(&mut self, collection: Collection, lines: &[u8]) -> Result<(), RestoreError> {
        self.0.records(collection, lines)
    }

    fn attachment(
        &mut self,
        event_id: &str,
        file_id: &str,
        content: &mut dyn Read,
    ) -> Result<(), RestoreError> {
        self.0.attachment(event_id, file_id, content)
    }

    fn end(self: Box<Self>) -> Result<Vec<Unheld>, RestoreError> {
        self.0.flush()?;
        Ok(self.0.unheld())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn several_open_a_new_file_at_once() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..50 {
            let path = dir.path().join(n.to_string());
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| open(path.clone(), schema::INDEX).unwrap());
                }
            });
        }
    }
}
