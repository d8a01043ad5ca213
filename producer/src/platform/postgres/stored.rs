//! Attachments kept in the database, piece by piece.

use super::copy::{Copy, Row};
use super::work::{Attachment, Bundle, Open};
use crate::platform::{ExportError, PlatformError, UserSink, lock};
use std::collections::HashMap;
use std::io::Read;

/// The pieces of all files, in order.
pub const QUERY: &str = "SELECT user_id, event_id, file_id, seq, data FROM attachment_files{} \
    ORDER BY user_id COLLATE \"C\", event_id, file_id, seq";

/// The files that the events of a user list.
#[derive(Default)]
pub struct Wanted(HashMap<(Vec<u8>, Vec<u8>), Attachment>);

impl Wanted {
    /// Adds a file.
    pub fn add(&mut self, file: Attachment) {
        let key = (
            file.event_id.clone().into_bytes(),
            file.id.clone().into_bytes(),
        );
        self.0.insert(key, file);
    }

    /// Adds what another reader found.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// What was not found.
    pub fn lose(self, bundle: &mut Bundle<'_, '_>) {
        for Attachment { event_id, id, .. } in self.0.into_values().filter(|file| !file.deleted) {
            let what = format!("attachment {id} of event {event_id} is not in attachment_files");
            bundle.lose("attachments", what);
        }
    }

    /// Takes a file out.
    fn take(&mut self, row: &Row) -> Option<Attachment> {
        let field = |i| row.get(i).map(<[u8]>::to_vec);
        self.0.remove(&(field(1)?, field(2)?))
    }
}

/// Hands over the file whose first piece is `row`, if it is wanted. On return, `row` is the first one after it.
pub fn hand_over(
    copy: &mut Copy,
    row: &mut Row,
    there: &mut bool,
    wanted: &mut Wanted,
    open: &Open<'_>,
    sink: &mut dyn UserSink,
) -> Result<(), ExportError> {
    let key = |row: &Row| [0, 1, 2].map(|i| row.get(i).unwrap_or_default().to_vec());
    let name = key(row);
    let file = wanted.take(row);
    let mut pieces = Pieces {
        copy,
        row,
        there,
        done: 0,
        next: 0,
        same: &|row| key(row) == name,
        failure: None,
    };
    if let Some(file) = file
        && lock(&open.taken).insert(file.id.clone())
    {
        let taken = sink.attachment(&file.id, &mut pieces);
        taken.map_err(ExportError::Sink)?;
    }
    // Whatever nobody wants.
    while *pieces.there && (pieces.same)(pieces.row) && pieces.failure.is_none() {
        *pieces.there = pieces.copy.next(pieces.row)?;
    }
    pieces.failure.map_or(Ok(()), |e| Err(e.into()))
}

/// The content of a file, whose pieces are rows.
struct Pieces<'a> {
    copy: &'a mut Copy,
    row: &'a mut Row,
    there: &'a mut bool,
    /// Bytes of the current piece that were read.
    done: usize,
    /// Number of the current piece.
    next: i32,
    same: &'a dyn Fn(&Row) -> bool,
    failure: Option<PlatformError>,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while *self.there && (self.same)(self.row) {
            if self.row.get(3) != Some(&self.next.to_be_bytes()) {
                let what = format!("piece {} is missing in attachment_files", self.next);
                return Err(std::io::Error::other(what));
            }
            let rest = self.row.get(4).unwrap_or_default().get(self.done..);
            let rest = rest.unwrap_or_default();
            if !rest.is_empty() {
                let length = rest.len().min(buffer.len());
                buffer[..length].copy_from_slice(&rest[..length]);
                self.done += length;
                return Ok(length);
            }
            (self.done, self.next) = (0, self.next + 1);
            match self.copy.next(self.row) {
                Ok(there) => *self.there = there,
                Err(e) => {
                    let what = e.to_string();
                    self.failure = Some(e);
                    return Err(std::io::Error::other(what));
                }
            }
        }
        Ok(0)
    }
}
