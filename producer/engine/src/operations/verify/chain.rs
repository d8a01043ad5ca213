//! All runs of a chain, each by itself, then the state that they come to.

use decryptor_wasm::{
    DataKey, Envelope, ErrorKind, Result,
    chain::{CHAIN, Index, IndexRun, RunSequence},
    open::Request,
    plan::{Finding, Severity},
    signature::{Demands, require_id},
};

use super::{report::Report, sample::Sample, sums, with_key};
use crate::{
    archive::read::{Archive, Folder},
    findings::sentence,
    progress::Tally,
};

/// Reads every run of the chain in `folder`, and what its newest state refers to; or those that the state needs which is asked for.
/// `sequence`: its runs.
pub fn verify(
    folder: &Folder,
    mut sequence: RunSequence,
    request: Request,
    unlock: &dyn Fn(&Envelope) -> Result<DataKey>,
    jobs: usize,
    tally: &Tally,
    sample: Option<&Sample>,
) -> Result<Report> {
    let at = sequence.choose(request.at)?;
    let id = sequence.run(at).map(|run| run.archive_id.clone());
    let id = id.unwrap_or_default();
    require_id(&id, request.expect_id.as_deref())?;
    let mut found = ChainResults {
        all: Report::of_chain(id),
        signer: None,
        interrupted: None,
    };
    let reading = Reading {
        folder,
        demands: &request.demands,
        unlock,
        jobs,
        tally,
        sample,
    };
    let mut next = Some(at);
    while let Some(run) = next {
        next = match request.at {
            None => {
                if sequence.require(run, run).is_ok() {
                    found.run(&reading, &mut sequence, run)?;
                }
                run.checked_sub(1).filter(|before| *before > 0)
            }
            Some(_) => {
                sequence.require(run, at)?;
                found.run(&reading, &mut sequence, run)?;
                sequence.require(run, at)?;
                sequence.before(run)
            }
        };
    }
    let mut all = found.all;
    all.warnings.extend(found.interrupted);
    all.notes.extend(found.signer.map(|signer| signer.message));
    if request.at.is_none() {
        require_choice(&sequence)?;
        let (wrong, odd): (Vec<_>, Vec<_>) = sequence
            .findings()
            .partition(|finding| finding.severity == Severity::Error);
        all.damaged.extend(wrong.into_iter().map(sentence));
        all.warnings.extend(odd.into_iter().map(sentence));
    }
    if all.damaged.is_empty() && sample.is_none() {
        let request = Request {
            at: request.at,
            ..Request::of(request.demands.clone())
        };
        state(folder, request, &reading, &mut all)?;
    }
    Ok(all)
}

/// Checks the references within the state.
fn state(folder: &Folder, request: Request, reading: &Reading<'_>, all: &mut Report) -> Result<()> {
    let state = Archive::open(folder.clone(), request, reading.unlock)?;
    let state = with_key::verify(&state, reading.jobs, &Tally::default())?;
    all.damaged.extend(state.damaged);
    // The runs' own are there already.
    let new = |problem: &String| !all.problems.contains(problem);
    let problems: Vec<String> = state.problems.into_iter().filter(new).collect();
    all.problems.extend(problems);
    all.hashes = state.hashes;
    let new = |warning: &String| !all.warnings.contains(warning);
    let warnings: Vec<String> = state.warnings.into_iter().filter(new).collect();
    all.warnings.extend(warnings);
    Ok(())
}

/// Everything that is needed to read a run.
struct Reading<'r> {
    folder: &'r Folder,
    demands: &'r Demands,
    unlock: &'r dyn Fn(&Envelope) -> Result<DataKey>,
    jobs: usize,
    tally: &'r Tally,
    /// Which files are read; none: all.
    sample: Option<&'r Sample>,
}

struct ChainResults {
    all: Report,
    /// Who signed the first run that was opened: the one whose state is asked for.
    signer: Option<Finding>,
    /// The remains of a change of recipients that was interrupted.
    interrupted: Option<String>,
}

impl ChainResults {
    /// Reads a run by itself.
    fn run(&mut self, reading: &Reading<'_>, sequence: &mut RunSequence, run: u32) -> Result<()> {
        let of_run = |sentence: String| match Index::path(run).as_str() {
            "" => sentence,
            folder => format!("{folder}: {sentence}"),
        };
        let (folder, demands) = (reading.folder, reading.demands);
        let request = Request::of(demands.clone());
        let opened = Archive::open_run(folder.run(run), request, reading.unlock);
        let archive = match opened {
            Ok(archive) => archive,
            Err(error) if error.kind() == ErrorKind::Damaged => {
                self.all.damaged.push(error.in_run(run).to_string());
                return Ok(());
            }
            Err(error) if error.kind() == ErrorKind::Key => return Err(sequence.closed(error, run)),
            Err(error) => return Err(error),
        };
        let signed = archive.signed.as_ref();
        let pinned = signed.is_some_and(|signed| demands.pins(signed));
        if self.signer.is_none() {
            let said = demands.signed(signed);
            self.signer = Some(said.map_err(|e| sequence.unexpected(e, demands))?);
            self.all.signed_by(signed, pinned);
        }
        sequence.opened(run, &archive.manifest, signed, &demands.signers);
        if let Some(listed) = sequence.run(run) {
            match said(listed, &archive, folder)? {
                Said::AsListed => {}
                Said::Interrupted(what) => self.interrupted = Some(what),
                Said::Otherwise(what) => self.all.damaged.push(what),
            }
        }
        let one = match reading.sample {
            Some(sample) => {
                let has = |path: &str| sample.has(path);
                with_key::sample(&archive, &has, reading.jobs, reading.tally)?
            }
            None => with_key::verify(&archive, reading.jobs, reading.tally)?,
        };
        self.all.add_run(one, of_run);
        Ok(())
    }
}

/// An error where which run is the newest is for the reader to say; what is wrong with the runs is told otherwise.
pub fn require_choice(sequence: &RunSequence) -> Result<()> {
    match sequence.require(sequence.count(), sequence.count()) {
        Err(error) if error.kind() == ErrorKind::Usage => Err(error),
        _ => Ok(()),
    }
}

/// Claims of a run in the clear, compared with those of the list of runs.
enum Said {
    AsListed,
    /// The list was left behind by a change of recipients.
    Interrupted(String),
    Otherwise(String),
}

fn said(listed: &IndexRun, archive: &Archive, root: &Folder) -> Result<Said> {
    const ENVELOPE: &str = "encryption.json";
    let of_run = archive.folder();
    let envelope = match of_run.has(ENVELOPE) {
        true => Some(Envelope::parse(&of_run.read(ENVELOPE)?)?),
        false => None,
    };
    let otherwise = |what: &str| {
        Ok(Said::Otherwise(format!(
            "{CHAIN}: says otherwise than run {} itself {what}; one of the two was changed",
            listed.run
        )))
    };
    if listed.mode.as_deref() != envelope.as_ref().map(|e| e.mode().name()) {
        return otherwise("how it is locked");
    }
    let made = match &envelope {
        Some(envelope) => envelope.created_at(),
        None => Some(archive.manifest.backup_timestamp),
    };
    if made.is_some_and(|made| made != listed.created_at) {
        return otherwise("when it was made");
    }
    let recipients = envelope.iter().flat_map(|e| e.recipients());
    if recipients.map(|r| &r.fingerprint).eq(&listed.recipients) {
        return Ok(Said::AsListed);
    }
    // While that lasts, the sums leave the list out.
    if root.has(sums::NAME) && !sums::list(root, CHAIN)? {
        return Ok(Said::Interrupted(format!(
            "{CHAIN}: names other recipients than the runs do: a change of recipients was interrupted; `pryv-backup rekey` completes it"
        )));
    }
    otherwise("who can open it")
}
