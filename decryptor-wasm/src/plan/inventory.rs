//! What the inventories of an archive list, held against the files that are there.

use std::{cmp::Ordering, sync::Arc};

use super::Expected;
use crate::{
    Manifest, Result,
    layout::{PathKind, is_safe_path},
    listing::{FileList, Paths},
    manifest::{Entries, InventoryFiles},
    signature::FilesDigest,
};

/// The files that are listed, in the order of their paths, each held against those that are there as soon as it is known: kept is only what the plan
/// needs.
#[derive(Default)]
pub(super) struct ListedFiles {
    /// The files that are there.
    listing: Arc<FileList>,
    /// Those before this place come before all that is still to be listed.
    at: usize,
    /// They are read sealed.
    sealed: bool,
    entries: Entries,
    /// By its place in the listing, the place of the entry of each file that is there.
    places: Vec<u32>,
    /// The paths that nothing lies at, in their order.
    pub(super) missing: Vec<String>,
    /// The paths that may not be written.
    pub(super) bad: Vec<String>,
    digest: FilesDigest,
    /// A path came out of order.
    disordered: bool,
}

/// In `places`, for a file that nothing lists.
const NOWHERE: u32 = u32::MAX;

impl ListedFiles {
    /// Nothing is listed yet; `sealed`: the files are read sealed.
    pub(super) fn new(listing: Arc<FileList>, sealed: bool) -> Self {
        ListedFiles {
            places: vec![NOWHERE; listing.len()],
            listing,
            sealed,
            ..ListedFiles::default()
        }
    }

    /// Adds a file, whose path comes after those before it.
    pub(super) fn push(&mut self, path: &str, entry: Expected) {
        if !is_safe_path(path) {
            return self.bad.push(path.to_owned());
        }
        let kept: Result<()> = self.digest.push(path, &entry.sha256());
        self.disordered |= kept.is_err();
        while self.listing.compare(self.at, path) == Ordering::Less {
            self.at += 1;
        }
        if self.listing.compare(self.at, path) != Ordering::Equal {
            return self.missing.push(path.to_owned());
        }
        let is_content = matches!(
            PathKind::of(path),
            PathKind::Attachment { .. } | PathKind::Raw
        );
        self.places[self.at] = self.put(match self.sealed && !is_content {
            true => entry.without_content(),
            false => entry,
        });
    }

    fn put(&mut self, entry: Expected) -> u32 {
        self.entries.push(&entry);
        u32::try_from(self.entries.len() - 1).unwrap_or(NOWHERE)
    }

    /// The place of the entry of the file at a place of the listing.
    pub(super) fn entry_of(&self, at: usize) -> Option<u32> {
        let place = self.places.get(at).copied();
        place.filter(|place| *place != NOWHERE)
    }

    /// The place of a new entry for a file that is there and whose inventory cannot be read.
    pub(super) fn put_unlisted(&mut self) -> u32 {
        self.put(Expected::unlisted())
    }

    /// Whether all that is listed is what a signature states; never, where a path came out of order.
    pub(super) fn is(&mut self, digest: &str) -> bool {
        let listed = std::mem::take(&mut self.digest).finish();
        !self.disordered && listed == digest
    }

    /// The entries, which may be shared.
    pub(super) fn into_entries(self) -> Arc<Entries> {
        Arc::new(self.entries)
    }
}

/// The files that an inventory lists, in the order of their paths.
#[derive(Default)]
pub struct SortedInventory {
    paths: Paths,
    entries: Entries,
    /// Where the entry of each path is, unless they are in order.
    order: Option<Vec<u32>>,
}

impl SortedInventory {
    /// Of a manifest, which keeps only what it lists of companions.
    pub fn of(manifest: &mut Manifest) -> Self {
        let inventory = manifest.inventory.as_mut();
        let files = inventory.map(|inventory| {
            let files = inventory.files.entries();
            let kept = files.filter(|(path, _)| PathKind::of(path) == PathKind::Companion);
            let kept = kept.map(|(path, entry)| entry.of(path)).collect();
            std::mem::replace(&mut inventory.files, kept)
        });
        files.unwrap_or_default().into()
    }

    /// The entry of a file.
    pub fn find(&self, path: &str) -> Option<Expected> {
        let mut at = self.paths.find(path)?;
        while !self.is_last(at) {
            at += 1;
        }
        Some(self.entry(at))
    }

    pub(super) fn len(&self) -> usize {
        self.paths.len()
    }

    /// Path and entry at a place.
    pub(super) fn get(&self, at: usize) -> Option<(String, Expected)> {
        (at < self.len()).then(|| (self.paths.get(at), self.entry(at)))
    }

    /// Whether the path at a place is not the next one too: of several of one path, the last counts.
    pub(super) fn is_last(&self, at: usize) -> bool {
        at + 1 >= self.len() || self.paths.compare(at, at + 1) != Ordering::Equal
    }

    fn entry(&self, at: usize) -> Expected {
        let place = match &self.order {
            Some(order) => order.get(at).copied().unwrap_or(NOWHERE) as usize,
            None => at,
        };
        self.entries.get(place).unwrap_or_default()
    }
}

impl From<InventoryFiles> for SortedInventory {
    fn from(files: InventoryFiles) -> Self {
        let (mut paths, entries) = files.into_parts();
        let order = paths.sort();
        SortedInventory {
            paths,
            entries,
            order,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was listed before a path that is out of order has a digest; that is not the digest of all.
    #[test]
    fn a_list_out_of_order_is_never_what_was_signed() {
        let of = |paths: &[&str]| {
            let mut listed = ListedFiles::new(Arc::default(), false);
            for path in paths {
                listed.push(path, Expected::default());
            }
            listed
        };
        let mut digest = FilesDigest::default();
        digest
            .push("platform/a", &Expected::default().sha256())
            .unwrap();
        let signed = digest.finish();
        assert!(of(&["platform/a"]).is(&signed));
        assert!(!of(&["platform/a", "platform/a"]).is(&signed));
        assert!(!of(&["platform/a", "platform/0"]).is(&signed));
    }
}
