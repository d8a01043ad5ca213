//! Attachments kept as files: `attachments/<eventId>/<fileId>` in the folder of the user.

use super::sqlite::file::SqliteFile;
use super::sqlite::reading::{Reading, each_row};
use super::{Attachment, ExportError, Loss, PlatformError, User, UserSink, json};
use crate::regular;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

const NAME: &str = "attachments";

/// Hands over each file that a live event lists; history versions only repeat what their event lists or listed.
pub fn export(
    events: &SqliteFile,
    users_dir: &Path,
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
        let listed = Attachment::listed(&event_id, deleted, stored.as_bytes());
        let listed = listed.unwrap_or_else(|e| {
            reading.lose(
                NAME,
                &events.path,
                format!("the attachments of event {event_id:?} cannot be listed: {e}"),
            );
            Vec::new()
        });
        for file in listed {
            let still = || still_lists(&events.path, &file);
            hand_over(users_dir, reading.user, &file, &still, reading.sink)?;
        }
        Ok(())
    })
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

/// Hands over one file; `still` tells whether its event lists it now. One that is gone because it does not is no loss.
pub fn hand_over(
    users_dir: &Path,
    user: &User,
    file: &Attachment,
    still: &dyn Fn() -> Result<bool, PlatformError>,
    sink: &mut dyn UserSink,
) -> Result<(), ExportError> {
    let Attachment { event_id, id, .. } = file;
    let place = folder(users_dir, &user.user_id).filter(|_| plain(event_id) && plain(id));
    let Some(place) = place else {
        let what = "is not that of a file inside its folder; the attachment was left out";
        sink.loss(file.loss(format!("the name {event_id:?}/{id:?} {what}")));
        return Ok(());
    };
    let path = place.join(NAME).join(event_id).join(id);
    let opened = regular::open(&path).and_then(|content| {
        let length = content.metadata()?.len();
        Ok((content, length))
    });
    match opened {
        Ok((mut content, length)) => sink
            .attachment(file, Some(length), &mut content)
            .map_err(ExportError::Sink),
        // A deleted event may still list files that were removed with it.
        Err(e) if e.kind() == ErrorKind::NotFound && file.deleted => Ok(()),
        Err(e) if e.kind() == ErrorKind::NotFound && !still()? => {
            sink.gone(file).map_err(ExportError::Sink)
        }
        Err(e) => {
            sink.loss(Loss {
                path: Some(path.display().to_string()),
                ..file.loss(format!(
                    "attachment {id} of event {event_id} cannot be read: {e}"
                ))
            });
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
