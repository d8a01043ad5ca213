//! Attachments that events of a SQLite file list.

use super::file::SqliteFile;
use super::reading::{Reading, each_row};
use crate::platform::attachments::{AttachmentSource, NAME};
use crate::platform::{Attachment, ExportError, PlatformError, json};
use std::path::Path;

/// How many are asked for together.
const TOGETHER: usize = 64;

/// Hands over each file that a live event lists; history versions only repeat what their event lists or listed.
pub fn export(
    events: &SqliteFile,
    place: &dyn AttachmentSource,
    reading: &mut Reading<'_>,
) -> Result<(), ExportError> {
    if !events.has_table("events")? {
        return Ok(());
    }
    let sql = "SELECT eventid, attachments, deleted IS NOT NULL FROM events WHERE attachments IS NOT NULL AND headId IS NULL ORDER BY rowid";
    let still = |file: &Attachment| still_lists(&events.path, file);
    let mut waiting = Vec::new();
    each_row(events, sql, &mut |row| {
        let failed = |e| events.error(e);
        let event_id: String = row.get(0).map_err(failed)?;
        let deleted: bool = row.get(2).map_err(failed)?;
        // Malformed JSON was reported with the event itself.
        let stored = json::text(row.get_ref(1).map_err(failed)?)
            .unwrap_or_default()
            .unwrap_or_default();
        let listed = Attachment::listed(&event_id, deleted, stored.as_bytes());
        let listed = match listed {
            Ok(listed) => listed,
            Err(e) => {
                let what = format!("the attachments of event {event_id:?} cannot be listed: {e}");
                return reading.lose(NAME, &events.path, what);
            }
        };
        waiting.extend(listed);
        if waiting.len() >= TOGETHER {
            let files = std::mem::take(&mut waiting);
            place.hand_over(reading.user, &files, &still, reading.sink)?;
        }
        Ok(())
    })?;
    place.hand_over(reading.user, &waiting, &still, reading.sink)
}

/// Whether an event lists a file now.
fn still_lists(events: &Path, file: &Attachment) -> Result<bool, PlatformError> {
    let now = SqliteFile::open(events)?;
    let sql =
        "SELECT attachments FROM events WHERE eventid = ? AND headId IS NULL AND deleted IS NULL";
    let found = now
        .connection
        .query_row(sql, [&file.event_id], |row| row.get::<_, Option<String>>(0));
    let stored = match found {
        Err(rusqlite::Error::QueryReturnedNoRows) => None,
        other => other.map_err(|e| now.error(e))?,
    };
    let listed = Attachment::listed(
        &file.event_id,
        false,
        stored.as_deref().unwrap_or("null").as_bytes(),
    );
    Ok(listed.is_ok_and(|listed| listed.iter().any(|one| one.id == file.id)))
}
