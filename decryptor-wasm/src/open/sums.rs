//! What a `SHA256SUMS` tells of runs, read piece by piece.

use crate::{
    Error, Result,
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
            self.partial.extend_from_slice(&rest[..end]);
            rest = &rest[end + 1..];
            self.line()?;
        }
        if self.partial.len() + rest.len() > MAX_SUM_LINE {
            return Err(no_line());
        }
        self.partial.extend_from_slice(rest);
        Ok(())
    }

    /// The end of the file.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.line()
    }

    fn line(&mut self) -> Result<()> {
        let line = std::mem::take(&mut self.partial);
        if line.len() > MAX_SUM_LINE {
            return Err(no_line());
        }
        let line = std::str::from_utf8(&line).map_err(|_| no_line())?;
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
    Error::damaged(
        "SHA256SUMS: holds a line that is no text, or longer than any: the file was changed; use another copy of the backup",
    )
}
