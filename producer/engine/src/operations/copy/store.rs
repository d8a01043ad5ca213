//! A copy in an object store: each run is put there as a backup puts it.

use std::sync::atomic::Ordering;

use decryptor_wasm::chain::IndexRun;

use super::{Work, kept::Kept, source::Run, write_sums};
use crate::{
    archive::{ArchiveError, ChainFolder, Destination, read::Folder, write::ArchiveLayout},
    failure::Failure,
    state,
    storage::{Location, StoreAddress},
    threads::lock,
};

impl Work<'_> {
    /// Puts the runs there that are missing; those that are there have to be the first of the source.
    pub(super) fn copy_to_store(&self, address: &StoreAddress) -> Result<(), Failure> {
        let state = state::folder(self.options.trust.state_dir.as_deref()).ok();
        let place = Location::Store(address.clone());
        let (mut chain, _) = ChainFolder::open(&place, None, state.as_deref())?;
        let there = self.stored_runs(&chain)?;
        if let Some(newest) = chain.newest() {
            self.remark_envelopes(&chain.folder_of_runs(), newest.run)?;
        }
        lock(&self.done).runs_there = there;
        for run in &self.source.runs[there as usize..] {
            let (destination, _) = chain.destination()?;
            let listed = self
                .put(run, &destination)
                .and_then(|()| self.listed(run, &chain, &destination));
            match listed {
                Ok(listed) => {
                    chain.put(destination, listed)?;
                    self.added.fetch_add(1, Ordering::SeqCst);
                }
                Err(error) => {
                    destination.abandon();
                    self.unless_interrupted()?;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// How many runs the copy has, which are the first of the source.
    fn stored_runs(&self, chain: &ChainFolder) -> Result<u32, Failure> {
        let (from, to) = (&self.options.from, &self.options.to);
        let refused = |what: String| {
            let exists = ArchiveError::Exists(to.to_string().into());
            Failure::from(exists).with_message(format!(
                "{what}: nothing was copied; give an empty or new prefix"
            ))
        };
        if chain.runs.len() > self.source.runs.len() {
            return Err(refused(format!("{to} holds more runs than {from}")));
        }
        for (there, run) in chain.runs.iter().zip(&self.source.runs) {
            if there.archive_id != run.statement.id {
                return Err(refused(format!(
                    "run {} in {to} is another one than in {from}",
                    run.number
                )));
            }
        }
        Ok(chain.newest().map_or(0, |newest| newest.run))
    }

    /// What the run says of itself, whose copy lies in `destination`.
    fn listed(
        &self,
        run: &Run,
        chain: &ChainFolder,
        destination: &Destination,
    ) -> Result<IndexRun, Failure> {
        let sequence = self.source.sequence();
        if let Some(listed) = sequence.and_then(|sequence| sequence.run(run.number)) {
            return Ok(listed.clone());
        }
        let folder = Folder::new(destination.staging());
        Ok(chain.describe(&folder, &run.statement)?)
    }

    fn put(&self, run: &Run, destination: &Destination) -> Result<(), Failure> {
        let storage = destination.storage(ArchiveLayout::Volumes(self.options.volume_size));
        let lines = self.files(run, &storage, &Kept::default())?;
        write_sums(
            destination.staging(),
            lines.ok_or_else(|| self.other_files(run))?,
        )
    }
}
