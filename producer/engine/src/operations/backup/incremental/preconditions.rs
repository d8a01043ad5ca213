//! Whether a run fits the chain that it is to be added to, and the host it is made on.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use decryptor_wasm::{
    BackupType, Envelope, ErrorKind, Mode,
    chain::{CHAIN, Index, IndexRun},
    layout::ENVELOPE,
};

use super::super::Prepared;
use crate::{
    advice::Advice,
    archive::{ArchiveError, ChainFolder, Sealing},
    failure::Failure,
    state::Memory,
    storage::Location,
};

/// Refuses a run that cannot succeed, without touching anything.
pub fn refuse(prepared: &Prepared<'_>) -> Result<(), Failure> {
    let Some(folder) = prepared.output.folder() else {
        return Ok(());
    };
    let list = folder.join(CHAIN);
    match fs::read(&list) {
        Ok(json) => {
            let index = Index::parse(&json)?;
            refuse_mixture(&prepared.output, &prepared.sealing, &index.runs)
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(ArchiveError::io(&list, e).into()),
    }
}

/// The state folder, without which nothing can be continued.
pub fn state_dir(prepared: &Prepared<'_>) -> Result<PathBuf, Failure> {
    prepared.home.folder.clone().map_err(|why| {
        Failure::failed(format!(
            "{why}; a chain needs a folder in which this host keeps its key and remembers the last run: make it writable"
        ))
        .advise(Advice::OtherStateDir)
    })
}

/// The id of the run that this host has made last in the output folder, if it has made one there.
pub fn newest(prepared: &Prepared<'_>, state: &Path) -> Result<Option<String>, Failure> {
    if prepared
        .output
        .folder()
        .is_some_and(|folder| !folder.exists())
    {
        return Ok(None);
    }
    let newest = Memory::new(state).of(&prepared.output);
    let newest = newest.map_err(|e| Failure::failed(format!("{}: {e}", state.display())))?;
    Ok(newest.map(|newest| newest.archive_id))
}

/// Refuses a chain of encrypted and plain runs: the plain ones would show what the others hide, and the decryptors lie at the root of a
/// chain that was encrypted from the beginning only.
pub fn refuse_mixture(
    output: &Location,
    sealing: &Sealing,
    runs: &[IndexRun],
) -> Result<(), Failure> {
    let sealed = runs.iter().any(|run| run.mode.is_some());
    let open = runs.iter().any(|run| run.mode.is_none());
    match sealing {
        Sealing::None if sealed => Err(Failure::usage(format!(
            "the chain in {output} is encrypted, and this run would not be"
        ))
        .advise(Advice::EncryptOrNewFolder)),
        Sealing::Recipients(_) | Sealing::Passphrase { .. } if open => {
            Err(Failure::usage(format!(
                "the chain in {output} is not encrypted, and this run would be: give a new folder"
            )))
        }
        _ => Ok(()),
    }
}

/// A chain of all users does not become one of a single user, whatever this host remembers.
pub fn refuse_narrower(prepared: &Prepared<'_>, chain: &ChainFolder) -> Result<(), Failure> {
    let Some(only) = prepared
        .users
        .first()
        .filter(|_| prepared.options.user.is_some())
    else {
        return Ok(());
    };
    for run in &chain.runs {
        let mut users = chain.run(run).users()?.into_iter();
        if users.any(|user| user != only.user_id) {
            return Err(other_user(prepared));
        }
    }
    Ok(())
}

/// Another user than before, or one instead of all.
pub fn other_user(prepared: &Prepared<'_>) -> Failure {
    Failure::usage(format!(
        "the runs in {} are of other users: a chain is of the whole platform or of one user; give a new folder",
        prepared.output
    ))
}

fn envelope(chain: &ChainFolder, run: &IndexRun) -> Result<Envelope, Failure> {
    Ok(Envelope::parse(&chain.run(run).read(ENVELOPE)?)?)
}

/// Why whoever can open this run could not open those that it would add to: then it is a full one, which opens by itself.
pub fn sealed_otherwise(
    prepared: &Prepared<'_>,
    chain: &ChainFolder,
) -> Result<Option<&'static str>, Failure> {
    let Some(newest) = chain.newest() else {
        return Ok(None);
    };
    let mut needed = Vec::new();
    for run in chain.runs.iter().rev() {
        needed.push(run);
        if run.kind == BackupType::Full {
            break;
        }
    }
    let hybrid = |run: &&IndexRun| run.mode.as_deref() == Some(Mode::Hybrid.name());
    match &prepared.sealing {
        Sealing::Recipients(keys) => {
            let mut same = needed.iter().all(hybrid);
            for run in needed.iter().filter(|run| hybrid(run)) {
                let envelope = envelope(chain, run)?;
                for key in keys {
                    let fingerprint = key.fingerprint()?;
                    let mut recipients = envelope.recipients().iter();
                    same &= recipients.any(|recipient| recipient.fingerprint == fingerprint);
                }
            }
            Ok((!same).then_some("a recipient of this run could not open the runs before it"))
        }
        Sealing::Passphrase { passphrase, .. } => {
            let opens = !needed.iter().any(hybrid)
                && match envelope(chain, newest)?.unlock_with_passphrase(passphrase) {
                    Ok(_) => true,
                    Err(error) if error.kind() == ErrorKind::Key => false,
                    Err(error) => return Err(error.into()),
                };
            Ok((!opens).then_some("the passphrase is not that of the runs before it"))
        }
        _ => Ok(None),
    }
}
