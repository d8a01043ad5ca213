//! Why an archive could not be written.

use std::{
    io,
    path::{Path, PathBuf},
};

use decryptor_wasm::Error;

use crate::{
    archive::{listed_files::ReplaceError, read::ReadError},
    storage::StoreError,
};

/// Why an archive could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The destination refused.
    #[error("{path}: {source}; nothing was made")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
    /// All is in place, but it may not be on the disk.
    #[error(
        "the backup in {0} is complete, but it is not known whether it would outlast a power failure: {1}; verify it"
    )]
    Unsettled(PathBuf, String),
    /// There is a backup already.
    #[error("{0} already holds a backup; give an empty or new folder")]
    Exists(PathBuf),
    /// Another run is at work there.
    #[error("another backup is being written to {0}; wait for it, or give another folder")]
    Busy(PathBuf),
    /// There is something else.
    #[error("{0} is not empty; give an empty or new folder")]
    NotEmpty(PathBuf),
    /// Another tool made the backup that is there.
    #[error(
        "{0} holds a backup of Pryv's own tool, to which no increment can be bound; give an empty or new folder"
    )]
    Foreign(PathBuf),
    /// The runs there are of something else.
    #[error(
        "the runs in {0} are of other users, of another platform (its domain or core.id differs), or a raw dump: a chain is of the whole platform or of \
         one user; give a new folder"
    )]
    OtherSource(PathBuf),
    /// The first run there is of another host, and the decryptors beside it are not known.
    #[error(
        "the first run in {0} is signed by another key than this host's, and the decryptors that lie there are not those of this version"
    )]
    UnknownCompanions(PathBuf),
    /// Two runs at a time, in an object store.
    #[error("another run to {0} was finished first, so this one was not made; run it again")]
    Lost(String),
    /// An object that nobody but this run makes.
    #[error("{0}: there is another one already; somebody put it there: give another prefix")]
    Taken(String),
    /// An object that the run would make is there, or was once: of a run of another host or of one that lost its state, or of somebody who
    /// means harm.
    #[error(
        "{0}: there is, or was, such an object, which this run would make: another host has not ended its run, or somebody put it there; run \
         the backup on that host again, or give another prefix"
    )]
    Begun(String),
    /// A store that would let two runs overwrite each other.
    #[error(
        "{0}: the store knows no conditional writes, so that two runs could overwrite each other"
    )]
    Unconditional(String),
    /// The last files could not be put into a store.
    #[error("{0}; the backup is nearly complete: run it again, which finishes it")]
    Unfinished(StoreError),
    /// An object store refused.
    #[error("{0}; nothing was made")]
    Store(#[from] StoreError),
    /// An id of the platform that cannot be a name.
    #[error("{0:?} cannot be a file name; nothing was written for it")]
    UnsafeName(String),
    /// No randomness.
    #[error("the system gave no random bytes: {0}")]
    Random(String),
    /// Compression failed.
    #[error("compression failed: {0}")]
    Compress(String),
    /// The system refused while something was written of which the path is known elsewhere.
    #[error("{0}; nothing was made")]
    Write(#[from] io::Error),
    /// The core refused.
    #[error(transparent)]
    Core(#[from] decryptor_wasm::Error),
}

impl From<ReplaceError> for ArchiveError {
    fn from(error: ReplaceError) -> Self {
        match error {
            ReplaceError::Io(path, source) => ArchiveError::Io { path, source },
            ReplaceError::Core(error) => error.into(),
            ReplaceError::Store(error) => error.into(),
        }
    }
}

impl ReadError for ArchiveError {
    fn map_archive(self, change: impl FnOnce(Error) -> Error) -> Self {
        match self {
            ArchiveError::Core(error) => ArchiveError::Core(change(error)),
            other => other,
        }
    }
}

impl ArchiveError {
    /// The system refused something at `path`.
    pub fn io(path: &Path, source: io::Error) -> Self {
        ArchiveError::Io {
            path: path.to_owned(),
            source,
        }
    }
}
