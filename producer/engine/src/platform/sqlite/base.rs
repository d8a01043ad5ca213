//! Streams, accesses, profile sets and webhooks: rows of an id, a JSON document and a few columns.

use super::file::SqliteFile;
use super::reading::Reading;
use super::schema::KNOWN;
use super::unknown::Further;
use crate::platform::json::{self, Fields, Object};
use crate::platform::{Collection, ExportError};
use rusqlite::Row;
use std::cell::RefCell;

/// Keys of other engines and of old versions that never belong to a record.
const FOREIGN: [&str; 4] = ["_id", "__v", "userId", "user_id"];

/// Hands over the four collections of the file; those of which it has no table.
pub fn export(
    file: &SqliteFile,
    reading: &mut Reading<'_>,
) -> Result<Vec<Collection>, ExportError> {
    let tables = [
        (Collection::Streams, "id, data, deleted, NULL"),
        (Collection::Accesses, "id, data, deleted, head_id"),
        (Collection::Profile, "id, data, NULL, NULL"),
        (Collection::Webhooks, "id, data, deleted, NULL"),
    ];
    // Each is made when its first record comes.
    let mut there = Vec::new();
    let mut gone = Vec::new();
    for (collection, columns) in tables {
        match file.has_table(collection.name())? {
            true => there.push((collection, columns)),
            false => gone.push(collection),
        }
    }
    if there.is_empty() {
        return Err(file
            .without("streams, accesses, profile or webhooks")
            .into());
    }
    let mut absent = Vec::new();
    for collection in gone {
        let what = format!("the table {} is gone from the file", collection.name());
        if !reading.absent(collection, &file.path, &what)? {
            absent.push(collection);
        }
    }
    for (collection, columns) in there {
        let table = collection.name();
        let further = Further::of(file, &KNOWN.base, table)?;
        let more = further.select();
        let sql = format!("SELECT {columns}{more} FROM {table} ORDER BY rowid");
        let paths = RefCell::default();
        // One damaged table does not take the other three with it.
        let outcome = reading.rows(file, collection, table, &sql, &|row| {
            record(collection, &further, row, &paths)
        });
        for (id, path) in paths.take() {
            let noted = reading.sink.stream_path(&id, &path);
            noted.map_err(ExportError::Sink)?;
        }
        reading.survive(collection.name(), &file.path, outcome)?;
    }
    Ok(absent)
}

/// Ids of deleted streams, and where they were.
type Paths = RefCell<Vec<(String, String)>>;

/// One record: its document, then its id and what else has a column of its own.
fn record(
    collection: Collection,
    further: &Further,
    row: &Row<'_>,
    paths: &Paths,
) -> Result<Object, String> {
    let cell = |i| row.get_ref(i).map_err(|e| e.to_string());
    let id = json::column(cell(0)?)?;
    // A deleted record must not come back as a live one.
    let deleted = json::column(cell(2)?).map_err(|what| format!("deleted: {what}"))?;
    let mut object = Object::new();
    if collection == Collection::Streams && deleted != "null" {
        object.raw("id", &id).raw("deleted", &deleted);
        let data = json::text(cell(1)?)?.unwrap_or_default();
        let path = Fields::parse(&data).ok().and_then(|data| {
            let text = |raw: &str| serde_json::from_str::<String>(raw).ok();
            Some((text(&id)?, text(data.get("path")?)?))
        });
        paths.borrow_mut().extend(path);
        further.add(row, 4, &mut object)?;
        return Ok(object);
    }
    let data = json::text(cell(1)?)?.unwrap_or_default();
    let fields = Fields::parse(&data)?;
    for (key, value) in fields.iter() {
        let own = FOREIGN.contains(&key)
            || matches!(key, "id" | "headId" | "deleted")
            || further.contains(key);
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
    further.add(row, 4, &mut object)?;
    Ok(object)
}

fn left_out_of_streams(key: &str, value: &str) -> bool {
    key == "path" || (matches!(key, "trashed" | "singleActivity") && value == "false")
}
