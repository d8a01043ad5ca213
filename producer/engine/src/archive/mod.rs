//! Archives on disk: writing one, and reading one back.

pub mod envelopes;
pub mod listed_files;
pub mod read;
pub mod sums;
pub mod verify_sums;
pub mod write;
pub mod write_behind;

pub use write::{
    ArchiveError, ArchiveWriter, ChainFolder, Destination, DoneUsers, Finished, Host, IndexDone,
    IndexWriter, Leftover, ListedManifest, Listing, Options, Proof, Sealing, SignedContent,
    Signing, Sink, Staged, Stamp, Summary, UserCopy, UserDone, UserFilesWriter, page_sha256,
    script_sha256,
};

pub use crate::digest::sha256_hex;
