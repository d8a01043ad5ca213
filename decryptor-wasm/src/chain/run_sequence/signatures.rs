//! Checks that the runs of a chain were signed by one signer, each after the previous one.

use super::{Finding, RunSequence, Severity, Signed, Signer, Statement, place_of};
use crate::gather;
use crate::{
    BackupType, Code, Error, Field, Result,
    chain::CHAIN,
    signature::{SIGNATURE, Tried, try_signature, unproven},
};

impl RunSequence {
    /// Tries the signatures of all runs against the signer of the run that is asked for, and holds what was signed against where it
    /// lies.
    pub(super) fn check_signatures(&mut self, at: u32, signed: &Signed, expected: &[Signer]) {
        let (mut others, mut strangers, mut unsigned) = (Vec::new(), Vec::new(), Vec::new());
        let pinned = expected.contains(&signed.signer);
        for stored in std::mem::take(&mut self.stored) {
            let tried = match &stored.signature {
                Some(minisig) => try_signature(&signed.signer, &stored.manifest, minisig),
                None => Tried::Broken,
            };
            match tried {
                Tried::Holds(statement) => self.statements.push((stored.run, statement)),
                _ if stored.run > at => {}
                Tried::OtherSigner => {
                    others.push(stored.run);
                    if !stored.is_signed_by(expected) {
                        strangers.push(stored.run);
                    }
                }
                Tried::Broken => unsigned.push((stored.run, stored.signature.is_some())),
            }
        }
        for (run, there) in unsigned {
            let message = match there {
                true => {
                    format!(
                        "{SIGNATURE} is not the signature of run {run}: one of the two was changed"
                    )
                }
                false => format!(
                    "{SIGNATURE} is missing, although every run is signed: it was removed, or the run was not finished"
                ),
            };
            self.find(run, "signature", place_of(run), message);
        }
        let needed = self.needed(at, &others);
        let forks = forks(&self.statements);
        if forks.is_none() {
            let listed = std::mem::take(&mut self.listed_parents);
            for (run, finding) in listed {
                self.find(run, finding.code, finding.path, finding.message);
            }
        } else {
            self.listed_parents.clear();
        }
        let first_fork = forks.map_or(u32::MAX, |(first, _)| first);
        for run in 1..=self.count() {
            if let Some((code, message)) = self.misplaced(run, signed, run >= first_fork) {
                self.find(run, code, place_of(run), message);
            }
        }
        // The signature itself names its key. If nobody knows that key, the name proves nothing.
        strangers.retain(|run| !needed.contains(run));
        for run in strangers {
            self.others.push(Finding {
                severity: Severity::Warning,
                code: "other-signer",
                path: place_of(run),
                message: format!(
                    "run {run} is not signed by {}, nor by another signer who is expected; the state of run {at} does not need it",
                    signed.signer
                ),
            });
        }
        let other = others.into_iter().filter(|run| !needed.contains(run)).max();
        self.choice = match (other, forks) {
            _ if self.asked => None,
            (Some(other), _) if !pinned => Some(other_signer(at, other, &signed.signer)),
            (_, Some((first, second))) if second <= at => {
                Some(fork(first, second).with(Field::Key, signed.signer.as_str()))
            }
            _ => None,
        };
    }

    /// The runs that the state of `at` is put together from. An increment that follows a run of another signer is found to be wrong.
    fn needed(&mut self, at: u32, others: &[u32]) -> Vec<u32> {
        let mut needed = vec![at];
        let mut run = at;
        while let Some(before) = self.before(run) {
            if others.contains(&before) {
                let message = format!(
                    "run {run} is signed by another key than run {before}, which it follows, and increments never change their signer: it was put in by somebody else"
                );
                self.find(run, "signer", place_of(run), message);
                break;
            }
            needed.push(before);
            run = before;
        }
        needed
    }

    /// Without a key or a signer who is expected: what the signatures state is believed by nobody yet, but where they state that two
    /// runs follow the same one, nobody but the reader can choose.
    ///
    /// # Errors
    /// [`Code::Fork`] where they do.
    pub fn require_no_fork(&self) -> Result<()> {
        let base = self.id(1);
        let stated = self.stored.iter().filter_map(|stored| {
            let statement = unproven(stored.signature.as_deref()?)?;
            let lies_here =
                self.id(stored.run) == Some(&statement.id) && stored.run <= self.count();
            (lies_here && base == Some(&statement.base)).then_some((stored.run, statement))
        });
        match forks(&gather::<Vec<_>, _>(stated)) {
            Some((first, second)) => Err(fork(first, second)),
            None => Ok(()),
        }
    }

    /// Compares what was signed of a run with the place where it lies.
    fn misplaced(&self, run: u32, signed: &Signed, forked: bool) -> Option<(&'static str, String)> {
        let statement = self.statement(run)?;
        if self.id(run) != Some(&statement.id) {
            return Some((
                "signature",
                format!(
                    "{SIGNATURE} is that of another archive than the one that lies where run {run} should be"
                ),
            ));
        }
        if let Some(entry) = self.run(run)
            && (entry.kind != statement.kind || entry.created_at != statement.created)
        {
            let kind = match statement.kind {
                BackupType::Full => "a full one",
                BackupType::Incremental => "an increment",
            };
            return Some((
                "foreign",
                format!(
                    "run {run} is {kind} of {}, and {CHAIN} says otherwise; {CHAIN} was changed",
                    super::moment(statement.created)
                ),
            ));
        }
        let Some(link_parent) = &statement.parent else {
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
                    statement.run
                ),
            ));
        }
        if self.id(1) != Some(&statement.base) {
            return Some((
                "foreign",
                format!(
                    "what lies where run {run} should be is a run of another chain (its first run is {})",
                    statement.base
                ),
            ));
        }
        if statement.source != signed.statement.source {
            return Some((
                "foreign",
                format!("run {run} is of another platform than the runs beside it"),
            ));
        }
        if forked {
            return None;
        }
        self.out_of_order(run, statement, link_parent)
    }

    /// A run of this chain, held against the run before it; `parent`: the archive id that it follows.
    fn out_of_order(
        &self,
        run: u32,
        statement: &Statement,
        parent: &String,
    ) -> Option<(&'static str, String)> {
        if statement.run != run {
            return Some((
                "swapped",
                format!(
                    "run {} of this chain lies where run {run} should be",
                    statement.run
                ),
            ));
        }
        // One that is not there is said to be missing, elsewhere.
        let listed = self.run(run - 1).map(|before| &before.archive_id);
        let before = self.id(run - 1).or(listed);
        if before == Some(parent) {
            return None;
        }
        let known = self.ids.iter().any(|(_, id)| id == parent);
        Some(if known {
            (
                "reordered",
                format!("run {run} does not follow the run before it"),
            )
        } else {
            (
                "replayed",
                format!(
                    "run {run} follows an archive ({parent}) that is not there: a run was replaced or removed, or it is of another copy of the chain"
                ),
            )
        })
    }
}

fn other_signer(at: u32, other: u32, signer: &Signer) -> Error {
    Error::of(Code::TwoSigners)
        .with(Field::Run, at)
        .with(Field::Other, other)
        .with(Field::Key, signer.as_str())
}

/// The first two runs of one signer that follow the same run, or have the same number.
fn forks(runs: &[(u32, Statement)]) -> Option<(u32, u32)> {
    let same = |a: &Statement, b: &Statement| {
        a.id != b.id && (a.run == b.run || (a.parent.is_some() && a.parent == b.parent))
    };
    let of = |at: usize| {
        let (second, statement) = &runs[at];
        let other = runs[..at].iter().find(|(_, other)| same(other, statement));
        other.map(|(first, _)| (*first, *second))
    };
    (0..runs.len()).find_map(of)
}

fn fork(first: u32, second: u32) -> Error {
    Error::of(Code::Fork)
        .with(Field::Run, first)
        .with(Field::Other, second)
}
