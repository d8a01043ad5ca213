//! Chains: a full backup and the increments beside it, and the state of the platform that they come to. See `docs/chain.md`.

mod format;
mod number;

pub use format::{CHAIN, Index, IndexRun, Link, Removed, run_of};
pub use number::{ChainKey, number, numbers};
