//! Whether the runs of a chain are the ones that were made, in their order.

use super::{CHAIN, ChainKey, Index, IndexRun};
use crate::{
    Error, ErrorKind, Manifest, Result,
    plan::{Finding, Severity},
};

/// The runs that `chain.json` names, held against what is there; and against what each says of itself, as far as they are opened.
pub struct Links {
    index: Index,
    /// Hex SHA-256 of each `manifest.json` that is there.
    ids: Vec<(u32, String)>,
    /// The first thing that is wrong with a run.
    wrong: Vec<(u32, Finding)>,
    others: Vec<Finding>,
    /// Those of the increments that were opened.
    keys: Vec<(u32, ChainKey)>,
}

impl Links {
    /// `ids`: the hex SHA-256 of `manifest.json` as stored, of every run whose folder has one.
    ///
    /// # Errors
    /// When the index names no run at all.
    pub fn new(index: Index, ids: Vec<(u32, String)>) -> Result<Self> {
        if index.runs.is_empty() {
            return Err(Error::damaged(format!(
                "{CHAIN}: lists no run; the file is damaged or was replaced"
            )));
        }
        let mut links = Links {
            index,
            ids,
            wrong: Vec::new(),
            others: Vec::new(),
            keys: Vec::new(),
        };
        for place in 0..links.index.runs.len() {
            if let Some((code, path, message)) = links.listed(place) {
                links.find(place as u32 + 1, code, path, message);
            }
        }
        let count = links.count();
        for (run, _) in links.ids.iter().filter(|(run, _)| *run > count) {
            links.others.push(Finding {
                severity: Severity::Warning,
                code: "uncommitted",
                path: Index::path(*run),
                message: format!(
                    "not listed in {CHAIN}: left by a run that was not finished; it is left alone"
                ),
            });
        }
        Ok(links)
    }

    /// How many runs there are.
    pub fn count(&self) -> u32 {
        self.index.runs.len() as u32
    }

    /// What `chain.json` says of a run.
    pub fn run(&self, run: u32) -> Option<&IndexRun> {
        self.index.runs.get(run.checked_sub(1)? as usize)
    }

    /// All that `chain.json` says.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The run whose state is asked for: the newest, unless another is.
    ///
    /// # Errors
    /// When there is no such run.
    pub fn choose(&self, at: Option<u32>) -> Result<u32> {
        match at {
            None => Ok(self.count()),
            Some(run) if self.run(run).is_some() => Ok(run),
            Some(run) => Err(Error::new(
                ErrorKind::Usage,
                format!(
                    "there is no run {run} in this chain: it has {}",
                    match self.count() {
                        1 => "one run".to_owned(),
                        n => format!("the runs 1 to {n}"),
                    }
                ),
            )),
        }
    }

    /// What is wrong with what `chain.json` says of the run in a place.
    fn listed(&self, place: usize) -> Option<(&'static str, String, String)> {
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
        if let Some(first) = listed_at(id).filter(|first| *first < place) {
            return chain(
                "replayed",
                format!(
                    "lists one archive twice, as run {} and as run {run}",
                    first + 1
                ),
            );
        }
        let before = place.checked_sub(1).map(|before| &runs[before].archive_id);
        if entry.parent.as_ref() == before {
            return None;
        }
        let twin = runs[..place].iter().find(|r| r.parent == entry.parent);
        match (&entry.parent, twin) {
            (Some(_), Some(twin)) => chain(
                "replayed",
                format!(
                    "says that run {run} follows the same run as run {} does; one of them is of another copy of the chain",
                    twin.run
                ),
            ),
            (Some(parent), None) if listed_at(parent).is_none() => chain(
                "missing",
                format!(
                    "says that run {run} follows an archive ({parent}) that is not there; a run between was removed"
                ),
            ),
            _ => chain(
                "reordered",
                format!(
                    "says that run {run} does not follow the run before it; the runs are not in their order"
                ),
            ),
        }
    }

    /// The manifest of a run was opened: what it says of itself is proven by the key.
    pub fn opened(&mut self, run: u32, manifest: &Manifest) {
        if let Some(link) = manifest.chain.as_ref().filter(|_| !is_full(manifest)) {
            self.keys.push((run, link.key.clone()));
        }
        if let Some((code, message)) = self.linked(run, manifest) {
            self.find(run, code, place_of(run), message);
        }
    }

    fn linked(&self, run: u32, manifest: &Manifest) -> Option<(&'static str, String)> {
        let full = is_full(manifest);
        if let Some(entry) = self.run(run)
            && (entry.kind == "full") != full
        {
            let kind = if full { "a full one" } else { "an increment" };
            return Some((
                "foreign",
                format!("run {run} is {kind}, and {CHAIN} says otherwise; {CHAIN} was changed"),
            ));
        }
        let Some(link) = &manifest.chain else {
            return (run > 1).then(|| {
                (
                    "foreign",
                    format!("what lies where run {run} should be is an archive of its own"),
                )
            });
        };
        if run == 1 {
            return Some((
                "swapped",
                format!(
                    "run {} of a chain lies where its first run should be",
                    link.run
                ),
            ));
        }
        if self.id(1) != Some(&link.base) {
            return Some((
                "foreign",
                format!(
                    "what lies where run {run} should be is a run of another chain (its first run is {})",
                    link.base
                ),
            ));
        }
        // One that is not there is said to be missing, elsewhere.
        let listed = self.run(run - 1).map(|before| &before.archive_id);
        let parent = self.id(run - 1).or(listed);
        if link.run != run {
            return Some((
                "swapped",
                format!(
                    "run {} of this chain lies where run {run} should be",
                    link.run
                ),
            ));
        }
        if parent != Some(&link.parent) {
            let known = self.ids.iter().any(|(_, id)| *id == link.parent);
            return Some(if known {
                (
                    "reordered",
                    format!("run {run} does not follow the run before it"),
                )
            } else {
                (
                    "replayed",
                    format!(
                        "run {run} follows an archive ({}) that is not there: a run was replaced or removed, or it is of another copy of the chain",
                        link.parent
                    ),
                )
            });
        }
        // Runs are opened from the newest down.
        let mut after = self.keys.iter().filter(|(known, _)| *known == run + 1);
        let other_key = after.any(|(_, key)| *key != link.key);
        other_key.then(|| {
            (
                "foreign",
                format!(
                    "run {} has another key for its tombstones than run {run}",
                    run + 1
                ),
            )
        })
    }

    fn find(&mut self, run: u32, code: &'static str, path: String, message: String) {
        if self.wrong_with(run).is_none() {
            let finding = Finding {
                severity: Severity::Error,
                code,
                path,
                message,
            };
            self.wrong.push((run, finding));
        }
    }

    fn wrong_with(&self, run: u32) -> Option<&Finding> {
        let found = self.wrong.iter().find(|(wrong, _)| *wrong == run);
        found.map(|(_, finding)| finding)
    }

    /// The id of the run that lies there.
    fn id(&self, run: u32) -> Option<&String> {
        let found = self.ids.iter().find(|(known, _)| *known == run);
        found.map(|(_, id)| id)
    }

    /// All that is wrong or odd so far.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.wrong
            .iter()
            .map(|(_, finding)| finding)
            .chain(&self.others)
    }

    /// The same as remarks on a state that needs none of the runs that something is wrong with.
    pub fn remarks(&self) -> impl Iterator<Item = Finding> {
        self.findings().map(|finding| Finding {
            severity: Severity::Warning,
            ..finding.clone()
        })
    }

    /// Whose state it is, in a few words.
    pub fn headline(&self, at: u32) -> String {
        let base = self.run(1).map_or("", |run| run.archive_id.as_str());
        format!("run {at} of {} of the chain {base}", self.count())
    }

    /// A line for each run.
    pub fn lines(&self) -> Vec<String> {
        let line = |run: &IndexRun| {
            let sealed = match (&run.mode, run.recipients.as_slice()) {
                (None, _) => "not encrypted".to_owned(),
                (Some(_), []) => "encrypted with a passphrase".to_owned(),
                (Some(_), some) => format!("encrypted to {}", some.join(", ")),
            };
            format!(
                "run {}  {}  {}, {sealed}  archive {}",
                run.run,
                moment(run.created_at),
                run.kind,
                run.archive_id
            )
        };
        self.index.runs.iter().map(line).collect()
    }

    /// The error for a run that the key does not open; what the envelope said of it names who can.
    pub fn closed(&self, error: &Error, run: u32) -> Error {
        match self.count() {
            1 => error.clone(),
            _ => Error::key(format!("run {run}: {error}")),
        }
    }

    /// An error unless nothing is wrong with a run that the state of `at` needs; it says which states can still be had.
    ///
    /// # Errors
    /// What is wrong with the run.
    pub fn require(&self, run: u32, at: u32) -> Result<()> {
        self.wrong_with(run)
            .map_or(Ok(()), |finding| Err(self.refuse(finding, run, at)))
    }

    /// The same for a run that is damaged in another way.
    pub fn damaged(&self, error: &Error, run: u32, at: u32) -> Error {
        let path = place_of(run);
        let message = if path.is_empty() {
            error.to_string()
        } else {
            format!("{path}: {error}")
        };
        Error::damaged(format!("{message}{}", self.advice(run, at)))
    }

    fn refuse(&self, finding: &Finding, run: u32, at: u32) -> Error {
        let sentence = match finding.path.as_str() {
            "" => finding.message.clone(),
            path => format!("{path}: {}", finding.message),
        };
        Error::damaged(format!("{sentence}{}", self.advice(run, at)))
    }

    fn advice(&self, run: u32, at: u32) -> String {
        let first_wrong = self
            .wrong
            .iter()
            .map(|(wrong, _)| *wrong)
            .fold(run, u32::min);
        let which = if run == at {
            String::new()
        } else {
            format!("; the state of run {at} needs run {run}")
        };
        match first_wrong {
            1 => format!("{which}; use another copy of the backup"),
            n => format!(
                "{which}; use another copy of the backup, or --at {} for the state before",
                n - 1
            ),
        }
    }
}

/// What is to be said of an archive that holds no state by itself.
pub fn caution(manifest: &Manifest) -> Option<String> {
    if is_full(manifest) {
        return None;
    }
    Some(match &manifest.chain {
        Some(link) => format!(
            "this is run {} of a chain, and holds only what changed since run {}: give the folder of the chain, with --at {} if it is not the newest",
            link.run,
            link.run.saturating_sub(1),
            link.run
        ),
        None => "this archive was left by an incremental run of Pryv's own tool: it holds what had changed last, and of what was there before only what that did not overwrite".to_owned(),
    })
}

/// Milliseconds since 1970 as date and time of UTC.
fn moment(milliseconds: i64) -> String {
    let seconds = milliseconds.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Years that begin in March, in eras of 400 years.
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    format!(
        "{:04}-{month:02}-{date:02} {:02}:{:02}:{:02} UTC",
        year + era * 400 + next,
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// Whether a run holds a state by itself.
pub(super) fn is_full(manifest: &Manifest) -> bool {
    manifest.backup_type != "incremental"
}

fn place_of(run: u32) -> String {
    Index::path(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_utc() {
        for (milliseconds, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400_000, "2000-02-29 00:00:00 UTC"),
            (1_700_000_000_999, "2023-11-14 22:13:20 UTC"),
            (4_107_542_399_000, "2100-02-28 23:59:59 UTC"),
            (4_107_542_400_000, "2100-03-01 00:00:00 UTC"),
            (-1, "1969-12-31 23:59:59 UTC"),
        ] {
            assert_eq!(moment(milliseconds), text);
        }
    }
}
