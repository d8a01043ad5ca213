//! Which part of a backup the last samples have checked, so that the next one checks another.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    is_absent, make,
    note::{note_name, write_note},
};

/// Where they are, in the state folder: a file for each place of a backup.
const FOLDER: &str = "samples";
/// Version of the files.
const VERSION: u32 = 1;

/// The samples of one backup in one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SampleMemory {
    v: u32,
    /// Id of the archive, or of the newest run.
    pub archive_id: String,
    /// Whether it was opened: without the key other files are read.
    pub opened: bool,
    /// The file with which the next sample begins; empty: the first one.
    pub next: String,
    /// How much each of the last samples has read, the newest last, as far as they did not read the same twice.
    pub parts: Vec<u64>,
    /// Files that were damaged: each sample reads them again.
    pub damaged: Vec<String>,
}

/// The samples that a host remembers.
pub struct Samples(PathBuf);

impl Samples {
    /// Those of a state folder, which is made if it is not there.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn open(state: &Path) -> io::Result<Self> {
        let folder = state.join(FOLDER);
        make(&folder)?;
        Ok(Samples(folder))
    }

    /// Those of the backup in a place; of another backup than was there, none.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn of(&self, place: &str, archive_id: &str, opened: bool) -> io::Result<SampleMemory> {
        let none = SampleMemory {
            v: VERSION,
            archive_id: archive_id.to_owned(),
            opened,
            next: String::new(),
            parts: Vec::new(),
            damaged: Vec::new(),
        };
        let json = match fs::read(self.0.join(note_name(place.as_bytes()))) {
            Err(e) if is_absent(&e) => return Ok(none),
            json => json?,
        };
        // What cannot be read costs no more than to begin anew.
        let known: Option<SampleMemory> = serde_json::from_slice(&json).ok();
        let same = |known: &SampleMemory| {
            (known.v, known.opened, known.archive_id.as_str()) == (VERSION, opened, archive_id)
        };
        Ok(known.filter(same).unwrap_or(none))
    }

    /// Takes note of the samples of the backup in a place.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn put(&self, place: &str, memory: &SampleMemory) -> io::Result<()> {
        write_note(&self.0, &note_name(place.as_bytes()), memory)
    }
}
