//! A chain in an object store: nothing is overwritten there, and the runs list themselves.

use std::path::{Path, PathBuf};

use decryptor_wasm::{
    FileList,
    chain::{Index, IndexRun},
    layout::{MANIFEST, PathKind, RUN, run_of},
    signature::{SIGNATURE, Statement},
};

use super::{ChainFolder, Leftover, run};
use crate::{
    archive::{
        read::{Folder, outline},
        write::{ArchiveError, Destination, Staged, StoreWork, store_run::is_left},
    },
    files,
    storage::{ObjectStore, StoreAddress},
};

/// A chain in an object store, where the runs list themselves.
pub(super) struct StoredChain {
    pub store: ObjectStore,
    pub work: StoreWork,
    /// As it was before this run.
    pub folder: Folder,
}

/// Writes what a run says of itself to its other files.
fn list(staging: &Path, made: &IndexRun) -> Result<(), ArchiveError> {
    let place = staging.join(RUN);
    let listed = Index::new(vec![made.clone()]).to_json()?;
    files::write(&place, &listed).map_err(|e| ArchiveError::io(&place, e))
}

impl ChainFolder {
    /// The folder of a run that is whole and not yet in its place.
    ///
    /// # Errors
    /// When its envelope cannot be read, or the system refuses.
    pub fn staged(&self, staged: &Staged) -> Result<Folder, ArchiveError> {
        let folder = Folder::new(staged.folder());
        if self.stored.is_none() {
            return Ok(folder);
        }
        // It tells its volumes from those that other attempts left.
        let made = self.describe(&folder, &staged.finished().statement)?;
        list(staged.folder(), &made)?;
        Ok(self.at().with_waiting(self.next(), staged.folder()))
    }

    /// Puts a run into an object store that is whole in `destination`, but for what it says of itself.
    ///
    /// # Errors
    /// When another run was finished first, or the store refuses.
    pub fn put(&mut self, destination: Destination, made: IndexRun) -> Result<(), ArchiveError> {
        list(destination.staging(), &made)?;
        self.runs.push(made);
        destination.publish()
    }

    /// The next run as its list has it, of the archive in `folder`, which was signed as `statement`.
    ///
    /// # Errors
    /// When its envelope cannot be read.
    pub fn describe(
        &self,
        folder: &Folder,
        statement: &Statement,
    ) -> Result<IndexRun, ArchiveError> {
        run(
            folder,
            statement,
            self.next(),
            statement.kind,
            self.newest(),
        )
    }

    /// The folder of all runs, for reading.
    pub fn folder_of_runs(&self) -> Folder {
        self.at()
    }

    /// Takes hold of a place in an object store, and finishes what a run there had begun to.
    pub(super) fn in_store(
        address: &StoreAddress,
        state: Option<&Path>,
    ) -> Result<(Self, Leftover), ArchiveError> {
        let store = ObjectStore::open(address)?;
        let work = StoreWork::open(&store, state)?;
        let finished = work.recover(&store)?;
        let chain = ChainFolder {
            folder: PathBuf::from(address.to_string()),
            created: false,
            listed: true,
            runs: Vec::new(),
            _lock: None,
            stored: Some(StoredChain {
                folder: Folder::of_store(store.clone()),
                store,
                work,
            }),
        };
        let leftover = match finished {
            true => Leftover::Finished,
            false => Leftover::None,
        };
        Ok((chain, leftover))
    }

    /// Finds the runs that are in an object store.
    pub(super) fn list_stored(&mut self) -> Result<(), ArchiveError> {
        let listing = self.at().list_stored()?;
        let has = |path: &str| listing.has(path);
        if has(MANIFEST) && has(SIGNATURE) {
            let seen = outline(&self.at())?;
            if let Some(lost) = seen.lost {
                return Err(lost.into());
            }
            match seen.runs {
                Some(runs) => self.runs.clone_from(&runs.index().runs),
                None => self.runs.push(self.adopted()?),
            }
        } else {
            self.require_empty(&listing)?;
        }
        self.require_free()
    }

    /// Refuses a place where anything of the next run lies, or lay once as far as the store still knows: what is there already is read
    /// instead of what the run makes.
    fn require_free(&self) -> Result<(), ArchiveError> {
        let Some(StoredChain { store, .. }) = &self.stored else {
            return Ok(());
        };
        let keys = store.keys_ever()?;
        let taken = keys.iter().find(|key| {
            let of_next = run_of(key).filter(|(run, _)| *run == self.next());
            of_next.is_some_and(|(_, name)| !is_left(name))
        });
        match taken {
            Some(key) => Err(ArchiveError::Begun(store.address().below(key).to_string())),
            None => Ok(()),
        }
    }

    /// Refuses a place in a store that holds anything but what attempts at a first run left.
    fn require_empty(&self, listing: &FileList) -> Result<(), ArchiveError> {
        let left = |path: &str| matches!(PathKind::of(path), PathKind::Chain | PathKind::Volume);
        match listing.iter().all(|(path, _)| left(&path)) {
            true => Ok(()),
            false => Err(ArchiveError::NotEmpty(self.folder.clone())),
        }
    }
}
