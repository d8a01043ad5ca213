//! The records of one file, one by one.

use decryptor_wasm::{
    Result,
    jsonl::{Line, LineSplitter},
    open::FileStep,
    plan::PlannedFile,
    reader::FileSummary,
};

use super::{Archive, ReadError};
use crate::interrupt;

impl Archive {
    /// Hands over every line of a planned file and checks the file at the end, its number of records included. `take` checks that a line
    /// is JSON. `hash` checks the digest of the stored bytes too. Errors name the file.
    pub fn lines<E: ReadError>(
        &self,
        file: &PlannedFile,
        hash: bool,
        take: &mut dyn FnMut(Line<'_>) -> Result<(), E>,
    ) -> Result<FileSummary, E> {
        let mut lines = LineSplitter::default();
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
