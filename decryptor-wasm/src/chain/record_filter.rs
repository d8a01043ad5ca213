//! Keeps the lines of a run's file that no later run replaces or removes.

use super::ChangeIndex;
use crate::{Code, Error, Field, Result, limits::MAX_LINE};

/// Cuts bytes into lines and counts them; keeps at most one.
#[derive(Default)]
pub struct LineSplitter {
    partial: Vec<u8>,
    lines: u64,
}

impl LineSplitter {
    /// Takes the next bytes of a file.
    ///
    /// # Errors
    /// When `take` refuses a line, which is named by its number.
    pub fn push(&mut self, bytes: &[u8], take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            let (line, after) = (&rest[..end], &rest[end + 1..]);
            if self.partial.is_empty() {
                self.line(line, take)?;
            } else {
                self.keep(line)?;
                let mut whole = std::mem::take(&mut self.partial);
                self.line(&whole, take)?;
                whole.clear();
                self.partial = whole;
            }
            rest = after;
        }
        self.keep(rest)
    }

    /// Adds to the line whose end is not there yet.
    fn keep(&mut self, bytes: &[u8]) -> Result<()> {
        if self.partial.len() + bytes.len() > MAX_LINE {
            return Err(Error::of(Code::LineTooLong).with(Field::Number, self.lines + 1));
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    /// The end of the file: how many lines it had.
    ///
    /// # Errors
    /// See [`LineSplitter::push`].
    pub fn finish(&mut self, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<u64> {
        let last = std::mem::take(&mut self.partial);
        self.line(&last, take)?;
        Ok(std::mem::take(&mut self.lines))
    }

    fn line(&mut self, line: &[u8], take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let line = line.trim_ascii();
        if line.is_empty() {
            return Ok(());
        }
        self.lines += 1;
        take(line).map_err(|e| {
            Error::of(Code::LineUnreadable)
                .with(Field::Number, self.lines)
                .because(&e)
        })
    }
}

/// Keeps the lines of a file that no later run replaces or removes.
#[derive(Default)]
pub struct RecordFilter(LineSplitter);

impl RecordFilter {
    /// Takes the next bytes of a file of run `run`, and appends to `out` the lines of them that stand.
    ///
    /// # Errors
    /// When a line is not one of the collection; it is named by its number.
    pub fn push(
        &mut self,
        index: &ChangeIndex,
        run: u32,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<()> {
        self.0.push(bytes, &mut |line| index.keep(run, line, out))
    }

    /// The end of the file: how many lines it had.
    ///
    /// # Errors
    /// See [`RecordFilter::push`].
    pub fn finish(&mut self, index: &ChangeIndex, run: u32, out: &mut Vec<u8>) -> Result<u64> {
        self.0.finish(&mut |line| index.keep(run, line, out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::ChainKey;

    #[test]
    fn pieces_of_any_size_give_the_same_lines() {
        let mut index = ChangeIndex::new(ChainKey::from_bytes([1; 16]), "events", 0, 1);
        index.brought(2, br#"{"id":"b"}"#).unwrap();
        index.close();
        let text = b"{\"id\":\"a\"}\r\n\n {\"id\":\"b\"}\n{\"id\":\"c\"}";
        for size in 1..=text.len() {
            let (mut filter, mut out) = (RecordFilter::default(), Vec::new());
            for piece in text.chunks(size) {
                filter.push(&index, 1, piece, &mut out).unwrap();
            }
            assert_eq!(filter.finish(&index, 1, &mut out).unwrap(), 3);
            assert_eq!(out, b"{\"id\":\"a\"}\n{\"id\":\"c\"}\n");
        }
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        let index = ChangeIndex::new(ChainKey::from_bytes([1; 16]), "events", 0, 1);
        let (mut filter, mut out) = (RecordFilter::default(), Vec::new());
        let error = filter
            .push(&index, 1, b"{\"id\":\"a\"}\n[]\n", &mut out)
            .unwrap_err();
        assert!(error.to_string().starts_with("line 2: "), "{error}");
        assert_eq!(out, b"{\"id\":\"a\"}\n");
    }
}
