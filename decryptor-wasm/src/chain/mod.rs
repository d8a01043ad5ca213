//! Chains: a full backup and the increments beside it, and the state of the platform that they come to. See `docs/increments.md`.

mod changes;
mod fold;
mod format;
mod links;
mod manifests;
mod number;
mod root;
mod sieve;
mod state;
mod words;

pub use changes::Changes;
pub use fold::Fold;
pub(crate) use format::INCREMENTS;
pub use format::{CHAIN, Index, IndexRun, Link, Removed, lost_index, mixed, run_of, summed};
pub use links::{Links, StoredRun, UNNAMED};
pub use manifests::{state_manifest, state_user_manifest};
pub use number::{ChainKey, number, numbers};
pub use root::{is_companion, root_findings};
pub use sieve::{Cutter, Sieve};
pub use state::{Opened, Part, State, StateFile, state};
pub use words::caution;
