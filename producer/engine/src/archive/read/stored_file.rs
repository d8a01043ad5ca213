//! One file of an archive as it is stored.

use std::{
    io::{self, Read, Seek, SeekFrom},
    sync::Arc,
};

use crate::storage::ReadAt;

/// A separate file, or a member of a volume, of which several may be read at the same time.
pub struct StoredFile {
    file: Arc<dyn ReadAt>,
    /// Where it begins in `file`.
    start: u64,
    size: u64,
    at: u64,
}

impl StoredFile {
    /// The `size` bytes of `file` from `start` on.
    pub(super) fn new(file: Arc<dyn ReadAt>, start: u64, size: u64) -> Self {
        StoredFile {
            file,
            start,
            size,
            at: 0,
        }
    }

    /// How many bytes it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl Read for StoredFile {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.size.saturating_sub(self.at);
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(into.len());
        let n = self.file.read_at(&mut into[..most], self.start + self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for StoredFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
