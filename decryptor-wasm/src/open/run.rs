//! Opens one run: envelope, key, manifest, signature, the manifests of the users, and the plan of the files to read.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    Answer, ManifestNeed, Need, OpenedArchive, OpenedRun, Request,
    exchange::{Answered, Exchange, bytes, misplaced, too_long},
    listing::{Listing, has},
    users::Users,
};
use crate::{
    Code, Envelope, Error, Manifest, Result,
    chain::Index,
    gather,
    layout::{PathKind, most_bytes},
    plan::{Finding, Storage, check_manifest, plan},
    signature::{SIGNATURE, Signed, hex, require_id},
};
use sha2::{Digest, Sha256};

/// No signature has as many bytes.
const SMALL: u64 = 64 * 1024;

/// The folder of a run.
pub(super) struct RunFolder<'p> {
    run: u32,
    /// The prefix of its paths: empty, or `increments/0002/`.
    folder: String,
    /// Its files, by their paths within that folder.
    listing: Listing,
    /// The id that the reader expects.
    expected: Option<&'p str>,
    /// The id that its manifest had when it was read before.
    seen: Option<&'p str>,
}

impl<'p> RunFolder<'p> {
    /// An archive by itself.
    pub(super) fn alone(listing: Listing, expected: Option<&'p str>) -> Self {
        RunFolder {
            expected,
            ..RunFolder::of(1, listing, None)
        }
    }

    /// A run of a chain.
    pub(super) fn of(run: u32, listing: Listing, seen: Option<&'p str>) -> Self {
        RunFolder {
            run,
            folder: folder_of(run),
            listing,
            expected: None,
            seen,
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.clone() + name
    }
}

/// The folder of a run with a slash at its end; empty for the first.
pub(super) fn folder_of(run: u32) -> String {
    match Index::path(run) {
        path if path.is_empty() => path,
        path => path + "/",
    }
}

/// Asks for the signature of a run.
pub(super) fn ask_signature(exchange: &Exchange, run: u32) -> Answered {
    exchange.up_to(&(folder_of(run) + SIGNATURE), SMALL)
}

/// The signature of a run: of one that is longer than any, something that is none.
pub(super) fn signature((_, answer): (u32, Result<Answer>)) -> Result<Vec<u8>> {
    match answer? {
        Answer::Stored(bytes) => Ok(bytes),
        Answer::TooLong => Ok(Vec::new()),
        _ => Err(misplaced()),
    }
}

/// Opens a run. Its signature is checked; the caller asks who made it.
pub(super) async fn open_run(
    exchange: &Exchange,
    place: RunFolder<'_>,
    request: &Request,
    user: Option<&str>,
) -> Result<OpenedArchive> {
    let (run, listing) = (place.run, &place.listing);
    require_manifest(&request.name, listing)?;
    let path = place.path("manifest.json");
    let stored = Arc::new(bytes(exchange.stored(&path).await, &path)?);
    let id = hex(&Sha256::digest(stored.as_slice()));
    require_id(&id, place.expected)?;
    if place.seen.is_some_and(|seen| seen != id) {
        return Err(Error::of(Code::BecameOther).at(&path));
    }
    let sealing = match has(listing, "encryption.json") {
        true => {
            let path = place.path("encryption.json");
            Some(bytes(exchange.stored(&path).await, &path)?)
        }
        false => None,
    };
    request.demands.storage(sealing.is_some())?;
    let envelope = parse_envelope(sealing.as_deref(), &stored)?;
    let key = match (&envelope, &sealing) {
        (Some(envelope), Some(json)) => Some(exchange.key(run, envelope.clone(), json).await?),
        _ => None,
    };
    let sealed = ManifestNeed {
        path,
        run,
        key: key.clone(),
        size: stored.len() as u64,
        most: most_bytes("manifest.json"),
        stored: Some(stored.clone()),
    };
    let (_, answer) = exchange.ask(Need::Content(sealed)).await;
    let (json, manifest) = read_manifest(answer, envelope.as_deref(), &stored)?;
    let minisig = match has(listing, SIGNATURE) {
        true => Some(signature(ask_signature(exchange, run).await)?),
        false => None,
    };
    let signed = Signed::check(&manifest, &stored, minisig.as_deref(), key.is_some())?;
    drop(stored);
    let decrypted = key.is_none() && manifest.encrypted == Some(true);
    let users = Users {
        folder: &place.folder,
        run,
        key: key.as_ref(),
        manifest: &manifest,
        decrypted,
    };
    let found = users.read(exchange, listing).await?;
    let storage = storage_of(envelope.as_deref());
    let mut plan = plan(
        &manifest,
        found.manifests,
        listing,
        storage,
        signed.as_ref(),
        user,
    )?;
    add_others(&mut plan.findings, found.findings);
    let opened = OpenedRun {
        run,
        id,
        key,
        envelope: sealing,
        decrypted,
    };
    Ok(OpenedArchive {
        runs: vec![opened],
        signed,
        manifest,
        manifest_json: json,
        plan,
        chain: None,
    })
}

/// The envelope of an encrypted run; `manifest`: the stored bytes that prove it.
fn parse_envelope(json: Option<&[u8]>, manifest: &[u8]) -> Result<Option<Arc<Envelope>>> {
    let Some(json) = json else {
        return Ok(None);
    };
    let mut envelope = Envelope::parse(json)?;
    envelope.proven_by(manifest);
    Ok(Some(Arc::new(envelope)))
}

fn storage_of(envelope: Option<&Envelope>) -> Storage {
    match envelope {
        Some(envelope) => Storage::Sealed {
            key_check: envelope.has_key_check(),
        },
        None => Storage::Cleartext,
    }
}

/// Takes the content of `manifest.json` from the driver's answer, and checks it; `stored`: its stored bytes.
fn read_manifest(
    answer: Result<Answer>,
    envelope: Option<&Envelope>,
    stored: &[u8],
) -> Result<(Vec<u8>, Manifest)> {
    let (json, summary) = match (answer, envelope) {
        (Ok(Answer::Content { bytes, summary, .. }), _) => (bytes, summary),
        (Ok(Answer::TooLong), _) => return Err(too_long("manifest.json")),
        (Ok(_), _) => return Err(misplaced()),
        (Err(error), Some(envelope)) => return Err(envelope.manifest_error(error, stored)),
        (Err(error), None) => return Err(error.at("manifest.json")),
    };
    let manifest = Manifest::parse(&json)?;
    check_manifest(&manifest, &summary)?;
    if let Some(envelope) = envelope {
        envelope.agrees_with(&manifest)?;
    }
    Ok((json, manifest))
}

/// Adds findings about files that no finding is about yet.
fn add_others(findings: &mut Vec<Finding>, others: Vec<Finding>) {
    let known: BTreeSet<String> = gather(findings.iter().map(|one| one.path.clone()));
    let others = others.into_iter();
    findings.extend(others.filter(|finding| !known.contains(&finding.path)));
}

/// Says what a folder is instead, when it is no archive or no whole one.
///
/// # Errors
/// When it has no manifest.
pub(super) fn require_manifest(name: &str, listing: &[(String, u64)]) -> Result<()> {
    let code = match (
        has(listing, "manifest.json"),
        has(listing, "encryption.json"),
    ) {
        (true, _) => return Ok(()),
        (false, true) => Code::Unfinished,
        (false, false)
            if listing
                .iter()
                .any(|(path, _)| PathKind::of(path).is_sealed()) =>
        {
            Code::Unfinished
        }
        (false, false) if listing.is_empty() => Code::FolderEmpty,
        (false, false) => Code::NotABackup,
    };
    Err(Error::of(code).at(name))
}
