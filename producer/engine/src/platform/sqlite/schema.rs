//! The tables of the files, as Pryv.io makes them.

use rusqlite::Connection;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// `user-index.db`.
pub const INDEX: &str = "
    CREATE TABLE IF NOT EXISTS id4name (username TEXT PRIMARY KEY, userId TEXT NOT NULL);
    CREATE INDEX IF NOT EXISTS id4name_id ON id4name(userId);
    CREATE TABLE IF NOT EXISTS alias4id (alias TEXT PRIMARY KEY, userId TEXT NOT NULL);
    CREATE INDEX IF NOT EXISTS alias4id_id ON alias4id(userId);";

/// `_shared/baseStorage.sqlite`.
pub const SHARED: &str = "
    CREATE TABLE IF NOT EXISTS sessions (id TEXT PRIMARY KEY, data TEXT NOT NULL, expires INTEGER NOT NULL);
    CREATE INDEX IF NOT EXISTS sessions_expires ON sessions(expires);
    CREATE TABLE IF NOT EXISTS password_resets (id TEXT PRIMARY KEY, username TEXT NOT NULL, expires INTEGER NOT NULL);
    CREATE INDEX IF NOT EXISTS password_resets_username ON password_resets(username);";

/// `baseStorage-1.0.0.sqlite`.
pub const BASE: &str = "
    CREATE TABLE accesses (id TEXT PRIMARY KEY, head_id TEXT, deleted INTEGER, data TEXT NOT NULL);
    CREATE INDEX accesses_deleted ON accesses(deleted);
    CREATE INDEX accesses_head_id ON accesses(head_id);
    CREATE TABLE streams (id TEXT PRIMARY KEY, deleted INTEGER, data TEXT NOT NULL);
    CREATE INDEX streams_deleted ON streams(deleted);
    CREATE TABLE webhooks (id TEXT PRIMARY KEY, deleted INTEGER, data TEXT NOT NULL);
    CREATE INDEX webhooks_deleted ON webhooks(deleted);
    CREATE TABLE profile (id TEXT PRIMARY KEY, data TEXT NOT NULL);";

/// `account-1.0.0.sqlite`.
pub const ACCOUNT: &str = "
    CREATE TABLE passwords (time REAL PRIMARY KEY, hash TEXT NOT NULL, createdBy TEXT NOT NULL);
    CREATE INDEX passwords_hash ON passwords(hash);
    CREATE TABLE storeKeyValueData (storeId TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (storeId, key));
    CREATE INDEX storeKeyValueData_storeId ON storeKeyValueData(storeId);
    CREATE TABLE account_fields (field TEXT NOT NULL, value TEXT, time REAL NOT NULL, createdBy TEXT NOT NULL, PRIMARY KEY (field, time));
    CREATE INDEX account_fields_field ON account_fields(field);";

/// A table whose rows are a list in the account record.
pub struct AccountTable {
    /// Name of the list.
    pub list: &'static str,
    /// Name of the table.
    pub table: &'static str,
    /// Columns in the order of the table; the items of the list have members of the same names.
    pub columns: &'static [&'static str],
}

/// The tables of [`ACCOUNT`], in the order of the record's members.
pub const ACCOUNT_TABLES: [AccountTable; 3] = [
    AccountTable {
        list: "passwords",
        table: "passwords",
        columns: &["time", "hash", "createdBy"],
    },
    AccountTable {
        list: "storeKeyValues",
        table: "storeKeyValueData",
        columns: &["storeId", "key", "value"],
    },
    AccountTable {
        list: "accountFields",
        table: "account_fields",
        columns: &["field", "value", "time", "createdBy"],
    },
];

/// `local-1.0.0.sqlite` and `audit-1.0.0.sqlite`: the table; what is derived comes when it is filled.
pub const EVENTS: &str = "
    CREATE TABLE events (eventid TEXT UNIQUE, headId TEXT DEFAULT NULL, streamIds TEXT, time REAL, deleted REAL DEFAULT NULL, endTime REAL, type TEXT, content TEXT, description TEXT, clientData TEXT, integrity TEXT, attachments TEXT, trashed INTEGER DEFAULT 0, created REAL, createdBy TEXT, modified REAL, modifiedBy TEXT);";

/// The columns of [`EVENTS`] in the order of the table, which is that of the record's keys.
pub const EVENT_COLUMNS: [&str; 17] = [
    "eventid",
    "headId",
    "streamIds",
    "time",
    "deleted",
    "endTime",
    "type",
    "content",
    "description",
    "clientData",
    "integrity",
    "attachments",
    "trashed",
    "created",
    "createdBy",
    "modified",
    "modifiedBy",
];

/// Indexes, the full-text index of streams, and what keeps it complete.
pub const EVENTS_DERIVED: &str = r#"
    CREATE INDEX events_eventid ON events(eventid);
    CREATE INDEX events_time ON events(time);
    CREATE INDEX events_deleted ON events(deleted);
    CREATE INDEX events_endTime ON events(endTime);
    CREATE INDEX events_type ON events(type);
    CREATE INDEX events_trashed ON events(trashed);
    CREATE INDEX events_created ON events(created);
    CREATE INDEX events_createdBy ON events(createdBy);
    CREATE INDEX events_modified ON events(modified);
    CREATE INDEX events_modifiedBy ON events(modifiedBy);
    CREATE VIRTUAL TABLE events_fts USING fts5(eventid UNINDEXED, headId UNINDEXED, streamIds, time UNINDEXED, deleted UNINDEXED, endTime UNINDEXED, type UNINDEXED, content UNINDEXED, description UNINDEXED, clientData UNINDEXED, integrity UNINDEXED, attachments UNINDEXED, trashed UNINDEXED, created UNINDEXED, createdBy UNINDEXED, modified UNINDEXED, modifiedBy UNINDEXED, content='events', content_rowid='rowid', tokenize = "unicode61 remove_diacritics 0 tokenchars '-_:.'");
    CREATE VIRTUAL TABLE events_fts_v USING fts5vocab(events_fts, 'row');
    INSERT INTO events_fts (events_fts) VALUES ('rebuild');
    CREATE TRIGGER events_ai AFTER INSERT ON events
    BEGIN
      INSERT INTO events_fts (rowid, streamIds)
        VALUES (new.rowid, new.streamIds);
    END;
    CREATE TRIGGER events_ad AFTER DELETE ON events
    BEGIN
      INSERT INTO events_fts (events_fts, rowid, streamIds)
        VALUES ('delete', old.rowid, old.streamIds);
    END;
    CREATE TRIGGER events_au AFTER UPDATE ON events
    BEGIN
      INSERT INTO events_fts (events_fts, rowid, streamIds)
        VALUES ('delete', old.rowid, old.streamIds);
      INSERT INTO events_fts (rowid,  streamIds)
        VALUES (new.rowid, new.streamIds);
    END;"#;

/// `series-1.0.0.sqlite`.
pub const SERIES: &str = "
    CREATE TABLE series_data (event_id TEXT NOT NULL, point_time INTEGER NOT NULL, delta_time INTEGER NOT NULL,
      fields TEXT NOT NULL, PRIMARY KEY (event_id, point_time));
    CREATE INDEX idx_event_delta ON series_data(event_id, delta_time);";

/// The columns of each table.
pub type SchemaTables = BTreeMap<String, Vec<String>>;

/// Tables of each kind of file.
pub static KNOWN: LazyLock<KnownTables> = LazyLock::new(|| KnownTables {
    index: made(INDEX),
    shared: made(SHARED),
    base: made(BASE),
    account: made(ACCOUNT),
    events: made(EVENTS),
    series: made(SERIES),
});

/// See [`KNOWN`].
#[allow(missing_docs)]
pub struct KnownTables {
    pub index: SchemaTables,
    pub shared: SchemaTables,
    pub base: SchemaTables,
    pub account: SchemaTables,
    pub events: SchemaTables,
    pub series: SchemaTables,
}

/// Makes the tables of a schema.
fn made(schema: &str) -> SchemaTables {
    let made = Connection::open_in_memory().and_then(|connection| {
        connection.execute_batch(schema)?;
        tables(&connection)
    });
    made.unwrap_or_default()
}

/// The tables of a file, but for those that SQLite and the full-text index keep for themselves.
pub fn tables(connection: &Connection) -> rusqlite::Result<SchemaTables> {
    let sql = "SELECT m.name, c.name FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = 'table' \
         AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND m.name NOT LIKE 'events\\_fts%' ESCAPE '\\'";
    let mut tables = SchemaTables::new();
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let columns = tables.entry(row.get(0)?).or_default();
        columns.push(row.get(1)?);
    }
    Ok(tables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_those_of_the_tables() {
        assert_eq!(KNOWN.events["events"], EVENT_COLUMNS);
        for AccountTable { table, columns, .. } in ACCOUNT_TABLES {
            assert_eq!(KNOWN.account[table], columns);
        }
    }
}
