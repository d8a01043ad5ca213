//! JSON lines: splitting, checking, counting.

use serde::de::IgnoredAny;

use crate::{Code, Error, Field, Result, json, limits::MAX_LINE};

/// Checks that a stream of bytes is JSON lines and counts them; keeps at most one line.
#[derive(Default)]
pub struct LineChecker {
    partial: Vec<u8>,
    records: u64,
}

impl LineChecker {
    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            let (line, after) = (&rest[..end], &rest[end + 1..]);
            if self.partial.is_empty() {
                self.line(line)?;
            } else {
                self.keep(line)?;
                let whole = std::mem::take(&mut self.partial);
                self.line(&whole)?;
            }
            rest = after;
        }
        self.keep(rest)
    }

    /// Adds to the line whose end is not there yet.
    fn keep(&mut self, bytes: &[u8]) -> Result<()> {
        if self.partial.len() + bytes.len() > MAX_LINE {
            return Err(Error::of(Code::LineTooLong).with(Field::Number, self.records + 1));
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    /// The number of records; a last line without a newline counts.
    pub fn finish(&mut self) -> Result<u64> {
        let last = std::mem::take(&mut self.partial);
        self.line(&last)?;
        Ok(self.records)
    }

    fn line(&mut self, line: &[u8]) -> Result<()> {
        let line = line.trim_ascii();
        if line.is_empty() {
            return Ok(());
        }
        if !json::is_value(line) {
            serde_json::from_slice::<IgnoredAny>(line).map_err(|e| {
                Error::of(Code::LineNotJson)
                    .with(Field::Number, self.records + 1)
                    .because(&e)
            })?;
        }
        self.records += 1;
        Ok(())
    }
}
