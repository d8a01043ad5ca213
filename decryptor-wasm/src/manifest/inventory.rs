//! The files that a manifest lists.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    FileEntry,
    expected::{Entries, Expected},
};
use crate::listing::Paths;

/// A list of files in few bytes: of each there is an entry when it is asked for. As JSON, the list of the entries.
#[derive(Debug, Clone, Default)]
pub struct InventoryFiles {
    paths: Paths,
    entries: Entries,
}

impl InventoryFiles {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = FileEntry> + Clone + '_ {
        let entry = |at| {
            self.entries
                .get(at)
                .unwrap_or_default()
                .of(self.paths.get(at))
        };
        (0..self.len()).map(entry)
    }

    /// Path and entry of each.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (String, Expected)> + '_ {
        let entry = |at| self.entries.get(at).unwrap_or_default();
        (0..self.len()).map(move |at| (self.paths.get(at), entry(at)))
    }

    /// Adds one at the end.
    pub fn push(&mut self, file: &FileEntry) {
        self.paths.push(&file.path);
        self.entries.push(&Expected::from(file));
    }

    /// Gives back memory that is reserved and not used.
    pub(super) fn shrink(&mut self) {
        self.paths.shrink();
        self.entries.shrink();
    }

    /// Paths and entries, place by place.
    pub(crate) fn into_parts(self) -> (Paths, Entries) {
        (self.paths, self.entries)
    }
}

impl FromIterator<FileEntry> for InventoryFiles {
    fn from_iter<I: IntoIterator<Item = FileEntry>>(files: I) -> Self {
        let mut listed = InventoryFiles::default();
        for file in files {
            listed.push(&file);
        }
        listed
    }
}

impl Serialize for InventoryFiles {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for InventoryFiles {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut files = InventoryFiles::default();
        super::items::each(from, |file: FileEntry| files.push(&file))?;
        Ok(files)
    }
}
