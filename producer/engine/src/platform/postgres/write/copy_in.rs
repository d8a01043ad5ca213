//! Rows on their way into a table, as the text that `COPY FROM` reads: numbers and JSON pass as they are written.

use std::io::Cursor;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::SinkExt;
use tokio::runtime::Runtime;
use tokio_postgres::CopyInSink;

use crate::platform::PlatformError;
use crate::platform::postgres::answer::wait;
use crate::platform::postgres::connection::Connection;

/// An open `COPY FROM`.
pub struct CopyIn {
    sink: Pin<Box<CopyInSink<Cursor<Vec<u8>>>>>,
    runtime: Arc<Runtime>,
    address: String,
    rows: u64,
}

impl CopyIn {
    /// Runs a `COPY … FROM STDIN`.
    pub fn begin(connection: &Connection, statement: &str) -> Result<Self, PlatformError> {
        let (runtime, address) = connection.place();
        let sink = wait(&runtime, &address, connection.client().copy_in(statement))?;
        Ok(Self {
            sink: Box::pin(sink),
            runtime,
            address,
            rows: 0,
        })
    }

    /// Sends whole rows.
    pub fn send(&mut self, rows: Vec<u8>) -> Result<(), PlatformError> {
        // No value has a newline that is not escaped.
        self.rows += memchr::memchr_iter(b'\n', &rows).count() as u64;
        let sent = self.sink.send(Cursor::new(rows));
        wait(&self.runtime, &self.address, sent)
    }

    /// Ends it: only now the server says whether it takes all. Returns how many rows were sent, and how many it took.
    pub fn finish(mut self) -> Result<(u64, u64), PlatformError> {
        let taken = wait(&self.runtime, &self.address, self.sink.as_mut().finish())?;
        Ok((self.rows, taken))
    }
}

/// Appends a value; none is NULL.
pub fn field(value: Option<&str>, row: &mut Vec<u8>) {
    let Some(value) = value else {
        row.extend_from_slice(b"\\N");
        return;
    };
    let mut rest = value.as_bytes();
    // Most values have nothing to escape, which is seen fastest by looking at all of them at once.
    if !rest
        .iter()
        .fold(false, |any, byte| any | (*byte < b' ') | (*byte == b'\\'))
    {
        row.extend_from_slice(rest);
        return;
    }
    while let Some(at) = rest
        .iter()
        .position(|byte| matches!(byte, b'\\' | b'\n' | b'\r' | b'\t'))
    {
        row.extend_from_slice(&rest[..at]);
        row.extend_from_slice(match rest[at] {
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            _ => b"\\t",
        });
        rest = &rest[at + 1..];
    }
    row.extend_from_slice(rest);
}
