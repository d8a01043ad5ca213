//! The newest run of each output folder, so that a host notices when it is gone.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    is_absent, make,
    note::{note_name, write_note},
    place::drop_state,
};
use crate::storage::Location;

/// Where they are, in the state folder: a file for each output folder.
const FOLDER: &str = "outputs";
/// Version of the files.
const VERSION: u32 = 1;

/// A run that this host has made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Newest {
    v: u32,
    /// The output folder.
    pub output: PathBuf,
    /// Archive id of the first run of the chain.
    pub base: String,
    /// Archive id of the run.
    pub archive_id: String,
    /// Its number in the chain.
    pub run: u32,
}

impl Newest {
    /// What is said where it is not among the runs of its output folder, each given by its number and archive id.
    pub fn missing<'r>(&self, runs: impl IntoIterator<Item = (u32, &'r str)>) -> Option<String> {
        let mut what = "is gone";
        for (run, id) in runs {
            if id == self.archive_id {
                return None;
            }
            if run == self.run {
                what = "is another one";
            }
        }
        Some(format!(
            "run {} (archive {}), which this host made last in {}, {what}: an older copy was put there, or somebody removed it or its signature",
            self.run,
            self.archive_id,
            self.output.display()
        ))
    }
}

/// Knowledge of a state folder about output folders.
pub struct Memory(PathBuf);

impl Memory {
    /// That of a state folder, which need not be there.
    pub fn new(state: &Path) -> Self {
        Memory(state.join(FOLDER))
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// The newest run in an output folder; none where there was none yet.
    ///
    /// # Errors
    /// When the system refuses, or the file is damaged.
    pub fn of(&self, output: &Location) -> io::Result<Option<Newest>> {
        self.read(&self.place(output)?)
    }

    /// Takes note of a run.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn put(&self, output: &Location, base: &str, archive_id: &str, run: u32) -> io::Result<()> {
        make(&self.0)?;
        let newest = Newest {
            v: VERSION,
            output: identity(output)?,
            base: base.to_owned(),
            archive_id: archive_id.to_owned(),
            run,
        };
        write_note(&self.0, &name(&newest.output), &newest)
    }

    /// The backup in an output folder is to be removed on purpose, whose first run has the id `base`, as was signed: its state goes with
    /// it, and so does the note of the newest run there, where that is of this backup. Whoever stores backups can exchange folders.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn forget(&self, output: &Location, base: &str) -> io::Result<()> {
        let place = self.place(output)?;
        if self.read(&place)?.is_none_or(|newest| newest.base != base) {
            return Ok(());
        }
        if let Some(state) = self.0.parent() {
            drop_state(state, base)?;
        }
        match fs::remove_file(place) {
            Err(e) if !is_absent(&e) => Err(e),
            _ => Ok(()),
        }
    }

    /// The first runs of the chains that are where they were made.
    pub(super) fn bases(&self) -> io::Result<HashSet<String>> {
        let mut bases = HashSet::new();
        for entry in fs::read_dir(&self.0)? {
            let newest = self.read(&entry?.path()).ok().flatten();
            let there = newest.filter(|newest| {
                // An object store is not asked for that.
                is_in_store(&newest.output) || newest.output.join("manifest.json").exists()
            });
            bases.extend(there.map(|newest| newest.base));
        }
        Ok(bases)
    }

    fn place(&self, output: &Location) -> io::Result<PathBuf> {
        Ok(self.0.join(name(&identity(output)?)))
    }

    fn read(&self, place: &Path) -> io::Result<Option<Newest>> {
        let json = match fs::read(place) {
            Err(e) if is_absent(&e) => return Ok(None),
            json => json?,
        };
        let newest: Newest = serde_json::from_slice(&json)?;
        Ok(Some(newest).filter(|newest| newest.v == VERSION))
    }
}

/// A folder as the system knows it; the address of a place in an object store.
fn identity(output: &Location) -> io::Result<PathBuf> {
    match output {
        Location::Folder(folder) => fs::canonicalize(folder),
        Location::Store(address) => Ok(PathBuf::from(address.to_string())),
        Location::Stream(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn is_in_store(output: &Path) -> bool {
    let text = output.to_str().unwrap_or_default();
    text.parse::<Location>()
        .is_ok_and(|place| place.folder().is_none())
}

/// The name of the file of an output folder.
fn name(output: &Path) -> String {
    note_name(output.as_os_str().as_encoded_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_run_of_each_folder_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::new(&folder.path().join("state"));
        let at = |name: &str| Location::from(folder.path().join(name));
        for name in ["a", "b", "c"] {
            fs::create_dir(at(name).folder().unwrap()).unwrap();
        }
        assert_eq!(memory.of(&at("a")).unwrap(), None);
        memory.put(&at("a"), "base", "one", 1).unwrap();
        memory.put(&at("a"), "base", "two", 2).unwrap();
        memory.put(&at("b"), "base", "three", 3).unwrap();
        let id = |found: io::Result<Option<Newest>>| found.unwrap().map(|found| found.archive_id);
        assert_eq!(id(memory.of(&at("a"))).as_deref(), Some("two"));
        assert_eq!(id(memory.of(&at("b"))).as_deref(), Some("three"));
        assert_eq!(id(memory.of(&at("c"))), None);
        memory.forget(&at("a"), "another").unwrap();
        assert_eq!(id(memory.of(&at("a"))).as_deref(), Some("two"));
        memory.forget(&at("a"), "base").unwrap();
        memory.forget(&at("a"), "base").unwrap();
        assert_eq!(id(memory.of(&at("a"))), None);
    }
}
