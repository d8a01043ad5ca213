//! Chains: a full backup and the increments beside it, and the state of the platform that they come to. See `docs/increments.md`.

mod change_index;
mod changes;
mod describe;
mod format;
mod manifests;
mod root;
mod run_sequence;
mod state;
mod state_files;
mod user_manifest;

pub use crate::{
    layout::{CHAIN, lost_index, mixed, run_of, summed},
    manifest::Link,
    record_number::{ChainKey, number, numbers},
};
pub use change_index::ChangeIndex;
pub use changes::ChangeFiles;
pub use describe::caution;
pub(crate) use format::is_full;
pub use format::{Index, IndexRun, Removed};
pub use manifests::{state_manifest, state_user_manifest};
pub use root::{is_companion, root_findings};
pub use run_sequence::{RunSequence, StoredRun, UNNAMED};
pub use state::{ChainState, StateRun, state};
pub use state_files::{FilePart, RunFiles, StateFile, StateFiles};
pub use user_manifest::MergedManifest;
