//! The memory of the producing host about the newest run of a chain: keyed numbers, no id, no name, no content. With them a run tells
//! what has changed since, without any secret; without them it brings everything. See `docs/increments.md`.

mod entries;
mod file;
mod fleet;
pub mod host;
mod memory;
mod note;
mod permissions;
mod place;
mod samples;
mod write;

use std::io;

use decryptor_wasm::chain::ChainKey;
use serde::{Deserialize, Serialize};

pub use entries::{Entry, EntryCollector, Lookup, Sorted, Stored, Walk};
pub use file::{KnownUser, State};
pub use fleet::{Fleets, SeenCore, SeenCores};
pub use memory::{Memory, Newest};
pub use note::note_name;
pub use place::{StateFolder, folder, make, may_be_newest, remove_forgotten};
pub use samples::{SampleMemory, Samples};
pub use write::{Pending, StateWriter, UserBlock};

/// Of the file, and of what is made of a record before it is compared: another one costs a full run.
const VERSION: u32 = 2;

/// Whether a file is not there, be it that its folder cannot be.
pub fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Run that a state is of.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StateHeader {
    /// Version of the file.
    pub v: u32,
    /// Archive id of the first run of the chain.
    pub base: String,
    /// Archive id of the run whose state it is.
    pub archive_id: String,
    /// Who signed it.
    pub signer: String,
    /// Key of the numbers.
    pub key: ChainKey,
    /// The only user of the chain, as a number.
    pub user: Option<String>,
    /// Options and settings that the run depended on, each with a name for people: the next one is compared with it only where all is the same.
    pub covers: Vec<(String, String)>,
    /// Of a database that numbers its transactions: the oldest one that was open or to come.
    pub transaction: Option<u64>,
}

impl StateHeader {
    /// Of a run.
    pub fn new(base: &str, archive_id: &str, signer: &str, key: &ChainKey) -> Self {
        StateHeader {
            v: VERSION,
            base: base.to_owned(),
            archive_id: archive_id.to_owned(),
            signer: signer.to_owned(),
            key: key.clone(),
            user: None,
            covers: Vec::new(),
            transaction: None,
        }
    }
}
