//! Paths in few bytes.

use std::{
    cmp::Ordering,
    collections::BTreeMap,
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use crate::layout::run_of;

/// Longer names, and those of more files than this, are kept anew for each file.
const LONGEST_COMMON: usize = 48;
const MOST_COMMON: usize = 4096;

/// A list of paths. Each is kept as its folder (that of the run and the user) and its name within that: files that follow one another share the
/// text of their folder, and files of one name share that.
#[derive(Debug, Clone, Default)]
pub(crate) struct Paths {
    folders: Texts,
    names: Texts,
    /// Names that other files may have too, and where they are in `names`.
    common: BTreeMap<String, u64>,
    items: Vec<(u32, u32)>,
    last: LastFound,
}

/// Where the path was that was looked for last: mostly the next one follows it.
#[derive(Debug, Default)]
struct LastFound(AtomicUsize);

impl Clone for LastFound {
    fn clone(&self) -> Self {
        LastFound::default()
    }
}

/// Texts one after the other.
#[derive(Debug, Clone, Default)]
struct Texts {
    text: String,
    ends: Vec<usize>,
}

impl Texts {
    fn push(&mut self, text: &str) -> u32 {
        self.text.push_str(text);
        self.ends.push(self.text.len());
        u32::try_from(self.ends.len() - 1).unwrap_or(u32::MAX)
    }

    fn get(&self, at: u32) -> &str {
        let at = at as usize;
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before));
        let end = self.ends.get(at).copied().unwrap_or_default();
        let start = start.copied().unwrap_or_default();
        self.text.get(start..end).unwrap_or_default()
    }
}

/// Folder and name of a path.
fn split(path: &str) -> (&str, &str) {
    let within = run_of(path).map_or(path, |(_, within)| within);
    let user = within.strip_prefix("users/");
    let name = user.and_then(|rest| rest.split_once('/'));
    let name = name.map_or(within, |(_, name)| name);
    path.split_at(path.len() - name.len())
}

impl Paths {
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Adds a path at the end.
    pub(crate) fn push(&mut self, path: &str) {
        let (folder, name) = split(path);
        let last = self.items.last().map(|(folder, _)| *folder);
        let folder = match last.filter(|last| self.folders.get(*last) == folder) {
            Some(last) => last,
            None => self.folders.push(folder),
        };
        let name = match self.common.get(name) {
            Some(known) => *known as u32,
            None => {
                let at = self.names.push(name);
                if name.len() <= LONGEST_COMMON && self.common.len() < MOST_COMMON {
                    self.common.insert(name.to_owned(), at.into());
                }
                at
            }
        };
        self.items.push((folder, name));
    }

    pub(crate) fn shrink(&mut self) {
        self.items.shrink_to_fit();
        for texts in [&mut self.folders, &mut self.names] {
            texts.text.shrink_to_fit();
            texts.ends.shrink_to_fit();
        }
    }

    /// The path at a place.
    pub(crate) fn get(&self, at: usize) -> String {
        let (folder, name) = self.parts(at);
        let mut path = String::with_capacity(folder.len() + name.len());
        path.push_str(folder);
        path.push_str(name);
        path
    }

    /// Folder and name of the path at a place.
    fn parts(&self, at: usize) -> (&str, &str) {
        let (folder, name) = self.items.get(at).copied().unwrap_or((u32::MAX, u32::MAX));
        (self.folders.get(folder), self.names.get(name))
    }

    /// Compares the paths at two places.
    pub(crate) fn compare(&self, one: usize, other: usize) -> Ordering {
        let (one, other) = (self.parts(one), self.parts(other));
        if one.0 == other.0 {
            return one.1.cmp(other.1);
        }
        let bytes = |(folder, name): (&str, &str)| {
            let parts = [folder.to_owned(), name.to_owned()];
            parts.concat()
        };
        match one.0.starts_with(other.0) || other.0.starts_with(one.0) {
            true => bytes(one).cmp(&bytes(other)),
            false => one.0.cmp(other.0),
        }
    }

    /// Compares the path at a place with another.
    pub(crate) fn compare_with(&self, at: usize, path: &str) -> Ordering {
        let (folder, name) = self.parts(at);
        match path.strip_prefix(folder) {
            Some(rest) => name.cmp(rest),
            None => folder.cmp(path),
        }
    }

    /// The place of a path, where they are in order; of several, the first.
    pub(crate) fn find(&self, path: &str) -> Option<usize> {
        let at = self.first_from(path);
        let found = at < self.len() && self.compare_with(at, path) == Ordering::Equal;
        found.then_some(at)
    }

    /// The places of the paths that begin so, where they are in order.
    pub(crate) fn below(&self, prefix: &str) -> Range<usize> {
        let from = self.first_from(prefix);
        let to = Self::lower_bound(from..self.len(), |at| self.get(at).starts_with(prefix));
        from..to
    }

    /// The place of the first path that does not come before `path`, where they are in order.
    pub(crate) fn first_from(&self, path: &str) -> usize {
        let is_before = |at: usize| self.compare_with(at, path) == Ordering::Less;
        let last = self.last.0.load(Relaxed).saturating_sub(1);
        let (mut from, mut to) = (0, self.len());
        // Looks at the last one, and 1, 3, 7, … places after it, until that is too far.
        let mut step = 1;
        let mut next = last;
        while next < to {
            if !is_before(next) {
                to = next;
                break;
            }
            from = next + 1;
            next += step;
            step *= 2;
        }
        let found = Self::lower_bound(from..to, is_before);
        self.last.0.store(found, Relaxed);
        found
    }

    fn lower_bound(places: Range<usize>, is_before: impl Fn(usize) -> bool) -> usize {
        let (mut from, mut to) = (places.start, places.end);
        while from < to {
            let middle = from + (to - from) / 2;
            match is_before(middle) {
                true => from = middle + 1,
                false => to = middle,
            }
        }
        from
    }

    /// Brings the paths into the order of their bytes, equal ones in the order in which they were added. Returns for each place where its
    /// path was; none where they were in order already.
    pub(crate) fn sort(&mut self) -> Option<Vec<u32>> {
        let mut places = 1..self.len();
        if places.all(|at| self.compare(at - 1, at) != Ordering::Greater) {
            return None;
        }
        let order = crate::sorted(self.len(), &|one, other| self.compare(one, other));
        self.items = super::reorder(&order, &self.items);
        Some(order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_kept_found_and_ordered() {
        let mut paths: Vec<String> = Vec::new();
        for user in ["b", "a", "a-b", "a.b", "ü"] {
            for name in ["user-manifest.json", "events/events-0001.jsonl.gz", "x"] {
                paths.push(format!("users/{user}/{name}"));
                paths.push(format!("increments/0002/users/{user}/{name}"));
            }
        }
        for name in [
            "manifest.json",
            "users",
            "users/",
            "users/a",
            "increments/x",
            "a",
            "",
        ] {
            paths.push(name.to_owned());
        }
        let mut all = Paths::default();
        for path in &paths {
            all.push(path);
        }
        let kept: Vec<String> = (0..all.len()).map(|at| all.get(at)).collect();
        assert_eq!(kept, paths);
        let order = all.sort().unwrap();
        let before: Vec<String> = order.iter().map(|at| paths[*at as usize].clone()).collect();
        paths.sort();
        assert_eq!(before, paths);
        for (at, path) in paths.iter().enumerate() {
            assert_eq!(all.find(path), Some(at), "{path}");
            assert_eq!(all.find(&format!("{path}~")), None);
            let begins = |known: &&String| known.starts_with(path.as_str());
            assert_eq!(all.below(path).len(), paths.iter().filter(begins).count());
        }
        assert!(all.sort().is_none());
    }

    #[test]
    fn equal_paths_stay_in_the_order_in_which_they_came() {
        let mut all = Paths::default();
        for path in ["b", "a", "b", "a"] {
            all.push(path);
        }
        assert_eq!(all.sort().unwrap(), [1, 3, 0, 2]);
        assert_eq!(all.find("b"), Some(2));
    }
}
