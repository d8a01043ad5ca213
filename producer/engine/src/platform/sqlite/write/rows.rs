//! Records as rows.

use rusqlite::types::Value;
use serde_json::value::RawValue;

use crate::platform::json::{self, Fields, Object};
use crate::platform::series::whole;
pub use crate::platform::series::{nanoseconds, point};
use crate::platform::sqlite::schema::EVENT_COLUMNS;
pub use crate::platform::texts::string;

/// A JSON value for a column: numbers and texts as such, anything else as its JSON text.
pub fn scalar(raw: Option<&str>) -> Value {
    match raw {
        None | Some("null") => Value::Null,
        Some("true") => Value::Integer(1),
        Some("false") => Value::Integer(0),
        Some(text) if text.starts_with('"') => Value::Text(string(text)),
        Some(number) => match number.parse::<f64>() {
            Ok(number) => Value::Real(number),
            Err(_) => Value::Text(number.to_owned()),
        },
    }
}

/// The same for a column of whole numbers: to the nearest, where there is one.
pub fn integer(raw: Option<&str>) -> Value {
    match scalar(raw) {
        Value::Real(number) => whole(number).map_or(Value::Real(number), Value::Integer),
        other => other,
    }
}

/// A JSON value for a column of JSON text.
pub fn document(raw: Option<&str>) -> Value {
    match raw {
        None | Some("null") => Value::Null,
        Some(text) => Value::Text(text.to_owned()),
    }
}

/// The document of a stream, access, profile set or webhook: all but what has a column.
pub fn data(fields: &Fields<'_>, path: Option<&str>) -> String {
    let mut object = Object::new();
    for (key, value) in fields.iter() {
        let column = matches!(key, "id" | "headId" | "deleted");
        let derived = path.is_some() && key == "path";
        if !column && !derived {
            object.raw(key, value);
        }
    }
    if let Some(path) = path {
        object.string("path", path);
    }
    String::from_utf8_lossy(&object.finish()).into_owned()
}

/// A list that a record may have.
///
/// # Errors
/// A sentence, when the member is something else.
pub fn list<'a>(fields: &Fields<'a>, name: &str) -> Result<Vec<&'a RawValue>, String> {
    match fields.get(name) {
        None | Some("null") => Ok(Vec::new()),
        Some(raw) => serde_json::from_str(raw).map_err(|_| format!("{name} is not a list")),
    }
}

/// The members of an account record, and of the items of its lists.
pub const ACCOUNT: [&str; 4] = ["userId", "passwords", "storeKeyValues", "accountFields"];

/// The members of the items of a list of an account record.
pub fn of_items(list: &str) -> &'static [&'static str] {
    match list {
        "passwords" => &["time", "hash", "createdBy", "created_by", "user_id"],
        "storeKeyValues" => &["storeId", "store_id", "key", "value", "user_id"],
        _ => &[
            "field",
            "value",
            "time",
            "createdBy",
            "created_by",
            "user_id",
        ],
    }
}

/// The members with a value that are none of these.
pub fn further<'a>(fields: &Fields<'a>, known: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    let mut others = Vec::new();
    for (key, value) in fields.iter() {
        if value != "null" && !known.contains(&key) {
            others.push(key);
        }
    }
    others.into_iter()
}

/// The ids of the streams that an event is in, as JSON strings.
///
/// # Errors
/// A sentence, when they are none.
pub fn stream_ids<'a>(fields: &Fields<'a>) -> Result<Vec<&'a str>, String> {
    let mut ids: Vec<&str> = list(fields, "streamIds")?
        .iter()
        .map(|id| id.get())
        .collect();
    ids.retain(|id| *id != "null");
    match ids.iter().find(|id| !id.starts_with('"')) {
        Some(other) => Err(format!("streamIds holds {other}, which is no id")),
        None => Ok(ids),
    }
}

/// An event as a row, and the keys for which there is no column.
///
/// # Errors
/// A sentence, when it is not said of which streams it is.
pub fn event<'a>(fields: &Fields<'a>) -> Result<(Vec<Value>, Vec<&'a str>), String> {
    let ids = stream_ids(fields)?.into_iter().map(string);
    // The full-text index needs the last one.
    let ids: Vec<String> = ids.chain(["..".to_owned()]).collect();
    let row = EVENT_COLUMNS.iter().map(|name| match *name {
        "eventid" => scalar(fields.get("id")),
        "streamIds" => Value::Text(ids.join(" ")),
        "content" | "clientData" | "attachments" => document(fields.get(name)),
        "trashed" => Value::Integer(i64::from(fields.get(name) == Some("true"))),
        name => scalar(fields.get(name)),
    });
    let unknown = fields
        .iter()
        .filter(|(key, value)| *value != "null" && *key != "id" && !EVENT_COLUMNS.contains(key))
        .map(|(key, _)| key);
    Ok((row.collect(), unknown.collect()))
}

/// An audit record as a row, and the keys for which there is no column: stored as it is when it comes from this engine, translated when
/// it comes from PostgreSQL, which names its columns otherwise and holds JSON as such.
pub fn audit<'a>(fields: &Fields<'a>) -> (Vec<Value>, Vec<&'a str>) {
    const FOREIGN: [(&str, &str); 6] = [
        ("headId", "head_id"),
        ("streamIds", "stream_ids"),
        ("endTime", "end_time"),
        ("clientData", "client_data"),
        ("createdBy", "created_by"),
        ("modifiedBy", "modified_by"),
    ];
    let foreign = fields.get("stream_ids").is_some() || fields.get("head_id").is_some();
    let get = |name: &str| {
        let other = FOREIGN.iter().find(|(own, _)| *own == name);
        let of = |(_, other): &(&str, &str)| fields.get(other);
        fields.get(name).or_else(|| other.and_then(of))
    };
    let row = EVENT_COLUMNS.iter().map(|name| match *name {
        "content" | "clientData" | "attachments" if foreign => document(get(name)),
        // The default of its column.
        "trashed" if get(name).is_none() => Value::Integer(0),
        "trashed" => integer(get(name)),
        name => scalar(get(name)),
    });
    let known = |key: &str| {
        key == "user_id"
            || EVENT_COLUMNS.contains(&key)
            || FOREIGN.iter().any(|(_, other)| *other == key)
    };
    let unknown = fields
        .iter()
        .filter(|(key, value)| *value != "null" && !known(key));
    (row.collect(), unknown.map(|(key, _)| key).collect())
}

/// The JSON text of a stored key-value: a string that holds it when it comes from this engine, the value itself otherwise.
pub fn stored_value(raw: Option<&str>, from_sqlite: bool) -> Value {
    match raw {
        Some(text) if from_sqlite && text.starts_with('"') => Value::Text(string(text)),
        Some(text) => Value::Text(text.to_owned()),
        None => Value::Text("null".to_owned()),
    }
}

/// Quoted, for messages.
pub fn id(fields: &Fields<'_>, name: &str) -> String {
    fields.get(name).map_or_else(String::new, |raw| {
        if raw.starts_with('"') {
            string(raw)
        } else {
            json::checked(raw).unwrap_or_default().to_owned()
        }
    })
}
