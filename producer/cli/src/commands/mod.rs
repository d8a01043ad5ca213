//! One file per command, each the story of what it does.

pub mod backup;
pub mod cat;
pub mod consolidate;
pub mod decrypt;
pub mod diff;
pub mod extract;
pub mod keygen;
pub mod list;
mod passphrases;
pub mod prune;
pub mod rekey;
pub mod restore;
mod schedule;
pub mod secrets;
mod signing;
pub mod stats;
pub mod verify;

use std::{env, fs::File, path::Path};

use decryptor_wasm::{Error, PublicKey, chain::is_companion, plan::Severity, signature::Demands};
use rustix::fs::{FlockOperation, flock};

use self::{decrypt::report::sentence, secrets::Secrets};
use crate::{answer, note};
use crate::{
    archive::read::{Archive, Choice, Folder},
    cli::{BackupArgs, ExpectArgs, KeyArgs},
    config::Config,
    failure::Failure,
    text::printable,
};

/// Opens an archive or the state of a chain, the whole of it or what concerns one user.
fn open(dir: &Path, choice: Choice<'_>, secrets: &Secrets<'_>) -> Result<Archive, Failure> {
    Ok(Archive::open(Folder::new(dir), choice, |envelope| {
        secrets.unlock(envelope)
    })?)
}

/// What is asked of an archive that is opened with these secrets.
fn demands(expect: &ExpectArgs, key: &KeyArgs) -> Result<Demands, Failure> {
    expect.trust.demands(secrets::given(key), expect.max_age)
}

/// The configuration of the platform; says what is to be known of it. `with_index`: the platform's own database is read or
/// written too.
fn configuration(args: &BackupArgs, with_index: bool) -> Result<Config, Failure> {
    let config = Config::load(
        &args.pryv_root,
        args.config.as_deref(),
        env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))),
    )?;
    if let Some(defaults) = config.defaults(&args.pryv_root).filter(|_| !args.quiet) {
        note!("{}", printable(&defaults));
    }
    for warning in config.warnings(with_index) {
        note!("warning: {}", printable(&warning));
    }
    Ok(config)
}

/// Refuses a new folder above which one is missing, unless those are to be made too.
fn require_parent(folder: &Path, create_parents: bool, option: &str) -> Result<(), Failure> {
    let above = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    match above.parent() {
        Some(parent) if !create_parents && !parent.exists() => Err(Failure::usage(format!(
            "{option} {}: {} is not there; is a disk not mounted? Make it, or give --create-parents",
            folder.display(),
            parent.display()
        ))),
        _ => Ok(()),
    }
}

/// Names what is wrong with an archive's list of files; the exit code that it comes to.
fn warn(archive: &Archive) -> u8 {
    let mut code = 0;
    for finding in &archive.plan.findings {
        if finding.severity == Severity::Error {
            note!(
                "{}",
                printable(&format!("damaged: {}: {}", finding.path, finding.message))
            );
            code = 4;
        } else if finding.is_left_out() {
            note!("{}", printable(&format!("left out: {}", sentence(finding))));
            code = if code == 4 { 4 } else { 5 };
        }
    }
    code
}

/// Whether the decryptors and documents are those that the archive lists. What is asked for may not need them, but whoever changed them may
/// have changed more.
fn companions_hold(source: &Archive) -> bool {
    let companions = source.files().iter();
    let companions = companions.filter(|file| is_companion(&file.path));
    let wrong = companions.filter_map(|file| {
        let read = source.stream(file, false, false, &mut |_| Ok(()));
        Some((file, read.err()?))
    });
    let named = wrong.map(|(file, error)| {
        let named = error.within(&file.path);
        note!("{}", printable(&format!("damaged: {named}")));
    });
    named.count() == 0
}

/// Prints a value as one line of JSON.
fn print_json<T: serde::Serialize>(value: &T) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(|e| Failure::failed(e.to_string()))?;
    answer!("{text}");
    Ok(())
}

/// The same; on standard error where standard output is taken by what was asked for.
fn print_json_beside<T: serde::Serialize>(value: &T, taken: bool) -> Result<(), Failure> {
    if !taken {
        return print_json(value);
    }
    let text = serde_json::to_string(value).map_err(|e| Failure::failed(e.to_string()))?;
    note!("{text}");
    Ok(())
}

/// A recipient's public key.
fn public_key(path: &Path, quiet: bool) -> Result<PublicKey, Failure> {
    let failed = |e: Error| Failure::from(e.at(&path.display().to_string()));
    let (key, certified) = PublicKey::found(&read(path)?).map_err(failed)?;
    if certified && !quiet {
        note!(
            "note: {} is a certificate; the public key in it was taken, whose fingerprint is {}",
            path.display(),
            key.fingerprint()?
        );
    }
    Ok(key)
}

/// Locks a folder against other runs; the lock goes with the process, however that ends. `what` is at work there.
fn lock(folder: &Path, what: &str) -> Result<File, Failure> {
    let failed = |e: std::io::Error| Failure::failed(format!("{}: {e}", folder.display()));
    let lock = File::open(folder).map_err(failed)?;
    // Some network file systems know no locks.
    if flock(&lock, FlockOperation::NonBlockingLockExclusive) == Err(rustix::io::Errno::WOULDBLOCK)
    {
        return Err(Failure::usage(format!(
            "{what} is at work in {}; wait for it",
            folder.display()
        )));
    }
    Ok(lock)
}

/// Reads a small file, naming it in the failure.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|e| Failure::failed(format!("{}: {e}", path.display())))
}
