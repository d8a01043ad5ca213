//! `rekey`: other recipients for the same archive. Its data key stays, and with it every sealed file and the archive's id.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use decryptor_wasm::{Envelope, Mode};
use serde::Serialize;

use super::{lock, print_json, public_key, secrets};
use crate::{answer, note};
use crate::{
    archive::{
        SystemRandom,
        read::{Folder, ReadFile, require_manifest},
        sha256_hex,
    },
    cli::RekeyArgs,
    failure::Failure,
    interrupt,
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
    /// Fingerprints of those who can open it now.
    recipients: Vec<String>,
    added: Vec<String>,
    removed: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<&'static str>,
}

/// Changes the recipients, and says who they are now.
pub fn run(args: &RekeyArgs) -> Result<u8, Failure> {
    let folder = Folder::new(&args.dir);
    let listing = folder.list()?;
    require_manifest(&folder, &listing)?;
    let has = |name: &str| listing.iter().any(|(path, _)| path == name);
    if !has(ENVELOPE) {
        return Err(Failure::usage(format!(
            "{} is not encrypted: `pryv-backup consolidate DIR --into NEW --recipient-pubkey PEM` makes an encrypted copy",
            args.dir.display()
        )));
    }
    let _lock = lock(&args.dir, "another run")?;
    let envelope = Envelope::parse(&folder.read(ENVELOPE)?)?;
    if envelope.mode() != Mode::Hybrid {
        return Err(Failure::usage(
            "this archive is locked with a passphrase, which its key follows from: `pryv-backup consolidate DIR --into NEW` makes a \
             copy with another passphrase, or to recipients",
        ));
    }
    let Some(path) = &args.key.private_key else {
        return Err(decryptor_wasm::Error::key(
            "the private key of a present recipient is needed: give --private-key FILE",
        )
        .into());
    };
    let private = secrets::private_key(path, &args.key)?;
    let key = envelope.unlock_with_private_key(&private, &mut SystemRandom)?;
    // That the key opens the archive is proven before anything is replaced.
    let manifest = folder.read("manifest.json")?;
    ReadFile::of_manifest(Some(&key))
        .whole(&manifest)
        .map_err(|error| envelope.manifest_error(error, &manifest))?;

    let add = args.add_recipient.iter();
    let add = add
        .map(|path| public_key(path))
        .collect::<Result<Vec<_>, _>>()?;
    let changed = envelope.with_recipients(
        &key,
        &private.public_key(),
        &add,
        &args.remove_recipient,
        &mut SystemRandom,
    )?;
    let _graceful = interrupt::finish_gracefully();
    replace(&args.dir, &changed.to_json()?, has(SUMS))?;

    let removed: Vec<String> = args.remove_recipient.clone();
    let done = Rekeyed {
        archive_id: sha256_hex(&manifest),
        recipients: changed
            .recipients()
            .iter()
            .map(|r| r.fingerprint.clone())
            .collect(),
        added: add
            .iter()
            .map(|key| key.fingerprint())
            .collect::<Result<_, _>>()?,
        warning: (!removed.is_empty()).then_some(CANNOT_UNDO),
        removed,
    };
    if args.json {
        print_json(&done)?;
    } else {
        show(&done);
    }
    Ok(0)
}

fn show(done: &Rekeyed) {
    answer!("archive {}", done.archive_id);
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
    if let Some(warning) = done.warning {
        note!("warning: {warning}");
    }
}

/// Two files cannot change at once, so the sums leave the envelope out while it is replaced: whenever this ends, they hold.
fn replace(dir: &Path, envelope: &[u8], sums: bool) -> Result<(), Failure> {
    if !sums {
        return put(dir, ENVELOPE, envelope);
    }
    let old = fs::read_to_string(dir.join(SUMS)).map_err(|e| failed(dir, SUMS, &e))?;
    let others = |line: &&str| !is_of_envelope(line);
    let others: String = old.split_inclusive('\n').filter(others).collect();
    put(dir, SUMS, others.as_bytes())?;
    put(dir, ENVELOPE, envelope)?;
    let all = format!("{others}{}  {ENVELOPE}\n", sha256_hex(envelope));
    put(dir, SUMS, all.as_bytes())
}

fn is_of_envelope(line: &str) -> bool {
    line.get(66..)
        .is_some_and(|path| path.trim_end() == ENVELOPE)
}

/// Replaces a file: whoever looks sees the old one or the new one, also after a loss of power.
fn put(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), Failure> {
    let (place, aside) = (dir.join(name), dir.join(format!(".{name}.rekey")));
    let write = || -> io::Result<()> {
        let mut file = File::create(&aside)?;
        file.write_all(bytes)?;
        file.set_permissions(fs::metadata(&place)?.permissions())?;
        file.sync_all()?;
        fs::rename(&aside, &place)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(|e| failed(dir, name, &e))
}

fn failed(dir: &Path, name: &str, error: &io::Error) -> Failure {
    Failure::failed(format!("{}: {error}", dir.join(name).display()))
}
