//! Rows on their way into a table, as the text that `COPY FROM` reads: numbers and JSON pass as they are written.

use std::io::Cursor;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::SinkExt;
use tokio::runtime::Runtime;
use tokio_postgres::CopyInSink;

use crate::platform::PlatformError;
use crate::platform::postgres::connection::{Connection, wait};

/// Bytes that are sent at once.
const PIECE: usize = 128 * 1024;

/// An open `COPY FROM`.
pub struct CopyIn {
    sink: Pin<Box<CopyInSink<Cursor<Vec<u8>>>>>,
    runtime: Arc<Runtime>,
    address: String,
    rows: Vec<u8>,
}

impl CopyIn {
    /// Begins to fill these columns of a table.
    pub fn begin(
        connection: &Connection,
        table: &str,
        columns: &str,
    ) -> Result<Self, PlatformError> {
        let sql = format!("COPY {table} ({columns}) FROM STDIN");
        let (runtime, address) = connection.place();
        let sink = wait(&runtime, &address, connection.client().copy_in(&sql))?;
        Ok(Self {
            sink: Box::pin(sink),
            runtime,
            address,
            rows: Vec::with_capacity(PIECE + PIECE / 4),
        })
    }

    /// Where the next row is appended to: fields with tabs between them, see [`field`], and a newline.
    pub fn rows(&mut self) -> &mut Vec<u8> {
        &mut self.rows
    }

    /// Sends what there is, when it is enough.
    pub fn pass(&mut self) -> Result<(), PlatformError> {
        if self.rows.len() < PIECE {
            return Ok(());
        }
        self.send()
    }

    fn send(&mut self) -> Result<(), PlatformError> {
        let rows = std::mem::replace(&mut self.rows, Vec::with_capacity(PIECE + PIECE / 4));
        wait(
            &self.runtime,
            &self.address,
            self.sink.send(Cursor::new(rows)),
        )
    }

    /// Ends it; only now the server says whether it takes all.
    pub fn finish(mut self) -> Result<u64, PlatformError> {
        if !self.rows.is_empty() {
            self.send()?;
        }
        wait(&self.runtime, &self.address, self.sink.as_mut().finish())
    }
}

/// Appends a value; none is NULL.
pub fn field(value: Option<&str>, row: &mut Vec<u8>) {
    let Some(value) = value else {
        row.extend_from_slice(b"\\N");
        return;
    };
    for byte in value.bytes() {
        match byte {
            b'\\' => row.extend_from_slice(b"\\\\"),
            b'\n' => row.extend_from_slice(b"\\n"),
            b'\r' => row.extend_from_slice(b"\\r"),
            b'\t' => row.extend_from_slice(b"\\t"),
            other => row.push(other),
        }
    }
}
