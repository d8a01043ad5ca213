//! JSON lines: splits a stream of bytes into lines, whose length is limited, and counts them.

use serde::de::IgnoredAny;

use crate::{Code, Error, Field, Result, integrity::Record, json, limits::MAX_LINE};

/// A line that is not empty.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// Counted from 1; empty lines do not count.
    pub number: u64,
    /// Without its newline and the spaces around it.
    pub text: &'a [u8],
}

impl<'a> Line<'a> {
    /// Checks that it is JSON.
    ///
    /// # Errors
    /// When it is not; the error has its number, as all errors of a line do.
    pub fn check(&self) -> Result<()> {
        if json::is_value(self.text) {
            return Ok(());
        }
        match serde_json::from_slice::<IgnoredAny>(self.text) {
            Ok(_) => Ok(()),
            Err(why) => Err(self.error(Code::LineNotJson).because(&why)),
        }
    }

    /// Parses it as a record.
    ///
    /// # Errors
    /// When it is not JSON, or not an object.
    pub fn record(&self) -> Result<Record<'a>> {
        Record::parse(self.text).map_err(|error| match self.check() {
            Err(not_json) => not_json,
            Ok(()) => self.unreadable(&error),
        })
    }

    /// The error for a line that is JSON, but not what it should be.
    #[must_use]
    pub fn unreadable(&self, why: &Error) -> Error {
        self.error(Code::LineUnreadable).because(why)
    }

    fn error(&self, code: Code) -> Error {
        Error::of(code).with(Field::Number, self.number)
    }
}

/// Splits bytes into lines and counts them; keeps at most one line.
pub struct LineSplitter {
    longest: usize,
    partial: Vec<u8>,
    lines: u64,
}

impl Default for LineSplitter {
    fn default() -> Self {
        LineSplitter::up_to(MAX_LINE)
    }
}

impl LineSplitter {
    /// Refuses lines of more bytes than `longest`.
    #[must_use]
    pub fn up_to(longest: usize) -> Self {
        LineSplitter {
            longest,
            partial: Vec::new(),
            lines: 0,
        }
    }

    /// Takes the next bytes and passes on the lines that end in them.
    ///
    /// # Errors
    /// When a line is too long, or `take` refuses it.
    pub fn push<E: From<Error>>(
        &mut self,
        mut bytes: &[u8],
        take: &mut dyn FnMut(Line<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let line = &bytes[..end];
            self.check_length(line)?;
            if self.partial.is_empty() {
                self.line(line, take)?;
            } else {
                let mut whole = std::mem::take(&mut self.partial);
                whole.extend_from_slice(line);
                self.line(&whole, take)?;
                whole.clear();
                self.partial = whole;
            }
            bytes = &bytes[end + 1..];
        }
        self.check_length(bytes)?;
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    /// Passes on the last line, if it has no newline, and returns the number of lines.
    ///
    /// # Errors
    /// See [`LineSplitter::push`].
    pub fn finish<E: From<Error>>(
        &mut self,
        take: &mut dyn FnMut(Line<'_>) -> Result<(), E>,
    ) -> Result<u64, E> {
        self.push(b"\n", take)?;
        Ok(self.lines)
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
        self.lines += 1;
        let number = self.lines;
        take(Line { number, text })
    }

    /// Refuses a line that would be too long with these bytes.
    fn check_length(&self, more: &[u8]) -> Result<()> {
        if self.partial.len() + more.len() > self.longest {
            return Err(Error::of(Code::LineTooLong).with(Field::Number, self.lines + 1));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of a text that comes in pieces of `size` bytes.
    fn split(splitter: &mut LineSplitter, text: &[u8], size: usize) -> Result<Vec<(u64, String)>> {
        let mut found = Vec::new();
        let mut take = |line: Line<'_>| -> Result<()> {
            found.push((line.number, String::from_utf8(line.text.to_vec()).unwrap()));
            Ok(())
        };
        for piece in text.chunks(size) {
            splitter.push(piece, &mut take)?;
        }
        let lines = splitter.finish(&mut take)?;
        assert_eq!(lines, found.len() as u64);
        Ok(found)
    }

    #[test]
    fn pieces_of_any_size_give_the_same_lines() {
        let text = b"{\"a\":1}\r\n\n  {\"b\":2}\n{\"c\":3}";
        for size in 1..=text.len() {
            let found = split(&mut LineSplitter::default(), text, size).unwrap();
            let due = [(1, "{\"a\":1}"), (2, "{\"b\":2}"), (3, "{\"c\":3}")];
            assert_eq!(found, due.map(|(n, text)| (n, text.to_owned())));
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_named_in_pieces_of_any_size() {
        for (text, number) in [("1234\n1234", None), ("1234\n\n12345\n1", Some(2_u64))] {
            for size in 1..=text.len() {
                let found = split(&mut LineSplitter::up_to(4), text.as_bytes(), size);
                let due = number.map(|n| Error::of(Code::LineTooLong).with(Field::Number, n));
                assert_eq!(found.err(), due, "{text:?} {size}");
            }
        }
    }

    #[test]
    fn errors_of_a_line_have_its_number() {
        let line = |text| Line { number: 7, text };
        assert!(line(br#"{"id":"a"}"#).record().is_ok());
        assert!(line(b"[]").check().is_ok());
        for (text, code) in [
            (b"[]".as_slice(), Code::LineUnreadable),
            (b"{", Code::LineNotJson),
        ] {
            let error = line(text).record().err().unwrap();
            assert_eq!(error.code(), code);
            assert_eq!(error.value(Field::Number), Some(&7_u64.into()));
        }
    }
}
