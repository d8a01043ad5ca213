//! `copy`: a second copy of a backup, in the layout of the first or in the other one. It needs no key: the files stay as they are, and they
//! have to be those that the signature states. Whether the signature is that of the host shows where its signer is expected.
//!
//! A copy that was killed is continued by the next one to the same folder, and one of a chain that has grown takes the runs that it lacks.

mod add;
mod kept;
mod source;
mod store;

use std::{
    collections::BTreeMap,
    fs,
    io::{BufWriter, Read},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use decryptor_wasm::{
    chain::{CHAIN, Index, run_of},
    layout::{MANIFEST, PathKind},
    signature::{FilesDigest, is_signed_path},
};
use serde::Serialize;

use self::{
    kept::Kept,
    source::{Run, Source, SourceFile},
};
use crate::{
    archive::{
        ArchiveError, Destination,
        read::Folder,
        sums::{SUMS, Sorter, SumLine},
        write::{
            ArchiveLayout,
            file::{FileStorage, FileWriter},
        },
    },
    failure::Failure,
    files,
    folders::{self, refuse_inside, require_parent},
    interrupt,
    limits::PIECE,
    observer::{Level, Observer, Step},
    progress::{Goal, Tally},
    schedule,
    storage::Location,
    text::count,
    threads::{self, lock, unlocked},
    trust::Trust,
};

/// The backup to copy.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its folder.
    pub from: Location,
    /// Where the copy is made; new, empty, with a copy that was interrupted, or with one of the first runs of the same chain.
    pub to: Location,
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
    /// How many runs it has.
    pub runs: u32,
    /// How many of them were there already, whose files were not looked at.
    pub runs_there: u32,
    /// How many files the other runs have, whether or not they lie in volumes.
    pub files: u64,
    /// Of these, files that a copy that was interrupted had copied, and that are as they should be.
    pub kept: u64,
    /// Bytes of the files.
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
    source: &'w Source,
    options: &'w Options,
    tally: &'w Tally,
    done: Mutex<Copied>,
    /// Runs that are a part of the copy by now and were not before.
    added: AtomicU32,
}

/// Copies, and compares every file with what was signed.
///
/// # Errors
/// When the backup is damaged, nobody signed it, or the copy cannot be written.
pub fn run(options: &Options, observer: &dyn Observer) -> Result<Copied, Failure> {
    refuse_inside(&options.from, &options.to)?;
    if let Some(to) = options.to.folder() {
        require_parent(to, options.create_parents)?;
    }
    let folder = Folder::at(&options.from)?;
    folder.require()?;
    let at = options.from.folder();
    let _lock = at.map(|at| folders::lock(at, "another run")).transpose()?;
    let signers = options.trust.pinned(observer)?;
    let mut source = Source::open(folder, &signers)?;
    let tally: Arc<Tally> = Arc::default();
    let work = Work {
        options,
        tally: &tally,
        done: Mutex::new(Copied {
            event: "report",
            archive_id: source.newest().statement.id.clone(),
            runs: source.count(),
            runs_there: 0,
            files: 0,
            kept: 0,
            bytes: 0,
            output: options.to.to_string(),
            signer: source.signer.take().map(|signer| signer.to_string()),
            warnings: std::mem::take(&mut source.warnings),
        }),
        source: &source,
        added: AtomicU32::new(0),
    };
    let _graceful = interrupt::finish_gracefully();
    let _shown = observer.working(Step::Work, &tally, Goal::Bytes(source.bytes()));
    let copied = work.copy();
    let done = unlocked(work.done);
    if copied.is_err() {
        for warning in &done.warnings {
            observer.tell(Level::Warning, warning);
        }
    }
    copied.map(|()| done)
}

/// The error for a source that is not as it was signed.
fn damaged(what: &str) -> Failure {
    Failure::damaged(format!("{what}: nothing was copied; use another copy"))
}

impl Work<'_> {
    fn copy(&self) -> Result<(), Failure> {
        match &self.options.to {
            Location::Store(address) => self.copy_to_store(address),
            to => {
                let to = to.require_folder()?;
                match to.join(MANIFEST).exists() {
                    true => self.add(to),
                    false => self.anew(to),
                }
            }
        }
    }

    /// The error for a source that is not as it was signed, where some of its runs may have been copied already.
    fn damaged(&self, what: &str) -> Failure {
        match self.added.load(Ordering::SeqCst) {
            0 => damaged(what),
            added => Failure::damaged(format!(
                "{what}: {} before it, and no more; use another copy for the rest",
                count(added.into(), "run was copied", "runs were copied")
            )),
        }
    }

    /// The error for a run whose files are not those of its signature.
    fn other_files(&self, run: &Run) -> Failure {
        self.damaged(&format!(
            "the files of run {} are not those that were signed: one was changed, added or removed",
            run.number
        ))
    }

    /// Makes a copy in a folder that holds none.
    fn anew(&self, to: &Path) -> Result<(), Failure> {
        let destination = Destination::resume(to)?;
        if let Err(error) = self.all(destination.staging()) {
            self.unless_interrupted()?;
            destination.abandon();
            return Err(error);
        }
        Ok(destination.publish()?)
    }

    /// The error for a copy that was interrupted, of which what is there stays.
    fn unless_interrupted(&self) -> Result<(), Failure> {
        Failure::unless_interrupted().map_err(|failure| {
            failure.with_message(format!(
                "interrupted; the same command goes on with what was copied to {}",
                self.options.to
            ))
        })
    }

    fn all(&self, staging: &Path) -> Result<(), Failure> {
        let mut left: BTreeMap<u32, Vec<(String, u64)>> = BTreeMap::new();
        for (path, size) in kept::left(staging, &|path| {
            run_of(path).is_some_and(|(run, within)| self.may_stay(run, within))
        })? {
            if let Some((run, within)) = run_of(&path) {
                left.entry(run).or_default().push((within.to_owned(), size));
            }
        }
        let mut lines = Vec::new();
        for run in &self.source.runs {
            let folder = staging.join(Index::path(run.number));
            fs::create_dir_all(&folder).map_err(|e| ArchiveError::io(&folder, e))?;
            let left = left.remove(&run.number).unwrap_or_default();
            let of_run = self.run(run, &folder, &left)?;
            let of_root = |line: SumLine| SumLine {
                path: run.path(&line.path),
                ..line
            };
            lines.extend(of_run.into_iter().map(of_root));
        }
        if let Some((bytes, sha256)) = self.source.index()? {
            let place = staging.join(CHAIN);
            files::write(&place, &bytes).map_err(|e| ArchiveError::io(&place, e))?;
            lines.push(SumLine::new(CHAIN, &sha256));
        }
        write_sums(staging, lines)
    }

    /// How the files of a run lie in the copy.
    fn layout(&self, run: &Run) -> ArchiveLayout {
        self.options.layout.unwrap_or(match run.in_volumes {
            true => ArchiveLayout::Volumes(self.options.volume_size),
            false => ArchiveLayout::Files,
        })
    }

    /// Whether a file of an interrupted copy may be one of this copy.
    fn may_stay(&self, run: u32, within: &str) -> bool {
        let Some(run) = self.source.run(run) else {
            return false;
        };
        match (PathKind::of(within), self.layout(run)) {
            (PathKind::Volume, ArchiveLayout::Volumes(_)) => within.ends_with(".tar"),
            (PathKind::Companion, _) => true,
            (kind, ArchiveLayout::Files) => !kind.is_separate() && kind != PathKind::Stray,
            _ => false,
        }
    }

    /// Copies a run into `folder`, where `left` lies already; returns what the sums list of it, from that folder.
    fn run(
        &self,
        run: &Run,
        folder: &Path,
        left: &[(String, u64)],
    ) -> Result<Vec<SumLine>, Failure> {
        let jobs = threads::count(self.options.jobs);
        let kept = Kept::find(run, folder, left, jobs, self.tally)?;
        let proven = run.proven || kept.is_empty();
        let copied = self.kept_and_others(run, folder, kept)?;
        if let Some(lines) = copied {
            return Ok(lines);
        }
        if !proven {
            // What lay there is wrong: nothing said before which file should have which digest.
            kept::left(folder, &|path| run_of(path).is_some_and(|(of, _)| of > 1))?;
            if let Some(lines) = self.kept_and_others(run, folder, Kept::default())? {
                return Ok(lines);
            }
        }
        Err(self.other_files(run))
    }

    /// The same; none where the files are not those that were signed.
    fn kept_and_others(
        &self,
        run: &Run,
        folder: &Path,
        mut kept: Kept,
    ) -> Result<Option<Vec<SumLine>>, Failure> {
        let volumes = std::mem::take(&mut kept.volumes);
        let storage = FileStorage::beside(folder, self.layout(run), volumes);
        self.files(run, &storage, &kept)
    }

    /// Copies the files of a run that are not kept into `storage`; none where they are not those that were signed.
    fn files(
        &self,
        run: &Run,
        storage: &FileStorage,
        kept: &Kept,
    ) -> Result<Option<Vec<SumLine>>, Failure> {
        let sorter = Mutex::new(Sorter::new(storage.folder.clone()));
        let beside = Mutex::new(Vec::new());
        let bytes = Mutex::new(0);
        schedule::run(
            threads::count(self.options.jobs),
            run.files.iter(),
            &|file, _| {
                let line = match kept.line(&file.path) {
                    Some(line) => line,
                    None => self.file(run, file, storage)?,
                };
                *lock(&bytes) += file.size;
                if storage.volumes.is_none() || PathKind::of(&file.path).is_separate() {
                    lock(&beside).push(line.clone());
                }
                Ok::<_, Failure>(lock(&sorter).add(&line.path, &line.sha256)?)
            },
        )?;
        let mut digest = FilesDigest::default();
        unlocked(sorter).finish(&mut |line| match is_signed_path(&line.path) {
            true => digest.push(&line.path, &line.sha256),
            false => Ok(()),
        })?;
        if digest.finish() != run.statement.files {
            return Ok(None);
        }
        let mut lines = unlocked(beside);
        if let Some(volumes) = &storage.volumes {
            lines.extend(volumes.end()?.0);
        }
        let mut done = lock(&self.done);
        done.files += run.files.len() as u64;
        done.kept += kept.count();
        done.bytes += unlocked(bytes);
        Ok(Some(lines))
    }

    fn file(
        &self,
        run: &Run,
        file: &SourceFile,
        storage: &FileStorage,
    ) -> Result<SumLine, Failure> {
        let path = run.path(&file.path);
        let mut from = self.source.folder.open(&path)?;
        let mut to = FileWriter::create(storage, &file.path, None)?;
        let mut piece = vec![0; PIECE];
        loop {
            interrupt::check()?;
            let n = from
                .read(&mut piece)
                .map_err(|e| Failure::failed(format!("{}/{path}: {e}", self.options.from)))?;
            if n == 0 {
                break;
            }
            to.write(&piece[..n])?;
            self.tally.add(0, n as u64);
        }
        let line = SumLine::from(&to.finish(None)?);
        if file.due.is_some_and(|due| !kept::is(&due, &line)) {
            return Err(self.damaged(&match PathKind::of(&file.path) {
                PathKind::Envelope | PathKind::Signature => {
                    format!("{path} changed while the backup was copied")
                }
                _ => format!("{path} is not the file that was signed"),
            }));
        }
        Ok(line)
    }
}

/// Writes `SHA256SUMS` into a folder.
fn write_sums(folder: &Path, mut lines: Vec<SumLine>) -> Result<(), Failure> {
    lines.sort();
    let place = folder.join(SUMS);
    let write = || {
        let mut out = BufWriter::new(fs::File::create(&place)?);
        for line in &lines {
            line.write(&mut out)?;
        }
        files::close(out.into_inner()?)
    };
    Ok(write().map_err(|e: std::io::Error| ArchiveError::io(&place, e))?)
}
