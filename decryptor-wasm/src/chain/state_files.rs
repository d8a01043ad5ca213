//! The files of a state, in few bytes.

use std::{ops::Range, sync::Arc};

use crate::{
    layout::PathKind,
    listing::FileList,
    plan::{PlannedFile, PlannedFiles},
};

/// `events` for what is in `users/<userId>/events`, `platform/keys` for what belongs to no user, `removed` for tombstones.
pub(super) fn collection(path: &str) -> Option<String> {
    let within = match PathKind::of(path) {
        PathKind::UserRecords { .. } => path.split('/').nth(2)?,
        PathKind::SharedRecords => path,
        _ => return None,
    };
    let name = within.strip_suffix(".gz").unwrap_or(within);
    Some(name.strip_suffix(".jsonl").unwrap_or(name).to_owned())
}

/// The files of a run that a state may need.
#[derive(Debug, Clone, Default)]
pub struct RunFiles {
    /// The run.
    pub run: u32,
    /// Its files, but for manifests.
    pub files: PlannedFiles,
    /// The manifests of its users.
    pub manifests: PlannedFiles,
}

/// A file of a run, which holds a part of a file of the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePart {
    /// The run.
    pub run: u32,
    /// The file; its path is from the root of the run.
    pub file: PlannedFile,
}

/// Where a part is: the place of the run in the list of runs (not its number), and the place of the file in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) run: u32,
    pub(super) file: u32,
}

impl Part {
    /// The file, where it is one of a run's manifests or not.
    pub(super) fn of(self, runs: &[RunFiles], manifests: bool) -> Option<FilePart> {
        let run = runs.get(self.run as usize)?;
        let files = if manifests {
            &run.manifests
        } else {
            &run.files
        };
        Some(FilePart {
            run: run.run,
            file: files.get(self.file as usize)?,
        })
    }
}

/// A file of the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateFile {
    /// As in a plain archive; records are not compressed.
    pub path: String,
    /// The user whose folder it is in.
    pub user: Option<String>,
    /// The collection, `platform/keys` for what belongs to no user; none of a file without records.
    pub collection: Option<String>,
    /// The files that hold its content, oldest run first.
    pub parts: Vec<FilePart>,
}

/// Files of the state, in the order of their paths: there is a [`StateFile`] of each when it is asked for.
#[derive(Debug, Clone, Default)]
pub struct StateFiles {
    runs: Arc<Vec<RunFiles>>,
    /// They are manifests of users.
    manifests: bool,
    /// With the bytes of all parts together.
    listing: Arc<FileList>,
    /// Where the parts of each begin.
    firsts: Vec<u32>,
    parts: Vec<Part>,
}

impl StateFiles {
    /// Of the files of these runs.
    pub(super) fn new(runs: Arc<Vec<RunFiles>>, manifests: bool) -> Self {
        StateFiles {
            runs,
            manifests,
            ..StateFiles::default()
        }
    }

    /// Puts parts together that have the path of one file; they come in the order of the runs.
    pub(super) fn gather(&mut self, mut found: FileList, parts: &[Part]) {
        // In place of the sizes stand the numbers of the parts.
        found.sort();
        let mut listing = FileList::default();
        for at in 0..found.len() {
            let path = found.path(at);
            let part = parts.get(found.size(at) as usize);
            let part = part.copied().unwrap_or(Part {
                run: 0,
                file: u32::MAX,
            });
            let is_next = !listing.is_empty() && listing.path(listing.len() - 1) == path;
            if !is_next {
                self.firsts.push(self.parts.len() as u32);
                listing.push(&path, 0);
            } else if matches!(PathKind::of(&path), PathKind::Attachment { .. }) {
                // An id never gets other content: the last file is as good as the first.
                self.parts.pop();
            }
            self.parts.push(part);
        }
        let mut sized = FileList::default();
        for at in 0..listing.len() {
            let parts = self.parts_of(at).iter();
            let size = parts
                .map(|part| self.part(*part).map_or(0, |part| part.file.size))
                .sum();
            sized.push(&listing.path(at), size);
        }
        self.listing = Arc::new(sized);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.firsts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.firsts.is_empty()
    }

    /// The file at a place.
    pub fn get(&self, at: usize) -> Option<StateFile> {
        if at >= self.len() {
            return None;
        }
        let path = self.listing.path(at);
        let kind = PathKind::of(&path);
        let mut parts = Vec::new();
        for part in self.parts_of(at) {
            parts.extend(self.part(*part));
        }
        Some(StateFile {
            user: kind.user().map(str::to_owned),
            collection: collection(&path),
            path,
            parts,
        })
    }

    /// The place of the file at a path.
    pub fn find(&self, path: &str) -> Option<usize> {
        self.listing.find(path)
    }

    /// The paths that begin so.
    pub fn below(&self, prefix: &str) -> impl Iterator<Item = String> {
        self.listing.below(prefix).map(|at| self.listing.path(at))
    }

    /// Whether the file at a path is no file of records, and all its parts are of other runs.
    pub fn is_brought(&self, path: &str, but_for: u32) -> bool {
        let parts = self.find(path).filter(|_| collection(path).is_none());
        parts.is_some_and(|at| {
            let mut parts = self.parts_of(at).iter();
            parts.all(|part| {
                self.runs
                    .get(part.run as usize)
                    .is_none_or(|run| run.run != but_for)
            })
        })
    }

    /// The files to read.
    pub(crate) fn planned(&self) -> PlannedFiles {
        let mut of_runs = self.runs.iter();
        let encrypted = of_runs.any(|run| run.files.is_encrypted());
        let mut planned = PlannedFiles::new(self.listing.clone(), encrypted);
        let mut entries = crate::manifest::Entries::default();
        for at in 0..self.len() {
            // Of a file that holds no records, every part has the same content.
            let is_one = matches!(
                PathKind::of(&self.listing.path(at)),
                PathKind::Attachment { .. } | PathKind::Raw
            );
            let last = self.parts_of(at).last().filter(|_| is_one);
            let entry = last.and_then(|part| self.part(*part)?.file.expected);
            let place = entry.map(|entry| {
                entries.push(&entry);
                entries.len() as u32 - 1
            });
            planned.push(at, place);
        }
        planned.set_entries(Arc::new(entries));
        planned
    }

    fn parts_of(&self, at: usize) -> &[Part] {
        let first = |at: usize| {
            self.firsts
                .get(at)
                .map_or(self.parts.len(), |first| *first as usize)
        };
        let places: Range<usize> = first(at)..first(at + 1);
        self.parts.get(places).unwrap_or_default()
    }

    fn part(&self, part: Part) -> Option<FilePart> {
        part.of(&self.runs, self.manifests)
    }
}
