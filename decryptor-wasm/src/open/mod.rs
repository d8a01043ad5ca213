//! The walk over an archive, or over a chain of runs, without I/O: in which order what is read, and what follows from it.
//!
//! An [`Opening`] says what it needs ([`Need`]), its driver gives it ([`Answer`]), and at the end there is an [`OpenedArchive`]. A
//! driver lists, reads, asks people for secrets and shows what came of it; it decides nothing else. Needs that are handed out
//! at the same time do not depend on each other and may be answered in any order.
//!
//! The files of a chain's state are read with a [`Reading`]; [`Orphans`] finds the attachments of events that are gone.

mod chain;
mod desk;
mod listing;
mod look;
mod opened;
mod opening;
mod orphans;
mod reading;
mod request;
mod run;
mod runs;
mod sums;
#[cfg(test)]
mod tests;
mod users;

pub use desk::{Answer, Need, Sealed};
pub use look::{Looked, look};
pub use opened::{OpenedArchive, OpenedRun, StateOfChain};
pub use opening::Opening;
pub use orphans::Orphans;
pub use reading::{Reading, Step};
pub use request::Request;
