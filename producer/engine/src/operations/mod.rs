//! Operations on platforms and archives, one module for each. Each takes options and an observer, and returns an outcome.

pub mod backup;
pub mod capsule;
pub mod cat;
pub mod consolidate;
pub mod copy;
pub mod decrypt;
pub mod decryptors;
pub mod diff;
pub mod extract;
pub mod fleet;
mod hold;
pub mod keygen;
pub mod list;
pub mod prune;
pub mod raw;
pub mod raw_restore;
pub mod rekey;
pub mod repair;
pub mod restore;
pub mod stats;
pub mod verify;
