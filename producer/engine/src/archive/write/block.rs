//! Records on their way into a file: collected into blocks, each of which becomes one gzip member.

use std::cell::RefCell;

use libdeflater::{CompressionLvl, Compressor};

use super::ArchiveError;
use crate::limits::{BLOCK, PIECE};

/// Lines that wait to be compressed together.
pub struct Block {
    lines: Vec<u8>,
    records: u64,
}

thread_local! {
    /// Memory of blocks that are done: small users come one after the other, each with a few blocks.
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}
/// How many of these a thread keeps, and how large one is at most.
const KEPT: (usize, usize) = (8, PIECE);

/// Bytes for a file of records: a gzip member, or the lines themselves in an archive that is not compressed.
pub struct RecordBytes<'a> {
    /// As the file takes it.
    pub bytes: &'a [u8],
    /// Bytes of the lines.
    pub plain: u64,
    /// Number of lines.
    pub records: u64,
}

impl Block {
    /// Appends a record, which has no newline.
    pub fn push(&mut self, line: &[u8]) {
        self.lines.extend_from_slice(line);
        self.lines.push(b'\n');
        self.records += 1;
    }

    /// Appends lines with their newlines.
    pub fn extend(&mut self, lines: &[u8], count: u64) {
        self.lines.extend_from_slice(lines);
        self.records += count;
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Whether the block is large enough to be taken.
    pub fn is_full(&self) -> bool {
        self.lines.len() >= BLOCK
    }

    /// Hands over the content, compressed by the calling thread, and is empty again.
    pub fn take<R>(
        &mut self,
        compress: bool,
        then: impl FnOnce(RecordBytes<'_>) -> Result<R, ArchiveError>,
    ) -> Result<R, ArchiveError> {
        let done = content(compress, &self.lines, self.records, then);
        self.lines.clear();
        self.records = 0;
        done
    }
}

impl Default for Block {
    fn default() -> Self {
        Block {
            lines: SPARE
                .with_borrow_mut(|spare| spare.pop())
                .unwrap_or_default(),
            records: 0,
        }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let mut lines = std::mem::take(&mut self.lines);
        lines.clear();
        // At the end of a thread there may be no place any more.
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < KEPT.0 && (1..=KEPT.1).contains(&lines.capacity()) {
                spare.push(lines);
            }
        });
    }
}

/// On event lines, level 4 takes less than two thirds of the time of the usual 6, for 3 % more bytes.
const LEVEL: i32 = 4;

struct Gzip {
    compressor: Compressor,
    member: Vec<u8>,
}

thread_local! {
    static GZIP: RefCell<Gzip> = RefCell::new(Gzip {
        compressor: Compressor::new(CompressionLvl::new(LEVEL).unwrap_or_default()),
        member: Vec::new(),
    });
}

/// Lines as content of a file.
pub fn content<R>(
    compress: bool,
    lines: &[u8],
    records: u64,
    then: impl FnOnce(RecordBytes<'_>) -> Result<R, ArchiveError>,
) -> Result<R, ArchiveError> {
    let plain = lines.len() as u64;
    if !compress {
        return then(RecordBytes {
            bytes: lines,
            plain,
            records,
        });
    }
    GZIP.with_borrow_mut(|gzip| {
        let Gzip { compressor, member } = gzip;
        let bound = compressor.gzip_compress_bound(lines.len());
        if member.len() < bound {
            member.resize(bound, 0);
        }
        let length = compressor
            .gzip_compress(lines, member)
            .map_err(|e| ArchiveError::Compress(e.to_string()))?;
        then(RecordBytes {
            bytes: &member[..length],
            plain,
            records,
        })
    })
}
