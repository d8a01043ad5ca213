//! Events and audit records: the same table, the first decoded, the second as stored.

use super::file::SqliteFile;
use super::reading::Reading;
use super::schema::{EVENT_COLUMNS, KNOWN};
use super::unknown::Further;
use crate::platform::json::{self, Object};
use crate::platform::{Collection, ExportError};
use rusqlite::Row;

/// Hands over all events: live ones, tombstones and history. Versions come before what they are versions of, because Pryv's own tool
/// puts an attachment to the last event that lists it.
pub fn export(file: &SqliteFile, reading: &mut Reading<'_>) -> Result<(), ExportError> {
    for which in ["NOT NULL", "NULL"] {
        let condition = format!("WHERE headId IS {which}");
        export_as(file, Collection::Events, &condition, reading, &event)?;
    }
    Ok(())
}

/// Hands over the audit trail.
pub fn export_audit(file: &SqliteFile, reading: &mut Reading<'_>) -> Result<(), ExportError> {
    export_as(file, Collection::Audit, "", reading, &audit)
}

fn export_as(
    file: &SqliteFile,
    collection: Collection,
    which: &str,
    reading: &mut Reading<'_>,
    members: &dyn Fn(&Row<'_>, &mut Object) -> Result<(), String>,
) -> Result<(), ExportError> {
    let further = Further::of(file, &KNOWN.events, "events")?;
    let (columns, more) = (EVENT_COLUMNS.join(", "), further.select());
    let sql = format!("SELECT {columns}{more} FROM events {which} ORDER BY rowid");
    reading.rows(file, collection, "events", &sql, &|row| {
        let mut object = Object::new();
        members(row, &mut object)?;
        further.add(row, EVENT_COLUMNS.len(), &mut object)?;
        Ok(object)
    })
}

fn event(row: &Row<'_>, object: &mut Object) -> Result<(), String> {
    for (i, name) in EVENT_COLUMNS.iter().enumerate().skip(1) {
        let cell = row.get_ref(i).map_err(|e| e.to_string())?;
        match *name {
            "streamIds" => {
                let stored = json::text(cell)?.unwrap_or_default();
                if let Some(ids) = stream_ids(&stored) {
                    object.raw(name, &ids);
                }
            }
            "content" | "clientData" | "attachments" => {
                if let Some(stored) = json::text(cell)? {
                    let value = json::checked(&stored).map_err(|e| format!("{name}: {e}"))?;
                    if value != "null" {
                        object.raw(name, value);
                    }
                }
            }
            "trashed" => {
                if json::column(cell)? == "1" {
                    object.raw(name, "true");
                }
            }
            _ => {
                let value = match *name {
                    // A deleted record must not come back as a live one.
                    "deleted" => json::column(cell).map_err(|what| format!("deleted: {what}"))?,
                    name => object.held(name, cell)?,
                };
                if value != "null" || *name == "endTime" {
                    object.raw(name, &value);
                }
            }
        }
    }
    object.raw(
        "id",
        &json::column(row.get_ref(0).map_err(|e| e.to_string())?)?,
    );
    Ok(())
}

/// `a b ..` as a JSON list; the last element is always the marker that the full-text index needs.
fn stream_ids(stored: &str) -> Option<String> {
    let mut ids: Vec<&str> = stored.split(' ').collect();
    ids.pop();
    let quoted: Vec<String> = ids.into_iter().map(json::quote).collect();
    (!quoted.is_empty()).then(|| format!("[{}]", quoted.join(",")))
}

fn audit(row: &Row<'_>, object: &mut Object) -> Result<(), String> {
    for (i, name) in EVENT_COLUMNS.iter().enumerate() {
        let value = object.held(name, row.get_ref(i).map_err(|e| e.to_string())?)?;
        object.raw(name, &value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::stream_ids;

    #[test]
    fn stream_ids_lose_only_the_marker() {
        assert_eq!(
            stream_ids("diary weight ..").as_deref(),
            Some("[\"diary\",\"weight\"]")
        );
        assert_eq!(stream_ids(".."), None);
        assert_eq!(stream_ids(""), None);
    }
}
