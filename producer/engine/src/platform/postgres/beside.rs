//! Attachments in the database whose events are in files beside it: read as of now, not of the snapshot, because the events in files are read as of now too.

use super::connection::{Connection, Server, literal};
use super::copy::{Copy, Row};
use crate::platform::attachments::AttachmentSource;
use crate::platform::target::Still;
use crate::platform::{Attachment, ExportError, PlatformError, User, UserSink};
use crate::threads::lock;
use std::collections::HashMap;
use std::io::Read;
use std::sync::Mutex;

/// The files of a database, for several threads.
pub struct FilesBeside<'a> {
    server: &'a Server,
    /// Connections that nobody uses.
    idle: Mutex<Vec<Connection>>,
}

impl<'a> FilesBeside<'a> {
    /// Each thread connects when it first asks.
    pub fn new(server: &'a Server) -> Self {
        Self {
            server,
            idle: Mutex::default(),
        }
    }

    fn all(
        connection: &Connection,
        lengths: &Lengths<'_>,
        user: &User,
        files: &[Attachment],
        still: Still<'_>,
        sink: &mut dyn UserSink,
    ) -> Result<(), ExportError> {
        for file in files {
            let Attachment { event_id, id, .. } = file;
            match lengths.get(&(event_id.as_str(), id.as_str())) {
                Some(length) => {
                    let mut content = FileContent::new(connection, user, file);
                    let taken = sink.attachment(file, Some(*length), &mut content);
                    content.end()?;
                    taken.map_err(ExportError::Sink)?;
                }
                // A deleted event may still list files that were removed with it.
                None if file.deleted => {}
                None if !still(file)? => sink.gone(file).map_err(ExportError::Sink)?,
                None => {
                    let what =
                        format!("attachment {id} of event {event_id} is not in attachment_files");
                    sink.loss(file.loss(what)).map_err(ExportError::Sink)?;
                }
            }
        }
        Ok(())
    }
}

impl AttachmentSource for FilesBeside<'_> {
    fn hand_over(
        &self,
        user: &User,
        files: &[Attachment],
        still: Still<'_>,
        sink: &mut dyn UserSink,
    ) -> Result<(), ExportError> {
        if files.is_empty() {
            return Ok(());
        }
        let idle = lock(&self.idle).pop();
        // One that was idle for long may have been cut off on its way.
        let asked = idle.and_then(|idle| Some((lengths(&idle, user, files).ok()?, idle)));
        let (lengths, connection) = match asked {
            Some(asked) => asked,
            None => {
                let connection = self.server.connect()?;
                (lengths(&connection, user, files)?, connection)
            }
        };
        Self::all(&connection, &lengths, user, files, still, sink)?;
        lock(&self.idle).push(connection);
        Ok(())
    }
}

/// Bytes of files, by event and id.
type Lengths<'f> = HashMap<(&'f str, &'f str), u64>;

/// How many bytes each of the files has that are there.
fn lengths<'f>(
    connection: &Connection,
    user: &User,
    files: &'f [Attachment],
) -> Result<Lengths<'f>, PlatformError> {
    let keys = files
        .iter()
        .map(|file| format!("({}, {})", literal(&file.event_id), literal(&file.id)));
    let sql = format!(
        "SELECT event_id, file_id, sum(octet_length(data))::text FROM attachment_files WHERE user_id = {} AND (event_id, file_id) IN ({}) \
         GROUP BY event_id, file_id",
        literal(&user.user_id),
        keys.collect::<Vec<_>>().join(", ")
    );
    let mut there = HashMap::new();
    for row in connection.rows(&sql)? {
        let cells: Vec<String> = row.into_iter().flatten().collect();
        let [event_id, id, length] = cells.as_slice() else {
            continue;
        };
        let listed = files
            .iter()
            .find(|file| file.event_id == *event_id && file.id == *id);
        if let (Some(file), Ok(length)) = (listed, length.parse()) {
            there.insert((file.event_id.as_str(), file.id.as_str()), length);
        }
    }
    Ok(there)
}

/// The content of a file, asked for when it is first read.
struct FileContent<'c> {
    connection: &'c Connection,
    sql: String,
    pieces: Option<Copy>,
    row: Row,
    /// Bytes that were taken of the piece in `row`, and the number of the next one.
    taken: usize,
    next: i32,
    /// Why the server did not give it.
    failure: Option<PlatformError>,
}

impl<'c> FileContent<'c> {
    fn new(connection: &'c Connection, user: &User, file: &Attachment) -> Self {
        Self {
            connection,
            sql: format!(
                "SELECT data, seq FROM attachment_files WHERE user_id = {} AND event_id = {} AND file_id = {} ORDER BY seq",
                literal(&user.user_id),
                literal(&file.event_id),
                literal(&file.id)
            ),
            pieces: None,
            row: Row::default(),
            taken: 0,
            next: 0,
            failure: None,
        }
    }

    fn piece(&self) -> &[u8] {
        self.row
            .get(0)
            .and_then(|data| data.get(self.taken..))
            .unwrap_or_default()
    }

    /// Goes on to the next piece; false at the end.
    fn advance(&mut self) -> Result<bool, PlatformError> {
        let pieces = match &mut self.pieces {
            Some(pieces) => pieces,
            none => none.insert(self.connection.copy(&self.sql)?),
        };
        self.taken = 0;
        pieces.next(&mut self.row)
    }

    /// Takes the rest, which stands before the answer to the next question. A server that failed would fail for all others too.
    fn end(mut self) -> Result<(), PlatformError> {
        if let Some(error) = self.failure {
            return Err(error);
        }
        if let Some(pieces) = &mut self.pieces {
            while pieces.next(&mut self.row)? {}
        }
        Ok(())
    }
}

impl Read for FileContent<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.piece().is_empty() {
            match self.advance() {
                Ok(true) if self.row.get(1) == Some(&self.next.to_be_bytes()) => self.next += 1,
                // It was removed since it was asked how long it is, or somebody has removed a part of it.
                Ok(more) if more || self.next == 0 => {
                    let what = format!("piece {} is missing in attachment_files", self.next);
                    return Err(std::io::Error::other(what));
                }
                Ok(_) => {
                    self.row = Row::default();
                    return Ok(0);
                }
                Err(error) => {
                    let what = error.to_string();
                    self.failure = Some(error);
                    return Err(std::io::Error::other(what));
                }
            }
        }
        let piece = self.piece();
        let length = buffer.len().min(piece.len());
        buffer[..length].copy_from_slice(&piece[..length]);
        self.taken += length;
        Ok(length)
    }
}
