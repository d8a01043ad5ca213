//! `verify`: whether an archive is as it was made. Without its key that is asked of the files, with it of every record in them.

mod chain;
mod frames;
mod ids;
pub mod report;
mod rolled_back;
pub mod sample;
mod seen;
pub mod signature;
mod stored_files;
pub mod sums;
mod user;
mod with_key;
pub mod without_key;

use std::{
    sync::{Arc, Mutex},
    time::Instant,
};

use decryptor_wasm::{
    DataKey, Envelope, Error, FileList,
    chain::run_of,
    layout::PathKind,
    open::{Outline, Request},
    signature::{Demands, Signer},
};

use self::{
    report::Report,
    sample::{Sample, SampleSize},
    without_key::Reads,
};
use crate::{
    archive::read::{Archive, Folder, outline},
    failure::{Failure, FailureKind},
    observer::{Level, Observer, Step},
    opening::ArchiveOptions,
    operations::repair,
    progress::{Goal, Tally},
    secrets::Secrets,
    storage::Location,
    threads,
};

/// The archive to verify.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The archive. Of a chain, without a run: the newest state, and all runs.
    pub opening: ArchiveOptions,
    /// Another copy of it, whose files take the place of those that are damaged or missing.
    pub repair_from: Option<Location>,
    /// How much is read of it, each time another part; none: all.
    pub sample: Option<SampleSize>,
    /// Files at once; none: one per core.
    pub jobs: Option<u16>,
}

/// Verifies; the report says what was found.
///
/// # Errors
/// When the archive is not the one that is asked for, or cannot be opened.
pub fn run(options: &Options, observer: &dyn Observer) -> Result<Report, Failure> {
    let Some(other) = &options.repair_from else {
        return check(options, observer);
    };
    let opening = &options.opening;
    let secrets = Secrets::new(&opening.keys, observer);
    let unlock = |envelope: &Envelope| secrets.unlock(envelope);
    let unlock: repair::Unlock<'_> = opening.keys.given().then_some(&unlock);
    let demands = opening.demands(observer)?;
    let jobs = threads::count(options.jobs);
    let repaired = repair::run(opening, other, &demands, unlock, jobs, observer)?;
    match check(options, observer) {
        Ok(mut report) => {
            report.replaced = Some(repaired.replaced);
            report.not_replaced = repaired.left;
            Ok(report)
        }
        Err(error) => {
            for line in &repaired.replaced {
                observer.tell(Level::Info, line);
            }
            for line in &repaired.left {
                observer.tell(Level::Warning, &format!("not replaced: {line}"));
            }
            // What is damaged may look like something that only another version knows.
            Err(match error.kind() {
                FailureKind::Failed if !repaired.left.is_empty() => {
                    error.because_of(FailureKind::Damaged)
                }
                _ => error,
            })
        }
    }
}

/// Reads it, or a part of it.
fn check(options: &Options, observer: &dyn Observer) -> Result<Report, Failure> {
    let started = Instant::now();
    let opening = &options.opening;
    // What is made meanwhile may be listed, and is not remembered yet.
    let newest = rolled_back::newest(opening);
    let folder = Folder::at(&opening.dir)?;
    let seen = outline(&folder)?;
    let found = newest.map(|newest| rolled_back::look(&newest, &folder, seen.runs.as_ref()));
    let sealed = is_sealed(&seen.listing);
    let demands = opening.demands(observer)?;
    demands.storage(sealed)?;
    let threads = threads::count(options.jobs);
    let mut report = if sealed && !opening.keys.given() {
        if opening.at.is_some() {
            return Err(Failure::usage(
                "a state of a chain can be verified with the key of the backup only: without it, every run is looked at as it is stored",
            ));
        }
        closed(&folder, seen, &demands, options, observer)?
    } else {
        let secrets = Secrets::new(&opening.keys, observer);
        let unlock = |envelope: &Envelope| secrets.unlock(envelope);
        let request = opening.request(demands);
        let chosen = match options.sample {
            Some(size) => {
                let id = without_key::newest_id(&folder, seen.runs.as_ref())?;
                let files = seen.listing.iter();
                let files = files.filter(|(path, _)| sample::is_content(path)).collect();
                Some(Sample::choose(opening, size, &id, true, &files)?)
            }
            None => None,
        };
        let sample = chosen.as_ref();
        let mut report = read(&folder, seen, request, &unlock, threads, sample, observer)?;
        if let Some(chosen) = chosen {
            let damaged = std::mem::take(&mut report.damaged_paths);
            report.sample = Some(chosen.finish(damaged)?);
        }
        report
    };
    report.take(found.flatten().as_ref());
    report.close(started.elapsed().as_secs_f64());
    Ok(report)
}

/// An archive that stays closed.
fn closed(
    folder: &Folder,
    seen: Outline,
    demands: &Demands,
    options: &Options,
    observer: &dyn Observer,
) -> Result<Report, Failure> {
    let opening = &options.opening;
    let tally = Arc::default();
    let _shown = observer.working(Step::Work, &tally, goal(&seen.listing));
    let expect_id = opening.expect.id.as_deref();
    let threads = threads::count(options.jobs);
    let chosen = Mutex::new(None);
    let choose = |id: &str, files: &FileList| {
        let size = options.sample.unwrap_or(SampleSize::Part(sample::WHOLE));
        let sample = Sample::choose(opening, size, id, false, files)?;
        let paths = sample.paths().clone();
        *threads::lock(&chosen) = Some(sample);
        Ok(paths)
    };
    let reads = match options.sample {
        None => Reads::All,
        Some(_) => Reads::Sample(&choose),
    };
    let mut report = without_key::verify(folder, seen, reads, expect_id, demands, threads, &tally)?;
    if let Some(sample) = threads::unlocked(chosen) {
        let damaged = std::mem::take(&mut report.damaged_paths);
        report.sample = Some(sample.finish(damaged)?);
    }
    Ok(report)
}

/// Verifies an archive that was just made, with the key that it was made with; `signer`: who signed it, `run`: its number in
/// its chain, by which a run may be read without those beside it.
pub fn made(
    folder: Folder,
    key: Option<DataKey>,
    signer: &Signer,
    run: u32,
    threads: usize,
    observer: &dyn Observer,
) -> Result<Report, Failure> {
    let started = Instant::now();
    let unlock = |_: &Envelope| {
        let missing = || Error::key("the archive was not encrypted when it was made");
        key.clone().ok_or_else(missing)
    };
    let demands = Demands {
        signers: vec![signer.clone()],
        ..Demands::default()
    };
    let request = Request {
        at: Some(run),
        ..Request::of(demands)
    };
    let archive = Archive::open(folder, request, unlock)?;
    let mut report = opened(&archive, threads, observer)?;
    report.close(started.elapsed().as_secs_f64());
    Ok(report)
}

/// Reads an archive that is open.
///
/// # Errors
/// The damage.
pub fn undamaged(archive: &Archive, threads: usize) -> Result<(), String> {
    match with_key::verify(archive, threads, &Tally::default()) {
        Err(error) => Err(error.to_string()),
        Ok(report) if !report.damaged.is_empty() => Err(report.damaged.join("; ")),
        Ok(_) => Ok(()),
    }
}

/// Whether any run is encrypted.
pub fn is_sealed(listing: &FileList) -> bool {
    let mut paths = listing.iter().map(|(path, _)| path);
    paths.any(|path| matches!(run_of(&path), Some((_, "encryption.json"))))
}

/// The files of an archive, without the volumes that they lie in.
pub fn files_of(listing: &FileList) -> impl Iterator<Item = (String, u64)> + '_ {
    listing.iter().filter(|(path, _)| !is_volume(path))
}

/// Whether a path is of a volume, or of what belongs to volumes.
fn is_volume(path: &str) -> bool {
    run_of(path).is_some_and(|(_, within)| PathKind::of(within) == PathKind::Volume)
}

/// An archive, or all runs of a chain.
fn read(
    folder: &Folder,
    seen: Outline,
    request: Request,
    unlock: &dyn Fn(&Envelope) -> Result<DataKey, Error>,
    threads: usize,
    sample: Option<&Sample>,
    observer: &dyn Observer,
) -> Result<Report, Failure> {
    let goal = goal(&seen.listing);
    if let Some(runs) = seen.runs {
        drop(seen.listing);
        let tally = Arc::default();
        let _shown = observer.working(Step::Work, &tally, goal);
        return Ok(chain::verify(
            folder, runs, request, unlock, threads, &tally, sample,
        )?);
    }
    drop(seen);
    let archive = Archive::open(folder.clone(), request, unlock)?;
    match sample {
        Some(sample) => {
            let has = |path: &str| sample.has(path);
            Ok(with_key::sample(
                &archive,
                &has,
                threads,
                &Tally::default(),
            )?)
        }
        None => opened(&archive, threads, observer),
    }
}

fn goal(listing: &FileList) -> Goal {
    Goal::Bytes(files_of(listing).map(|(_, size)| size).sum())
}

fn opened(archive: &Archive, threads: usize, observer: &dyn Observer) -> Result<Report, Failure> {
    let tally = Arc::default();
    let goal = Goal::Bytes(archive.files().bytes());
    let _shown = observer.working(Step::Work, &tally, goal);
    Ok(with_key::verify(archive, threads, &tally)?)
}
