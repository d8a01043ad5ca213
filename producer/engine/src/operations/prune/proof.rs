//! Whether a backup is good: signed by somebody who is expected, every byte of it as it was signed, and locked with the keys that it was
//! made with.

use std::collections::BTreeMap;

use decryptor_wasm::{
    Envelope, Error, Result,
    chain::{Index, RunSequence, run_of},
    layout::ENVELOPE,
    open::Request,
    signature::{Demands, SIGNATURE, Signed, Statement, Tried, try_signature, unproven},
};

use crate::{
    archive::{
        envelopes,
        read::{Archive, Folder, outline},
        verify_sums,
    },
    digest::sha256_hex,
    operations::verify,
    secrets::Secrets,
};

/// Statements about a backup that expected signers have signed.
pub struct Proven {
    /// Of its newest run.
    pub signed: Signed,
    /// Of all its runs, in their order.
    statements: Vec<Statement>,
}

impl Proven {
    /// How many runs there are.
    pub fn runs(&self) -> usize {
        self.statements.len()
    }

    fn each(&self) -> impl Iterator<Item = (u32, &Statement)> {
        (1..).zip(&self.statements)
    }
}

/// Finds the statements that were signed for a folder: expected signers must have signed all its runs, and they must meet the demands.
///
/// # Errors
/// Why it is not known to be good.
pub fn signed(folder: &Folder, demands: &Demands) -> Result<Proven> {
    let seen = outline(folder)?;
    demands.storage(verify::is_sealed(&seen.listing))?;
    if let Some(lost) = seen.lost {
        return Err(lost);
    }
    let mut sequence = match seen.runs {
        Some(runs) => runs,
        None => alone(folder)?,
    };
    let newest = sequence.choose(None)?;
    let signed = sequence
        .signed_by(newest, &demands.signers)
        .ok_or_else(unexpected)?;
    demands.signed(Some(&signed))?;
    // Nothing may speak against any of its runs.
    for run in 1..=newest {
        sequence.require(run, newest)?;
    }
    // Somebody who stores backups can make a run look like one that was not finished.
    if let Some(left) = sequence
        .findings()
        .find(|found| found.code == "uncommitted")
    {
        return Err(Error::damaged(left.message.as_str()).at(&left.path));
    }
    let statements = (1..=newest).map(|run| statement(folder, run, &signed, demands));
    let statements = statements.collect::<Result<_>>()?;
    Ok(Proven { signed, statements })
}

fn unexpected() -> Error {
    Error::damaged("it is not signed by a signer whom you expect")
}

/// The statement of a run that one of the expected signers has signed: of a chain that another host began, that may be the other one.
fn statement(folder: &Folder, run: u32, newest: &Signed, demands: &Demands) -> Result<Statement> {
    let of_run = folder.run(run);
    let minisig = of_run.small(SIGNATURE)?.unwrap_or_default();
    let stored = of_run.read("manifest.json")?;
    let mut tried = demands.signers.iter();
    let held = tried.find_map(|signer| match try_signature(signer, &stored, &minisig) {
        Tried::Holds(statement) => Some(statement),
        _ => None,
    });
    held.filter(|held| held.id == sha256_hex(&stored) && held.base == newest.statement.base)
        .ok_or_else(|| unexpected().at(&format!("run {run}")))
}

/// An archive that is no chain, as the only run of one.
fn alone(folder: &Folder) -> Result<RunSequence> {
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
    RunSequence::alone(&statement, manifest, signature)
}

/// Whether the envelopes are those that the runs were made with. Without the key only what shows from outside is known. `secrets`: they
/// have to open all runs.
///
/// # Errors
/// Which run cannot be opened by anybody, as far as is known.
pub fn locked(folder: &Folder, proven: &Proven, secrets: Option<&Secrets<'_>>) -> Result<()> {
    let mut listed = BTreeMap::new();
    if folder.has(ENVELOPE) {
        for line in folder.sums()? {
            let line = line?;
            if let Some((run, ENVELOPE)) = run_of(&line.path) {
                listed.insert(run, line.sha256);
            }
        }
    }
    for (run, statement) in proven.each() {
        let of_run = folder.run(run);
        let listed = listed.get(&run).map(String::as_str);
        let checked = envelopes::check(&of_run, Some(statement.created), listed);
        let checked = checked.and_then(|()| match (of_run.has(ENVELOPE), listed, secrets) {
            (false, ..) => Ok(()),
            (true, None, _) => Err(Error::damaged("it is not listed in SHA256SUMS: it was added, or a change of recipients was interrupted (`pryv-backup rekey` completes it)").at(ENVELOPE)),
            (true, _, Some(secrets)) => opens(of_run, secrets),
            (true, _, None) => Ok(()),
        });
        checked.map_err(|error| error.in_run(run))?;
    }
    Ok(())
}

/// Whether the secrets open the manifest of a run.
fn opens(folder: Folder, secrets: &Secrets<'_>) -> Result<()> {
    let unlock = |envelope: &Envelope| secrets.unlock(envelope);
    Archive::open_run(folder, Request::default(), unlock).map(drop)
}

/// Reads every byte of all runs.
///
/// # Errors
/// Which run is not as it was signed.
pub fn whole(folder: &Folder, proven: &Proven, jobs: usize) -> Result<()> {
    let listing = folder.list(false)?.files;
    for (run, statement) in proven.each() {
        if statement.files != verify_sums::files_digest(folder, &listing, run, jobs)? {
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
