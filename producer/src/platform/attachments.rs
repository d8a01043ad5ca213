//! Attachments kept as files: `attachments/<eventId>/<fileId>` in the folder of the user.

use super::sqlite::file::SqliteFile;
use super::sqlite::reading::{Reading, each_row};
use super::{ExportError, json};
use serde::Deserialize;
use std::fs::File;
use std::path::{Component, Path, PathBuf};

const NAME: &str = "attachments";

#[derive(Deserialize)]
struct Attachment {
    id: String,
}

/// Hands over each file that a live event lists; history versions only repeat what their event lists or listed.
pub fn export(
    events: &SqliteFile,
    user_dir: &Path,
    reading: &mut Reading<'_>,
) -> Result<(), ExportError> {
    if !events.has_table("events")? {
        return Ok(());
    }
    let sql = "SELECT eventid, attachments, deleted IS NOT NULL FROM events WHERE attachments IS NOT NULL AND headId IS NULL ORDER BY rowid";
    each_row(events, sql, &mut |row| {
        let failed = |e| events.error(e);
        let event_id: String = row.get(0).map_err(failed)?;
        let deleted: bool = row.get(2).map_err(failed)?;
        // Malformed JSON was reported with the event itself.
        let stored = json::text(row.get_ref(1).map_err(failed)?)
            .unwrap_or_default()
            .unwrap_or_default();
        let listed: Option<Vec<Attachment>> = match serde_json::from_str(&stored) {
            Ok(listed) => listed,
            Err(e) => {
                reading.lose(
                    NAME,
                    &events.path,
                    format!("the attachments of event {event_id:?} cannot be listed: {e}"),
                );
                None
            }
        };
        for Attachment { id } in listed.unwrap_or_default() {
            one(user_dir, &event_id, &id, deleted, reading)?;
        }
        Ok(())
    })
}

/// Hands over one file.
fn one(
    user_dir: &Path,
    event_id: &str,
    id: &str,
    deleted: bool,
    reading: &mut Reading<'_>,
) -> Result<(), ExportError> {
    let path = user_dir.join(NAME).join(event_id).join(id);
    if !plain(event_id) || !plain(id) {
        reading.lose(
            NAME,
            &path,
            "the name is not that of a file inside its folder; the attachment was left out",
        );
        return Ok(());
    }
    match File::open(&path) {
        Ok(mut file) => reading
            .sink
            .attachment(event_id, id, &mut file)
            .map_err(ExportError::Sink),
        // A deleted event may still list files that were removed with it.
        Err(e) if deleted && e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => {
            reading.lose(
                NAME,
                &path,
                format!("attachment {id} of event {event_id} cannot be read: {e}"),
            );
            Ok(())
        }
    }
}

/// The folder of a user or of a series namespace: sharded by its last three characters.
pub fn folder(users_dir: &Path, id: &str) -> Option<PathBuf> {
    let mut folder = users_dir.to_owned();
    let last: Vec<char> = id.chars().rev().take(3).collect();
    if last.len() < 3 || !plain(id) {
        return None;
    }
    folder.extend(last.iter().map(char::to_string));
    folder.push(id);
    Some(folder)
}

/// Whether a name stays inside the folder that it is joined to.
pub fn plain(name: &str) -> bool {
    let mut components = Path::new(name).components();
    matches!(components.next(), Some(Component::Normal(c)) if c == name)
        && components.next().is_none()
        && !name.contains(['\\', '\0'])
}
