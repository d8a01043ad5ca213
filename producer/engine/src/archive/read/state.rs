//! The files of the state of a chain, put together from those of its runs.

use decryptor_wasm::{
    Code, Error, Result,
    open::{FileStep, StateReading},
    reader::FileSummary,
};

use super::{Archive, ReadError};
use crate::interrupt;

impl Archive {
    /// Passes on the content of a file of the state.
    pub(super) fn read_state_file<E: ReadError>(
        &self,
        path: &str,
        hash: bool,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<FileSummary, E> {
        let mut reading = self.begin(path, hash)?;
        while let Some(step) = reading.next_step()? {
            let read = self.take_step(&step, &mut reading, sink);
            read.map_err(|error: E| error.map_archive(|error| reading.failed(error)))?;
        }
        Ok(reading.summary().clone())
    }

    /// Begins to read a file of the state.
    pub(super) fn begin(&self, path: &str, hash: bool) -> Result<StateReading> {
        let reading = self.read(path, hash);
        reading.ok_or_else(|| Error::of(Code::NotInState).at(path))
    }

    /// Reads a file of a run.
    fn take_step<E: ReadError>(
        &self,
        step: &FileStep,
        reading: &mut StateReading,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let seen = if step.filtered {
            let mut out = Vec::new();
            let mut pass = |out: &mut Vec<u8>| -> Result<(), E> {
                let taken = if out.is_empty() { Ok(()) } else { sink(out) };
                out.clear();
                taken
            };
            let seen = self.read_stored::<E>(step, &mut |piece| {
                interrupt::check()?;
                let filtered = reading.push(piece, &mut out);
                pass(&mut out)?;
                Ok(filtered?)
            })?;
            let rest = reading.rest(&mut out);
            pass(&mut out)?;
            rest?;
            seen
        } else {
            self.read_stored(step, sink)?
        };
        Ok(reading.end(seen.summary, seen.sha256.as_deref())?)
    }
}
