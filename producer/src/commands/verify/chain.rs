//! All runs of a chain, each by itself, then the state that they come to.

use decryptor_wasm::{
    DataKey, Envelope, Error, ErrorKind, Result,
    chain::{CHAIN, Index, IndexRun, Links},
    plan::Severity,
};

use super::{
    inside,
    report::Report,
    sums::{self, Sums},
};
use crate::{
    archive::read::{Archive, Choice, Folder, links},
    commands::decrypt::report::sentence,
    progress::Tally,
};

/// Reads every run of the chain in `folder`, and what its newest state refers to.
pub fn verify(
    folder: &Folder,
    choice: Choice<'_>,
    unlock: &dyn Fn(&Envelope) -> Result<DataKey>,
    jobs: usize,
    tally: &Tally,
) -> Result<Report> {
    let mut links = links(folder)?;
    let newest = links.run(links.count());
    let id = newest.map(|run| run.archive_id.clone()).unwrap_or_default();
    let demands = choice.demands;
    if let Some(expected) = choice.expect_id
        && !expected.eq_ignore_ascii_case(&id)
    {
        return Err(Error::damaged(format!(
            "this is not the archive that you expect: the id of its newest run is {id}, not {expected}"
        )));
    }
    let mut all = Report::outside(id);
    all.opened = true;
    all.runs = Some(links.count());
    let mut interrupted = None;
    let mut signer = None;
    for run in (1..=links.count()).rev() {
        if links.require(run, run).is_err() {
            continue;
        }
        let of_run = |sentence: String| match Index::path(run).as_str() {
            "" => sentence,
            folder => format!("{folder}: {sentence}"),
        };
        match Archive::open_one(folder.run(run), Choice::new(demands), unlock) {
            Ok(archive) => {
                let signed = archive.signed.as_ref();
                if signer.is_none() {
                    let said = demands.signed(signed);
                    signer = Some(said.map_err(|e| links.unexpected(&e, &demands.signers))?);
                }
                let pinned = signed.is_some_and(|signed| demands.pins(signed));
                links.opened(run, &archive.manifest, signed, pinned);
                if let Some(listed) = links.run(run) {
                    match said(listed, &archive, folder)? {
                        Said::AsListed => {}
                        Said::Interrupted(what) => interrupted = Some(what),
                        Said::Otherwise(what) => all.damaged.push(what),
                    }
                }
                let one = inside::verify(&archive, jobs, tally)?;
                let named = |sentences: Vec<String>| sentences.into_iter().map(of_run);
                all.damaged.extend(named(one.damaged));
                all.problems.extend(named(one.left_out));
                all.warnings.extend(named(one.warnings));
                all.notes.extend(named(one.notes));
                all.files += one.files;
                all.bytes += one.bytes;
                all.records = Some(all.records.unwrap_or(0) + one.records.unwrap_or(0));
                all.claim_of(&archive);
            }
            Err(error) if error.kind() == ErrorKind::Damaged => {
                all.damaged.push(of_run(error.to_string()));
            }
            Err(error) if error.kind() == ErrorKind::Key => {
                return Err(links.closed(&error, run));
            }
            Err(error) => return Err(error),
        }
    }
    all.warnings.extend(interrupted);
    all.notes.extend(signer.map(|signer| signer.message));
    require_choice(&links)?;
    let (wrong, odd): (Vec<_>, Vec<_>) = links
        .findings()
        .partition(|finding| finding.severity == Severity::Error);
    all.damaged.extend(wrong.into_iter().map(sentence));
    all.warnings.extend(odd.into_iter().map(sentence));
    if all.damaged.is_empty() {
        let state = Archive::open(folder.clone(), Choice::new(demands), unlock)?;
        let state = inside::verify(&state, jobs, &Tally::default())?;
        all.damaged.extend(state.damaged);
        let new = |problem: &String| !all.problems.contains(problem);
        let problems: Vec<String> = state.problems.into_iter().filter(new).collect();
        all.problems.extend(problems);
        all.hashes = state.hashes;
        // The runs' own are there already.
        let new = |warning: &String| !all.warnings.contains(warning);
        let warnings: Vec<String> = state.warnings.into_iter().filter(new).collect();
        all.warnings.extend(warnings);
    }
    Ok(all)
}

/// An error where which run is the newest is for the reader to say; what is wrong with the runs is told otherwise.
pub fn require_choice(links: &Links) -> Result<()> {
    match links.require(links.count(), links.count()) {
        Err(error) if error.kind() == ErrorKind::Usage => Err(error),
        _ => Ok(()),
    }
}

/// What a run says of itself in the clear, held against what the list of runs says of it.
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
    if root.has(sums::NAME) && Sums::read(root)?.0.get(CHAIN).is_none() {
        return Ok(Said::Interrupted(format!(
            "{CHAIN}: names other recipients than the runs do: a change of recipients was interrupted; `pryv-backup rekey` completes it"
        )));
    }
    otherwise("who can open it")
}
