//! The records of one file, one by one.

use decryptor_wasm::{
    Code, Error, Field, Result, integrity::Record, limits::MAX_LINE, open::FileStep,
    plan::PlannedFile, reader::FileSummary,
};
use serde::de::IgnoredAny;

use super::{Archive, ReadError};
use crate::interrupt;

/// A record on its way.
#[derive(Clone, Copy)]
pub struct Line<'a> {
    /// Counted from 1.
    pub number: u64,
    /// Without its newline and the spaces around it; never empty.
    pub text: &'a [u8],
}

impl<'a> Line<'a> {
    /// What is in it; an error when it is not JSON, or not an object.
    pub fn record(&self) -> Result<Record<'a>> {
        Record::parse(self.text).map_err(|error| {
            let json = serde_json::from_slice::<IgnoredAny>(self.text);
            let error = match json {
                Err(why) => Error::of(Code::LineNotJson).because(&why),
                Ok(_) => Error::of(Code::LineUnreadable).because(&error),
            };
            error.with(Field::Number, self.number)
        })
    }
}

/// Cuts bytes into lines and counts them; keeps at most one.
#[derive(Default)]
struct Lines {
    partial: Vec<u8>,
    records: u64,
}

impl Lines {
    fn push<E: From<Error>>(
        &mut self,
        mut bytes: &[u8],
        take: &mut dyn FnMut(Line<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let line = &bytes[..end];
            if self.partial.is_empty() {
                self.line(line, take)?;
            } else {
                self.keep(line)?;
                let mut whole = std::mem::take(&mut self.partial);
                self.line(&whole, take)?;
                whole.clear();
                self.partial = whole;
            }
            bytes = &bytes[end + 1..];
        }
        Ok(self.keep(bytes)?)
    }

    /// Adds to the line whose end is not there yet.
    fn keep(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.partial.len() + bytes.len() > MAX_LINE {
            return Err(Error::of(Code::LineTooLong).with(Field::Number, self.records + 1));
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    fn line<E>(
        &mut self,
        line: &[u8],
        take: &mut dyn FnMut(Line<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let text = line.trim_ascii();
        if text.is_empty() {
            return Ok(());
        }
        self.records += 1;
        take(Line {
            number: self.records,
            text,
        })
    }

    fn finish<E>(&mut self, take: &mut dyn FnMut(Line<'_>) -> Result<(), E>) -> Result<u64, E> {
        let last = std::mem::take(&mut self.partial);
        self.line(&last, take)?;
        Ok(self.records)
    }
}

impl Archive {
    /// Hands over every record of a planned file and judges the file at the end, its number of records included. That a line is JSON
    /// is for `take` to say. `hash` checks the digest of the stored bytes too. Errors name the file.
    pub fn lines<E: ReadError>(
        &self,
        file: &PlannedFile,
        hash: bool,
        take: &mut dyn FnMut(Line<'_>) -> Result<(), E>,
    ) -> Result<FileSummary, E> {
        let mut lines = Lines::default();
        let mut push = |piece: &[u8]| -> Result<(), E> {
            interrupt::check()?;
            lines.push(piece, take)
        };
        if self.chain.is_some() {
            let mut summary = self.read_state_file(&file.path, hash, &mut push)?;
            let counted = lines.finish(take).map_err(|e| e.in_file(&file.path))?;
            summary.records = Some(counted);
            return Ok(summary);
        }
        // They are counted here.
        let step = FileStep {
            lines: false,
            ..FileStep::of(file, true, hash)
        };
        let read = self.read_stored(&step, &mut push).and_then(|mut seen| {
            seen.summary.records = Some(lines.finish(take)?);
            seen.check(file.expected.as_ref(), self.is_decrypted())?;
            Ok(seen.summary)
        });
        read.map_err(|error: E| error.in_file(&file.path))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_same_in_pieces_of_any_size() {
        let text = b"{\"a\":1}\r\n\n  {\"b\":2}\n{\"c\":3}";
        for size in 1..=text.len() {
            let mut found = Vec::new();
            let mut take = |line: Line<'_>| -> Result<()> {
                found.push((line.number, String::from_utf8(line.text.to_vec()).unwrap()));
                Ok(())
            };
            let mut lines = Lines::default();
            for piece in text.chunks(size) {
                lines.push(piece, &mut take).unwrap();
            }
            assert_eq!(lines.finish(&mut take).unwrap(), 3);
            let due = [(1, "{\"a\":1}"), (2, "{\"b\":2}"), (3, "{\"c\":3}")];
            assert_eq!(found, due.map(|(n, text)| (n, text.to_owned())));
        }
    }
}
