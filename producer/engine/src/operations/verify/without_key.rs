//! Without the key: whether every file is the one that `SHA256SUMS` lists, and looks like what it should be.

use std::collections::BTreeSet;

use decryptor_wasm::{
    Envelope, FileList, Result,
    chain::{RunSequence, run_of},
    layout::{CHAIN, PathKind, RUN},
    open::Outline,
    plan::NOT_OURS,
    signature::{Demands, FilesDigest, Statement, require_id},
};

pub use super::stored_files::Reads;
use super::{
    report::Report,
    signature,
    stored_files::{Digests, StoredFiles, kind},
    sums::{self, Sums},
};
use crate::{
    archive::read::Folder, digest::sha256_hex, failure::Failure, progress::Tally, text::hex,
};

/// Reads the files that belong to the archive; `seen`: what there is.
pub fn verify(
    folder: &Folder,
    seen: Outline,
    reads: Reads<'_>,
    expect_id: Option<&str>,
    demands: &Demands,
    jobs: usize,
    tally: &Tally,
) -> Result<Report, Failure> {
    let Outline {
        listing,
        findings,
        runs: mut sequence,
        lost,
    } = seen;
    let id = newest_id(folder, sequence.as_ref())?;
    require_id(&id, expect_id)?;
    let chain = sequence.is_some();
    let envelopes = listing
        .iter()
        .filter(|(path, _)| matches!(kind(path, chain), PathKind::Envelope));
    let envelopes = envelopes
        .map(|(path, _)| Envelope::parse(&folder.read(&path)?).map_err(|e| e.at(&path)))
        .collect::<Result<Vec<_>>>()?;
    let mut report = Report::without_key(id);
    report.damaged.extend(lost.map(|lost| lost.to_string()));
    report.take(&findings);
    let sealed = envelopes.iter().any(Envelope::has_key_check);
    let mut sums = read_sums(folder, &listing, sealed, &mut report)?;
    report.compared = sums.is_some();
    let with_volumes = runs_with_volumes(&listing);
    if let Some(sums) = &sums {
        let runs = sequence.as_ref().map(|sequence| sequence.count());
        strangers(&listing, sums, runs, &with_volumes, &mut report);
    }
    let count = sequence.as_ref().map_or(1, |sequence| sequence.count());
    let statements = signature::statements(folder, count)?;
    check_listed(sums.as_mut(), &statements, &with_volumes, &mut report);
    signature::check(folder, sequence.as_mut(), &statements, demands, &mut report)?;
    if let Some(sequence) = &sequence {
        report.runs = Some(sequence.count());
        report.take(sequence.findings());
    }
    let stored = StoredFiles::new(folder, chain, tally, &with_volumes);
    let due = sums.as_ref().map_or(&[][..], |sums| &sums.due);
    let digests = stored.read(&listing, due, reads, jobs, &mut report)?;
    check_members(digests, &listing, &statements, &with_volumes, &mut report)?;
    Ok(report)
}

/// Reads `SHA256SUMS`, and notes where it is missing; `sealed`: whether this is an archive that always has it.
fn read_sums(
    folder: &Folder,
    listing: &FileList,
    sealed: bool,
    report: &mut Report,
) -> Result<Option<Sums>> {
    let sums = if listing.has(sums::NAME) {
        Some(Sums::read(folder, listing)?)
    } else if sealed {
        report.damaged.push(format!(
            "{} is missing, which lies in every archive of this kind; without the key nothing can be compared",
            sums::NAME
        ));
        None
    } else {
        report.warnings.push(format!(
            "this archive has no {} (it was not made by pryv-backup): without its key nothing tells whether a file was changed, added or removed",
            sums::NAME
        ));
        None
    };
    Ok(sums)
}

/// The id of the archive, or of the newest run of a chain.
pub(super) fn newest_id(folder: &Folder, runs: Option<&RunSequence>) -> Result<String> {
    let Some(sequence) = runs else {
        return Ok(sha256_hex(&folder.read("manifest.json")?));
    };
    let newest = sequence.run(sequence.count());
    Ok(newest.map(|run| run.archive_id.clone()).unwrap_or_default())
}

/// The runs whose files are, or were, in volumes: the sums do not list them, only the signature does.
fn runs_with_volumes(listing: &FileList) -> BTreeSet<u32> {
    let volumes = listing.iter().filter_map(|(path, _)| {
        let (run, within) = run_of(&path)?;
        (PathKind::of(within) == PathKind::Volume).then_some(run)
    });
    volumes.collect()
}

/// Whether `SHA256SUMS` lists the files that were signed, of the runs without volumes.
fn check_listed(
    sums: Option<&mut Sums>,
    statements: &[Option<Statement>],
    with_volumes: &BTreeSet<u32>,
    report: &mut Report,
) {
    let Some(sums) = sums else { return };
    for (run, statement) in (1..).zip(statements) {
        if !with_volumes.contains(&run) {
            let digest = sums.digest_of(run);
            signature::files(run, statement.as_ref(), &digest, true, report);
        }
    }
}

/// Whether the files in volumes are those that were signed. `digests`: of these files; none where they were not read.
fn check_members(
    digests: Option<Digests>,
    listing: &FileList,
    statements: &[Option<Statement>],
    with_volumes: &BTreeSet<u32>,
    report: &mut Report,
) -> Result<()> {
    let Some(mut digests) = digests else {
        if !with_volumes.is_empty() {
            report.notes.push(
                "the files in the volumes were not compared with what was signed; a verification does that"
                    .to_owned(),
            );
        }
        return Ok(());
    };
    digests.sort_unstable();
    for run in with_volumes {
        if let Some(statement) = statements.get(*run as usize - 1) {
            let digest = digest_of(*run, &digests, listing)?;
            signature::files(*run, statement.as_ref(), &digest, false, report);
        }
    }
    Ok(())
}

/// The digest of the files of a run, of which every file's digest is known.
fn digest_of(run: u32, digests: &Digests, listing: &FileList) -> Result<String> {
    let mut digest = FilesDigest::default();
    for (at, sum) in digests {
        let path = listing.get(*at as usize).map(|(path, _)| path);
        if let Some((of, within)) = path.as_deref().and_then(run_of)
            && of == run
        {
            digest.push(within, &hex(sum))?;
        }
    }
    Ok(digest.finish())
}

/// Names paths that are listed and not there, and paths that are there and not listed.
fn strangers(
    listing: &FileList,
    sums: &Sums,
    runs: Option<u32>,
    with_volumes: &BTreeSet<u32>,
    report: &mut Report,
) {
    let in_volumes = |path: &str| run_of(path).is_some_and(|(run, _)| with_volumes.contains(&run));
    for path in &sums.missing {
        // Damage of volumes is reported already; unpacked volumes are no damage.
        if in_volumes(path) && kind(path, runs.is_some()) == PathKind::Volume {
            continue;
        }
        report
            .damaged
            .push(format!("{path}: listed in {}, but not there", sums::NAME));
    }
    let lists_itself = |path: &str| {
        let run = run_of(path).map_or(String::new(), |(_, within)| {
            format!("{}{RUN}", &path[..path.len() - within.len()])
        });
        listing.has(&run)
    };
    for ((path, _), due) in listing.iter().zip(&sums.due) {
        let path = path.as_str();
        // Files of a run that was not committed are reported as a whole.
        let uncommitted = run_of(path).is_some_and(|(run, _)| runs.is_some_and(|runs| run > runs));
        if due.is_some() || uncommitted {
            continue;
        }
        match kind(path, runs.is_some()) {
            PathKind::Sums => {}
            kind if in_volumes(path) && kind.is_sealed() && kind != PathKind::Manifest => {}
            PathKind::Volume if path.ends_with(".index") => {}
            // A run that lists itself may lie beside volumes of attempts before it; the list of volumes tells, and it is named.
            PathKind::Volume if lists_itself(path) => {}
            PathKind::Chain if path != CHAIN => {}
            PathKind::Chain => report.warnings.push(format!(
                "{path}: not listed in {}: a run was interrupted; the next one completes it",
                sums::NAME
            )),
            PathKind::Envelope => report.warnings.push(format!(
                "{path}: not listed in {}: a change of recipients was interrupted; `pryv-backup rekey` completes it",
                sums::NAME
            )),
            PathKind::Stray => report.warnings.push(format!("{path}: {NOT_OURS}")),
            _ => report.damaged.push(format!(
                "{path}: lies where the archive's own files lie, but {} does not list it; it was added",
                sums::NAME
            )),
        }
    }
}
