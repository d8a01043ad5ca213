//! Small files of volumes, many at once; see `blocks` of the core.

use js_sys::Function;
use wasm_bindgen::prelude::*;

use super::{file::cipher, keys::DataKey};
use crate::{
    gather,
    open::{self, FileBlock},
};

/// Blocks of the files of a plan.
#[wasm_bindgen]
pub struct Blocks {
    pub(super) blocks: Vec<FileBlock>,
    pub(super) others: Vec<u32>,
}

#[wasm_bindgen]
impl Blocks {
    /// The next block.
    pub fn next(&mut self) -> Option<Block> {
        self.blocks.pop().map(Block)
    }

    /// The places in the plan of files that are in none.
    pub fn others(&self) -> Vec<u32> {
        self.others.clone()
    }
}

/// Small files that lie near each other in a volume.
#[wasm_bindgen]
pub struct Block(FileBlock);

getters! { Block(block):
    /// The volume; empty for a single tar file.
    path: String = block.0.range.path.clone();
    /// Where they begin in it.
    offset: f64 = block.0.range.offset as f64;
    /// How many bytes; the file may have fewer.
    length: f64 = block.0.range.length as f64;
    /// Stored bytes of the files together.
    size: f64 = block.0.size as f64;
    /// The places of the files in the plan.
    places: Vec<u32> = block.0.places.clone();
    /// The users whose they are, in that order; an empty id for none.
    users: Vec<String> = gather(block.0.users.iter().map(|(user, _)| user.clone()));
    /// How many are of each.
    counts: Vec<u32> = gather(block.0.users.iter().map(|(_, files)| *files));
    /// What each should be, for `SmallReader`.
    order: Vec<u8> = block.0.order.clone();
}

/// Checks the files of blocks.
#[wasm_bindgen]
pub struct SmallReader(open::SmallReader);

#[wasm_bindgen]
impl SmallReader {
    /// For the files of an archive that opens with a key; `open`: see `FileReader.sealed`.
    pub fn sealed(key: &DataKey, open: Option<Function>) -> SmallReader {
        SmallReader(open::SmallReader::new(Some(key.0.clone()), cipher(open)))
    }

    /// For those of one that is not encrypted.
    pub fn cleartext() -> SmallReader {
        SmallReader(open::SmallReader::new(None, cipher(None)))
    }

    /// Checks the files of a block in `piece`. Returns how many bytes of content they have together, and then the number of records of each; -1:
    /// the file is to be read by itself. `decrypted`: the archive was decrypted before.
    pub fn check(&mut self, order: &[u8], piece: &[u8], decrypted: bool) -> Vec<f64> {
        let checked = self.0.check(order, piece, decrypted);
        let mut all = Vec::with_capacity(checked.records.len() + 1);
        all.push(checked.bytes as f64);
        for records in checked.records {
            all.push(records.map_or(-1.0, |records| records as f64));
        }
        all
    }
}
