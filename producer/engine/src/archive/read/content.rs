//! The content of one file, for whoever wants to read it piece by piece.

use std::io::{self, Read};

use decryptor_wasm::{
    Error,
    aead::RustAead,
    open::{FileStep, StateReading},
    plan::{PlannedFile, check_against_inventory},
    reader::{FileReader, ReadOptions},
};

use sha2::{Digest, Sha256};

use super::{Archive, stored_file::StoredFile, stream::BLOCK};
use crate::{interrupt, text::hex};

/// A planned file as plain bytes. The end comes only after all of it was found to be as it should; an error of the archive is
/// inside the one of reading.
pub struct ContentReader<'a> {
    archive: &'a Archive,
    file: &'a PlannedFile,
    /// Of the state of a chain.
    reading: Option<StateReading>,
    stored: StoredFile,
    reader: Option<FileReader<RustAead>>,
    /// Of a file that lies in the clear.
    digest: Option<Sha256>,
    /// Bytes that were opened and not yet handed over.
    left: Vec<u8>,
    at: usize,
}

impl Archive {
    /// Begins to read a file that is not compressed, an attachment for instance.
    pub fn content<'a>(
        &'a self,
        file: &'a PlannedFile,
    ) -> decryptor_wasm::Result<ContentReader<'a>> {
        let mut reading = None;
        let mut step = FileStep::of(file, false, false);
        if self.chain.is_some() {
            let mut of_state = self.begin(&file.path, false)?;
            step = of_state.next_step()?.unwrap_or(step);
            reading = Some(of_state);
        }
        let options = ReadOptions {
            gunzip: false,
            lines: false,
            buffer: BLOCK.min(step.size.max(4096) as usize),
        };
        let key = self.key_of(step.run).filter(|_| step.encrypted);
        Ok(ContentReader {
            archive: self,
            file,
            reading,
            stored: self.folder().open(&step.path)?,
            reader: Some(match key {
                Some(key) => FileReader::sealed(key.clone(), options, |key| Ok(RustAead::new(key))),
                None => FileReader::cleartext(options),
            }),
            digest: key.is_none().then(Sha256::new),
            left: Vec::new(),
            at: 0,
        })
    }
}

impl ContentReader<'_> {
    /// Opens some more; false at the end.
    fn more(&mut self) -> Result<bool, Error> {
        let Some(reader) = &mut self.reader else {
            return Ok(false);
        };
        self.left.clear();
        self.at = 0;
        interrupt::check()?;
        let input = reader.input();
        let n = super::stream::read_some(&mut self.stored, input, &self.file.path)?;
        if n > 0 {
            if let Some(digest) = &mut self.digest {
                digest.update(&input[..n]);
            }
            reader.process(n)?;
            loop {
                let piece = reader.output()?;
                if piece.is_empty() {
                    return Ok(true);
                }
                self.left.extend_from_slice(piece);
            }
        }
        let Some(mut reader) = self.reader.take() else {
            return Ok(false);
        };
        let summary = reader.finish()?;
        let sha256 = self.digest.take().map(|digest| hex(&digest.finalize()));
        let sha256 = sha256.as_deref();
        match (&mut self.reading, &self.file.expected) {
            (Some(reading), _) => reading.end(summary, sha256)?,
            (None, Some(expected)) => {
                check_against_inventory(expected, &summary, sha256, self.archive.is_decrypted())?;
            }
            (None, None) => {}
        }
        Ok(false)
    }
}

impl Read for ContentReader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at == self.left.len() {
            let more = self.more().map_err(|error| match &self.reading {
                Some(reading) => reading.failed(error),
                None => error.at(&self.file.path),
            });
            if !more.map_err(io::Error::other)? {
                return Ok(0);
            }
        }
        let n = into.len().min(self.left.len() - self.at);
        into[..n].copy_from_slice(&self.left[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}
