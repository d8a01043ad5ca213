//! Holding an archive that is changed where it lies, so that nobody else changes it meanwhile.

use std::{fs::File, path::Path};

use crate::{
    archive::{ArchiveError, read::Folder, write::StoreWork},
    failure::Failure,
    folders, state,
};

/// A hold on an archive.
pub enum Hold {
    /// On a folder.
    Folder { _lock: File },
    /// On a prefix in an object store.
    Store(StoreWork),
}

/// Takes hold of the archive in a folder or a store. `refused`: the error where the store keeps what is replaced.
///
/// # Errors
/// When another run has it, or it cannot be changed.
pub fn take(
    folder: &Folder,
    state: Option<&Path>,
    refused: impl FnOnce() -> Failure,
) -> Result<Hold, Failure> {
    let Some(store) = folder.store() else {
        folder.require()?;
        let lock = folders::lock(folder.path(), "another run")?;
        return Ok(Hold::Folder { _lock: lock });
    };
    if store.address().options.as_of.is_some() {
        return Err(Failure::usage(
            "what a store held at another moment cannot be changed: give no moment",
        ));
    }
    let versions = store.keeps_versions();
    if versions.map_err(|error| Failure::from(ArchiveError::Store(error)))? {
        return Err(refused());
    }
    let state = state::folder(state).ok();
    let work = StoreWork::open(store, state.as_deref())?;
    folder.require()?;
    Ok(Hold::Store(work))
}
