//! All that a platform holds, as rows: what is the same on two platforms is the same here.

use crate::folder;
use rusqlite::{Connection, types::Value as Cell};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Rows by table, or by file and table; attachments under `attachments`.
pub type Rows = BTreeMap<String, BTreeSet<String>>;

/// The tables of a PostgreSQL platform that hold what belongs to users.
pub const TABLES: [&str; 17] = [
    "accesses",
    "account_fields",
    "alias_index",
    "attachment_files",
    "audit_events",
    "event_streams",
    "events",
    "password_resets",
    "passwords",
    "platform_kv",
    "profile",
    "series_data",
    "sessions",
    "store_key_values",
    "streams",
    "users_index",
    "webhooks",
];

/// Every row of every table of every SQLite file below a folder, but for what the full-text index keeps for itself, and
/// every attachment.
///
/// # Panics
/// When one cannot be read, or holds a row twice.
#[must_use]
pub fn of_files(users: &Path) -> Rows {
    let mut all = Rows::new();
    if !users.exists() {
        return all;
    }
    for (path, bytes) in folder::tree(users) {
        if path.starts_with(".pryv-backup-restore") {
            continue;
        }
        if path.contains("/attachments/") {
            let digest = pryv_backup_engine::archive::sha256_hex(&bytes);
            let files = all.entry("attachments".to_owned()).or_default();
            files.insert(format!("{path} {digest}"));
        }
        if path.ends_with(".sqlite") || path.ends_with(".db") {
            of_file(users, &path, &mut all);
        }
    }
    all
}

/// The rows of one user, by its id and its name.
#[must_use]
pub fn of_user(rows: &Rows, [id, name]: [&str; 2]) -> Rows {
    let mine = |text: &str| text.contains(id) || text.contains(name);
    let mut own = Rows::new();
    for (place, rows) in rows {
        let kept = rows.iter().filter(|row| mine(place) || mine(row)).cloned();
        let kept: BTreeSet<String> = kept.collect();
        if !kept.is_empty() {
            own.insert(place.clone(), kept);
        }
    }
    own
}

fn of_file(users: &Path, path: &str, all: &mut Rows) {
    let database = Connection::open(users.join(path)).unwrap();
    let mut tables = database
        .prepare(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'events_fts%'",
        )
        .unwrap();
    let tables: Vec<String> = tables
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for table in tables {
        let mut statement = database.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = statement.column_count();
        let names = statement.column_names();
        let names: Vec<String> = names.map(str::to_owned).collect();
        let mut found = statement.query([]).unwrap();
        let mut set = BTreeSet::new();
        while let Some(row) = found.next().unwrap() {
            let cells: Vec<String> = (0..columns)
                .map(|i| cell(&names[i], row.get::<_, Cell>(i).unwrap()))
                .collect();
            assert!(set.insert(cells.join(" | ")), "{path} {table}: a row twice");
        }
        all.insert(format!("{path} {table}"), set);
    }
}

/// A document by its content: the order of its members says nothing, nor does what is false by default. The path of a stream
/// follows from its parents, and Pryv.io itself loses it when a stream is changed.
fn cell(name: &str, value: Cell) -> String {
    match value {
        Cell::Text(text) if name == "data" => {
            let value: Value = serde_json::from_str(&text).unwrap();
            let mut sorted: BTreeMap<String, Value> = serde_json::from_value(value).unwrap();
            sorted.remove("path");
            sorted.retain(|key, value| {
                !(*value == false && (key == "trashed" || key == "singleActivity"))
            });
            format!("{sorted:?}")
        }
        // No record tells a content that is null from one that is not there.
        Cell::Text(text) if name == "content" && text == "null" => format!("{:?}", Cell::Null),
        other => format!("{other:?}"),
    }
}

/// Every stream that is not deleted has the ids from the root down to it as its path.
///
/// # Panics
/// When one has not, or when too few are nested to tell.
pub fn assert_paths(users: &Path) {
    let mut nested = 0;
    for path in folder::tree(users).into_keys() {
        if !path.ends_with("/baseStorage-1.0.0.sqlite") || path.starts_with("_shared") {
            continue;
        }
        let database = Connection::open(users.join(&path)).unwrap();
        let mut statement = database
            .prepare(
                "SELECT id, data->>'parentId', data->>'path' FROM streams WHERE deleted IS NULL",
            )
            .unwrap();
        let rows = statement
            .query_map([], |r| Ok((r.get(0)?, (r.get(1)?, r.get(2)?))))
            .unwrap();
        let streams: BTreeMap<String, (Option<String>, String)> =
            rows.map(Result::unwrap).collect();
        for (id, (parent, path)) in &streams {
            let above = parent
                .as_ref()
                .and_then(|p| streams.get(p))
                .map_or("", |(_, path)| path);
            assert_eq!(*path, format!("{above}{id}/"));
            nested += usize::from(!above.is_empty());
        }
    }
    assert!(nested > 10);
}

/// Queries by stream go through the full-text index: it is sound, and every event is found through it.
///
/// # Panics
/// When not.
pub fn assert_full_text(users: &Path) {
    let mut checked = 0;
    for path in folder::tree(users).into_keys() {
        if !path.ends_with("/local-1.0.0.sqlite") && !path.ends_with("/audit-1.0.0.sqlite") {
            continue;
        }
        let database = Connection::open(users.join(&path)).unwrap();
        database
            .execute_batch(
                "INSERT INTO events_fts (events_fts, rank) VALUES ('integrity-check', 1)",
            )
            .unwrap();
        let count = |sql: &str| -> i64 { database.query_row(sql, [], |row| row.get(0)).unwrap() };
        assert_eq!(
            count("SELECT count(*) FROM events_fts WHERE events_fts MATCH '\"..\"'"),
            count("SELECT count(*) FROM events")
        );
        checked += 1;
    }
    assert!(checked > 0);
}
