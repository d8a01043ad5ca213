//! Objects that are read by ranges: what is read in order is fetched in ever larger pieces, anything else alone.

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
/// KeptPieces that are kept of all objects: several threads read at different places.
const PIECES: usize = 16;

/// An object in a store.
pub struct ObjectFile {
    store: ObjectStore,
    pieces: KeptPieces,
    name: Name,
    size: u64,
}

/// The key of an object, and its version, if that is not the newest.
#[derive(Clone, PartialEq, Eq)]
struct Name {
    key: String,
    version: Option<String>,
}

/// The pieces that were read last of the objects that were listed together; the newest is the last.
#[derive(Clone, Default)]
pub struct KeptPieces(Arc<Mutex<Vec<Piece>>>);

struct Piece {
    of: Name,
    start: u64,
    bytes: Arc<Vec<u8>>,
}

impl Piece {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl KeptPieces {
    /// The piece that holds the byte at `offset`, and where it begins; or else how many bytes are to be fetched from there.
    fn find(&self, of: &Name, offset: u64, wanted: u64) -> Result<(u64, Arc<Vec<u8>>), u64> {
        let mut pieces = lock(&self.0);
        let place = |is: &dyn Fn(&Piece) -> bool| {
            let mut all = pieces.iter();
            all.position(|piece| piece.of == *of && is(piece))
        };
        if let Some(at) = place(&|piece| piece.start <= offset && offset < piece.end()) {
            let piece = pieces.remove(at);
            let found = (piece.start, piece.bytes.clone());
            pieces.push(piece);
            return Ok(found);
        }
        // Whoever read the piece before goes on here: that one is not needed again.
        let before = place(&|piece| piece.end() <= offset && offset - piece.end() <= GAP);
        let grown = before.map_or(0, |at| {
            let length = pieces.remove(at).bytes.len() as u64;
            length.saturating_mul(2).min(MOST)
        });
        Err(wanted.max(LEAST).max(grown))
    }

    fn keep(&self, piece: Piece) {
        let mut pieces = lock(&self.0);
        if pieces.len() >= PIECES {
            pieces.remove(0);
        }
        pieces.push(piece);
    }
}

impl ObjectFile {
    /// The object of `size` bytes at `key` below the store's prefix; `version`: none for the newest.
    pub fn new(
        store: &ObjectStore,
        pieces: &KeptPieces,
        key: &str,
        version: Option<String>,
        size: u64,
    ) -> Self {
        ObjectFile {
            store: store.clone(),
            pieces: pieces.clone(),
            name: Name {
                key: key.to_owned(),
                version,
            },
            size,
        }
    }

    /// The piece that holds the byte at `offset`, fetched with `wanted` bytes or more.
    fn piece(&self, offset: u64, wanted: u64) -> io::Result<(u64, Arc<Vec<u8>>)> {
        let length = match self.pieces.find(&self.name, offset, wanted) {
            Ok(found) => return Ok(found),
            Err(length) => length.min(self.size - offset),
        };
        let Name { key, version } = &self.name;
        let bytes = self.store.read(key, version.as_deref(), offset, length)?;
        let bytes = Arc::new(bytes);
        self.pieces.keep(Piece {
            of: self.name.clone(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_pieces_are_kept_and_those_read_in_order_grow() {
        let pieces = KeptPieces::default();
        let name = |key: usize| Name {
            key: key.to_string(),
            version: None,
        };
        let keep = |key, start, length| {
            pieces.keep(Piece {
                of: name(key),
                start,
                bytes: Arc::new(vec![0; length]),
            });
        };
        keep(0, 0, LEAST as usize);
        assert_eq!(pieces.find(&name(0), 5, 1).unwrap().0, 0);
        assert_eq!(pieces.find(&name(1), 5, 1), Err(LEAST));
        assert_eq!(pieces.find(&name(0), LEAST + GAP, 1), Err(2 * LEAST));
        // The one before is given up.
        assert!(pieces.find(&name(0), 5, 1).is_err());
        keep(0, 0, MOST as usize);
        assert_eq!(pieces.find(&name(0), MOST, 1), Err(MOST));
        for key in 1..=2 * PIECES {
            keep(key, 0, 1);
        }
        assert_eq!(lock(&pieces.0).len(), PIECES);
    }
}
