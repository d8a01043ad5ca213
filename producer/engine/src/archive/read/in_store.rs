//! What a folder in an object store, or one that was downloaded from there, has of its own.

use std::path::Path;

use decryptor_wasm::{chain::Index, layout::RUN};

use super::{Folder, objects::Objects};
use crate::archive::sums::{self, SUMS, SumLines};
use crate::storage::{ObjectStore, Upload};

impl Folder {
    /// The folder of a run that is being put into this one, with the files on this host that wait for that.
    pub fn with_waiting(&self, run: u32, waiting: &Path) -> Self {
        let mut folder = self.run(run);
        let objects = self.objects.as_ref();
        let below = Index::path(run);
        folder.objects = objects.map(|objects| objects.with_waiting(&below, waiting.to_owned()));
        folder
    }

    /// The store that it lies in.
    pub fn store(&self) -> Option<&ObjectStore> {
        self.objects.as_ref().map(Objects::store)
    }

    /// The same folder; in a store, what lies there is listed anew.
    #[must_use]
    pub fn again(&self) -> Self {
        let mut folder = self.clone();
        folder.objects = self.objects.as_ref().map(Objects::again);
        folder
    }

    /// Begins to put a file into a folder in a store; none for a folder of this host. It is refused where somebody else put one since the
    /// objects were listed.
    ///
    /// # Errors
    /// When the store does not list them.
    pub fn upload(&self, path: &str) -> decryptor_wasm::Result<Option<Upload>> {
        let objects = self.objects.as_ref();
        objects.map(|objects| objects.upload(path)).transpose()
    }

    /// Reads the list of `SHA256SUMS`, without those of other runs that have their own.
    ///
    /// # Errors
    /// When it is not there.
    pub fn own_sums(&self) -> decryptor_wasm::Result<SumLines<'static>> {
        Ok(sums::read(self.open(SUMS)?))
    }

    /// Whether the runs of a chain list themselves, each with its own sums.
    pub fn lists_itself(&self) -> bool {
        self.has(RUN)
    }
}
