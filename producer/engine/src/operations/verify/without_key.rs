//! Without the key: whether every file is the one that `SHA256SUMS` lists, and looks like what it should be.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use decryptor_wasm::{
    Code, Envelope, Error, ErrorKind, Field, Result,
    chain::{Index, RunSequence, run_of},
    layout::{CHAIN, PathKind, refuse_long},
    open::Outline,
    plan::NOT_OURS,
    signature::{Demands, FilesDigest, Statement, is_signed_path, require_id},
};

use super::{
    frames,
    report::Report,
    signature,
    sums::{self, Sums},
};
use crate::limits::BLOCK;
use crate::threads::{lock, unlocked};
use crate::{
    archive::read::Folder,
    digest::{self, sha256_hex},
    failure::Failure,
    interrupt,
    progress::Tally,
    schedule,
    text::hex,
};

/// Files as they are stored, and the digests to compare them with.
struct StoredFiles<'a> {
    folder: &'a Folder,
    /// It holds a chain of runs.
    chain: bool,
    tally: &'a Tally,
    with_volumes: &'a BTreeSet<u32>,
    /// Of the files whose digests no sums list.
    digests: Mutex<Vec<(String, [u8; 32])>>,
    damaged: Mutex<Vec<(String, String)>>,
    files: AtomicU64,
    bytes: AtomicU64,
}

/// Chooses files of an archive, by its id.
pub type Choose<'c> =
    dyn Fn(&str, &[(String, u64)]) -> Result<BTreeSet<String>, Failure> + Sync + 'c;

/// Which files are read.
#[derive(Clone, Copy)]
pub enum Reads<'r> {
    /// All.
    All,
    /// Those that lie in the clear.
    Clear,
    /// A part of them, which is chosen from the id of the archive and from the files with their sizes; of what lies in volumes, the volumes.
    Sample(&'r Choose<'r>),
}

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
        .map(|(path, _)| Envelope::parse(&folder.read(path)?).map_err(|e| e.at(path)))
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
    let work = StoredFiles {
        folder,
        chain,
        tally,
        with_volumes: &with_volumes,
        digests: Mutex::default(),
        damaged: Mutex::default(),
        files: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
    };
    let ours = |path: &str, due: Option<&[u8; 32]>| {
        due.is_some()
            || !matches!(
                kind(path, chain),
                PathKind::Stray
                    | PathKind::Sums
                    | PathKind::Chain
                    | PathKind::Signature
                    | PathKind::Volume
            )
    };
    let read = |path: &str| {
        let kind = kind(path, chain);
        match reads {
            Reads::All => true,
            Reads::Clear => !(kind.is_sealed() || kind == PathKind::Volume),
            // The digest of a file in a volume is known only when all are read.
            Reads::Sample(_) => kind == PathKind::Volume || !work.is_member(path),
        }
    };
    let due = |at: usize| sums.as_ref().and_then(|sums| sums.due.get(at)?.as_ref());
    let files = listing.iter().enumerate();
    let files = files.map(|(at, (path, size))| (path, *size, due(at)));
    let files = files.filter(|(path, _, due)| ours(path, *due) && read(path));
    let chosen = match reads {
        Reads::Sample(choose) => {
            let of = files.clone().map(|(path, size, _)| (path.clone(), size));
            Some(choose(&report.archive_id, &of.collect::<Vec<_>>())?)
        }
        _ => None,
    };
    let files = files.filter(|(path, ..)| {
        let chosen = chosen.as_ref();
        chosen.is_none_or(|chosen| chosen.contains(*path))
    });
    schedule::run(jobs, files, &|(path, size, due), _| {
        work.file(path, size, due)
    })?;
    let digests = matches!(reads, Reads::All).then(|| unlocked(work.digests));
    check_members(digests, &statements, &with_volumes, &mut report)?;
    let mut damaged = unlocked(work.damaged);
    damaged.sort();
    for (path, sentence) in damaged {
        report.damaged_paths.push(path);
        report.damaged.push(sentence);
    }
    report.files = work.files.into_inner();
    report.bytes = work.bytes.into_inner();
    Ok(report)
}

/// Reads `SHA256SUMS`, and notes where it is missing; `sealed`: whether this is an archive that always has it.
fn read_sums(
    folder: &Folder,
    listing: &[(String, u64)],
    sealed: bool,
    report: &mut Report,
) -> Result<Option<Sums>> {
    let sums = if listing.iter().any(|(path, _)| path == sums::NAME) {
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
fn runs_with_volumes(listing: &[(String, u64)]) -> BTreeSet<u32> {
    let volumes = listing.iter().filter_map(|(path, _)| {
        let (run, within) = run_of(path)?;
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
    digests: Option<Vec<(String, [u8; 32])>>,
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
            let digest = digest_of(*run, &digests)?;
            signature::files(*run, statement.as_ref(), &digest, false, report);
        }
    }
    Ok(())
}

/// The digest of the files of a run, of which every file's digest is known.
fn digest_of(run: u32, digests: &[(String, [u8; 32])]) -> Result<String> {
    let mut digest = FilesDigest::default();
    for (path, sum) in digests {
        if let Some((of, within)) = run_of(path)
            && of == run
        {
            digest.push(within, &hex(sum))?;
        }
    }
    Ok(digest.finish())
}

/// Names paths that are listed and not there, and paths that are there and not listed.
fn strangers(
    listing: &[(String, u64)],
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
    for ((path, _), due) in listing.iter().zip(&sums.due) {
        // Files of a run that was not committed are reported as a whole.
        let uncommitted = run_of(path).is_some_and(|(run, _)| runs.is_some_and(|runs| run > runs));
        if due.is_some() || uncommitted {
            continue;
        }
        match kind(path, runs.is_some()) {
            PathKind::Sums => {}
            kind if in_volumes(path) && kind.is_sealed() && kind != PathKind::Manifest => {}
            PathKind::Volume if path.ends_with(".index") => {}
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

/// Kind of a path in the run that it belongs to.
fn kind(path: &str, chain: bool) -> PathKind {
    match run_of(path) {
        Some((_, within)) if chain => PathKind::of(within),
        _ => PathKind::of(path),
    }
}

impl StoredFiles<'_> {
    /// Whether a file is sealed: a chain may have begun without encryption.
    fn sealed(&self, path: &str) -> bool {
        let envelope = match run_of(path) {
            Some((run, _)) if self.chain && run > 1 => {
                format!("{}/encryption.json", Index::path(run))
            }
            _ => "encryption.json".to_owned(),
        };
        kind(path, self.chain).is_sealed() && self.folder.has(&envelope)
    }

    /// Whether a file is signed, and of a run with volumes.
    fn is_of_volumes(&self, path: &str) -> bool {
        run_of(path).is_some_and(|(run, within)| {
            self.with_volumes.contains(&run)
                && is_signed_path(within)
                && PathKind::of(within) != PathKind::Stray
        })
    }

    /// Whether it lies in a volume, as far as its path tells.
    fn is_member(&self, path: &str) -> bool {
        self.is_of_volumes(path) && !kind(path, self.chain).is_separate()
    }

    fn file(&self, path: &str, size: u64, due: Option<&[u8; 32]>) -> Result<()> {
        match self.look(path, size, due) {
            Ok(()) if kind(path, self.chain) == PathKind::Volume => {}
            Ok(()) => {
                self.files.fetch_add(1, Ordering::Relaxed);
                self.bytes.fetch_add(size, Ordering::Relaxed);
            }
            Err(error) if error.kind() == ErrorKind::Damaged => {
                let mut damaged = lock(&self.damaged);
                damaged.push((path.to_owned(), error.at(path).to_string()));
            }
            Err(error) => return Err(error.at(path)),
        }
        Ok(())
    }

    fn look(&self, path: &str, size: u64, due: Option<&[u8; 32]>) -> Result<()> {
        if matches!(
            kind(path, self.chain),
            PathKind::Companion | PathKind::Signature
        ) {
            refuse_long(path, size)?;
        }
        let mut file = self.folder.open(path)?;
        // An index may have told another one.
        let size = file.size();
        let of_volumes = self.is_of_volumes(path);
        if due.is_some() || of_volumes {
            let mut buffer = vec![0; BLOCK.min(size.max(4096) as usize)];
            let failed = |e| Error::of(Code::UnreadableFile).at(path).because(&e);
            let digest = digest::sha256(&mut file, &mut buffer, failed, &mut |n| {
                self.tally.add(0, n as u64);
                interrupt::check()
            })?;
            if of_volumes {
                lock(&self.digests).push((path.to_owned(), digest));
            }
            if due.is_some_and(|due| digest != *due) {
                return Err(Error::of(Code::DigestDiffers).with(Field::Found, sums::NAME));
            }
        } else {
            self.tally.add(0, size);
        }
        if self.sealed(path) {
            frames::check(&mut file, size, path)?;
        }
        Ok(())
    }
}
