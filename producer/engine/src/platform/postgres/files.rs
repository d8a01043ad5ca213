//! Attachments: those that events list, copied from files, several at once.

use super::bundle::Bundle;
use super::connection::{Connection, Server, literal};
use super::shape::AttachmentListing;
use crate::platform::{Attachment, ExportError, PlatformError};
use crate::threads::lock;
use std::sync::Mutex;

/// Adds the attachments that an event lists; a list that cannot be read is a loss.
pub fn attach(
    listing: &AttachmentListing<'_>,
    bundle: &mut Bundle<'_, '_>,
) -> Result<(), ExportError> {
    let event_id = String::from_utf8_lossy(listing.event_id);
    match Attachment::listed(&event_id, listing.deleted, listing.text) {
        Ok(list) => list.into_iter().try_for_each(|file| bundle.attach(file)),
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
