//! An object that is read by ranges: what is read in order is fetched in ever larger pieces, anything else alone.

use std::{
    io,
    sync::{Arc, Mutex},
};

use super::{ObjectStore, ReadAt};
use crate::threads::lock;

/// Bytes that are fetched at least.
const LEAST: u64 = 16 * 1024;
/// Bytes that are fetched at most.
const MOST: u64 = 2 * 1024 * 1024;
/// Bytes that may lie between two reads that count as being in order.
const GAP: u64 = 64 * 1024;
/// Pieces that are kept of an object: several threads read it at different places.
const PIECES: usize = 8;

/// An object in a store.
pub struct ObjectFile {
    store: ObjectStore,
    key: String,
    /// Of a version that is not the newest.
    version: Option<String>,
    size: u64,
    /// Those that were fetched last; the newest is the last.
    pieces: Mutex<Vec<Piece>>,
}

struct Piece {
    start: u64,
    bytes: Arc<Vec<u8>>,
}

impl Piece {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl ObjectFile {
    /// The object of `size` bytes at `key` below the store's prefix; `version`: none for the newest.
    pub fn new(store: &ObjectStore, key: &str, version: Option<String>, size: u64) -> Self {
        ObjectFile {
            store: store.clone(),
            key: key.to_owned(),
            version,
            size,
            pieces: Mutex::default(),
        }
    }

    /// The piece that holds the byte at `offset`, fetched with `wanted` bytes or more.
    fn piece(&self, offset: u64, wanted: u64) -> io::Result<(u64, Arc<Vec<u8>>)> {
        let mut length = wanted.max(LEAST);
        {
            let mut pieces = lock(&self.pieces);
            let known = pieces
                .iter()
                .position(|piece| piece.start <= offset && offset < piece.end());
            if let Some(at) = known {
                let piece = pieces.remove(at);
                let found = (piece.start, piece.bytes.clone());
                pieces.push(piece);
                return Ok(found);
            }
            // Whoever read the piece before goes on here: that one is not needed again.
            let before = pieces
                .iter()
                .position(|piece| piece.end() <= offset && offset - piece.end() <= GAP);
            if let Some(at) = before {
                length = length.max((pieces.remove(at).bytes.len() as u64 * 2).min(MOST));
            }
        }
        let length = length.min(self.size - offset);
        let bytes = self
            .store
            .read(&self.key, self.version.as_deref(), offset, length)?;
        let bytes = Arc::new(bytes);
        let mut pieces = lock(&self.pieces);
        if pieces.len() >= PIECES {
            pieces.remove(0);
        }
        pieces.push(Piece {
            start: offset,
            bytes: bytes.clone(),
        });
        Ok((offset, bytes))
    }
}

impl ReadAt for ObjectFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset >= self.size || buffer.is_empty() {
            return Ok(0);
        }
        let (start, bytes) = self.piece(offset, buffer.len() as u64)?;
        let from = usize::try_from(offset - start).unwrap_or(usize::MAX);
        let there = bytes.get(from..).unwrap_or_default();
        if there.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the store sent fewer bytes than the object has",
            ));
        }
        let n = there.len().min(buffer.len());
        buffer[..n].copy_from_slice(&there[..n]);
        Ok(n)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.size)
    }
}
