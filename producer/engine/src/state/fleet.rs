//! What the backups of each core were at the last look, so that the next one notices when somebody has put others in their place.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    is_absent, make,
    note::{note_name, write_note},
};

/// Where the notes are, in the state folder: a file for each place below which cores have their backups.
const FOLDER: &str = "fleet";
/// Version of the files.
const VERSION: u32 = 1;

/// The newest good run of a core, as it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SeenCore {
    /// The platform that it is of, as it was signed.
    pub source: String,
    /// The name of the core, where the run has one.
    pub core: Option<String>,
    /// Who signed it.
    pub signer: String,
    /// When it was made, in milliseconds since 1970.
    pub created: i64,
}

/// The cores that were seen, by the names of their prefixes.
pub type SeenCores = BTreeMap<String, SeenCore>;

#[derive(Serialize, Deserialize)]
struct Note {
    v: u32,
    cores: SeenCores,
}

/// The places that a host has looked at.
pub struct Fleets(PathBuf);

impl Fleets {
    /// Those of a state folder, which is made if it is not there.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn open(state: &Path) -> io::Result<Self> {
        let folder = state.join(FOLDER);
        make(&folder)?;
        Ok(Fleets(folder))
    }

    /// The cores that were seen below a place.
    ///
    /// # Errors
    /// When the note cannot be read: without it nobody would notice a change.
    pub fn of(&self, place: &str) -> io::Result<SeenCores> {
        let path = self.path(place);
        let json = match fs::read(&path) {
            Err(e) if is_absent(&e) => return Ok(SeenCores::new()),
            json => json?,
        };
        let note = serde_json::from_slice::<Note>(&json).ok();
        let note = note.filter(|note| note.v == VERSION).ok_or_else(|| {
            let path = path.display();
            io::Error::other(format!(
                "{path}: what was seen at the last look is damaged, or of another version: compare the sources of the cores with what the reports of their backups say, and remove the file"
            ))
        })?;
        Ok(note.cores)
    }

    /// Takes note of the cores below a place.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn put(&self, place: &str, cores: SeenCores) -> io::Result<()> {
        let note = Note { v: VERSION, cores };
        write_note(&self.0, &note_name(place.as_bytes()), &note)
    }

    fn path(&self, place: &str) -> PathBuf {
        self.0.join(note_name(place.as_bytes()))
    }
}
