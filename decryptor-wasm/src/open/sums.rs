//! Finds the lines of `SHA256SUMS` that name runs of a chain; the file is read piece by piece.

use crate::{
    Code, Error, Result,
    chain::{lost_index, summed},
    limits::MAX_SUM_LINE,
};

/// Looks for lines that name the runs of a chain, and keeps at most one line.
#[derive(Default)]
pub(super) struct ChainLines {
    partial: Vec<u8>,
    lost: Option<Error>,
}

impl ChainLines {
    /// Takes the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<()> {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = (&rest[..end], &rest[end + 1..]);
            if self.partial.is_empty() {
                self.line(line)?;
            } else {
                self.partial.extend_from_slice(line);
                self.finish()?;
            }
            rest = after;
        }
        if self.partial.len() + rest.len() > MAX_SUM_LINE {
            return Err(no_line());
        }
        self.partial.extend_from_slice(rest);
        Ok(())
    }

    /// The end of the file.
    pub(super) fn finish(&mut self) -> Result<()> {
        let line = std::mem::take(&mut self.partial);
        self.line(&line)
    }

    fn line(&mut self, line: &[u8]) -> Result<()> {
        if line.len() > MAX_SUM_LINE {
            return Err(no_line());
        }
        let line = std::str::from_utf8(line).map_err(|_| no_line())?;
        if self.lost.is_none() {
            self.lost = lost_index(summed(line).into_iter());
        }
        Ok(())
    }

    /// The error for a first run of a chain whose list of runs is lost, if that is what the lines tell.
    pub(super) fn lost(self) -> Option<Error> {
        self.lost
    }
}

fn no_line() -> Error {
    Error::of(Code::SumsUnreadable).at("SHA256SUMS")
}
