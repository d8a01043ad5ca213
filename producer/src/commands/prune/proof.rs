//! Whether a backup is good: signed by somebody who is expected, and every byte of it as it was signed.

use std::{
    collections::BTreeMap,
    io::Read,
    sync::{Mutex, PoisonError},
};

use decryptor_wasm::{
    Error, Result,
    chain::{CHAIN, Index, Links, mixed, run_of},
    layout::PathKind,
    signature::{FilesDigest, SIGNATURE, Signed, Signer, Statement, is_signed_path, unproven},
};
use sha2::{Digest, Sha256};

use crate::{
    archive::read::{Folder, links},
    commands::schedule,
    interrupt,
};

/// Bytes that are read at once.
const PIECE: usize = 256 * 1024;

/// The newest run of what lies in a folder, and how many runs there are, if one of `signers` signed it and all runs before it.
///
/// # Errors
/// Why it is not known to be good.
pub fn signed(folder: &Folder, signers: &[Signer]) -> Result<(Signed, u32)> {
    let listing = folder.list()?;
    if let Some(mixed) = mixed(listing.iter().map(|(path, _)| path.as_str())) {
        return Err(mixed);
    }
    let mut links = match folder.has(CHAIN) {
        true => links(folder)?,
        false => alone(folder)?,
    };
    let newest = links.choose(None)?;
    let signed = links
        .signed_by(newest, signers)
        .ok_or_else(|| Error::damaged("it is not signed by a signer whom you expect"))?;
    // Nothing may speak against any of its runs.
    for run in 1..=newest {
        links.require(run, newest)?;
    }
    Ok((signed, newest))
}

/// An archive that is no chain, as the only run of one.
fn alone(folder: &Folder) -> Result<Links> {
    let manifest = folder.read("manifest.json")?;
    let signature = folder.small(SIGNATURE)?;
    let statement = signature.as_deref().and_then(unproven);
    let statement = statement
        .ok_or_else(|| Error::damaged("nobody signed it"))
        .and_then(|statement| match statement.run {
            1 => Ok(statement),
            run => Err(Error::damaged(format!(
                "it is run {run} of a chain, torn from it"
            ))),
        })?;
    Links::alone(&statement, manifest, signature)
}

/// Reads every byte of the first `runs` runs.
///
/// # Errors
/// Which run is not as it was signed.
pub fn whole(folder: &Folder, runs: u32, jobs: usize) -> Result<()> {
    let listing = folder.list()?;
    // What a run or a change of recipients left that died is no part of a run.
    let signed = listing.iter().filter(|(path, _)| {
        run_of(path).is_some_and(|(run, within)| {
            run <= runs && is_signed_path(within) && PathKind::of(within) != PathKind::Stray
        })
    });
    let sums: Mutex<BTreeMap<&str, String>> = Mutex::default();
    schedule::run(jobs, signed, &|(path, _): &(String, u64), _| {
        let sum = sha256(folder, path)?;
        let mut sums = sums.lock().unwrap_or_else(PoisonError::into_inner);
        sums.insert(path, sum);
        Ok(())
    })?;
    let sums = sums.into_inner().unwrap_or_else(PoisonError::into_inner);
    for run in 1..=runs {
        let of_run = folder.run(run);
        let minisig = of_run.small(SIGNATURE)?;
        let statement: Option<Statement> = minisig.as_deref().and_then(unproven);
        let mut digest = FilesDigest::default();
        for (path, sum) in &sums {
            if let Some((of, within)) = run_of(path)
                && of == run
            {
                digest.push(within, sum)?;
            }
        }
        if statement.is_none_or(|statement| statement.files != digest.finish()) {
            let place = match Index::path(run) {
                place if place.is_empty() => "its files".to_owned(),
                place => format!("the files in {place}"),
            };
            return Err(Error::damaged(format!(
                "{place} are not those that were signed: one was changed, added or removed"
            )));
        }
    }
    Ok(())
}

fn sha256(folder: &Folder, path: &str) -> Result<String> {
    let mut file = folder.open(path)?;
    let (mut digest, mut buffer) = (Sha256::new(), vec![0; PIECE]);
    loop {
        interrupt::check()?;
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => digest.update(&buffer[..n]),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Error::damaged(format!("{path} cannot be read: {e}"))),
        }
    }
    let bytes = digest.finalize();
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
