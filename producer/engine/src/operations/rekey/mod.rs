//! `rekey`: other recipients for the same archive. Its data key stays, and with it every sealed file and the archive's id.

mod files;

use std::path::{Path, PathBuf};

use decryptor_wasm::{
    Envelope, Manifest, Mode, PublicKey,
    chain::{CHAIN, RunSequence},
    layout::ENVELOPE,
    signature::{SIGNATURE, Signed, require_id},
};
use serde::Serialize;

use self::files::{ListedFiles, ReplacedFile};
use crate::{
    advice::{Advice, Sentence},
    archive::{
        read::{Folder, ReadFile, outline},
        sha256_hex,
    },
    failure::{Failure, FailureKind},
    interrupt,
    observer::Observer,
    operations::hold::{self, Hold},
    random::SystemRandom,
    sealing::public_key,
    secrets::{PrivateKeyFiles, PrivateKeys},
    storage::Location,
    trust::Expect,
};

/// Who can open an archive from now on.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The archive.
    pub dir: Location,
    /// Secrets that open it.
    pub keys: PrivateKeyFiles,
    /// Conditions that it must meet.
    pub expect: Expect,
    /// Files with the public keys of those who can open it too.
    pub add: Vec<PathBuf>,
    /// Fingerprints of those who can no longer.
    pub remove: Vec<String>,
}

/// Limits of removing a recipient.
const CANNOT_UNDO: &str = "who was removed can still read every copy of the backup that was made before, and this one too if \
    they opened it or kept its old encryption.json: the data itself is sealed as before. To seal it under a new data key, \
    consolidate it into a new folder, then destroy all older copies";

/// Why nothing is changed where old versions stay.
const KEEPS_VERSIONS: &str = "the bucket keeps versions, so that whoever can open the backup now can open it with the old encryption.json \
    as long as that is kept, and readers take the oldest version of each object, since anybody who writes there could add a newer one";

/// Outcome of a change of recipients.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rekeyed {
    /// SHA-256 of `manifest.json` as stored.
    pub archive_id: String,
    /// Of a chain: how many runs are as they were asked to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs: Option<usize>,
    /// How many envelopes had to be changed for that.
    pub changed: usize,
    /// Fingerprints of those who can open it now; of a chain, the newest of the runs that the key opens.
    pub recipients: Vec<String>,
    /// Fingerprints that were to be added.
    pub added: Vec<String>,
    /// Fingerprints that were to be removed.
    pub removed: Vec<String>,
    /// Runs that stay as they are, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<Sentence>,
    /// Limits of the removal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<&'static str>,
}

impl Rekeyed {
    /// Whether runs stay as they are.
    #[must_use]
    pub fn problem(&self) -> Option<FailureKind> {
        (!self.left.is_empty()).then_some(FailureKind::Losses)
    }
}

/// Takes hold of an archive that can be changed, and lets nobody else write there.
fn hold(options: &Options) -> Result<(Folder, Hold), Failure> {
    let dir = &options.dir;
    if dir.stream().is_some() || dir.folder().is_some_and(Path::is_file) {
        return Err(Failure::usage(format!(
            "{dir}: a tar file is never changed: unpack it (tar -xf), then give the folder"
        )));
    }
    let folder = Folder::at(dir)?;
    let hold = hold::take(&folder, options.expect.trust.state_dir.as_deref(), || {
        let text = format!("{dir}: nothing was changed: {KEEPS_VERSIONS}");
        Failure::usage(text).advise(Advice::CopyWithOtherLock)
    })?;
    Ok((folder, hold))
}

/// Changes the recipients. What a run that was killed has done already is not done again, and the rest is.
///
/// # Errors
/// When no run can be opened, somebody would be left without it, or the folder cannot be written.
pub fn run(options: &Options, observer: &dyn Observer) -> Result<Rekeyed, Failure> {
    let (folder, _hold) = hold(options)?;
    let seen = outline(&folder)?;
    if let Some(lost) = seen.lost {
        return Err(lost.into());
    }
    let (listing, sequence) = (seen.listing, seen.runs);
    let chain = sequence.is_some();
    if !chain && !listing.has(ENVELOPE) {
        return Err(not_encrypted(&options.dir.to_string()));
    }
    let index = sequence.as_ref().map(|sequence| sequence.index().clone());
    let newest = index.as_ref().and_then(|index| index.runs.last());
    let id = match newest {
        Some(newest) => newest.archive_id.clone(),
        None => sha256_hex(&folder.read("manifest.json")?),
    };
    require_id(&id, options.expect.id.as_deref())?;
    let sums = ListedFiles::read(&folder)?;
    let add = options.add.iter();
    let add = add
        .map(|path| public_key(path, observer))
        .collect::<Result<Vec<_>, _>>()?;
    let mut work = RecipientChange {
        options,
        observer,
        add,
        private: PrivateKeys::new(&options.keys, observer),
        known: Vec::new(),
    };
    let (envelopes, left) = work.envelopes(&folder, sequence)?;
    let Some((newest, (envelope, _))) = envelopes.last() else {
        let all: Vec<&str> = left.iter().map(|one| one.text.as_str()).collect();
        let advice = left.iter().find_map(|one| one.advice.clone());
        return Err(Failure::key(all.join("; ")).advise(advice));
    };
    let manifest = folder.run(*newest).read("manifest.json")?;
    let recipients = fingerprints(envelope);
    let mut targets = Vec::new();
    for (run, (envelope, changed)) in &envelopes {
        targets.push(ReplacedFile::envelope(&folder, *run, envelope, *changed)?);
        targets.extend(ReplacedFile::entry(&folder, *run, &fingerprints(envelope))?);
    }
    if let Some(index) = index.filter(|_| folder.has(CHAIN)) {
        let mut new = index.clone();
        for (run, (envelope, _)) in &envelopes {
            if let Some(entry) = new.runs.get_mut(*run as usize - 1) {
                entry.recipients = fingerprints(envelope);
            }
        }
        targets.push(ReplacedFile::index(&folder, &index, &new, &sums)?);
    }
    let interrupted = sums.lacks(&targets) || targets.iter().any(ReplacedFile::is_stale_index);
    if !interrupted {
        work.all_known()?;
    }
    let _graceful = interrupt::finish_gracefully();
    files::remove_leftovers(folder.path(), &listing)?;
    files::replace(&folder, &targets, &sums)?;

    let done = Rekeyed {
        archive_id: sha256_hex(&manifest),
        runs: chain.then_some(envelopes.len()),
        changed: envelopes
            .iter()
            .filter(|(_, (_, changed))| *changed)
            .count(),
        recipients,
        added: work
            .add
            .iter()
            .map(|key| key.fingerprint())
            .collect::<Result<_, _>>()?,
        warning: (!options.remove.is_empty()).then_some(CANNOT_UNDO),
        removed: options.remove.clone(),
        left,
    };
    Ok(done)
}

struct RecipientChange<'a> {
    options: &'a Options,
    observer: &'a dyn Observer,
    add: Vec<PublicKey>,
    private: PrivateKeys<'a>,
    /// Fingerprints of all who could open any run.
    known: Vec<String>,
}

/// The envelopes of runs as they are to be, and whether that is otherwise than they are.
type Envelopes = Vec<(u32, (Envelope, bool))>;

/// A run that the key opened.
struct OpenedRun {
    manifest: Manifest,
    signed: Option<Signed>,
    envelope: Envelope,
    changed: bool,
}

impl RecipientChange<'_> {
    /// Those of the runs that the key opens, in order, and what is said of the others. `sequence`: of a chain, all runs. What no reader would
    /// take is refused.
    fn envelopes(
        &mut self,
        folder: &Folder,
        mut sequence: Option<RunSequence>,
    ) -> Result<(Envelopes, Vec<Sentence>), Failure> {
        let expect = &self.options.expect;
        let demands = expect.demands(true, self.observer)?;
        let count = sequence.as_ref().map_or(1, RunSequence::count);
        let (mut envelopes, mut left) = (Vec::new(), Vec::new());
        for run in (1..=count).rev() {
            let of_run = match sequence {
                Some(_) => folder.run(run),
                None => folder.clone(),
            };
            let opened = match self.envelope(&of_run) {
                Ok(opened) => opened,
                Err(failure)
                    if sequence.is_some()
                        && matches!(failure.kind(), FailureKind::Usage | FailureKind::Key) =>
                {
                    let sentence = failure.sentence().clone();
                    left.push(sentence.about(format_args!("run {run}")));
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            let signed = opened.signed.as_ref();
            if envelopes.is_empty() {
                match sequence {
                    Some(_) => demands.signed(signed)?,
                    None => demands.alone(signed, None)?,
                };
            }
            if let Some(sequence) = &mut sequence {
                sequence.opened(run, &opened.manifest, signed, &demands.signers);
            }
            envelopes.push((run, (opened.envelope, opened.changed)));
        }
        if let (Some(sequence), false) = (&sequence, envelopes.is_empty()) {
            for run in (1..=count).rev() {
                sequence.require(run, count)?;
            }
        }
        envelopes.reverse();
        left.reverse();
        Ok((envelopes, left))
    }

    /// Opens an archive, or a run of a chain, and makes its envelope for the recipients that it is to have.
    fn envelope(&mut self, folder: &Folder) -> Result<OpenedRun, Failure> {
        if !folder.has(ENVELOPE) {
            return Err(not_encrypted(&folder.path().display().to_string()));
        }
        let envelope = Envelope::parse(&folder.read(ENVELOPE)?)?;
        if envelope.mode() != Mode::Hybrid {
            return Err(Failure::usage(
                "this archive is locked with a passphrase, which its key follows from",
            )
            .advise(Advice::CopyWithOtherLock));
        }
        self.known.extend(fingerprints(&envelope));
        let (key, private) = self.private.unlock(&envelope)?;
        // That the key opens the archive is proven before anything is replaced.
        let manifest = folder.read("manifest.json")?;
        let opened = ReadFile::of_manifest(Some(&key))
            .whole(&manifest)
            .map_err(|error| envelope.manifest_error(error, &manifest))?;
        let minisig = folder.small(SIGNATURE)?;
        let parsed = Manifest::parse(&opened.bytes)?;
        envelope.agrees_with(&parsed)?;
        let signed = Signed::check(&parsed, &manifest, minisig.as_deref(), true)?;
        let opened_with = private.public_key();
        self.known.push(opened_with.fingerprint()?);
        let new = envelope.with_recipients(
            &key,
            &opened_with,
            &self.add,
            &self.options.remove,
            &mut SystemRandom,
        )?;
        let changed = fingerprints(&new) != fingerprints(&envelope);
        Ok(OpenedRun {
            manifest: parsed,
            signed,
            envelope: if changed { new } else { envelope },
            changed,
        })
    }

    /// Whoever is to be removed must have been there: a fingerprint that was mistyped would leave somebody in.
    fn all_known(&self) -> Result<(), Failure> {
        let gone = self.options.remove.iter();
        let known = |one: &String| self.known.iter().any(|k| k.eq_ignore_ascii_case(one));
        match gone.into_iter().find(|one| !known(one)) {
            None => Ok(()),
            Some(stranger) => {
                let mut known = self.known.clone();
                known.sort();
                known.dedup();
                Err(Failure::usage(format!(
                    "{stranger} is no recipient of this archive; its recipients are {}",
                    known.join(", ")
                )))
            }
        }
    }
}

fn not_encrypted(folder: &str) -> Failure {
    Failure::usage(format!("{folder} is not encrypted")).advise(Advice::EncryptedCopy)
}

fn fingerprints(envelope: &Envelope) -> Vec<String> {
    let recipients = envelope.recipients().iter();
    recipients.map(|one| one.fingerprint.clone()).collect()
}
