//! Attachments: those that events list, copied from files, several at once.

use super::connection::{Connection, Server, literal};
use super::shape::Listing;
use super::work::{Attachment, Bundle, Open};
use crate::platform::attachments::{folder, plain};
use crate::platform::{ExportError, Loss, PlatformError, UserSink, lock};
use serde::Deserialize;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Mutex;

#[derive(Deserialize)]
struct Listed {
    id: String,
    #[serde(default)]
    size: serde_json::Value,
}

/// Adds the attachments that an event lists; a list that cannot be read is a loss.
pub fn attach(listing: &Listing<'_>, bundle: &mut Bundle<'_, '_>) -> Result<(), ExportError> {
    let event_id = String::from_utf8_lossy(listing.event_id);
    match serde_json::from_slice::<Option<Vec<Listed>>>(listing.text) {
        Ok(list) => list
            .into_iter()
            .flatten()
            .try_for_each(|Listed { id, size }| {
                let attachment = Attachment {
                    event_id: event_id.clone().into_owned(),
                    id,
                    deleted: listing.deleted,
                };
                bundle.attach(attachment, size.as_u64().unwrap_or(0))
            }),
        Err(e) => {
            let what = format!("the attachments of event {event_id:?} cannot be listed: {e}");
            bundle.lose("attachments", what)
        }
    }
}

/// The platform as it is now, not as the snapshot shows it.
pub struct Live<'a> {
    server: &'a Server,
    connection: Mutex<Option<Connection>>,
}

impl<'a> Live<'a> {
    /// Connected to when it is first asked.
    pub fn new(server: &'a Server) -> Self {
        Self {
            server,
            connection: Mutex::default(),
        }
    }

    /// Whether the event still lists the file.
    pub fn lists(&self, user_id: &str, file: &Attachment) -> Result<bool, PlatformError> {
        let id = serde_json::json!([{ "id": file.id }]).to_string();
        let found = self.ask(&format!(
            "SELECT user_id FROM events WHERE user_id = {} AND id = {} AND deleted IS NULL AND attachments @> {}::jsonb",
            literal(user_id),
            literal(&file.event_id),
            literal(&id)
        ))?;
        Ok(found.is_some())
    }

    /// Which of these users has such an event.
    pub fn owner(&self, ids: &[String], event_id: &str) -> Result<Option<String>, PlatformError> {
        let ids: Vec<String> = ids.iter().map(|id| literal(id)).collect();
        self.ask(&format!(
            "SELECT min(user_id) FROM events WHERE user_id = ANY(ARRAY[{}]) AND id = {}",
            ids.join(", "),
            literal(event_id)
        ))
    }

    /// The first value of the first row.
    fn ask(&self, sql: &str) -> Result<Option<String>, PlatformError> {
        let mut connection = lock(&self.connection);
        let known = connection.take();
        let found = known.map(|known| known.rows(sql).map(|rows| (known, rows)));
        // One that was idle for long may have been cut off on its way.
        let (known, rows) = match found {
            Some(Ok(found)) => found,
            _ => {
                let new = self.server.connect()?;
                let rows = new.rows(sql)?;
                (new, rows)
            }
        };
        *connection = Some(known);
        Ok(rows.into_iter().flatten().flatten().next())
    }
}

/// Hands over one file. One that is gone because its event was changed meanwhile is no loss.
pub fn copy(
    users_dir: &Path,
    live: &Live<'_>,
    open: &Open<'_>,
    file: &Attachment,
    sink: &mut dyn UserSink,
) -> Result<(), ExportError> {
    let user_id = &open.user.user_id;
    let mut lose = |path: Option<&Path>, what: String| {
        sink.loss(Loss {
            user_id: Some(user_id.clone()),
            collection: Some("attachments".to_owned()),
            path: path.map(|p| p.display().to_string()),
            what,
        });
    };
    let Attachment { event_id, id, .. } = file;
    let Some(folder) = folder(users_dir, user_id).filter(|_| plain(event_id) && plain(id)) else {
        let what = "is not that of a file inside its folder; the attachment was left out";
        lose(None, format!("the name {event_id:?}/{id:?} {what}"));
        return Ok(());
    };
    let path = folder.join("attachments").join(event_id).join(id);
    match File::open(&path) {
        Ok(mut content) => sink
            .attachment(event_id, id, &mut content)
            .map_err(ExportError::Sink),
        // A deleted event may still list files that were removed with it.
        Err(e) if e.kind() == ErrorKind::NotFound && file.deleted => Ok(()),
        Err(e) if e.kind() == ErrorKind::NotFound && !live.lists(user_id, file)? => Ok(()),
        Err(e) => {
            let what = format!("attachment {id} of event {event_id} cannot be read: {e}");
            lose(Some(&path), what);
            Ok(())
        }
    }
}
