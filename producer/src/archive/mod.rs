//! Archives on disk: writing one, and reading one back.

pub mod read;
pub mod write;
pub mod write_behind;

pub use write::{
    ArchiveError, ArchiveWriter, Chain, Destination, Finished, IndexDone, IndexWriter, Listing,
    Options, Sealing, Sink, Staged, Summary, SystemRandom, UNNAMED, UserCopy, UserDone, UserWriter,
    page_sha256, sha256_hex,
};
