//! Streams, accesses, profile sets and webhooks: rows of an id, a JSON document and a few columns.

use super::file::SqliteFile;
use super::reading::Reading;
use crate::platform::json::{self, Fields, Object};
use crate::platform::{Collection, ExportError};
use rusqlite::Row;

/// Keys of other engines and of old versions that never belong to a record.
const FOREIGN: [&str; 4] = ["_id", "__v", "userId", "user_id"];

/// Hands over the four collections of the file.
pub fn export(file: &SqliteFile, reading: &mut Reading<'_>) -> Result<(), ExportError> {
    let tables = [
        (
            Collection::Streams,
            "SELECT id, data, deleted, NULL FROM streams ORDER BY rowid",
        ),
        (
            Collection::Accesses,
            "SELECT id, data, deleted, head_id FROM accesses ORDER BY rowid",
        ),
        (
            Collection::Profile,
            "SELECT id, data, NULL, NULL FROM profile ORDER BY rowid",
        ),
        (
            Collection::Webhooks,
            "SELECT id, data, deleted, NULL FROM webhooks ORDER BY rowid",
        ),
    ];
    // Each is made when its first record comes.
    let mut there = Vec::new();
    let mut absent = Vec::new();
    for (collection, sql) in tables {
        match file.has_table(collection.name())? {
            true => there.push((collection, sql)),
            false => absent.push(collection),
        }
    }
    if there.is_empty() {
        return Err(file
            .without("streams, accesses, profile or webhooks")
            .into());
    }
    for collection in absent {
        let what = format!("the table {} is gone from the file", collection.name());
        reading.absent(collection, &file.path, &what);
    }
    for (collection, sql) in there {
        // One damaged table does not take the other three with it.
        let outcome = reading.rows(file, collection, collection.name(), sql, &|row| {
            record(collection, row)
        });
        reading.survive(collection.name(), &file.path, outcome)?;
    }
    Ok(())
}

/// One record: its document, then its id and what else has a column of its own.
fn record(collection: Collection, row: &Row<'_>) -> Result<Vec<u8>, String> {
    let cell = |i| row.get_ref(i).map_err(|e| e.to_string());
    let id = json::column(cell(0)?)?;
    let deleted = json::column(cell(2)?)?;
    let mut object = Object::new();
    if collection == Collection::Streams && deleted != "null" {
        object.raw("id", &id).raw("deleted", &deleted);
        return Ok(object.finish());
    }
    let data = json::text(cell(1)?)?.unwrap_or_default();
    let fields = Fields::parse(&data)?;
    for (key, value) in fields.iter() {
        let own = FOREIGN.contains(&key) || matches!(key, "id" | "headId" | "deleted");
        let derived = collection == Collection::Streams && left_out_of_streams(key, value);
        if !own && !derived {
            object.raw(key, value);
        }
    }
    object.raw("id", &id);
    let head = json::column(cell(3)?)?;
    if head != "null" {
        object.raw("headId", &head);
    }
    if deleted != "null" {
        object.raw("deleted", &deleted);
    }
    let shared = collection == Collection::Accesses && fields.get("type") == Some("\"shared\"");
    if shared && fields.get("deviceName").is_none() {
        object.raw("deviceName", "null");
    }
    Ok(object.finish())
}

fn left_out_of_streams(key: &str, value: &str) -> bool {
    key == "path" || (matches!(key, "trashed" | "singleActivity") && value == "false")
}
