//! All that the inventories of an archive list.

use std::{cmp::Ordering, sync::Arc};

use super::Expected;
use crate::{Manifest, layout::PathKind, listing::Paths, manifest::Entries};

/// Files and their entries. Call [`AllListed::sort`] before anything is looked for.
#[derive(Default)]
pub(super) struct AllListed {
    paths: Paths,
    entries: Entries,
    /// Where the entry of each path is, once they are in order.
    places: Vec<u32>,
}

impl AllListed {
    /// Adds a file; `sealed`: it is read sealed. Of several of one path, the last counts.
    pub(super) fn push(&mut self, path: &str, entry: Expected, sealed: bool) {
        let is_content = matches!(PathKind::of(path), PathKind::Attachment { .. });
        self.paths.push(path);
        self.entries.push(&match sealed && !is_content {
            true => entry.without_content(),
            false => entry,
        });
    }

    /// Brings the paths into their order.
    pub(super) fn sort(&mut self) {
        let count = u32::try_from(self.paths.len()).unwrap_or(u32::MAX);
        self.places = match self.paths.sort() {
            Some(order) => order,
            None => {
                let mut places = Vec::with_capacity(self.paths.len());
                places.extend(0..count);
                places
            }
        };
    }

    /// The place of the entry of a path.
    pub(super) fn find(&self, path: &str) -> Option<u32> {
        let mut at = self.paths.find(path)?;
        while !self.is_last(at) {
            at += 1;
        }
        self.places.get(at).copied()
    }

    /// The entry at a place.
    pub(super) fn entry(&self, place: u32) -> Expected {
        self.entries.get(place as usize).unwrap_or_default()
    }

    /// Each path, in order, and the place of its entry.
    pub(super) fn iter(&self) -> impl Iterator<Item = (String, u32)> + '_ {
        let last = (0..self.paths.len()).filter(|at| self.is_last(*at));
        last.map(|at| {
            (
                self.paths.get(at),
                self.places.get(at).copied().unwrap_or_default(),
            )
        })
    }

    /// The entries, which may be shared.
    pub(super) fn into_entries(self) -> Arc<Entries> {
        Arc::new(self.entries)
    }

    /// Whether the path at a place is not the next one too.
    fn is_last(&self, at: usize) -> bool {
        at + 1 >= self.paths.len() || self.paths.compare(at, at + 1) != Ordering::Equal
    }
}

/// The files that `manifest.json` lists, to look one up.
#[derive(Default)]
pub struct OwnInventory(AllListed);

impl OwnInventory {
    /// Of a manifest, which keeps only what it lists of companions.
    pub fn of(manifest: &mut Manifest) -> Self {
        let inventory = manifest.inventory.as_mut();
        let files = inventory.map(|inventory| {
            let files = inventory.files.entries();
            let kept = files.filter(|(path, _)| PathKind::of(path) == PathKind::Companion);
            let kept = kept.map(|(path, entry)| entry.of(path)).collect();
            std::mem::replace(&mut inventory.files, kept)
        });
        let (paths, entries) = files.unwrap_or_default().into_parts();
        let mut own = AllListed {
            paths,
            entries,
            places: Vec::new(),
        };
        own.sort();
        OwnInventory(own)
    }

    /// The entry of a file.
    pub fn find(&self, path: &str) -> Option<Expected> {
        self.0.find(path).map(|place| self.0.entry(place))
    }

    /// Each of them, in the order of the paths.
    pub(super) fn iter(&self) -> impl Iterator<Item = (String, Expected)> + '_ {
        self.0
            .iter()
            .map(|(path, place)| (path, self.0.entry(place)))
    }
}
