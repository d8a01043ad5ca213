//! `copy`: a second copy of a backup, in the layout of the first or in the other one. It needs no key: the files stay as they are, and they
//! have to be those that the signature states. Whether the signature is that of the host shows where its signer is expected.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufWriter, Read, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use decryptor_wasm::{
    Error,
    chain::{CHAIN, Index, RunSequence, run_of},
    layout::{ENVELOPE, MANIFEST, PathKind, SIGNATURE},
    open::Listed,
    plan::{NOT_OURS, Severity},
    signature::{FilesDigest, Signer, Statement, Tried, is_signed_path, try_signature, unproven},
};
use serde::Serialize;

use crate::{
    advice::Advice,
    archive::{
        ArchiveError, Destination, envelopes,
        read::{Folder, outline},
        sums::{SUMS, Sorter, SumLine},
        write::{
            ArchiveLayout,
            file::{FileStorage, FileWriter},
        },
    },
    digest::sha256_hex,
    failure::Failure,
    files,
    findings::sentence,
    folders::{self, refuse_inside, require_parent},
    interrupt,
    limits::PIECE,
    observer::{Observer, Step},
    progress::{Goal, Tally},
    schedule,
    storage::Location,
    threads::{self, lock, unlocked},
    trust::Trust,
};

/// The backup to copy.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its folder.
    pub from: Location,
    /// Folder for the copy; new or empty.
    pub to: PathBuf,
    /// Make the folders above it too.
    pub create_parents: bool,
    /// How the files lie in the copy; none: as each run has them.
    pub layout: Option<ArchiveLayout>,
    /// Bytes of a volume, where there are volumes.
    pub volume_size: u64,
    /// Which signers are expected.
    pub trust: Trust,
    /// Files at once; none: one per core.
    pub jobs: Option<u16>,
}

/// The copy.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Copied {
    /// Always `report`.
    pub event: &'static str,
    /// Id of the archive, or of the newest run: that of the copy too.
    pub archive_id: String,
    /// How many runs.
    pub runs: u32,
    /// How many files, whether or not they lie in volumes.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Folder of the copy.
    pub output: String,
    /// Who signed it, as far as a signer is expected; none: nobody said who it is to be.
    pub signer: Option<String>,
    /// What is wrong with the source and is not in the copy.
    pub warnings: Vec<String>,
}

/// A backup that is copied.
struct Work<'w> {
    source: Folder,
    /// What `SHA256SUMS` says of `chain.json` and of each `encryption.json`.
    listed: BTreeMap<String, String>,
    signers: Vec<Signer>,
    staging: &'w Path,
    options: &'w Options,
    tally: Arc<Tally>,
    done: Mutex<Copied>,
}

/// Copies, and compares every file with what was signed.
///
/// # Errors
/// When the backup is damaged, nobody signed it, or the copy cannot be written.
pub fn run(options: &Options, observer: &dyn Observer) -> Result<Copied, Failure> {
    refuse_inside(&options.from, &options.to)?;
    require_parent(&options.to, options.create_parents)?;
    let source = Folder::at(&options.from)?;
    source.require()?;
    let at = options.from.folder();
    let _lock = at.map(|at| folders::lock(at, "another run")).transpose()?;
    let signers = options.trust.pinned(observer)?;
    let seen = outline(&source)?;
    if let Some(lost) = seen.lost {
        return Err(lost.into());
    }
    let sequence = seen.runs.as_ref();
    if let Some(sequence) = sequence {
        let mut findings = sequence.findings();
        if let Some(wrong) = findings.find(|finding| finding.severity == Severity::Error) {
            return Err(damaged(&sentence(wrong)));
        }
    }
    // An index that hides a file would hide it from the copy too.
    let Listed {
        files: listing,
        findings,
        ..
    } = source.list(true)?;
    let mut warnings: Vec<String> = findings.iter().map(sentence).collect();
    let strays = listing
        .iter()
        .filter(|(path, _)| kind(path) == PathKind::Stray);
    warnings.extend(strays.map(|(path, _)| format!("{path}: {NOT_OURS}")));
    let listed = listed(&source)?;
    let (destination, _) = Destination::prepare(&options.to)?;
    let _graceful = interrupt::finish_gracefully();
    let tally: Arc<Tally> = Arc::default();
    let content = listing.iter().filter(|(path, _)| !is_volume(path));
    let goal = Goal::Bytes(content.map(|(_, size)| size).sum());
    let shown = observer.working(Step::Work, &tally, goal);
    let work = Work {
        listed,
        source,
        signers,
        staging: destination.staging(),
        options,
        tally: tally.clone(),
        done: Mutex::new(Copied {
            event: "report",
            archive_id: String::new(),
            runs: sequence.map_or(1, RunSequence::count),
            files: 0,
            bytes: 0,
            output: options.to.display().to_string(),
            signer: None,
            warnings,
        }),
    };
    let copied = work.all(&listing, sequence.is_some());
    drop(shown);
    let done = work.done;
    if let Err(error) = copied {
        destination.abandon();
        Failure::unless_interrupted()?;
        return Err(error);
    }
    destination.publish()?;
    Ok(unlocked(done))
}

/// Kind of a path in its run.
fn kind(path: &str) -> PathKind {
    run_of(path).map_or(PathKind::Stray, |(_, within)| PathKind::of(within))
}

/// Whether a path is of a volume, or of what belongs to volumes.
fn is_volume(path: &str) -> bool {
    kind(path) == PathKind::Volume
}

fn damaged(what: &str) -> Failure {
    Failure::damaged(format!("{what}: nothing was copied; use another copy"))
}

/// What `SHA256SUMS` lists of the files that may change after they were made.
fn listed(source: &Folder) -> Result<BTreeMap<String, String>, Error> {
    let mut listed = BTreeMap::new();
    if !source.has(SUMS) {
        return Ok(listed);
    }
    for line in source.sums()? {
        let SumLine { path, sha256 } = line?;
        let within = run_of(&path).map(|(_, within)| within);
        if path == CHAIN || within == Some(ENVELOPE) {
            listed.insert(path, sha256);
        }
    }
    Ok(listed)
}

impl Work<'_> {
    fn all(&self, listing: &[(String, u64)], is_chain: bool) -> Result<(), Failure> {
        let runs = lock(&self.done).runs;
        let mut lines = Vec::new();
        let mut of_runs: BTreeMap<u32, Vec<&(String, u64)>> = BTreeMap::new();
        for file in listing {
            if let Some((run, _)) = run_of(&file.0) {
                of_runs.entry(run).or_default().push(file);
            }
        }
        for run in 1..=runs {
            let files = of_runs.remove(&run).unwrap_or_default();
            lines.extend(self.run(run, &files)?);
        }
        if is_chain {
            let bytes = self.source.read(CHAIN)?;
            let sha256 = sha256_hex(&bytes);
            if self.listed.get(CHAIN).is_some_and(|known| *known != sha256) {
                return Err(damaged("chain.json is not the one that SHA256SUMS lists"));
            }
            let place = self.staging.join(CHAIN);
            files::write(&place, &bytes).map_err(|e| ArchiveError::io(&place, e))?;
            lines.push(SumLine::new(CHAIN, &sha256));
        }
        lines.sort();
        let place = self.staging.join(SUMS);
        let write = || {
            let mut out = BufWriter::new(fs::File::create_new(&place)?);
            for line in &lines {
                line.write(&mut out)?;
            }
            out.flush()?;
            files::close(out.into_inner()?)
        };
        write().map_err(|e| ArchiveError::io(&place, e))?;
        Ok(())
    }

    /// Copies a run; returns what the sums list of it.
    fn run(&self, run: u32, listing: &[&(String, u64)]) -> Result<Vec<SumLine>, Failure> {
        let of_run = self.source.run(run);
        let statement = self.statement(&of_run, run)?;
        let prefix = match Index::path(run) {
            path if path.is_empty() => path,
            path => path + "/",
        };
        let envelope_sum = self.listed.get(&format!("{prefix}{ENVELOPE}"));
        envelopes::check(
            &of_run,
            Some(statement.created),
            envelope_sum.map(String::as_str),
        )
        .map_err(|error| damaged(&error.in_run(run).to_string()))?;
        let storage = self.storage(run, listing)?;
        let sorter = Mutex::new(Sorter::new(storage.folder.clone()));
        let beside = Mutex::new(Vec::new());
        schedule::run(
            threads::count(self.options.jobs),
            listing.iter().filter(|(path, _)| is_copied(path)),
            &|(path, _), _| {
                let within = &path[prefix.len()..];
                let line = self.file(path, within, &storage)?;
                if storage.volumes.is_none() || PathKind::of(within).is_separate() {
                    let path = path.clone();
                    lock(&beside).push(SumLine {
                        path,
                        ..line.clone()
                    });
                }
                Ok::<_, Failure>(lock(&sorter).add(line)?)
            },
        )?;
        let mut digest = FilesDigest::default();
        unlocked(sorter).finish(&mut |line| match is_signed_path(&line.path) {
            true => digest.push(&line.path, &line.sha256),
            false => Ok(()),
        })?;
        if digest.finish() != statement.files {
            return Err(damaged(&format!(
                "the files of run {run} are not those that were signed: one was changed, added or removed"
            )));
        }
        let mut lines = unlocked(beside);
        if let Some(volumes) = &storage.volumes {
            let (ended, _) = volumes.end()?;
            let of_root =
                |line: SumLine| SumLine::new(&format!("{prefix}{}", line.path), &line.sha256);
            lines.extend(ended.into_iter().map(of_root));
        }
        lock(&self.done).archive_id = statement.id;
        Ok(lines)
    }

    /// The signed statement of a run, which its files have to fit.
    fn statement(&self, of_run: &Folder, run: u32) -> Result<Statement, Failure> {
        let minisig = of_run.small(SIGNATURE)?;
        let Some(statement) = minisig.as_deref().and_then(unproven) else {
            return Err(Failure::usage(format!(
                "run {run} of {} is not signed, so a copy cannot be checked: copy the folder with another program, and verify it with the key",
                self.options.from
            )));
        };
        let manifest = of_run.read(MANIFEST)?;
        if statement.id != sha256_hex(&manifest) {
            return Err(damaged(&format!(
                "manifest.json of run {run} is not the one that was signed"
            )));
        }
        if self.signers.is_empty() {
            return Ok(statement);
        }
        let minisig = minisig.unwrap_or_default();
        let holds = |signer: &&Signer| {
            matches!(try_signature(signer, &manifest, &minisig), Tried::Holds(_))
        };
        let Some(signer) = self.signers.iter().find(holds) else {
            return Err(damaged(&format!(
                "run {run} is not signed by a signer whom you expect; it may have been replaced"
            ))
            .advise(Advice::Signer));
        };
        lock(&self.done).signer = Some(signer.to_string());
        Ok(statement)
    }

    /// Where the files of a run go.
    fn storage(&self, run: u32, listing: &[&(String, u64)]) -> Result<FileStorage, Failure> {
        let folder = self.staging.join(Index::path(run));
        fs::create_dir_all(&folder).map_err(|e| ArchiveError::io(&folder, e))?;
        let has_volumes = listing.iter().any(|(path, _)| is_volume(path));
        let layout = self.options.layout.unwrap_or(match has_volumes {
            true => ArchiveLayout::Volumes(self.options.volume_size),
            false => ArchiveLayout::Files,
        });
        Ok(FileStorage::new(&folder, layout))
    }

    fn file(&self, path: &str, within: &str, storage: &FileStorage) -> Result<SumLine, Failure> {
        let mut from = self.source.open(path)?;
        let mut to = FileWriter::create(storage, within, None)?;
        let mut piece = vec![0; PIECE];
        let mut bytes = 0;
        loop {
            interrupt::check()?;
            let n = from
                .read(&mut piece)
                .map_err(|e| Failure::failed(format!("{}/{path}: {e}", self.options.from)))?;
            if n == 0 {
                break;
            }
            to.write(&piece[..n])?;
            bytes += n as u64;
            self.tally.add(0, n as u64);
        }
        let entry = to.finish(None)?;
        let mut done = lock(&self.done);
        done.files += 1;
        done.bytes += bytes;
        Ok(SumLine::from(&entry))
    }
}

/// Whether a file of a run is copied: the sums, the list of runs and what belongs to volumes are made anew. Files that do not belong to the
/// archive are not copied.
fn is_copied(path: &str) -> bool {
    !matches!(
        kind(path),
        PathKind::Sums | PathKind::Chain | PathKind::Volume | PathKind::Stray
    )
}
