//! `verify`: whether an archive is as it was made. Without its key that is asked of the files, with it of every record in them.

mod chain;
mod ids;
mod inside;
pub(super) mod outside;
pub mod report;
mod seen;
mod signature;
pub mod sums;
mod user;

use std::{path::Path, time::Instant};

use decryptor_wasm::{
    DataKey, Envelope, Error,
    chain::{CHAIN, run_of},
    signature::{Demands, Signer},
};

use self::{outside::Reads, report::Report};
use super::secrets::{self, Secrets};
use crate::{
    archive::read::{Archive, Choice, Folder, mixed_runs, require_manifest},
    cli::VerifyArgs,
    failure::Failure,
    progress::{self, Goal, Manner, Tally},
};

/// Verifies, and prints what was found: exit code 4 for damage, 5 for what cannot be restored as it was.
pub fn run(args: &VerifyArgs) -> Result<u8, Failure> {
    let started = Instant::now();
    let folder = Folder::new(&args.dir);
    let listing = folder.list()?;
    require_manifest(&folder, &listing)?;
    if let Some(mixed) = mixed_runs(&folder)? {
        return Err(mixed.into());
    }
    let sealed = is_sealed(&listing);
    let demands = super::demands(&args.expect, &args.key)?;
    demands.storage(sealed)?;
    let manner = match args {
        _ if args.json => Manner::Events,
        _ if args.quiet => Manner::Silent,
        _ => Manner::for_people(),
    };
    let tally = Tally::default();
    let expect_id = args.expect.id();
    let mut report = if sealed && !secrets::given(&args.key) {
        if args.at.is_some() {
            return Err(Failure::usage(
                "--at needs the key of the backup: without it, every run is looked at as it is stored",
            ));
        }
        let goal = Goal::Bytes(listing.iter().map(|(_, size)| size).sum());
        progress::watch(&tally, goal, manner, || {
            outside::verify(
                &folder,
                Reads::All,
                expect_id,
                &demands,
                jobs(args.jobs),
                &tally,
            )
        })?
    } else {
        drop(listing);
        let secrets = Secrets::new(&args.key);
        let unlock = |envelope: &Envelope| secrets.unlock(envelope);
        let choice = Choice {
            expect_id,
            at: args.at,
            ..Choice::new(&demands)
        };
        read(&folder, choice, &unlock, jobs(args.jobs), &tally, manner)?
    };
    report.close(started.elapsed().as_secs_f64());
    if !args.quiet || args.json || report.exit_code() != 0 {
        report.print(args.json)?;
    }
    Ok(report.exit_code())
}

/// Verifies an archive that this process has just made, with the key that it was made with; `signer`: who signed it, `run`: its number in
/// its chain, by which a run may be read without those beside it.
pub fn made(
    dir: &Path,
    key: Option<DataKey>,
    signer: &Signer,
    run: u32,
    threads: usize,
    manner: Manner,
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
    let mut report = opened(&archive, threads, manner)?;
    report.close(started.elapsed().as_secs_f64());
    Ok(report)
}

/// Reads an archive that is open; otherwise what is damaged.
pub(super) fn undamaged(archive: &Archive, threads: usize) -> Result<(), String> {
    match inside::verify(archive, threads, &Tally::default()) {
        Err(error) => Err(error.to_string()),
        Ok(report) if !report.damaged.is_empty() => Err(report.damaged.join("; ")),
        Ok(_) => Ok(()),
    }
}

/// Whether any run is encrypted.
pub(super) fn is_sealed(listing: &[(String, u64)]) -> bool {
    let envelope = |(path, _): &(String, u64)| matches!(run_of(path), Some((_, "encryption.json")));
    listing.iter().any(envelope)
}

/// An archive, or all runs of a chain.
fn read(
    folder: &Folder,
    choice: Choice<'_>,
    unlock: &dyn Fn(&Envelope) -> Result<DataKey, Error>,
    threads: usize,
    tally: &Tally,
    manner: Manner,
) -> Result<Report, Failure> {
    if folder.has(CHAIN) {
        let goal = Goal::Bytes(folder.list()?.iter().map(|(_, size)| size).sum());
        return Ok(progress::watch(tally, goal, manner, || {
            chain::verify(folder, choice, unlock, threads, tally)
        })?);
    }
    opened(
        &Archive::open(folder.clone(), choice, unlock)?,
        threads,
        manner,
    )
}

fn opened(archive: &Archive, threads: usize, manner: Manner) -> Result<Report, Failure> {
    let tally = Tally::default();
    let goal = Goal::Bytes(archive.files().iter().map(|file| file.size).sum());
    Ok(progress::watch(&tally, goal, manner, || {
        inside::verify(archive, threads, &tally)
    })?)
}

/// As many threads as were asked for, or one for each core.
pub(super) fn jobs(asked: Option<u16>) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    asked.map_or_else(cores, usize::from)
}
