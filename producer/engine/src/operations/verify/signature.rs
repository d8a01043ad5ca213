//! Without the key: who signed the runs, as far as signers are expected, and whether `SHA256SUMS` lists the files that were signed.

use decryptor_wasm::{
    Result,
    chain::{Index, RunSequence},
    signature::{Demands, SIGNATURE, Signed, Statement, Tried, try_signature, unproven},
};

use super::{chain::require_choice, report::Report, sums};
use crate::{
    advice::Advice,
    archive::{read::Folder, sha256_hex},
    failure::Failure,
};

/// Adds what is found to the report.
///
/// # Errors
/// When the archive is of somebody else, of another platform or too old, or when only the reader can say which state is the right one.
pub fn check(
    folder: &Folder,
    mut sequence: Option<&mut RunSequence>,
    statements: &[Option<Statement>],
    demands: &Demands,
    report: &mut Report,
) -> Result<(), Failure> {
    let count = sequence.as_ref().map_or(1, |sequence| sequence.count());
    if demands.signers.is_empty() {
        if demands.source.is_some() || demands.max_age.is_some() {
            return Err(Failure::usage(
                "without the key of the backup, its platform and its age are proven by a signer whom you expect only",
            )
            .advise(Advice::Signer));
        }
        if let Some(sequence) = sequence {
            sequence.require_no_fork()?;
        }
        report.notes.push(
            "who signed this backup shows with its key, or when you name the signer whom you expect".to_owned(),
        );
        return Ok(());
    }
    let signed = match &mut sequence {
        Some(sequence) => sequence.signed_by(count, &demands.signers),
        None => alone(folder, demands)?,
    };
    let Some(signed) = signed else {
        if demands.accept_unsigned && statements.iter().all(Option::is_none) {
            return Ok(());
        }
        return Err(Failure::damaged(
            "this backup is not signed by a signer whom you expect: it may have been replaced",
        ));
    };
    let said = demands.signed(Some(&signed))?;
    if let Some(sequence) = sequence {
        require_choice(sequence)?;
    }
    report.signed_by(Some(&signed), demands.pins(&signed));
    report.notes.push(said.message);
    Ok(())
}

/// Who of those who are expected signed an archive that is no chain, and what; none where nobody did.
///
/// # Errors
/// When it cannot be read.
pub fn alone(folder: &Folder, demands: &Demands) -> Result<Option<Signed>> {
    let stored = folder.read("manifest.json")?;
    let Some(minisig) = folder.small(SIGNATURE)? else {
        return Ok(None);
    };
    let id = sha256_hex(&stored);
    let mut signers = demands.signers.iter();
    Ok(
        signers.find_map(|signer| match try_signature(signer, &stored, &minisig) {
            Tried::Holds(statement) if statement.id == id => Some(Signed {
                signer: signer.clone(),
                statement,
            }),
            _ => None,
        }),
    )
}

/// The signed statements of the runs, in their order; whether they hold is asked elsewhere.
///
/// # Errors
/// When one cannot be read.
pub fn statements(folder: &Folder, runs: u32) -> Result<Vec<Option<Statement>>> {
    let statement = |run| {
        let minisig = folder.run(run).small(SIGNATURE)?;
        Ok(minisig.as_deref().and_then(unproven))
    };
    (1..=runs).map(statement).collect()
}

/// Whether `digest` is that of the files of a run that were signed; `listed`: it is of those that `SHA256SUMS` lists.
pub fn files(
    run: u32,
    statement: Option<&Statement>,
    digest: &str,
    listed: bool,
    report: &mut Report,
) {
    let place = match Index::path(run).as_str() {
        "" => SIGNATURE.to_owned(),
        path => format!("{path}/{SIGNATURE}"),
    };
    let Some(statement) = statement else {
        report.damaged.push(format!(
            "{place}: missing, or no signature of a run, although every run is signed"
        ));
        return;
    };
    if digest == statement.files {
        return;
    }
    report.damaged.push(match listed {
        true => format!(
            "{}: lists other files of run {run} than those that were signed; one of the two was changed",
            sums::NAME
        ),
        false => format!(
            "the files in the volumes of run {run} are not those that were signed: one was changed, added or removed"
        ),
    });
}
