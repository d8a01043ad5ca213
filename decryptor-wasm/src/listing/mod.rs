//! The files of an archive, as a driver lists them, in few bytes: there may be millions.

mod paths;

use std::cmp::Ordering;

pub(crate) use paths::Paths;

/// Files with their sizes in bytes, in the order of the bytes of their paths.
#[derive(Debug, Clone, Default)]
pub struct FileList {
    paths: Paths,
    sizes: Vec<u64>,
}

impl FileList {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.sizes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sizes.is_empty()
    }

    /// Path (with `/`) and size of each.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (String, u64)> + Clone + '_ {
        (0..self.len()).map(|at| (self.path(at), self.size(at)))
    }

    /// Whether there is a file of that path.
    pub fn has(&self, path: &str) -> bool {
        self.find(path).is_some()
    }

    /// The size of a file in bytes; none where there is no such file.
    pub fn size_of(&self, path: &str) -> Option<u64> {
        self.find(path).map(|at| self.size(at))
    }

    /// Path and size of the file at a place.
    pub fn get(&self, at: usize) -> Option<(String, u64)> {
        (at < self.len()).then(|| (self.path(at), self.size(at)))
    }

    /// The place of the first file whose path does not come before `path`.
    pub fn first_from(&self, path: &str) -> usize {
        self.paths.first_from(path)
    }

    /// Compares the path at a place with another; what is at no place comes last.
    pub fn compare(&self, at: usize, path: &str) -> Ordering {
        match at < self.len() {
            true => self.paths.compare_with(at, path),
            false => Ordering::Greater,
        }
    }

    /// Whether the file at a place has the path of the one before it.
    pub(crate) fn repeats(&self, at: usize) -> bool {
        at > 0 && self.paths.compare(at - 1, at) == Ordering::Equal
    }

    /// The path of the file at a place.
    pub(crate) fn path(&self, at: usize) -> String {
        self.paths.get(at)
    }

    /// Its size in bytes.
    pub(crate) fn size(&self, at: usize) -> u64 {
        self.sizes.get(at).copied().unwrap_or_default()
    }

    /// The place of a file.
    pub(crate) fn find(&self, path: &str) -> Option<usize> {
        self.paths.find(path)
    }

    /// The places of the files whose paths begin so.
    pub(crate) fn below(&self, prefix: &str) -> std::ops::Range<usize> {
        self.paths.below(prefix)
    }

    /// Adds a file, which is in its place only if its path comes after all others.
    pub(crate) fn push(&mut self, path: &str, size: u64) {
        self.paths.push(path);
        self.sizes.push(size);
    }

    /// Brings the files into their order.
    pub(crate) fn sort(&mut self) {
        if let Some(order) = self.paths.sort() {
            self.sizes = reorder(&order, &self.sizes);
        }
        self.shrink();
    }

    /// Gives back memory that is reserved and not used.
    pub(crate) fn shrink(&mut self) {
        self.paths.shrink();
        self.sizes.shrink_to_fit();
    }
}

/// The values in another order: for each place, where its value was.
pub(crate) fn reorder<T: Copy>(order: &[u32], values: &[T]) -> Vec<T> {
    let mut ordered = Vec::with_capacity(order.len());
    ordered.extend(order.iter().filter_map(|at| values.get(*at as usize)));
    ordered
}

impl Extend<(String, u64)> for FileList {
    fn extend<I: IntoIterator<Item = (String, u64)>>(&mut self, files: I) {
        for (path, size) in files {
            self.push(&path, size);
        }
        self.sort();
    }
}

impl FromIterator<(String, u64)> for FileList {
    fn from_iter<I: IntoIterator<Item = (String, u64)>>(files: I) -> Self {
        let mut listing = FileList::default();
        listing.extend(files);
        listing
    }
}
