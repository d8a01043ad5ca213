//! Finds the lines of `SHA256SUMS` that name runs of a chain; the file is read piece by piece.

use crate::{
    Code, Error, Result,
    chain::{lost_index, summed},
    jsonl::{Line, LineSplitter},
    limits::MAX_SUM_LINE,
};

/// Looks for lines that name the runs of a chain.
pub(super) struct ChainLines {
    lines: LineSplitter,
    lost: Option<Error>,
}

impl Default for ChainLines {
    fn default() -> Self {
        ChainLines {
            lines: LineSplitter::up_to(MAX_SUM_LINE),
            lost: None,
        }
    }
}

impl ChainLines {
    /// Takes the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<()> {
        let ChainLines { lines, lost } = self;
        let pushed = lines.push(bytes, &mut |line| read(line, lost));
        pushed.map_err(|_| no_line())
    }

    /// The error for a first run of a chain whose list of runs is lost, if the lines show one.
    pub(super) fn finish(mut self) -> Result<Option<Error>> {
        let ChainLines { lines, lost } = &mut self;
        let finished = lines.finish(&mut |line| read(line, lost));
        finished.map_err(|_| no_line())?;
        Ok(self.lost)
    }
}

fn read(line: Line<'_>, lost: &mut Option<Error>) -> Result<()> {
    let line = std::str::from_utf8(line.text).map_err(|_| no_line())?;
    if lost.is_none() {
        *lost = lost_index(summed(line).into_iter());
    }
    Ok(())
}

fn no_line() -> Error {
    Error::of(Code::SumsUnreadable).at("SHA256SUMS")
}
