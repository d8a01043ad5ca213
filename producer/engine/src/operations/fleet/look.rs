//! The newest good run of a core: with the key what its sealed manifests say, without it what a signer who is expected has signed.

use decryptor_wasm::{
    Error, ErrorKind,
    chain::RunSequence,
    layout::ENVELOPE,
    open::Request,
    plan::Severity,
    signature::{Demands, SIGNATURE, Signed, unproven},
};

use super::{
    find::{CorePrefix, FoundArchive},
    problem::{FleetProblem, ProblemKind},
};
use crate::{
    advice::Advice,
    archive::read::{Archive, Folder, outline},
    failure::{Failure, FailureKind},
    findings::sentence,
    operations::verify::{self, without_key::Reads},
    progress::Tally,
    secrets::Secrets,
    storage::Location,
    threads,
};

/// Later runs are from the future: a clock that is a little ahead is none.
const ALLOWED_AHEAD: i64 = 3_600_000;

/// The newest run of a core that is good, as far as manifests, signatures and sizes tell.
pub struct NewestRun {
    /// The archive or chain that it is in.
    pub place: Location,
    /// Whether that is a chain.
    pub chain: bool,
    /// Who signed it, and what.
    pub signed: Signed,
    /// Whether the signer is one who is expected.
    pub pinned: bool,
    /// Bytes of all that lies in that place.
    pub bytes: u64,
    /// Whether anything in that place was overwritten or deleted in a store that keeps what was there before.
    pub overwritten: bool,
    /// How many users it has; none where it was not opened.
    pub users: Option<usize>,
}

/// Looks at the archives of cores, one after the other.
pub struct Looker<'a> {
    /// Who is expected to have signed them.
    pub demands: &'a Demands,
    /// Whether a key or passphrase was given.
    pub has_key: bool,
    /// The secrets.
    pub secrets: Secrets<'a>,
}

/// What is wrong with the archives of a core, and takes note of it.
type Problems = Vec<FleetProblem>;

impl Looker<'_> {
    /// The newest good run of a core; `visit` gets its archive where it can be opened.
    ///
    /// # Errors
    /// When a signal came, or there is neither a key nor a signer who is expected.
    pub fn newest(
        &mut self,
        core: &CorePrefix,
        visit: &mut dyn FnMut(&Archive, &Signed) -> Result<(), Failure>,
        problems: &mut Problems,
    ) -> Result<Option<NewestRun>, Failure> {
        let mut archives: Vec<(i64, &FoundArchive, Folder)> = Vec::new();
        for archive in &core.archives {
            let folder = Folder::at(&archive.place)?;
            archives.push((claimed(&folder, archive.signed), archive, folder));
        }
        // The claims are proven one after the other: the first that holds is the newest. One without a claim comes first, to be named.
        archives.sort_by_key(|(created, ..)| std::cmp::Reverse(*created));
        for (claimed, archive, folder) in archives {
            Failure::unless_interrupted()?;
            self.secrets.forget_asked();
            let mut wrong = |kind, what: Failure| {
                let what = what.sentence().clone().about(&archive.place);
                problems.push(FleetProblem::of(kind, &core.name, what));
            };
            if claimed > self.demands.now.saturating_add(ALLOWED_AHEAD) && claimed != i64::MAX {
                let text = "its time is in the future: the clock of its core is wrong, or it is forged; it is not counted";
                wrong(ProblemKind::Future, Failure::damaged(text));
                continue;
            }
            let sealed = folder.has(ENVELOPE);
            self.require_proof(sealed)?;
            let found = match self.demands.storage(sealed) {
                Err(error) => Err(error.into()),
                Ok(()) if self.has_key || !sealed => self.open_newest(&folder, visit, &mut wrong),
                Ok(()) => self.signed_newest(&folder, &mut wrong),
            };
            match found {
                Ok(Some(found)) => {
                    let place = archive.place.clone();
                    return Ok(Some(NewestRun { place, ..found }));
                }
                Ok(None) => {}
                Err(failure) if matches!(failure.kind(), FailureKind::Interrupted(_)) => {
                    return Err(failure);
                }
                Err(failure) => wrong(ProblemKind::of(&failure), failure),
            }
        }
        Ok(None)
    }

    /// Opens the archive of a run again.
    ///
    /// # Errors
    /// When it cannot be opened any more.
    pub fn open(&self, place: &Location, at: Option<u32>) -> Result<Archive, Failure> {
        self.open_in(&Folder::at(place)?, at)
    }

    fn open_in(&self, folder: &Folder, at: Option<u32>) -> Result<Archive, Failure> {
        let request = Request {
            at,
            ..Request::of(self.demands.clone())
        };
        Ok(Archive::open(folder.clone(), request, |envelope| {
            self.secrets.unlock(envelope)
        })?)
    }

    fn require_proof(&self, sealed: bool) -> Result<(), Failure> {
        if sealed && !self.has_key && self.demands.signers.is_empty() {
            return Err(Failure::usage(
                "without the key of the backups, their cores and their age are proven by a signer whom you expect only",
            )
            .advise(Advice::Signer));
        }
        Ok(())
    }

    /// The newest state that can be opened and of which nothing is missing.
    fn open_newest(
        &self,
        folder: &Folder,
        visit: &mut dyn FnMut(&Archive, &Signed) -> Result<(), Failure>,
        wrong: &mut dyn FnMut(ProblemKind, Failure),
    ) -> Result<Option<NewestRun>, Failure> {
        let mut at = None;
        loop {
            Failure::unless_interrupted()?;
            let failure = match self.open_in(folder, at) {
                Ok(archive) => match flaw(&archive) {
                    Ok(signed) => {
                        visit(&archive, signed)?;
                        return Ok(Some(self.found(folder, signed, Some(&archive))?));
                    }
                    Err(failure) => failure,
                },
                Err(failure) if failure.kind() == FailureKind::Key => {
                    wrong(ProblemKind::of(&failure), failure);
                    return match self.demands.signers.is_empty() {
                        true => Ok(None),
                        false => self.signed_newest(folder, wrong),
                    };
                }
                Err(failure) => failure,
            };
            let goes_on = failure.kind() == FailureKind::Damaged;
            // What is wrong with the newest keeps the others from being read too.
            if at.is_none() || !goes_on {
                wrong(ProblemKind::of(&failure), failure);
            }
            let runs = at.unwrap_or_else(|| runs(folder));
            if !goes_on || runs <= 1 {
                return Ok(None);
            }
            at = Some(runs - 1);
        }
    }

    fn found(
        &self,
        folder: &Folder,
        signed: &Signed,
        archive: Option<&Archive>,
    ) -> Result<NewestRun, Failure> {
        let stored = folder.list_stored()?;
        Ok(NewestRun {
            place: Location::default(),
            chain: archive.is_some_and(|archive| archive.chain.is_some()),
            signed: signed.clone(),
            pinned: self.demands.pins(signed),
            bytes: stored.iter().map(|(_, size)| size).sum(),
            overwritten: folder.is_overwritten()?,
            users: archive.map(|archive| archive.plan.users.len()),
        })
    }

    /// The newest run that somebody who is expected has signed, and whose runs and files are there as far as that can be told.
    fn signed_newest(
        &self,
        folder: &Folder,
        wrong: &mut dyn FnMut(ProblemKind, Failure),
    ) -> Result<Option<NewestRun>, Failure> {
        let seen = outline(folder)?;
        let count = seen.runs.as_ref().map_or(1, RunSequence::count);
        let chain = seen.runs.is_some();
        let (jobs, tally) = (threads::count(None), Tally::default());
        let checked = verify::without_key::verify(
            folder,
            seen,
            Reads::Clear,
            None,
            self.demands,
            jobs,
            &tally,
        );
        let failure = match checked {
            Ok(report) => report.damaged.first().map(Failure::damaged),
            Err(failure) if failure.kind() == FailureKind::Damaged => Some(failure),
            Err(failure) => return Err(failure),
        };
        let mut newest = count;
        if let Some(failure) = failure {
            wrong(ProblemKind::of(&failure), failure);
            newest -= 1;
        }
        for run in (1..=newest).rev() {
            if let Some(signed) = self.signed(folder, run)? {
                let found = self.found(folder, &signed, None)?;
                return Ok(Some(NewestRun { chain, ..found }));
            }
        }
        Ok(None)
    }

    /// What somebody who is expected has signed of a run; none where nobody has, or something is wrong with a run that it needs.
    fn signed(&self, folder: &Folder, run: u32) -> Result<Option<Signed>, Failure> {
        let Some(mut sequence) = outline(folder)?.runs else {
            return Ok(verify::signature::alone(folder, self.demands)?);
        };
        sequence.choose(Some(run))?;
        let Some(signed) = sequence.signed_by(run, &self.demands.signers) else {
            return Ok(None);
        };
        let mut needed = Some(run);
        while let Some(one) = needed {
            match sequence.require(one, run) {
                Err(error) if error.kind() == ErrorKind::Damaged => return Ok(None),
                required => required?,
            }
            needed = sequence.before(one);
        }
        Ok(Some(signed))
    }
}

/// Who signed an archive of which nothing is missing.
///
/// # Errors
/// When something is wrong with it, or nobody signed it.
fn flaw(archive: &Archive) -> Result<&Signed, Failure> {
    let mut findings = archive.plan.findings.iter();
    if let Some(damage) = findings.find(|finding| finding.severity == Severity::Error) {
        return Err(Failure::damaged(sentence(damage)));
    }
    let unsigned = || Failure::from(Error::from(decryptor_wasm::Code::Unproven));
    archive.signed.as_ref().ok_or_else(unsigned)
}

/// When the last run was made, as its signature claims; where it does not, later than any.
fn claimed(folder: &Folder, signed: Option<u32>) -> i64 {
    let read = || -> Option<i64> {
        let minisig = folder.run(signed?).small(SIGNATURE).ok()??;
        Some(unproven(&minisig)?.created)
    };
    read().unwrap_or(i64::MAX)
}

/// How many runs are listed.
fn runs(folder: &Folder) -> u32 {
    // Whatever is wrong with the list was named.
    let seen = outline(folder).ok();
    let runs = seen.and_then(|seen| seen.runs);
    runs.map_or(1, |runs| runs.count())
}
