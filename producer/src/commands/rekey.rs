//! `rekey`: other recipients for the same archive. Its data key stays, and with it every sealed file and the archive's id.

use std::{
    cell::OnceCell,
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use decryptor_wasm::{
    Envelope, Error, Mode, PrivateKey, PublicKey,
    chain::{CHAIN, Index},
};
use serde::Serialize;

use super::{lock, print_json, public_key, secrets};
use crate::{answer, note};
use crate::{
    archive::{
        SystemRandom,
        read::{Folder, ReadFile, lost_index, require_manifest},
        sha256_hex,
    },
    cli::RekeyArgs,
    failure::Failure,
    interrupt,
    report::printable,
};

const ENVELOPE: &str = "encryption.json";
const SUMS: &str = "SHA256SUMS";

/// What removing a recipient does not do.
const CANNOT_UNDO: &str = "who was removed can still read every copy of the backup that was made before, and this one too if \
    they opened it or kept its old encryption.json: the data itself is sealed as before. To seal it anew, use `pryv-backup \
    consolidate DIR --into NEW`, then destroy all older copies";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rekeyed {
    archive_id: String,
    /// Of a chain: how many runs were changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    runs: Option<usize>,
    /// Fingerprints of those who can open it now; of a chain, the newest of the runs that were changed.
    recipients: Vec<String>,
    added: Vec<String>,
    removed: Vec<String>,
    /// Runs that stay as they are, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<&'static str>,
}

/// Changes the recipients, and says who they are now.
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
    let _lock = lock(&args.dir, "another run")?;
    let index = chain
        .then(|| Index::parse(&folder.read(CHAIN)?))
        .transpose()?;
    let add = args.add_recipient.iter();
    let add = add
        .map(|path| public_key(path))
        .collect::<Result<Vec<_>, _>>()?;
    let private = OnceCell::new();
    let work = Work { args, add, private };
    let mut envelopes = Vec::new();
    let mut left = Vec::new();
    for run in 1..=index.as_ref().map_or(1, |index| index.runs.len() as u32) {
        let of_run = if chain {
            folder.run(run)
        } else {
            folder.clone()
        };
        match work.envelope(&of_run) {
            Ok(changed) => envelopes.push((run, changed)),
            Err(failure) if chain && matches!(failure.code, 2 | 3) => {
                left.push(format!("run {run}: {}", failure.message));
            }
            Err(failure) => return Err(failure),
        }
    }
    let Some((newest, changed)) = envelopes.last() else {
        return Err(Error::key(left.join("; ")).into());
    };
    let manifest = folder.run(*newest).read("manifest.json")?;
    let recipients = fingerprints(changed);
    let mut files = Vec::new();
    for (run, envelope) in &envelopes {
        files.push((within(*run), envelope.to_json()?));
    }
    if let Some(mut index) = index {
        for (run, envelope) in &envelopes {
            if let Some(entry) = index.runs.get_mut(*run as usize - 1) {
                entry.recipients = fingerprints(envelope);
            }
        }
        files.push((CHAIN.to_owned(), index.to_json()?));
    }
    let _graceful = interrupt::finish_gracefully();
    replace(&args.dir, &files, has(SUMS))?;

    let removed: Vec<String> = args.remove_recipient.clone();
    let done = Rekeyed {
        archive_id: sha256_hex(&manifest),
        runs: chain.then_some(envelopes.len()),
        recipients,
        added: work
            .add
            .iter()
            .map(|key| key.fingerprint())
            .collect::<Result<_, _>>()?,
        warning: (!removed.is_empty()).then_some(CANNOT_UNDO),
        removed,
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
    /// Read, and its passphrase asked for, once.
    private: OnceCell<PrivateKey>,
}

impl Work<'_> {
    /// The envelope of an archive, or of a run of a chain, for the recipients that it is to have.
    fn envelope(&self, folder: &Folder) -> Result<Envelope, Failure> {
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
        let key = &self.args.key;
        let Some(path) = &key.private_key else {
            return Err(Error::key(
                "the private key of a present recipient is needed: give --private-key FILE",
            )
            .into());
        };
        let private = match self.private.get() {
            Some(private) => private,
            None => {
                let private = secrets::private_key(path, key)?;
                self.private.get_or_init(|| private)
            }
        };
        let key = envelope.unlock_with_private_key(private, &mut SystemRandom)?;
        // That the key opens the archive is proven before anything is replaced.
        let manifest = folder.read("manifest.json")?;
        ReadFile::of_manifest(Some(&key))
            .whole(&manifest)
            .map_err(|error| envelope.manifest_error(error, &manifest))?;
        Ok(envelope.with_recipients(
            &key,
            &private.public_key(),
            &self.add,
            &self.args.remove_recipient,
            &mut SystemRandom,
        )?)
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

/// The envelope of a run, from the root.
fn within(run: u32) -> String {
    match Index::path(run) {
        folder if folder.is_empty() => ENVELOPE.to_owned(),
        folder => format!("{folder}/{ENVELOPE}"),
    }
}

fn show(done: &Rekeyed) {
    answer!("archive {}", done.archive_id);
    if let Some(runs) = done.runs {
        answer!("{runs} runs were changed");
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

/// Several files cannot change at once, so the sums leave them out while they are replaced: whenever this ends, they hold.
fn replace(dir: &Path, files: &[(String, Vec<u8>)], sums: bool) -> Result<(), Failure> {
    let mut all = String::new();
    if sums {
        let old = fs::read_to_string(dir.join(SUMS)).map_err(|e| failed(dir, SUMS, &e))?;
        let other = |line: &&str| {
            let path = line.get(66..).map(str::trim_end);
            !files.iter().any(|(known, _)| Some(known.as_str()) == path)
        };
        all = old.split_inclusive('\n').filter(other).collect();
        put(dir, SUMS, all.as_bytes())?;
    }
    for (path, bytes) in files {
        put(dir, path, bytes)?;
        all += &format!("{}  {path}\n", sha256_hex(bytes));
    }
    if sums {
        put(dir, SUMS, all.as_bytes())?;
    }
    Ok(())
}

/// Replaces a file: whoever looks sees the old one or the new one, also after a loss of power.
fn put(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), Failure> {
    let place = dir.join(name);
    let folder = place.parent().unwrap_or(dir);
    let name_there = place.file_name().unwrap_or_default().to_string_lossy();
    let aside = folder.join(format!(".{name_there}.rekey"));
    let write = || -> io::Result<()> {
        let mut file = File::create(&aside)?;
        file.write_all(bytes)?;
        file.set_permissions(fs::metadata(&place)?.permissions())?;
        file.sync_all()?;
        fs::rename(&aside, &place)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(|e| failed(dir, name, &e))
}

fn failed(dir: &Path, name: &str, error: &io::Error) -> Failure {
    Failure::failed(format!("{}: {error}", dir.join(name).display()))
}
