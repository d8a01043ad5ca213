//! `verify`: whether an archive is as it was made. Without its key that is asked of the files, with it of every record in them.

mod chain;
mod ids;
pub mod report;
mod seen;
mod signature;
pub mod sums;
mod user;
mod with_key;
pub mod without_key;

use std::{path::Path, sync::Arc, time::Instant};

use decryptor_wasm::{
    DataKey, Envelope, Error,
    chain::{CHAIN, run_of},
    signature::{Demands, Signer},
};

use self::{report::Report, without_key::Reads};
use crate::{
    archive::read::{Archive, Choice, Folder, mixed_runs, require_manifest},
    failure::Failure,
    observer::{Observer, Step},
    opening::Opening,
    progress::{Goal, Tally},
    secrets::Secrets,
    threads,
};

/// The archive to verify.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The archive. Of a chain, without a run: the newest state, and all runs.
    pub opening: Opening,
    /// Files at once; none: one per core.
    pub jobs: Option<u16>,
}

/// Verifies; the report says what was found.
///
/// # Errors
/// When the archive is not the one that is asked for, or cannot be opened.
pub fn run(options: &Options, observer: &dyn Observer) -> Result<Report, Failure> {
    let started = Instant::now();
    let opening = &options.opening;
    let folder = Folder::new(&opening.dir);
    let listing = folder.list()?;
    require_manifest(&folder, &listing)?;
    if let Some(mixed) = mixed_runs(&folder)? {
        return Err(mixed.into());
    }
    let sealed = is_sealed(&listing);
    let demands = opening.demands(observer)?;
    demands.storage(sealed)?;
    let threads = threads::count(options.jobs);
    let mut report = if sealed && !opening.keys.given() {
        if opening.at.is_some() {
            return Err(Failure::usage(
                "--at needs the key of the backup: without it, every run is looked at as it is stored",
            ));
        }
        let tally = Arc::default();
        let goal = Goal::Bytes(listing.iter().map(|(_, size)| size).sum());
        let _shown = observer.working(Step::Work, &tally, goal);
        let expect_id = opening.expect.id.as_deref();
        without_key::verify(&folder, Reads::All, expect_id, &demands, threads, &tally)?
    } else {
        drop(listing);
        let secrets = Secrets::new(&opening.keys, observer);
        let unlock = |envelope: &Envelope| secrets.unlock(envelope);
        let choice = opening.choice(&demands);
        read(&folder, choice, &unlock, threads, observer)?
    };
    report.close(started.elapsed().as_secs_f64());
    Ok(report)
}

/// Verifies an archive that was just made, with the key that it was made with; `signer`: who signed it, `run`: its number in
/// its chain, by which a run may be read without those beside it.
pub fn made(
    dir: &Path,
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
    let choice = Choice {
        at: Some(run),
        ..Choice::new(&demands)
    };
    let archive = Archive::open_expected(Folder::new(dir), choice, &unlock)?;
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
pub fn is_sealed(listing: &[(String, u64)]) -> bool {
    let envelope = |(path, _): &(String, u64)| matches!(run_of(path), Some((_, "encryption.json")));
    listing.iter().any(envelope)
}

/// An archive, or all runs of a chain.
fn read(
    folder: &Folder,
    choice: Choice<'_>,
    unlock: &dyn Fn(&Envelope) -> Result<DataKey, Error>,
    threads: usize,
    observer: &dyn Observer,
) -> Result<Report, Failure> {
    if folder.has(CHAIN) {
        let tally = Arc::default();
        let goal = Goal::Bytes(folder.list()?.iter().map(|(_, size)| size).sum());
        let _shown = observer.working(Step::Work, &tally, goal);
        return Ok(chain::verify(folder, choice, unlock, threads, &tally)?);
    }
    let archive = Archive::open(folder.clone(), choice, unlock)?;
    opened(&archive, threads, observer)
}

fn opened(archive: &Archive, threads: usize, observer: &dyn Observer) -> Result<Report, Failure> {
    let tally = Arc::default();
    let goal = Goal::Bytes(archive.files().iter().map(|file| file.size).sum());
    let _shown = observer.working(Step::Work, &tally, goal);
    Ok(with_key::verify(archive, threads, &tally)?)
}
