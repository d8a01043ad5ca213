//! The walk over an archive, or over a chain of runs, without I/O: in which order what is read, and what follows from it.
//!
//! An [`Opening`] says what it needs ([`Need`]), its driver gives it ([`Answer`]), and at the end there is an [`OpenedArchive`]. A
//! driver lists, reads, asks people for secrets and shows what came of it; it decides nothing else. Needs that are handed out
//! at the same time do not depend on each other and may be answered in any order.
//!
//! The files of a chain's state are read with a [`StateReading`]; [`Orphans`] finds the attachments of events that are gone.

#[cfg(test)]
mod block_tests;
mod blocks;
mod chain;
mod exchange;
mod kept_indexes;
mod listing;
mod look;
mod opened;
mod opening;
mod orphans;
mod outline;
mod reading;
mod request;
mod run;
mod small;
mod sums;
#[cfg(test)]
mod tests;
mod users;
mod walk;

pub use crate::volume::Listed;
pub use blocks::FileBlock;
pub use exchange::{Answer, ManifestNeed, Need};
pub use look::{KeylessSummary, look};
pub use opened::{OpenedArchive, OpenedChain, OpenedRun};
pub use opening::Opening;
pub use orphans::Orphans;
pub use outline::Outline;
pub use reading::{FileStep, StateReading};
pub use request::Request;
pub use small::{CheckedBlock, ManifestBlock, ReadContent, SmallReader};
