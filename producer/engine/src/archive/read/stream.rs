//! The content of one file, in constant memory.

use std::io::Read;

use decryptor_wasm::{
    DataKey, Error, Result,
    aead::RustAead,
    open::FileStep,
    plan::{Expected, PlannedFile, check_against_inventory},
    reader::{FileReader, FileSummary, ReadOptions},
};
use sha2::{Digest, Sha256};

use super::{Archive, ReadError, error::unreadable};
use crate::text::hex;

/// Bytes read at once.
pub(super) const BLOCK: usize = 1024 * 1024;
const SMALLEST_BLOCK: usize = 4096;

/// How to read a file.
#[derive(Clone, Copy)]
pub struct ReadFile<'a> {
    /// The archive's key; none for a file that is not sealed.
    pub key: Option<&'a DataKey>,
    /// Put out the inflated bytes.
    pub gunzip: bool,
    /// Check that the (inflated) content is JSON lines, and count them.
    pub lines: bool,
    /// Digest the stored bytes.
    pub hash: bool,
    /// Stored bytes, as listed.
    pub size: u64,
}

/// Facts from reading one file to its end.
pub struct Seen {
    /// Sizes, salt and records.
    pub summary: FileSummary,
    /// Of the stored bytes, when asked for.
    pub sha256: Option<String>,
}

/// A whole small file.
pub struct Content {
    /// Its content.
    pub bytes: Vec<u8>,
    /// Facts seen on the way.
    pub seen: Seen,
}

impl Seen {
    /// Compares it with the inventory's entry, if there is one.
    pub fn check(&self, expected: Option<&Expected>, opened: bool) -> Result<()> {
        expected.map_or(Ok(()), |expected| {
            check_against_inventory(expected, &self.summary, self.sha256.as_deref(), opened)
        })
    }
}

impl<'a> ReadFile<'a> {
    /// For a step of reading; `key`: that of its run.
    pub fn of(step: &FileStep, key: Option<&'a DataKey>) -> Self {
        ReadFile {
            key: key.filter(|_| step.encrypted),
            gunzip: step.gunzip,
            lines: step.lines,
            hash: step.hash,
            size: step.size,
        }
    }

    /// For a manifest: as it is, with its digest.
    pub fn of_manifest(key: Option<&'a DataKey>) -> Self {
        ReadFile {
            key,
            gunzip: false,
            lines: false,
            hash: true,
            size: 0,
        }
    }

    /// Passes the content of `stored` to `sink` piece by piece. Every piece is authentic when it is passed, but only the end shows
    /// that nothing is missing. An error of the archive comes after what lies before it was passed on.
    pub fn run<E: From<Error>>(
        self,
        mut stored: impl FnMut(&mut [u8]) -> Result<usize>,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Seen, E> {
        let options = ReadOptions {
            gunzip: self.gunzip,
            lines: self.lines,
            buffer: (self.size.min(BLOCK as u64) as usize).max(SMALLEST_BLOCK),
        };
        let mut reader: FileReader<RustAead> = match self.key {
            Some(key) => FileReader::sealed(key.clone(), options, |key| Ok(RustAead::new(key))),
            None => FileReader::cleartext(options),
        };
        let mut digest = self.hash.then(Sha256::new);
        loop {
            let input = reader.input();
            let n = stored(input)?;
            if n == 0 {
                break;
            }
            if let Some(digest) = &mut digest {
                digest.update(&input[..n]);
            }
            let processed = reader.process(n);
            loop {
                let piece = reader.output()?;
                if piece.is_empty() {
                    break;
                }
                sink(piece)?;
            }
            processed?;
        }
        Ok(Seen {
            summary: reader.finish()?,
            sha256: digest.map(|digest| hex(&digest.finalize())),
        })
    }

    /// The same for a file that is in memory.
    pub fn whole(self, mut stored: &[u8]) -> Result<Content> {
        let mut bytes = Vec::with_capacity(stored.len());
        let sized = ReadFile {
            size: stored.len() as u64,
            ..self
        };
        let seen = sized.run::<Error>(
            |into| {
                let n = stored.len().min(into.len());
                into[..n].copy_from_slice(&stored[..n]);
                stored = &stored[n..];
                Ok(n)
            },
            &mut |piece| {
                bytes.extend_from_slice(piece);
                Ok(())
            },
        )?;
        Ok(Content { bytes, seen })
    }
}

/// Checks gzip bytes on their way to disk: that they inflate to their end, and to JSON lines.
pub struct GunzipCheck(FileReader<RustAead>);

impl GunzipCheck {
    /// `lines`: the inflated content is to be JSON lines.
    pub fn new(lines: bool) -> Self {
        GunzipCheck(FileReader::cleartext(ReadOptions {
            gunzip: true,
            lines,
            buffer: BLOCK,
        }))
    }

    /// The next bytes.
    pub fn push(&mut self, mut piece: &[u8]) -> Result<()> {
        while !piece.is_empty() {
            let input = self.0.input();
            let n = input.len().min(piece.len());
            input[..n].copy_from_slice(&piece[..n]);
            piece = &piece[n..];
            self.0.process(n)?;
            while !self.0.output()?.is_empty() {}
        }
        Ok(())
    }

    /// The end of the file: how many lines it has, if they were counted.
    pub fn finish(&mut self) -> Result<Option<u64>> {
        self.0.finish().map(|summary| summary.records)
    }
}

impl Archive {
    /// Passes the content of a planned file to `sink`, decrypted, and inflated if asked, and checks it at the end. `hash` checks the
    /// digest of the stored bytes too, which is always done for a file that is not sealed. Errors name the file.
    pub fn stream<E: ReadError>(
        &self,
        file: &PlannedFile,
        gunzip: bool,
        hash: bool,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<FileSummary, E> {
        self.read_file(file, &FileStep::of(file, gunzip, hash), sink)
    }

    /// The same for a file that was found to be good before: its records, inflated. Whoever takes them parses them, so whether
    /// they are JSON is not looked at once more.
    pub fn stream_verified<E: ReadError>(
        &self,
        file: &PlannedFile,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<FileSummary, E> {
        let step = FileStep {
            lines: false,
            ..FileStep::of(file, true, false)
        };
        self.read_file(file, &step, sink)
    }

    fn read_file<E: ReadError>(
        &self,
        file: &PlannedFile,
        step: &FileStep,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<FileSummary, E> {
        if self.chain.is_some() {
            return self.read_state_file(&file.path, step.hash, sink);
        }
        let read = self.read_stored(step, sink).and_then(|seen| {
            seen.check(file.expected.as_ref(), self.is_decrypted())?;
            Ok(seen.summary)
        });
        read.map_err(|error: E| error.in_file(&file.path))
    }

    /// Reads a file of the archive, or of a run of the chain.
    pub(super) fn read_stored<E: ReadError>(
        &self,
        step: &FileStep,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Seen, E> {
        let mut stored = self.folder().open(&step.path)?;
        let reads = ReadFile::of(step, self.key_of(step.run));
        reads.run(|into| read_some(&mut stored, into, &step.path), sink)
    }
}

pub(in crate::archive) fn read_some(
    file: &mut impl Read,
    into: &mut [u8],
    path: &str,
) -> Result<usize> {
    loop {
        match file.read(into) {
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            read => return read.map_err(|e| unreadable(path, &e)),
        }
    }
}
