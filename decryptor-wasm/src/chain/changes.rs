//! Finds the files of later runs that change a collection.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    ChangeIndex, FilePart,
    state_files::{Part, RunFiles},
};

/// The record files and tombstones of all runs but the first that a state needs.
#[derive(Debug, Clone, Default)]
pub struct ChangeFiles {
    /// The index into `parts`, by user and collection.
    places: BTreeMap<String, u64>,
    parts: Vec<Vec<Part>>,
    runs: Arc<Vec<RunFiles>>,
}

impl ChangeFiles {
    /// None yet, of the files of these runs.
    pub(super) fn new(runs: Arc<Vec<RunFiles>>) -> Self {
        ChangeFiles {
            runs,
            ..ChangeFiles::default()
        }
    }

    /// Adds a file; `user` is empty for what belongs to no user.
    pub(super) fn add(&mut self, user: &str, collection: &str, part: Part) {
        let next = self.parts.len() as u64;
        let place = *self.places.entry(place(user, collection)).or_insert(next);
        if place == next {
            self.parts.push(Vec::new());
        }
        self.parts[place as usize].push(part);
    }

    /// The files that say something of a collection: its own, and (true) those of tombstones.
    pub fn of(&self, user: &str, collection: &str) -> impl Iterator<Item = (bool, FilePart)> {
        let removed = if user.is_empty() {
            "platform/removed"
        } else {
            "removed"
        };
        let of = |collection: &str| {
            let at = self.places.get(&place(user, collection));
            let parts = at.and_then(|at| self.parts.get(*at as usize));
            let parts = parts.into_iter().flatten();
            parts.filter_map(|part| part.of(&self.runs, false))
        };
        let brought = of(collection).map(|part| (false, part));
        brought.chain(of(removed).map(|part| (true, part)))
    }

    /// The number of passes over the files of a collection, so that no more than [`ChangeIndex::AT_ONCE`] numbers are held; 0 when no later run
    /// says anything of it.
    pub fn passes(&self, user: &str, collection: &str) -> u64 {
        let numbers = |(removed, part): (bool, FilePart)| {
            let listed = part.file.expected.as_ref();
            let content = listed.map_or(part.file.size, |entry| entry.content_size);
            let records = listed.and_then(|entry| entry.records);
            match removed || collection == "series" {
                true => content / 8 + 1,
                false => records.unwrap_or(content / 16 + 1),
            }
        };
        let changes: Vec<u64> = self.of(user, collection).map(numbers).collect();
        match changes.as_slice() {
            [] => 0,
            some => some
                .iter()
                .sum::<u64>()
                .div_ceil(ChangeIndex::AT_ONCE)
                .max(1),
        }
    }

    /// True for a collection of tombstones.
    pub(super) fn are_tombstones(collection: &str) -> bool {
        matches!(collection, "removed" | "platform/removed")
    }
}

/// No id has a line break in it.
fn place(user: &str, collection: &str) -> String {
    format!("{user}\n{collection}")
}
