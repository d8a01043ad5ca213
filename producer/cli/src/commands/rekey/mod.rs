//! `rekey`: other recipients for the same archive. Its data key stays, and with it every sealed file and the archive's id.

mod files;

use decryptor_wasm::{
    Envelope, Error, Manifest, Mode, PublicKey,
    chain::{CHAIN, Links},
    signature::{SIGNATURE, Signed, require_id},
};
use serde::Serialize;

pub use self::files::is_left;
use self::files::{ENVELOPE, Sums, Target};
use super::{lock, print_json, public_key, secrets::PrivateKeys};
use crate::{answer, note};
use crate::{
    archive::{
        SystemRandom,
        read::{Folder, ReadFile, links, lost_index, mixed_runs, require_manifest},
        sha256_hex,
    },
    cli::RekeyArgs,
    failure::Failure,
    interrupt,
    text::{count, printable},
};

/// What removing a recipient does not do.
const CANNOT_UNDO: &str = "who was removed can still read every copy of the backup that was made before, and this one too if \
    they opened it or kept its old encryption.json: the data itself is sealed as before. To seal it under a new data key, use \
    `pryv-backup consolidate DIR --into NEW`, then destroy all older copies";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rekeyed {
    archive_id: String,
    /// Of a chain: how many runs are as they were asked to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    runs: Option<usize>,
    /// How many envelopes had to be changed for that.
    changed: usize,
    /// Fingerprints of those who can open it now; of a chain, the newest of the runs that the key opens.
    recipients: Vec<String>,
    added: Vec<String>,
    removed: Vec<String>,
    /// Runs that stay as they are, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<&'static str>,
}

/// Changes the recipients, and says who they are now. What a run that was killed has done already is not done again, and the rest is.
pub fn run(args: &RekeyArgs) -> Result<u8, Failure> {
    let folder = Folder::new(&args.dir);
    let listing = folder.list()?;
    require_manifest(&folder, &listing)?;
    if let Some(lost) = lost_index(&folder)? {
        return Err(lost.into());
    }
    let has = |name: &str| listing.iter().any(|(path, _)| path == name);
    let chain = has(CHAIN);
    if !chain && !has(ENVELOPE) {
        return Err(not_encrypted(&args.dir.display().to_string()));
    }
    if let Some(mixed) = mixed_runs(&folder)? {
        return Err(mixed.into());
    }
    let _lock = lock(&args.dir, "another run")?;
    let links = chain.then(|| links(&folder)).transpose()?;
    let index = links.as_ref().map(|links| links.index().clone());
    let newest = index.as_ref().and_then(|index| index.runs.last());
    match newest {
        Some(newest) => require_id(&newest.archive_id, args.expect.id())?,
        None => require_id(
            &sha256_hex(&folder.read("manifest.json")?),
            args.expect.id(),
        )?,
    }
    let sums = Sums::read(&folder)?;
    let add = args.add_recipient.iter();
    let add = add
        .map(|path| public_key(path, false))
        .collect::<Result<Vec<_>, _>>()?;
    let mut work = Work {
        args,
        add,
        private: PrivateKeys::new(&args.key),
        known: Vec::new(),
    };
    let (envelopes, left) = work.envelopes(&folder, links)?;
    let Some((newest, (envelope, _))) = envelopes.last() else {
        return Err(Error::key(left.join("; ")).into());
    };
    let manifest = folder.run(*newest).read("manifest.json")?;
    let recipients = fingerprints(envelope);
    let mut targets = Vec::new();
    for (run, (envelope, changed)) in &envelopes {
        targets.push(Target::envelope(&folder, *run, envelope, *changed)?);
    }
    if let Some(index) = index {
        let mut new = index.clone();
        for (run, (envelope, _)) in &envelopes {
            if let Some(entry) = new.runs.get_mut(*run as usize - 1) {
                entry.recipients = fingerprints(envelope);
            }
        }
        targets.push(Target::index(&folder, &index, &new, &sums)?);
    }
    let interrupted = sums.lacks(&targets) || targets.iter().any(Target::is_stale_index);
    if !interrupted {
        work.all_known()?;
    }
    let _graceful = interrupt::finish_gracefully();
    files::sweep(&args.dir, &listing)?;
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
        warning: (!args.remove_recipient.is_empty()).then_some(CANNOT_UNDO),
        removed: args.remove_recipient.clone(),
        left,
    };
    if args.json {
        print_json(&done)?;
    } else {
        show(&done);
    }
    Ok(if done.left.is_empty() { 0 } else { 5 })
}

struct Work<'a> {
    args: &'a RekeyArgs,
    add: Vec<PublicKey>,
    private: PrivateKeys<'a>,
    /// Fingerprints of all who could open any run.
    known: Vec<String>,
}

/// The envelopes of runs as they are to be, and whether that is otherwise than they are.
type Envelopes = Vec<(u32, (Envelope, bool))>;

/// A run that the key opened.
struct Opened {
    manifest: Manifest,
    signed: Option<Signed>,
    envelope: Envelope,
    changed: bool,
}

impl Work<'_> {
    /// Those of the runs that the key opens, in order, and what is said of the others. `links`: of a chain, all runs. What no reader would
    /// take is refused.
    fn envelopes(
        &mut self,
        folder: &Folder,
        mut links: Option<Links>,
    ) -> Result<(Envelopes, Vec<String>), Failure> {
        let expect = &self.args.expect;
        let demands = expect.trust.demands(true, expect.max_age)?;
        let count = links.as_ref().map_or(1, Links::count);
        let (mut envelopes, mut left) = (Vec::new(), Vec::new());
        for run in (1..=count).rev() {
            let of_run = match links {
                Some(_) => folder.run(run),
                None => folder.clone(),
            };
            let opened = match self.envelope(&of_run) {
                Ok(opened) => opened,
                Err(failure) if links.is_some() && matches!(failure.code, 2 | 3) => {
                    left.push(format!("run {run}: {}", failure.message));
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            let signed = opened.signed.as_ref();
            if envelopes.is_empty() {
                match links {
                    Some(_) => demands.signed(signed)?,
                    None => demands.alone(signed, None)?,
                };
            }
            if let Some(links) = &mut links {
                links.opened(run, &opened.manifest, signed, &demands.signers);
            }
            envelopes.push((run, (opened.envelope, opened.changed)));
        }
        if let (Some(links), false) = (&links, envelopes.is_empty()) {
            for run in (1..=count).rev() {
                links.require(run, count)?;
            }
        }
        envelopes.reverse();
        left.reverse();
        Ok((envelopes, left))
    }

    /// Opens an archive, or a run of a chain, and makes its envelope for the recipients that it is to have.
    fn envelope(&mut self, folder: &Folder) -> Result<Opened, Failure> {
        if !folder.has(ENVELOPE) {
            return Err(not_encrypted(&folder.path().display().to_string()));
        }
        let envelope = Envelope::parse(&folder.read(ENVELOPE)?)?;
        if envelope.mode() != Mode::Hybrid {
            return Err(Failure::usage(
                "this archive is locked with a passphrase, which its key follows from: `pryv-backup consolidate DIR --into NEW` makes a \
                 copy with another passphrase, or to recipients",
            ));
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
            &self.args.remove_recipient,
            &mut SystemRandom,
        )?;
        let changed = fingerprints(&new) != fingerprints(&envelope);
        Ok(Opened {
            manifest: parsed,
            signed,
            envelope: if changed { new } else { envelope },
            changed,
        })
    }

    /// Whoever is to be removed must have been there: a fingerprint that was mistyped would leave somebody in.
    fn all_known(&self) -> Result<(), Failure> {
        let gone = self.args.remove_recipient.iter();
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
    Failure::usage(format!(
        "{folder} is not encrypted: `pryv-backup consolidate DIR --into NEW --recipient-pubkey PEM` makes an encrypted copy"
    ))
}

fn fingerprints(envelope: &Envelope) -> Vec<String> {
    let recipients = envelope.recipients().iter();
    recipients.map(|one| one.fingerprint.clone()).collect()
}

fn show(done: &Rekeyed) {
    answer!("archive {}", done.archive_id);
    match (done.runs, done.changed) {
        (_, 0) => answer!("nothing was left to change"),
        (Some(_), changed) => answer!("{} changed", count(changed as u64, "run was", "runs were")),
        (None, _) => {}
    }
    for fingerprint in &done.added {
        answer!("added   {fingerprint}");
    }
    for fingerprint in &done.removed {
        answer!("removed {fingerprint}");
    }
    answer!("it opens with:");
    for fingerprint in &done.recipients {
        answer!("  {fingerprint}");
    }
    for run in &done.left {
        note!("left as it is: {}", printable(run));
    }
    if let Some(warning) = done.warning {
        note!("warning: {warning}");
    }
}
