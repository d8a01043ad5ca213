//! Record files: JSON lines, compressed block by block.

use decryptor_wasm::{DataKey, FileEntry};

use super::{
    ArchiveError,
    block::{self, RecordBytes},
    file::{FileStorage, FileWriter},
};

/// Where and how record files are written.
#[derive(Clone, Copy)]
pub struct RecordPlace<'a> {
    /// Where the files of the archive go.
    pub storage: &'a FileStorage,
    /// Whether the files are compressed.
    pub compress: bool,
    /// Key that seals the files.
    pub key: Option<&'a DataKey>,
}

/// One `.jsonl` or `.jsonl.gz` file.
pub struct RecordFile {
    file: FileWriter,
    compress: bool,
    records: u64,
    empty: bool,
}

impl RecordFile {
    /// Creates `stem`.jsonl.gz, or `stem`.jsonl without compression.
    pub fn create(place: RecordPlace<'_>, stem: &str) -> Result<Self, ArchiveError> {
        let extension = if place.compress { "jsonl.gz" } else { "jsonl" };
        Ok(RecordFile {
            file: FileWriter::create(place.storage, &format!("{stem}.{extension}"), place.key)?,
            compress: place.compress,
            records: 0,
            empty: true,
        })
    }

    /// Appends records.
    pub fn append(&mut self, content: &RecordBytes<'_>) -> Result<(), ArchiveError> {
        self.empty = false;
        self.records += content.records;
        self.file.write(content.bytes)
    }

    /// Whether there is no record in it.
    pub fn is_empty(&self) -> bool {
        self.empty
    }

    /// Gives the file up.
    pub fn abandon(self) -> Result<(), ArchiveError> {
        self.file.abandon()
    }

    /// Ends the file. Without any record its content is the gzip form of nothing, as Pryv's own tool writes it.
    pub fn finish(mut self) -> Result<FileEntry, ArchiveError> {
        if self.empty {
            block::content(self.compress, b"", 0, |nothing| self.append(&nothing))?;
        }
        self.file.finish(Some(self.records))
    }
}

/// A series of numbered files, `events-0001`, `events-0002` …: each ends with the block that reaches the limit.
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

    /// Appends records, opening the next file where needed.
    pub fn append(
        &mut self,
        place: RecordPlace<'_>,
        content: &RecordBytes<'_>,
    ) -> Result<(), ArchiveError> {
        let file = match &mut self.current {
            Some(file) => file,
            empty => {
                let stem = format!("{}-{:04}", self.stem, self.entries.len() + 1);
                empty.insert(RecordFile::create(place, &stem)?)
            }
        };
        file.append(content)?;
        self.plain_bytes += content.plain;
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
