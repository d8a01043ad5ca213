//! Opens one run: envelope, key, manifest, signature, the manifests of the users, and the plan of the files to read.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    Answer, OpenedArchive, OpenedRun, Request,
    exchange::{Answered, Exchange, bytes, misplaced},
    users::Users,
};
use crate::{
    Code, DataKey, Envelope, Error, Field, Manifest, Result,
    aead::Cipher,
    chain::Index,
    gather, hex,
    layout::PathKind,
    listing::FileList,
    manifest::ManifestReading,
    plan::{Finding, Judged, SortedInventory, Storage, check_manifest, plan},
    reader::{FileReader, FileSummary, ReadOptions, read_pieces},
    signature::{SIGNATURE, Signed, require_id},
};
use sha2::{Digest, Sha256};

/// No signature has as many bytes.
const SMALL: u64 = 64 * 1024;
/// Bytes of the manifest that are opened at once.
const WINDOW: usize = 256 * 1024;

/// The folder of a run.
pub(super) struct RunFolder<'p> {
    run: u32,
    /// The prefix of its paths: empty, or `increments/0002/`.
    folder: String,
    /// Its files, by their paths within that folder.
    listing: Arc<FileList>,
    /// The id that the reader expects.
    expected: Option<&'p str>,
    /// The id that its manifest had when it was read before.
    seen: Option<&'p str>,
}

impl<'p> RunFolder<'p> {
    /// An archive by itself.
    pub(super) fn alone(listing: Arc<FileList>, expected: Option<&'p str>) -> Self {
        RunFolder {
            expected,
            ..RunFolder::of(1, listing, None)
        }
    }

    /// A run of a chain.
    pub(super) fn of(run: u32, listing: Arc<FileList>, seen: Option<&'p str>) -> Self {
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

/// The ids of the users who are read; none: all.
pub(super) type Only = Option<BTreeSet<String>>;

/// The ids of the users whom the reader asks for, before any manifest was read.
pub(super) fn none_yet(request: &Request) -> Only {
    request.user.as_ref().map(|_| BTreeSet::new())
}

/// Opens a run. Its signature is checked; the caller asks who made it. Users whom its manifest calls by the name that the reader asks for are
/// added to `only`.
pub(super) async fn open_run(
    exchange: &Exchange,
    place: RunFolder<'_>,
    request: &Request,
    only: &mut Only,
) -> Result<OpenedArchive> {
    let (run, listing) = (place.run, &place.listing);
    require_manifest(&request.name, listing)?;
    let path = place.path("manifest.json");
    let size = listing.size_of("manifest.json").unwrap_or_default();
    let stored = bytes(exchange.sized(&path, size).await, &path)?;
    let id = hex(&Sha256::digest(&stored));
    require_id(&id, place.expected)?;
    if place.seen.is_some_and(|seen| seen != id) {
        return Err(Error::of(Code::BecameOther).at(&path));
    }
    let sealing = match listing.has("encryption.json") {
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
    let cipher = exchange.cipher();
    let (mut manifest, manifest_rest) =
        read_manifest(envelope.as_deref(), key.as_ref(), &stored, &cipher)?;
    let minisig = match listing.has(SIGNATURE) {
        true => Some(signature(ask_signature(exchange, run).await)?),
        false => None,
    };
    let signed = Signed::check(&manifest, &stored, minisig.as_deref(), key.is_some())?;
    drop(stored);
    add_named(only, request, &manifest);
    let decrypted = key.is_none() && manifest.encrypted == Some(true);
    let own = SortedInventory::of(&mut manifest);
    let users = Users {
        folder: &place.folder,
        run,
        key: key.as_ref(),
        manifest: &manifest,
        own: &own,
        only: only.as_ref(),
        decrypted,
    };
    let found = users.read(exchange, listing).await?;
    let mut plan = plan(Judged {
        manifest: &manifest,
        users: found.manifests,
        listing: listing.clone(),
        storage: storage_of(envelope.as_deref()),
        signed: signed.as_ref(),
        only: only.as_ref(),
    })?;
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
        manifest_rest,
        plan,
        chain: None,
    })
}

/// Opens a run by itself; see [`open_run`].
pub(super) async fn open_alone(
    exchange: &Exchange,
    place: RunFolder<'_>,
    request: &Request,
) -> Result<OpenedArchive> {
    let mut only = none_yet(request);
    let opened = open_run(exchange, place, request, &mut only).await?;
    match &request.user {
        Some(name) if opened.plan.users.is_empty() => {
            Err(Error::of(Code::NoSuchUser).with(Field::User, name.as_str()))
        }
        _ => Ok(opened),
    }
}

/// Adds the users whom a manifest calls by the name that the reader asks for.
fn add_named(only: &mut Only, request: &Request, manifest: &Manifest) {
    let (Some(only), Some(name)) = (only, &request.user) else {
        return;
    };
    for user in manifest.users.iter() {
        if user.user_id == *name || user.username == *name {
            only.insert(user.user_id);
        }
    }
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

/// Opens and reads `manifest.json` (`stored`: its stored bytes), and checks it; see [`ManifestReading::finish`].
fn read_manifest(
    envelope: Option<&Envelope>,
    key: Option<&DataKey>,
    stored: &[u8],
    cipher: &Cipher,
) -> Result<(Manifest, Vec<u8>)> {
    let mut reading = ManifestReading::default();
    let mut not_read = None;
    let opened = read_sealed(key, stored, cipher, &mut |piece| {
        // The rest has to be authentic too, before anything is said of it.
        if not_read.is_none() {
            not_read = reading.push(piece).err();
        }
        Ok(())
    });
    let summary = match (opened, envelope) {
        (Ok(summary), _) => summary,
        (Err(error), Some(envelope)) => return Err(envelope.manifest_error(error, stored)),
        (Err(error), None) => return Err(error.at("manifest.json")),
    };
    if let Some(error) = not_read {
        return Err(error);
    }
    let (manifest, rest) = reading.finish()?;
    check_manifest(&manifest, &summary)?;
    if let Some(envelope) = envelope {
        envelope.agrees_with(&manifest)?;
    }
    Ok((manifest, rest))
}

fn read_sealed(
    key: Option<&DataKey>,
    stored: &[u8],
    cipher: &Cipher,
    take: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<FileSummary> {
    let options = ReadOptions {
        buffer: WINDOW,
        ..ReadOptions::default()
    };
    read_pieces(&mut FileReader::with(key, options, cipher), stored, take)
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
pub(super) fn require_manifest(name: &str, listing: &FileList) -> Result<()> {
    let code = match (listing.has("manifest.json"), listing.has("encryption.json")) {
        (true, _) => return Ok(()),
        (false, true) => Code::Unfinished,
        (false, false)
            if listing
                .iter()
                .any(|(path, _)| PathKind::of(&path).is_sealed()) =>
        {
            Code::Unfinished
        }
        (false, false) if listing.is_empty() => Code::FolderEmpty,
        (false, false) => Code::NotABackup,
    };
    Err(Error::of(code).at(name))
}
