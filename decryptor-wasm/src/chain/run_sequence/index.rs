//! Compares `chain.json` with the runs that are there. It lies in the clear, so this decides nothing by itself.

use std::collections::BTreeMap;

use super::{CHAIN, Finding, Index, IndexRun, RunSequence, Severity, StoredRun, place_of};

/// Code, path and message.
type Listed = Option<(&'static str, String, String)>;
/// Code and message.
type Parent = Option<(&'static str, String)>;

/// The first place at which each archive and each parent is listed: a list may be long.
struct Places<'l> {
    archives: BTreeMap<&'l str, u64>,
    /// That of a run without one is empty.
    parents: BTreeMap<&'l str, u64>,
}

fn parent_of(run: &IndexRun) -> &str {
    run.parent.as_deref().unwrap_or_default()
}

impl RunSequence {
    /// Runs that are there and not listed. One that was finished was listed once: what lists fewer is an older `chain.json`.
    pub(super) fn find_unlisted(&mut self) {
        let count = self.count();
        for stored in self.stored.iter().filter(|stored| stored.run > count) {
            let finding = |severity, code, message: String| Finding {
                severity,
                code,
                path: place_of(stored.run),
                message,
            };
            if stored.unnamed {
                self.others.push(finding(
                    Severity::Warning,
                    "uncommitted",
                    "left by a run that was not finished; it is left alone".to_owned(),
                ));
            } else {
                self.unlisted.get_or_insert(finding(
                    Severity::Error,
                    "unlisted",
                    "it was finished, and no list of runs names it: an older list was put in the place of the newest, or somebody put the run there".to_owned(),
                ));
            }
        }
    }

    /// Checks what `chain.json` says of each run, and of its parent.
    pub(super) fn check_index(&self) -> Vec<(Listed, Parent)> {
        let mut places = Places {
            archives: BTreeMap::new(),
            parents: BTreeMap::new(),
        };
        // Of two with one name the first stays.
        for (place, run) in self.index.runs.iter().enumerate().rev() {
            places.archives.insert(&run.archive_id, place as u64);
            places.parents.insert(parent_of(run), place as u64);
        }
        let places_listed = 0..self.index.runs.len();
        places_listed
            .map(|place| {
                (
                    self.listed(place, &places),
                    self.listed_parent(place, &places),
                )
            })
            .collect()
    }

    fn listed(&self, place: usize, places: &Places<'_>) -> Listed {
        let runs = &self.index.runs;
        let (entry, run) = (&runs[place], place as u32 + 1);
        let chain = |code, message: String| Some((code, CHAIN.to_owned(), message));
        let at = |code, message: String| Some((code, place_of(run), message));
        let id = self.id(run);
        let listed_at = |id: &String| places.archives.get(id.as_str()).map(|at| *at as usize);
        if entry.run != run || entry.path != Index::path(run) {
            return chain(
                "reordered",
                format!(
                    "lists run {} where run {run} should be; the runs are not in their order",
                    entry.run
                ),
            );
        }
        let Some(id) = id else {
            return at(
                "missing",
                format!("run {run} is listed in {CHAIN}, but not there"),
            );
        };
        if *id != entry.archive_id {
            return match listed_at(id) {
                Some(other) => at(
                    "swapped",
                    format!(
                        "run {} lies where run {run} should be; the folders were exchanged or copied",
                        other + 1
                    ),
                ),
                None => at(
                    "foreign",
                    format!(
                        "manifest.json is not the one that {CHAIN} lists for run {run}; it was changed or replaced"
                    ),
                ),
            };
        }
        let stored = self.stored.iter().find(|stored| stored.run == run);
        let sealed = stored.is_some_and(StoredRun::is_sealed);
        if sealed != entry.mode.is_some() {
            let says = if sealed { "is not" } else { "is" };
            return chain(
                "foreign",
                format!("says that run {run} {says} encrypted, which is not so; it was changed"),
            );
        }
        if let Some(first) = listed_at(id).filter(|first| *first < place) {
            return chain(
                "replayed",
                format!(
                    "lists one archive twice, as run {} and as run {run}",
                    first + 1
                ),
            );
        }
        None
    }

    fn listed_parent(&self, place: usize, places: &Places<'_>) -> Parent {
        let runs = &self.index.runs;
        let (entry, run) = (&runs[place], place as u32 + 1);
        let before = place.checked_sub(1).map(|before| &runs[before].archive_id);
        if entry.parent.as_ref() == before {
            return None;
        }
        let sibling = places.parents.get(parent_of(entry)).map(|at| *at as usize);
        let sibling = sibling
            .filter(|sibling| *sibling < place)
            .map(|sibling| &runs[sibling]);
        Some(match (&entry.parent, sibling) {
            (Some(_), Some(sibling)) => (
                "replayed",
                format!(
                    "says that run {run} follows the same run as run {} does; one of them is of another copy of the chain",
                    sibling.run
                ),
            ),
            (Some(parent), None) if !places.archives.contains_key(parent.as_str()) => (
                "missing",
                format!(
                    "says that run {run} follows an archive ({parent}) that is not there; a run between was removed"
                ),
            ),
            _ => (
                "reordered",
                format!(
                    "says that run {run} does not follow the run before it; the runs are not in their order"
                ),
            ),
        })
    }
}
