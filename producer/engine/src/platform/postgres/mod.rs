//! The PostgreSQL engine: one database for all users, read as of one instant. What it does not hold is in files and on servers beside it, and
//! that may be the base.

mod account;
mod answer;
mod beside;
mod bundle;
mod connection;
mod copy;
mod export;
mod files;
mod folders;
mod large;
mod locate;
mod merge;
mod names;
mod plan;
pub mod raw;
mod rows;
mod series;
mod shape;
mod shared;
mod since;
mod stored;
mod tables;
mod tls;
mod unknown;
mod values;
mod versions;
mod work;
pub mod write;

use super::sqlite::SqlitePlatform;
use super::{
    Collection, ExportError, IndexSink, Mark, Platform, PlatformError, Scope, Target, Unknown,
    User, index, rqlite,
};
use crate::config::Postgres;
use crate::threads::lock;
use connection::{BEGIN, Connection, Server, literal};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tables::Tables;

/// The tables of records, in the order of the archive.
const TABLES: [(&str, Collection); 6] = [
    ("streams", Collection::Streams),
    ("accesses", Collection::Accesses),
    ("profile", Collection::Profile),
    ("webhooks", Collection::Webhooks),
    ("events", Collection::Events),
    ("audit_events", Collection::Audit),
];
/// Those in which one user may have millions of rows.
const LARGE: [(&str, Collection); 2] = [TABLES[4], TABLES[5]];

/// Engines in the database; the others are in files.
#[derive(Clone, Copy)]
pub struct DatabaseEngines {
    /// The base, else SQLite files.
    pub base: bool,
    /// The audit trail, else SQLite files.
    pub audit: bool,
    /// High-frequency series, else SQLite files.
    pub series: bool,
    /// Attachments, else files.
    pub files: bool,
    /// Whether there should be an audit trail.
    pub audited: bool,
}

impl DatabaseEngines {
    /// Whether anything is in the database.
    #[must_use]
    pub fn any(self) -> bool {
        self.base || self.audit || self.series || self.files
    }

    /// Whether a collection is in the database.
    fn holds(self, collection: Collection) -> bool {
        match collection {
            Collection::Audit => self.audit,
            Collection::Series => self.series,
            _ => self.base,
        }
    }

    /// Those of some tables of records that are in the database.
    fn of(
        self,
        tables: &[(&'static str, Collection)],
    ) -> impl Iterator<Item = (&'static str, Collection)> {
        let tables = tables.iter().copied();
        tables.filter(move |(_, collection)| self.holds(*collection))
    }
}

/// Where the platform index is.
pub enum IndexPlace {
    /// Left out of the backup, or beside a base in files.
    None,
    /// In the table `platform_kv`.
    Postgres,
    /// In a server of its own.
    Rqlite(rqlite::Rqlite),
}

impl IndexPlace {
    /// What of it is that of a base in the database, and what that of one in files.
    pub fn beside(self, engines: DatabaseEngines) -> (Self, Option<rqlite::Rqlite>) {
        match self {
            Self::Rqlite(index) if !engines.base => (Self::None, Some(index)),
            other => (other, None),
        }
    }
}

/// A platform of which something is in PostgreSQL.
pub struct PostgresPlatform {
    server: Server,
    engines: DatabaseEngines,
    index: IndexPlace,
    users_dir: PathBuf,
    /// The engines that are in files.
    files: SqlitePlatform,
    snapshot: Mutex<Option<Snapshot>>,
}

/// The instant as of which everything is read; lasts as long as its connection.
struct Snapshot {
    connection: Connection,
    name: String,
    tables: Tables,
    users: Arc<Vec<User>>,
    /// Whether there is a table of aliases.
    aliases: bool,
    /// When it was, in seconds since 1970.
    instant: f64,
    /// Records of the large tables, as far as the server's statistics know.
    records: u64,
}

impl PostgresPlatform {
    /// A platform in a database; `files` are the engines beside it, in `users_dir` and on servers. Nothing is contacted yet.
    pub fn new(
        config: &Postgres,
        engines: DatabaseEngines,
        index: IndexPlace,
        users_dir: PathBuf,
        files: SqlitePlatform,
    ) -> Result<Self, PlatformError> {
        Ok(Self {
            server: Server::new(config)?,
            engines,
            index,
            files,
            users_dir,
            snapshot: Mutex::default(),
        })
    }

    /// The first call fixes the instant.
    fn with_snapshot<R, E: From<PlatformError>>(
        &self,
        read: impl FnOnce(&Snapshot) -> Result<R, E>,
    ) -> Result<R, E> {
        let mut snapshot = lock(&self.snapshot);
        let snapshot = match &mut *snapshot {
            Some(snapshot) => snapshot,
            none => none.insert(self.take_snapshot()?),
        };
        read(snapshot)
    }

    fn take_snapshot(&self) -> Result<Snapshot, PlatformError> {
        // Those in files first: the database is later than they are.
        let in_files = match self.engines.base {
            true => None,
            false => Some(self.files.users()?),
        };
        let connection = self.server.connect()?;
        connection.run(BEGIN)?;
        let mut names: Vec<&str> = self.engines.of(&TABLES).map(|(table, _)| table).collect();
        if self.engines.base {
            names.push("users_index");
            names.extend(account::TABLES);
        }
        if self.engines.series {
            names.push("series_data");
        }
        if self.engines.files {
            names.push("attachment_files");
        }
        if matches!(self.index, IndexPlace::Postgres) {
            names.push("platform_kv");
        }
        let tables = Tables::read(&connection, &names)?;
        let aliases = self.engines.base && names::aliases(&connection)?;
        let users = match in_files {
            Some(users) => users,
            None => Arc::new(names::users(&connection, aliases)?),
        };
        // now() is when the transaction began: nothing later is seen as if it were earlier.
        let facts = connection.rows(&format!(
            "SELECT pg_export_snapshot(), extract(epoch FROM now())::text, \
             (SELECT sum(greatest(reltuples, 0))::bigint FROM pg_class WHERE oid IN ({}))",
            LARGE
                .map(|(table, _)| format!("to_regclass({})", literal(table)))
                .join(", ")
        ))?;
        let mut facts = facts.into_iter().flatten();
        let name = facts.next().flatten();
        let mut number = || {
            facts
                .next()
                .flatten()
                .and_then(|text| text.parse::<f64>().ok())
        };
        let (instant, records) = (number(), number());
        Ok(Snapshot {
            instant: instant.ok_or_else(|| self.server.error("it does not tell the time"))?,
            records: records.unwrap_or(0.0) as u64,
            name: name.ok_or_else(|| self.server.error("it exports no snapshot"))?,
            connection,
            tables,
            users,
            aliases,
        })
    }
}

impl Platform for PostgresPlatform {
    fn users(&self) -> Result<Arc<Vec<User>>, PlatformError> {
        self.with_snapshot(|snapshot| Ok(snapshot.users.clone()))
    }

    fn instant(&self) -> Result<f64, PlatformError> {
        if !self.engines.base {
            return self.files.instant();
        }
        self.with_snapshot(|snapshot| Ok(snapshot.instant))
    }

    fn mark(&self) -> Result<Mark, PlatformError> {
        if !self.engines.base {
            return self.files.mark();
        }
        let mut mark = self.with_snapshot(since::mark)?;
        mark.told.push(Collection::Events);
        if self.engines.audit {
            mark.told.push(Collection::Audit);
        }
        Ok(mark)
    }

    fn records(&self) -> Option<u64> {
        let records = self.with_snapshot(|snapshot| Ok::<_, PlatformError>(snapshot.records));
        let beside = match self.engines.base {
            true => 0,
            false => self.files.records()?,
        };
        records
            .ok()
            .map(|records| records + beside)
            .filter(|all| *all > 0)
    }

    fn export_all(
        &self,
        users: &[User],
        jobs: usize,
        target: &dyn Target,
    ) -> Result<(), ExportError> {
        self.with_snapshot(|snapshot| self.export(snapshot, users, jobs, target))
    }

    fn unknown(&self, scope: &Scope<'_>) -> Result<Vec<Unknown>, PlatformError> {
        if let Some(only) = scope.only {
            // Nobody can tell whose the unknown rows are.
            let mut found = self
                .with_snapshot(|snapshot| unknown::schema(&snapshot.connection, scope.ephemeral))?;
            found.extend(self.files.beside_one(only.user)?);
            return Ok(found);
        }
        let mut found = self.with_snapshot(|snapshot| self.besides(snapshot, scope.ephemeral))?;
        if let IndexPlace::Rqlite(index) = &self.index {
            found.extend(index.unknown()?);
        }
        Ok(found)
    }

    fn migration(&self) -> Option<u32> {
        if !self.engines.base {
            return self.files.migration();
        }
        self.with_snapshot(|snapshot| unknown::migration(&snapshot.connection))
            .ok()
    }

    fn notes(&self) -> Vec<String> {
        self.files.seen.notes()
    }

    fn export_platform(
        &self,
        scope: &Scope<'_>,
        sink: &mut dyn IndexSink,
    ) -> Result<(), ExportError> {
        match &self.index {
            IndexPlace::None => {}
            IndexPlace::Rqlite(index) => index.export(scope, sink)?,
            IndexPlace::Postgres => self.with_snapshot(|snapshot| {
                let place = format!("{} (platform_kv)", self.server.address);
                for (start, end) in index::ranges(scope) {
                    shared::rows(
                        snapshot,
                        "platform_kv",
                        &format!(
                            "SELECT key, value FROM platform_kv WHERE key > {} COLLATE \"C\" AND key < {} COLLATE \"C\" ORDER BY key COLLATE \"C\"",
                            connection::literal(start),
                            connection::literal(end)
                        ),
                        sink,
                        |[key, value], sink| index::hand_over(key, value, &place, scope, sink),
                    )?;
                }
                Ok::<_, ExportError>(())
            })?,
        }
        if scope.only.is_none() {
            self.with_snapshot(|snapshot| match self.engines.audit {
                true => shared::kept_audit(snapshot, &self.strangers(snapshot)?, sink),
                false => self.files.kept_audit(&snapshot.users, &|| self.now(), sink),
            })?;
        }
        if !self.engines.base {
            return self.files.export_shared(scope, sink);
        }
        if index::with_aliases(scope) {
            self.with_snapshot(|snapshot| shared::aliases(snapshot, scope, sink))?;
        }
        if scope.ephemeral {
            self.with_snapshot(|snapshot| shared::ephemeral(snapshot, scope, sink))?;
        }
        Ok(())
    }
}
