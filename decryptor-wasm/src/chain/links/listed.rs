//! Whether `chain.json` lists the runs that are there, in their order. It lies in the clear, so this decides nothing by itself.

use super::{CHAIN, Finding, Index, Links, Severity, StoredRun, place_of};

impl Links {
    /// Runs that are there and not listed. One that was finished was listed once: what lists fewer is an older `chain.json`.
    pub(super) fn beyond(&mut self) {
        let count = self.count();
        for stored in self.stored.iter().filter(|stored| stored.run > count) {
            let finding = |severity, code, what: &str| Finding {
                severity,
                code,
                path: place_of(stored.run),
                message: format!("not listed in {CHAIN}: {what}"),
            };
            if stored.unnamed {
                self.others.push(finding(
                    Severity::Warning,
                    "uncommitted",
                    "left by a run that was not finished; it is left alone",
                ));
            } else {
                self.unlisted.get_or_insert(finding(
                    Severity::Error,
                    "unlisted",
                    "it was finished, so that an older copy of the list was put in its place, or somebody put the run there",
                ));
            }
        }
    }

    /// What is wrong with what `chain.json` says of the run in a place.
    pub(super) fn listed(&self, place: usize) -> Option<(&'static str, String, String)> {
        let runs = &self.index.runs;
        let (entry, run) = (&runs[place], place as u32 + 1);
        let chain = |code, message: String| Some((code, CHAIN.to_owned(), message));
        let at = |code, message: String| Some((code, place_of(run), message));
        let id = self.id(run);
        let listed_at = |id: &String| runs.iter().position(|other| other.archive_id == *id);
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

    /// What is wrong with the parent that `chain.json` gives the run in a place.
    pub(super) fn listed_parent(&self, place: usize) -> Option<(&'static str, String)> {
        let runs = &self.index.runs;
        let (entry, run) = (&runs[place], place as u32 + 1);
        let listed_at = |id: &String| runs.iter().position(|other| other.archive_id == *id);
        let before = place.checked_sub(1).map(|before| &runs[before].archive_id);
        if entry.parent.as_ref() == before {
            return None;
        }
        let twin = runs[..place].iter().find(|r| r.parent == entry.parent);
        Some(match (&entry.parent, twin) {
            (Some(_), Some(twin)) => (
                "replayed",
                format!(
                    "says that run {run} follows the same run as run {} does; one of them is of another copy of the chain",
                    twin.run
                ),
            ),
            (Some(parent), None) if listed_at(parent).is_none() => (
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
