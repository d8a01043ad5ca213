//! Attachments kept in the database, piece by piece: read one after another, written several at once.

use super::bundle::Bundle;
use super::copy::{Copy, Row};
use super::work::Part;
use crate::platform::{Attachment, ExportError};
use std::io::Read;
use std::sync::mpsc::Receiver;

/// The pieces of all files that events list, in order; with the first one the size that the event says. History versions only repeat what their event lists or listed.
pub const QUERY: &str = "SELECT user_id, event_id, file_id, seq, data, CASE WHEN seq = 0 THEN \
        (SELECT a.value ->> 'size' FROM events e CROSS JOIN LATERAL jsonb_array_elements(\
            CASE WHEN jsonb_typeof(e.attachments) = 'array' THEN e.attachments ELSE '[]' END) a \
        WHERE e.user_id = f.user_id AND e.id = f.event_id AND a.value ->> 'id' = f.file_id LIMIT 1) END FROM attachment_files f \
    WHERE EXISTS (SELECT FROM (SELECT user_id, id, attachments, xmin AS written FROM events WHERE head_id IS NULL \
            AND attachments IS NOT NULL AND attachments <> '[]') e \
        WHERE e.user_id = f.user_id AND e.id = f.event_id \
            AND e.attachments @> jsonb_build_array(jsonb_build_object('id', f.file_id)){since}){and} \
    ORDER BY user_id COLLATE \"C\", event_id, file_id, seq";

/// Attachments that events list and the database does not have: event and file. Without a file, the list itself is malformed.
pub const MISSING: &str = "SELECT e.user_id, e.id, a.value ->> 'id' FROM events e CROSS JOIN LATERAL jsonb_array_elements(\
        CASE WHEN jsonb_typeof(e.attachments) = 'array' THEN e.attachments ELSE '[null]' END) a \
    WHERE e.head_id IS NULL AND e.deleted IS NULL AND e.attachments IS NOT NULL AND e.attachments NOT IN ('[]', 'null') \
        AND NOT EXISTS (SELECT FROM attachment_files f \
            WHERE f.user_id = e.user_id AND f.event_id = e.id AND f.file_id = a.value ->> 'id'){and} \
    ORDER BY e.user_id COLLATE \"C\", e.id";

/// Names what is missing.
pub fn lose(row: &Row, bundle: &mut Bundle<'_, '_>) -> Result<(), ExportError> {
    let text = |i| row.get(i).map(|bytes| String::from_utf8_lossy(bytes));
    let event = text(1).unwrap_or_default();
    bundle.lose(
        "attachments",
        match text(2) {
            Some(file) => {
                format!("attachment {file} of event {event} is not in attachment_files")
            }
            None => format!(
                "the attachments of event {event:?} cannot be listed: not all of them have an id"
            ),
        },
    )
}

/// Hands over the file whose first piece is `row`. On return, `row` is the first one after it.
pub fn hand_over(
    copy: &mut Copy,
    row: &mut Row,
    there: &mut bool,
    bundle: &mut Bundle<'_, '_>,
) -> Result<(), ExportError> {
    let key = |row: &Row| [0, 1, 2].map(|i| row.get(i).unwrap_or_default().to_vec());
    let name = key(row);
    let [_, event_id, id] = name
        .each_ref()
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let size = row.get(5).and_then(|text| std::str::from_utf8(text).ok());
    let file = Attachment {
        event_id,
        id,
        size: size.and_then(|text| text.parse().ok()),
        deleted: false,
    };
    let mut next: i32 = 0;
    let mut part = |row: &Row| {
        let expected = next;
        next += 1;
        if row.get(3) == Some(&expected.to_be_bytes()) {
            Part::Bytes(row.get(4).unwrap_or_default().to_vec())
        } else {
            Part::Broken(format!("piece {expected} is missing in attachment_files"))
        }
    };
    let first = part(row);
    *there = copy.next(row)?;
    let mut goes_on = *there && key(row) == name;
    if let (Part::Bytes(content), false) = (&first, goes_on) {
        return bundle.store(file, content.clone());
    }
    let way = bundle.stream(file)?;
    // Whoever takes the parts is gone only when the run has failed, which is noted there.
    let stopped = |_| ExportError::Sink("stopped, because something else failed".into());
    let mut broken = matches!(first, Part::Broken(_));
    way.send(first).map_err(stopped)?;
    while goes_on {
        if !broken {
            let part = part(row);
            broken = matches!(part, Part::Broken(_));
            way.send(part).map_err(stopped)?;
        }
        *there = copy.next(row)?;
        goes_on = *there && key(row) == name;
    }
    if broken {
        return Ok(());
    }
    way.send(Part::End).map_err(stopped)
}

/// The content of a file that is on its way.
pub struct ContentParts {
    parts: Receiver<Part>,
    current: Vec<u8>,
    at: usize,
    ended: bool,
}

impl ContentParts {
    /// Nothing was taken yet.
    pub fn new(parts: Receiver<Part>) -> Self {
        Self {
            parts,
            current: Vec::new(),
            at: 0,
            ended: false,
        }
    }
}

impl ContentParts {
    /// Takes the rest, so that whoever sends it need not wait.
    pub fn drain(&mut self) {
        while !self.ended {
            match self.parts.recv() {
                Ok(Part::Bytes(_)) => {}
                _ => self.ended = true,
            }
        }
    }
}

impl Read for ContentParts {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.at == self.current.len() && !self.ended {
            match self.parts.recv() {
                Ok(Part::Bytes(bytes)) => (self.current, self.at) = (bytes, 0),
                Ok(Part::End) => self.ended = true,
                Ok(Part::Broken(what)) => return Err(std::io::Error::other(what)),
                Err(_) => return Err(std::io::Error::other("the database gave only a part of it")),
            }
        }
        let length = buffer.len().min(self.current.len() - self.at);
        buffer[..length].copy_from_slice(&self.current[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}
