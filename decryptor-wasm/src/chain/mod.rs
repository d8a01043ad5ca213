//! Chains: a full backup and the increments beside it, and the state of the platform that they come to. See `docs/increments.md`.

mod changes;
mod fold;
mod format;
mod links;
mod manifests;
mod root;
mod sieve;
mod state;
mod words;

pub use crate::{
    layout::{CHAIN, lost_index, mixed, run_of, summed},
    manifest::Link,
    record_number::{ChainKey, number, numbers},
};
pub use changes::Changes;
pub use fold::Fold;
pub use format::{Index, IndexRun, Removed};
pub use links::{Links, StoredRun, UNNAMED};
pub use manifests::{state_manifest, state_user_manifest};
pub use root::{is_companion, root_findings};
pub use sieve::{Cutter, Sieve};
pub use state::{Opened, Part, State, StateFile, state};
pub use words::caution;
