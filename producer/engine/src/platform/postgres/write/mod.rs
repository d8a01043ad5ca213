//! The way back in for the PostgreSQL engine: one transaction for each group of users, beside the files that are not in the database. Where the
//! base is among these, the transaction still decides.

mod age;
mod bulk;
mod commit;
mod copy_in;
mod demands;
mod feed;
mod group;
mod group_writer;
mod refused;
mod removal;
mod rows;
mod shared;
mod streams;
mod transaction_status;
mod user;

use commit::commit;
use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use self::age::Age;
use self::demands::TableDemands;
use self::group::PostgresGroup;
use self::rows::{Layout, Layouts};
use self::shared::PostgresShared;
use self::transaction_status::TransactionStatus;
use super::connection::{Connection, Server};
use super::names;
use super::tables::Tables;
use super::{DatabaseEngines, IndexPlace, TABLES, account};
use crate::config::Postgres;
use crate::observer::Observer;
use crate::platform::sqlite::write::SqliteWriter;
use crate::platform::staging::{Journal, JournalMark};
use crate::platform::write::{
    Ask, GroupWriter, Obstacle, PlatformWriter, Recovered, RestoreError, Room, SharedWriter,
};
use crate::platform::{Collection, PlatformError, User};
use crate::threads::lock;

/// Tables of what follows from records.
const DERIVED: [&str; 1] = ["event_streams"];
/// Users in one transaction.
const TOGETHER: usize = 200;

/// Checks that what is to come can be written at all.
fn takes_writes(connection: &Connection) -> Result<(), PlatformError> {
    let sql = "SELECT current_setting('transaction_read_only'), pg_is_in_recovery()::text";
    let why = match connection.pairs(sql)?.first() {
        Some((_, follows)) if follows == "true" => {
            "it follows another server (a standby): restore into the one that it follows"
        }
        Some((read_only, _)) if read_only == "on" => {
            "default_transaction_read_only is on for this user or database: set it to off there, if they are to be written to"
        }
        _ => return Ok(()),
    };
    Err(connection.error(format!(
        "nothing was restored, for this server takes no writes: {why}"
    )))
}

/// A platform of which something is in PostgreSQL, as one that takes users.
pub struct PostgresWriter<'a> {
    observer: &'a dyn Observer,
    server: Server,
    pub(super) engines: DatabaseEngines,
    index: IndexPlace,
    /// What is not in the database.
    pub(super) files: SqliteWriter,
    pub(super) tables: Tables,
    /// How records become rows.
    layouts: Layouts,
    /// Objections of the tables.
    demands: Vec<Obstacle>,
    age: Age,
    /// Identity of this server, to tell it from another that was set up in its place; empty where that may not be asked.
    cluster: String,
    idle: Mutex<Vec<Connection>>,
}

impl<'a> PostgresWriter<'a> {
    /// The platform in a database, with `files` beside it.
    ///
    /// # Errors
    /// When the server cannot be reached or is not that of a platform, or when another restore is at work there.
    pub fn new(
        config: &Postgres,
        engines: DatabaseEngines,
        index: IndexPlace,
        files: impl FnOnce() -> Result<SqliteWriter, RestoreError>,
        ask: &Ask<'_>,
        observer: &'a dyn Observer,
    ) -> Result<Self, RestoreError> {
        let server = Server::new(config)?;
        let connection = server.connect()?;
        takes_writes(&connection)?;
        let age = Age::read(&connection)?;
        let mut names: Vec<&str> = engines.of(&TABLES).map(|(table, _)| table).collect();
        if engines.base {
            names.extend(["users_index", "sessions", "password_resets"]);
            names.extend(DERIVED.into_iter().chain(account::TABLES));
        }
        if engines.series {
            names.push("series_data");
        }
        if engines.files {
            names.push("attachment_files");
        }
        if matches!(index, IndexPlace::Postgres) {
            names.push("platform_kv");
        }
        if engines.base && age.aliases {
            names.push("alias_index");
        }
        let tables = Tables::read(&connection, &names)?;
        let demands = TableDemands {
            connection: &connection,
            tables: &tables,
            names: &names,
            ask,
        };
        let (layouts, demands) = demands.look()?;
        let cluster = connection.rows("SELECT system_identifier::text FROM pg_control_system()");
        let cluster = cluster.unwrap_or_default().into_iter().flatten().flatten();
        Ok(Self {
            cluster: cluster.collect(),
            tables,
            layouts,
            demands,
            age,
            files: files()?,
            observer,
            server,
            engines,
            index,
            idle: Mutex::new(vec![connection]),
        })
    }

    /// A connection that nobody uses.
    pub(super) fn connection(&self) -> Result<Connection, RestoreError> {
        match lock(&self.idle).pop() {
            Some(connection) => Ok(connection),
            None => Ok(self.server.connect()?),
        }
    }

    /// Nobody uses this one any more, and it is in no transaction.
    pub(super) fn give_back(&self, connection: Connection) {
        lock(&self.idle).push(connection);
    }

    fn with<R>(
        &self,
        work: impl FnOnce(&Connection) -> Result<R, RestoreError>,
    ) -> Result<R, RestoreError> {
        let connection = self.connection()?;
        let done = work(&connection)?;
        self.give_back(connection);
        Ok(done)
    }

    /// The tables that hold rows of users, series excepted.
    pub(super) fn user_tables(&self) -> Vec<&'static str> {
        let of_records = self.engines.of(&TABLES).map(|(table, _)| table);
        let mut tables: Vec<&'static str> = of_records.collect();
        if self.engines.base {
            tables.extend(DERIVED.into_iter().chain(account::TABLES));
        }
        if self.engines.files {
            tables.push("attachment_files");
        }
        tables
    }

    /// All of these statements or none; once done they outlive a crash, whatever the server is set to. Each comes with the number of
    /// rows that it is to put there, when it is one that does.
    fn durably(&self, statements: &[(String, Option<u64>)]) -> Result<(), RestoreError> {
        let sql: Vec<&str> = statements.iter().map(|(sql, _)| sql.as_str()).collect();
        self.with(|connection| {
            connection.run("BEGIN; SET LOCAL synchronous_commit = on")?;
            let put = connection.counts(&sql.join("; "));
            let put = put.and_then(|put| {
                let mut all = statements.iter().zip(put);
                match all.find(|((_, due), put)| due.is_some_and(|due| due != *put)) {
                    None => commit(connection, &self.server, self.observer),
                    Some(((sql, due), put)) => Err(connection.error(format!(
                        "{put} of {} rows were taken by `{}`: a trigger or rule keeps the others out; disable it for the restore, and restore again",
                        due.unwrap_or_default(),
                        sql.split(" (").next().unwrap_or_default()
                    ))),
                }
            });
            if put.is_err() {
                // A connection that is lost has rolled back.
                let _ = connection.run("ROLLBACK");
            }
            Ok(put?)
        })
    }

    /// Those that may become large, among them.
    pub(super) fn bulk_tables(&self) -> Vec<&'static str> {
        let mut tables = self.user_tables();
        if self.engines.series {
            tables.push("series_data");
        }
        tables
    }

    /// Puts the files of a user in place whose transaction is committed.
    pub(super) fn finish(&self, journal: Journal) -> Result<(), RestoreError> {
        if !self.engines.base {
            return self.files.finish(journal);
        }
        journal.place()?;
        journal.finish()
    }

    /// How the records of a collection become rows.
    pub(super) fn layout(&self, collection: Collection) -> Option<&Layout> {
        let mut layouts = self.layouts.iter();
        layouts.find(|(of, _)| *of == collection).map(|(_, l)| l)
    }

    fn pairs(&self, sql: &str) -> Result<Vec<(String, String)>, RestoreError> {
        self.with(|connection| Ok(connection.pairs(sql)?))
    }
}

impl PlatformWriter for PostgresWriter<'_> {
    fn recover(&self) -> Result<Vec<Recovered>, RestoreError> {
        let mut recovered = Vec::new();
        for journal in self.files.staging.journals()? {
            let finished = match &journal.mark {
                JournalMark::Journal => true,
                JournalMark::Transaction(id) => match self.transaction_status(id)? {
                    TransactionStatus::Committed => true,
                    TransactionStatus::Aborted => false,
                    other => {
                        let what = match other {
                            TransactionStatus::Open => {
                                "is still at work: wait for it, or end its connection".to_owned()
                            }
                            _ => format!(
                                "is one that the server does not know (any more): look whether the user is there; if it is, restore it again in place \
                                 of what is there, in either case after removing {}",
                                journal.path().display()
                            ),
                        };
                        return Err(RestoreError::Conflict {
                            what: format!(
                                "the transaction that restored {:?} in an earlier run {what}",
                                journal.user.username
                            ),
                        });
                    }
                },
            };
            recovered.push(Recovered {
                user: journal.user.clone(),
                finished,
            });
            if finished {
                self.finish(journal)?;
            } else {
                journal.undo()?;
            }
        }
        self.files.staging.remove_unfinished()?;
        Ok(recovered)
    }

    fn keeps_in_files(&self, what: Option<Collection>) -> bool {
        let inside = match what {
            Some(collection) => self.engines.holds(collection),
            None => self.engines.files,
        };
        !inside && self.files.keeps_in_files(what)
    }

    fn obstacles(&self, room: Room) -> Result<Vec<Obstacle>, RestoreError> {
        let mut obstacles = match self.engines.base {
            true => self.files.staging.obstacles(room)?,
            false => self.files.obstacles(room)?,
        };
        if self.engines.base {
            obstacles.extend(self.age.obstacles());
        }
        obstacles.extend(self.demands.iter().cloned());
        if self.engines.files {
            obstacles.push(Obstacle::note(
                "attachments go into the database, and how much room its server has left cannot be seen from here",
            ));
        }
        // A core's connections have no name of their own.
        let others = self.pairs(
            "SELECT CASE WHEN usename = current_user AND application_name = '' THEN '' \
               ELSE coalesce(nullif(application_name, ''), 'one without a name') || ' (user ' || coalesce(usename, '?') || ')' END, count(*)::text \
             FROM pg_stat_activity WHERE datname = current_database() AND usesysid IS NOT NULL AND pid <> pg_backend_pid() \
             AND application_name <> 'pryv-backup' GROUP BY 1 ORDER BY 1",
        )?;
        obstacles.extend(others.into_iter().map(|(who, count)| match who.as_str() {
            "" => Obstacle::core(format!(
                "{count} connections to the database are those of a core, by their user and having no name"
            )),
            _ => Obstacle::note(format!(
                "{count} other connections to the database are open: {who}; what they read is being replaced"
            )),
        }));
        Ok(obstacles)
    }

    fn users(&self) -> Result<Vec<User>, RestoreError> {
        if !self.engines.base {
            return self.files.users();
        }
        self.with(|connection| Ok(names::users(connection, self.age.aliases)?))
    }

    fn takes_versions(&self) -> bool {
        !self.engines.base || self.age.versions
    }

    fn aliases(&self) -> Result<HashMap<String, String>, RestoreError> {
        if !self.engines.base {
            return self.files.aliases();
        }
        if !self.age.aliases {
            return Ok(HashMap::new());
        }
        Ok(self
            .pairs("SELECT alias, user_id FROM alias_index")?
            .into_iter()
            .collect())
    }

    fn together(&self) -> usize {
        TOGETHER
    }

    fn begin<'a>(
        &'a self,
        users: &[&User],
        replace: bool,
    ) -> Result<Box<dyn GroupWriter + 'a>, RestoreError> {
        match PostgresGroup::begin(self, users, replace, None)? {
            Some(group) => Ok(Box::new(group)),
            None => Err(RestoreError::Conflict {
                what: "the transaction was not begun".to_owned(),
            }),
        }
    }

    fn begin_bulk<'a>(
        &'a self,
        users: &[&User],
        replace: bool,
        bytes: u64,
    ) -> Result<Option<Box<dyn GroupWriter + 'a>>, RestoreError> {
        // Where the base is in files, there is little to gain in the database.
        if !self.engines.base {
            return Ok(None);
        }
        let group = PostgresGroup::begin(self, users, replace, Some(bytes))?;
        Ok(group.map(|group| Box::new(group) as Box<dyn GroupWriter + 'a>))
    }

    fn restored_users(&self) -> Result<HashSet<String>, RestoreError> {
        self.listed(&[TransactionStatus::Committed])
    }

    fn ended(&self, users: &HashSet<String>) -> Result<(), RestoreError> {
        // Users who were not restored are not listed.
        let open = self.listed(&[TransactionStatus::Committed, TransactionStatus::Open])?;
        let listed = self.files.staging.restored_users.entries()?.into_iter();
        let others = listed.map(|entry| entry.user_id);
        let mut settled = users.clone();
        settled.extend(others.filter(|user| !open.contains(user)));
        self.files.staging.restored_users.remove_entries(&settled)
    }

    fn shared<'a>(&'a self) -> Result<Option<Box<dyn SharedWriter + 'a>>, RestoreError> {
        match self.engines.base {
            true => Ok(Some(Box::new(PostgresShared(self)))),
            false => self.files.shared(),
        }
    }
}
