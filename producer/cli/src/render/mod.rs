//! Outcomes of operations, as text for people; for programs they are one line of JSON.

pub mod advice;
pub mod backup;
pub mod capsule;
mod claim;
pub mod consolidate;
pub mod copy;
pub mod decrypt;
pub mod diff;
pub mod failure;
pub mod fleet;
pub mod keygen;
pub mod list;
pub mod prune;
pub mod raw;
pub mod rekey;
pub mod restore;
pub mod stats;
pub mod verify;

use pryv_backup_engine::failure::Failure;
use serde::Serialize;

use crate::stdio::{answer, note};

/// One line of JSON on standard output.
pub fn json<T: Serialize>(value: &T) -> Result<(), Failure> {
    answer!("{}", line(value)?);
    Ok(())
}

/// The same on standard error, where standard output is taken by what was asked for.
pub fn json_aside<T: Serialize>(value: &T) -> Result<(), Failure> {
    note!("{}", line(value)?);
    Ok(())
}

fn line<T: Serialize>(value: &T) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|e| Failure::failed(e.to_string()))
}
