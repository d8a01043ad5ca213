//! Record files: JSON lines, compressed block by block.

use std::path::Path;

use decryptor_wasm::{DataKey, FileEntry};
use libdeflater::{CompressionLvl, Compressor};

use super::{ArchiveError, file::FileWriter};

/// Plain bytes of a gzip member: large enough to compress well, small enough to keep memory flat.
const BLOCK: usize = 1024 * 1024;

/// One `.jsonl` or `.jsonl.gz` file.
pub struct RecordFile {
    file: FileWriter,
    block: Vec<u8>,
    gzip: Option<Gzip>,
    records: u64,
    members: u64,
}

struct Gzip {
    compressor: Compressor,
    member: Vec<u8>,
}

impl RecordFile {
    /// Creates `stem`.jsonl.gz, or `stem`.jsonl without compression.
    pub fn create(
        root: &Path,
        stem: &str,
        compress: bool,
        key: Option<&DataKey>,
    ) -> Result<Self, ArchiveError> {
        let extension = if compress { "jsonl.gz" } else { "jsonl" };
        Ok(RecordFile {
            file: FileWriter::create(root, &format!("{stem}.{extension}"), key)?,
            block: Vec::new(),
            gzip: compress.then(|| Gzip {
                compressor: Compressor::new(CompressionLvl::default()),
                member: Vec::new(),
            }),
            records: 0,
            members: 0,
        })
    }

    /// Appends one record, a JSON object without newline.
    pub fn push(&mut self, line: &[u8]) -> Result<(), ArchiveError> {
        self.block.extend_from_slice(line);
        self.block.push(b'\n');
        self.records += 1;
        if self.block.len() >= BLOCK {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// Ends the file. Without any record its content is the gzip form of nothing, as Pryv's own tool writes it.
    pub fn finish(mut self) -> Result<FileEntry, ArchiveError> {
        if !self.block.is_empty() || self.members == 0 {
            self.flush()?;
        }
        self.file.finish(Some(self.records))
    }

    fn flush(&mut self) -> Result<(), ArchiveError> {
        self.members += 1;
        match &mut self.gzip {
            None => self.file.write(&self.block)?,
            Some(gzip) => {
                gzip.member
                    .resize(gzip.compressor.gzip_compress_bound(self.block.len()), 0);
                let length = gzip
                    .compressor
                    .gzip_compress(&self.block, &mut gzip.member)
                    .map_err(|e| ArchiveError::Compress(e.to_string()))?;
                self.file.write(&gzip.member[..length])?;
            }
        }
        self.block.clear();
        Ok(())
    }
}

/// A series of numbered files, `events-0001`, `events-0002` …: each ends with the record that reaches the limit.
pub struct Chunked {
    stem: String,
    limit: u64,
    current: Option<RecordFile>,
    plain_bytes: u64,
    /// The finished files.
    pub entries: Vec<FileEntry>,
}

impl Chunked {
    /// Files `stem`-NNNN of about `limit` plain bytes each.
    pub fn new(stem: String, limit: u64) -> Self {
        Chunked {
            stem,
            limit,
            current: None,
            plain_bytes: 0,
            entries: Vec::new(),
        }
    }

    /// Appends one record, opening the next file where needed.
    pub fn push(
        &mut self,
        root: &Path,
        compress: bool,
        key: Option<&DataKey>,
        line: &[u8],
    ) -> Result<(), ArchiveError> {
        let file = match &mut self.current {
            Some(file) => file,
            empty => {
                let stem = format!("{}-{:04}", self.stem, self.entries.len() + 1);
                empty.insert(RecordFile::create(root, &stem, compress, key)?)
            }
        };
        file.push(line)?;
        self.plain_bytes += line.len() as u64 + 1;
        if self.plain_bytes >= self.limit {
            self.close()
        } else {
            Ok(())
        }
    }

    /// Ends the file that is open.
    pub fn close(&mut self) -> Result<(), ArchiveError> {
        self.plain_bytes = 0;
        if let Some(file) = self.current.take() {
            self.entries.push(file.finish()?);
        }
        Ok(())
    }
}
