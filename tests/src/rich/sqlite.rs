//! The rows put into files, with the tables of the fixtures, which Pryv.io itself made.

use super::{RichUser, Row, camel, folder};
use crate::folder::tree;
use crate::stage::Platform;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use std::fs;
use std::path::Path;

/// Columns of the files of events, and of the audit trail.
const EVENT: [&str; 17] = [
    "id",
    "head_id",
    "stream_ids",
    "time",
    "deleted",
    "end_time",
    "type",
    "content",
    "description",
    "client_data",
    "integrity",
    "attachments",
    "trashed",
    "created",
    "created_by",
    "modified",
    "modified_by",
];

/// Makes the files of the users and of the platform.
pub fn fill(fixtures: &Path, platform: &Platform<'_>, users: &[RichUser]) {
    let model = fixtures.join("platform-sqlite/users");
    for user in users {
        let open = |owner: &str, file: &str| {
            let folder = folder(&platform.users, owner);
            fs::create_dir_all(&folder).unwrap();
            like(&model, file, &folder.join(file))
        };
        let base = open(&user.id, "baseStorage-1.0.0.sqlite");
        let events = open(&user.id, "local-1.0.0.sqlite");
        let audit = open(&user.id, "audit-1.0.0.sqlite");
        let account = open(&user.id, "account-1.0.0.sqlite");
        let series = open(&format!("user.{}", user.name), "series-1.0.0.sqlite");
        fs::create_dir_all(platform.users.join("_shared")).unwrap();
        let shared = platform.users.join("_shared/baseStorage.sqlite");
        let shared = like(&model, "_shared/baseStorage.sqlite", &shared);
        let index = like(
            &model,
            "user-index.db",
            &platform.users.join("user-index.db"),
        );
        for (table, row) in user.rows() {
            let get = |name: &str| value(row, name);
            match table {
                "streams" | "webhooks" => {
                    insert(&base, table, vec![get("id"), get("deleted"), document(row)])
                }
                "accesses" => insert(
                    &base,
                    table,
                    vec![get("id"), get("head_id"), get("deleted"), document(row)],
                ),
                "profile" => insert(&base, table, vec![get("id"), document(row)]),
                "events" => insert(&events, "events", EVENT.map(|name| event(row, name)).into()),
                "audit_events" => insert(&audit, "events", EVENT.map(|n| audited(row, n)).into()),
                "passwords" => insert(
                    &account,
                    table,
                    vec![get("time"), get("hash"), get("created_by")],
                ),
                "store_key_values" => insert(
                    &account,
                    "storeKeyValueData",
                    vec![get("store_id"), get("key"), text(row, "value")],
                ),
                "account_fields" => insert(
                    &account,
                    table,
                    vec![
                        get("field"),
                        text(row, "value"),
                        get("time"),
                        get("created_by"),
                    ],
                ),
                "series_data" => insert(
                    &series,
                    table,
                    vec![
                        get("event_id"),
                        get("point_time"),
                        get("delta_time"),
                        text(row, "fields"),
                    ],
                ),
                "users_index" => insert(&index, "id4name", vec![get("username"), get("user_id")]),
                "alias_index" => insert(&index, "alias4id", vec![get("alias"), get("user_id")]),
                "sessions" => insert(
                    &shared,
                    table,
                    vec![get("id"), text(row, "data"), get("expires")],
                ),
                "password_resets" => insert(
                    &shared,
                    table,
                    vec![get("id"), get("username"), get("expires")],
                ),
                _ => {
                    let [key, value] = ["key", "value"].map(|name| match get(name) {
                        Value::Text(text) => text,
                        other => panic!("{other:?}"),
                    });
                    let rqlite = platform.rqlite.as_ref().unwrap();
                    rqlite.fill([(key.as_str(), value.as_str())]);
                }
            }
        }
    }
}

/// A file with the tables of the first of its name below `model`.
fn like(model: &Path, file: &str, path: &Path) -> Connection {
    let new = !path.exists();
    let connection = Connection::open(path).unwrap();
    if !new {
        return connection;
    }
    let found = tree(model).into_keys().find(|name| name.ends_with(file));
    // A copy: reading a file of this kind leaves others beside it.
    let copy = path.with_extension("model");
    fs::copy(model.join(found.unwrap()), &copy).unwrap();
    let source = Connection::open(&copy).unwrap();
    let mut statement = source
        .prepare(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL \
             AND (name NOT LIKE 'events_fts_%' OR name = 'events_fts_v') ORDER BY rowid",
        )
        .unwrap();
    let statements = statement.query_map([], |row| row.get::<_, String>(0));
    connection
        .execute_batch("PRAGMA journal_mode = WAL")
        .unwrap();
    for sql in statements.unwrap() {
        connection.execute_batch(&sql.unwrap()).unwrap();
    }
    drop(statement);
    source.close().unwrap();
    for ending in ["model", "model-wal", "model-shm"] {
        let _ = fs::remove_file(path.with_extension(ending));
    }
    connection
}

fn insert(file: &Connection, table: &str, row: Vec<Value>) {
    let marks = vec!["?"; row.len()].join(", ");
    file.execute(
        &format!("INSERT INTO {table} VALUES ({marks})"),
        params_from_iter(row),
    )
    .unwrap();
}

fn raw<'a>(row: &'a Row, name: &str) -> Option<&'a str> {
    let found = row.iter().find(|(known, _)| *known == name);
    found
        .map(|(_, value)| value.as_str())
        .filter(|v| *v != "null")
}

/// A number or a text as such.
fn value(row: &Row, name: &str) -> Value {
    match raw(row, name) {
        None => Value::Null,
        Some(text) if text.starts_with('"') => Value::Text(serde_json::from_str(text).unwrap()),
        Some("true") => Value::Integer(1),
        Some("false") => Value::Integer(0),
        Some(number) => match number.parse::<i64>() {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::Real(number.parse().unwrap()),
        },
    }
}

/// JSON as its text; null is a value too.
fn text(row: &Row, name: &str) -> Value {
    Value::Text(raw(row, name).unwrap_or("null").to_owned())
}

fn event(row: &Row, name: &str) -> Value {
    match name {
        "stream_ids" => {
            let ids = raw(row, name).unwrap_or("[]");
            let mut ids: Vec<String> = serde_json::from_str(ids).unwrap();
            ids.push("..".to_owned());
            Value::Text(ids.join(" "))
        }
        "content" | "client_data" | "attachments" => match raw(row, name) {
            Some(json) => Value::Text(json.to_owned()),
            None => Value::Null,
        },
        name => value(row, name),
    }
}

/// The audit trail's stream ids are the same text in both engines.
fn audited(row: &Row, name: &str) -> Value {
    match name {
        "id" => value(row, "eventid"),
        "stream_ids" => value(row, name),
        name => event(row, name),
    }
}

fn document(row: &Row) -> Value {
    let parts: Vec<String> = row
        .iter()
        .filter(|(name, value)| {
            !matches!(*name, "id" | "head_id" | "deleted" | "user_id") && value != "null"
        })
        .map(|(name, value)| format!("\"{}\":{value}", camel(name)))
        .collect();
    Value::Text(format!("{{{}}}", parts.join(",")))
}
