//! Data in the database that is not in a backup: tables and columns that this version does not know, and rows of nobody.

use super::connection::{Connection, identifier, literal};
use super::{DatabaseEngines, PostgresPlatform, Snapshot, names};
use crate::platform::sqlite::Held;
use crate::platform::unknown::Unknown;
use crate::platform::{PlatformError, User};
use std::collections::{BTreeMap, BTreeSet};

/// The last of Pryv's migrations that is known here.
pub const MIGRATION: u32 = 3;

/// Tables of records and of account items, whose further columns travel.
const TRAVEL: [&str; 9] = [
    "accesses",
    "account_fields",
    "audit_events",
    "events",
    "passwords",
    "profile",
    "store_key_values",
    "streams",
    "webhooks",
];

/// Tables of which an archive has the known columns only.
const FIXED: [(&str, &[&str]); 6] = [
    ("alias_index", &["alias", "user_id"]),
    (
        "attachment_files",
        &["user_id", "event_id", "file_id", "seq", "data"],
    ),
    (
        "event_streams",
        &["user_id", "event_id", "stream_id", "stream_path"],
    ),
    ("platform_kv", &["key", "value"]),
    (
        "series_data",
        &["user_id", "event_id", "point_time", "delta_time", "fields"],
    ),
    ("users_index", &["username", "user_id"]),
];

/// Those that belong to a backup only with `--include-ephemeral`.
const EPHEMERAL: [(&str, &[&str]); 2] = [
    ("password_resets", &["id", "username", "expires"]),
    ("sessions", &["id", "data", "expires"]),
];

/// Pryv's own note of its migrations.
const MIGRATIONS: &str = "schema_migrations";

/// All tables that the search path leads to, with their columns; those of extensions are nobody's data.
const COLUMNS: &str = "SELECT c.relname, a.attname FROM pg_catalog.pg_class c \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
    WHERE c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition AND pg_catalog.pg_table_is_visible(c.oid) \
    AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d \
        WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') \
    ORDER BY c.relname, a.attnum";

const TABLE: &str = "a table that this version does not know";
const COLUMN: &str =
    "a column that this version does not know, and for which an archive has no place";

impl PostgresPlatform {
    /// Unknown data in the database, and in the files beside it.
    pub(super) fn besides(
        &self,
        snapshot: &Snapshot,
        ephemeral: bool,
    ) -> Result<Vec<Unknown>, PlatformError> {
        let connection = &snapshot.connection;
        let mut found = schema(connection, ephemeral)?;
        let passed = self.files.seen.strangers();
        let condition = self.strangers(snapshot)?;
        found.extend(strangers(connection, &condition, self.engines, passed)?);
        if self.engines.series {
            found.extend(series(connection, snapshot.aliases)?);
        }
        let held = Held {
            base: !self.engines.base,
            series: !self.engines.series,
        };
        found.extend(self.files.beside(held, &snapshot.users, &|| self.now())?);
        Ok(found)
    }

    /// The users who are there now, which is later than the snapshot.
    pub(super) fn now(&self) -> Result<Vec<User>, PlatformError> {
        if !self.engines.base {
            return self.files.index();
        }
        let connection = self.server.connect()?;
        names::users(&connection, names::aliases(&connection)?)
    }

    /// The condition for owners of rows who are in no index: neither at the instant of the backup nor, where the index is in files, now.
    pub(super) fn strangers(&self, snapshot: &Snapshot) -> Result<String, PlatformError> {
        if self.engines.base {
            return Ok(STRANGERS.to_owned());
        }
        let now = self.now()?;
        let known = snapshot.users.iter().chain(&now);
        let known: BTreeSet<String> = known.map(|user| literal(&user.user_id)).collect();
        let known = known.into_iter().collect::<Vec<_>>().join(", ");
        // Servers look each up in a table of all only where it is asked so.
        Ok(format!(
            "NOT EXISTS (SELECT FROM unnest(ARRAY[{known}]::text[]) AS known(id) WHERE known.id = owners.id)"
        ))
    }
}

/// Tables, columns and migrations.
pub fn schema(connection: &Connection, ephemeral: bool) -> Result<Vec<Unknown>, PlatformError> {
    let mut found = tables(connection, ephemeral)?;
    let migration = migration(connection)?;
    if migration > MIGRATION {
        found.push(Unknown::migration(migration, MIGRATION));
    }
    Ok(found)
}

/// Looks through the tables.
pub fn tables(connection: &Connection, ephemeral: bool) -> Result<Vec<Unknown>, PlatformError> {
    let mut there: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (table, column) in connection.pairs(COLUMNS)? {
        there.entry(table).or_default().push(column);
    }
    let mut found = Vec::new();
    for (table, columns) in there {
        if TRAVEL.contains(&table.as_str()) || table == MIGRATIONS {
            continue;
        }
        let named = |(name, _): &&(&str, &[&str])| *name == table;
        if !ephemeral && EPHEMERAL.iter().any(|known| named(&known)) {
            continue;
        }
        let Some((_, known)) = FIXED.iter().chain(&EPHEMERAL).find(named) else {
            found.extend(counted(connection, &table, None)?);
            continue;
        };
        for column in columns.iter().filter(|c| !known.contains(&c.as_str())) {
            found.extend(counted(connection, &table, Some(column))?);
        }
    }
    Ok(found)
}

/// A table, or a column, that has rows; one that may not be read is told of too.
fn counted(
    connection: &Connection,
    table: &str,
    column: Option<&str>,
) -> Result<Option<Unknown>, PlatformError> {
    let (name, what, counts) = match column {
        Some(column) => (format!("{table}.{column}"), COLUMN, identifier(column)),
        None => (table.to_owned(), TABLE, "*".to_owned()),
    };
    let from = identifier(table);
    // A refusal would end the transaction.
    let readable = format!(
        "SELECT (has_table_privilege({table}, 'SELECT') AND NOT row_security_active({table}))::text",
        table = literal(&from)
    );
    if one(connection, &readable)? != "true" {
        return Ok(Some(Unknown {
            name,
            what: format!("{what}, and which the user of the database may not read"),
        }));
    }
    let rows = one(connection, &format!("SELECT count({counts}) FROM {from}"))?;
    let rows = rows.parse().unwrap_or(0);
    Ok((rows > 0).then(|| Unknown::rows(name, what, rows)))
}

/// The migration that makes the table of aliases.
pub const WITH_ALIASES: u32 = 3;

/// The number of the last migration.
pub fn migration(connection: &Connection) -> Result<u32, PlatformError> {
    let there = one(connection, "SELECT to_regclass('schema_migrations')::text")?;
    if there.is_empty() {
        return Ok(0);
    }
    let version = one(
        connection,
        "SELECT max(version)::text FROM schema_migrations",
    )?;
    Ok(version.parse().unwrap_or(0))
}

/// Owners who are not in the index.
const STRANGERS: &str = "NOT EXISTS (SELECT FROM users_index u WHERE u.user_id = owners.id)";

/// The users who meet a condition and have an audit trail, in order.
pub fn audited(connection: &Connection, condition: &str) -> Result<Vec<String>, PlatformError> {
    let found = connection.pairs(&per_owner("audit_events", condition, "min(user_id)"))?;
    Ok(found.into_iter().map(|(id, _)| id).collect())
}

/// Rows of users who are not in the index, which the condition tells; the audit trail of such users is in the backup. `passed`: those that the
/// export passed by, so that nobody has to look for them.
pub fn strangers(
    connection: &Connection,
    condition: &str,
    engines: DatabaseEngines,
    passed: Option<BTreeMap<String, u64>>,
) -> Result<Vec<Unknown>, PlatformError> {
    let mut tables: Vec<&str> = Vec::new();
    if passed.is_none() && engines.base {
        tables.extend(TRAVEL.iter().filter(|table| **table != "audit_events"));
    }
    if engines.files {
        tables.push("attachment_files");
    }
    let passed = passed.unwrap_or_default().into_iter();
    let mut found: BTreeMap<String, [u64; 2]> = passed.map(|(id, rows)| (id, [rows, 0])).collect();
    for table in tables {
        let counts = match table {
            "attachment_files" => "count(DISTINCT (event_id, file_id))",
            _ => "count(*)",
        };
        for (id, rows) in connection.pairs(&per_owner(table, condition, counts))? {
            let sums = found.entry(id).or_default();
            sums[usize::from(table == "attachment_files")] += rows.parse().unwrap_or(0);
        }
    }
    let found = found.into_iter();
    Ok(found
        .map(|(id, [rows, files])| Unknown::stranger(&id, rows, files))
        .collect())
}

/// Points under names that no user has or had.
pub fn series(connection: &Connection, aliases: bool) -> Result<Vec<Unknown>, PlatformError> {
    let nobodys = format!(
        "NOT EXISTS (SELECT FROM ({}) names WHERE owners.id IN ('user.' || name, owner))",
        names::query(aliases)
    );
    let found = connection.pairs(&per_owner("series_data", &nobodys, "count(*)"))?;
    Ok(found
        .into_iter()
        .map(|(namespace, points)| Unknown::series(&namespace, points.parse().unwrap_or(0)))
        .collect())
}

/// The owners of a table's rows that meet a condition, each with a number: the index is read in leaps from owner to owner.
fn per_owner(table: &str, condition: &str, counts: &str) -> String {
    format!(
        "WITH RECURSIVE owners AS (SELECT (SELECT min(user_id) FROM {table}) AS id \
         UNION ALL SELECT (SELECT min(user_id) FROM {table} WHERE user_id > owners.id) FROM owners WHERE owners.id IS NOT NULL) \
         SELECT id, (SELECT {counts} FROM {table} WHERE user_id = owners.id)::text FROM owners WHERE id IS NOT NULL AND {condition}"
    )
}

fn one(connection: &Connection, sql: &str) -> Result<String, PlatformError> {
    let rows = connection.rows(sql)?.into_iter().flatten();
    Ok(rows.flatten().next().unwrap_or_default())
}
