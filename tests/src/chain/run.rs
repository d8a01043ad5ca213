//! One run: its files are laid down, locked, listed and signed.

use std::collections::BTreeSet;

use base64ct::{Base64, Encoding};
use decryptor_wasm::{
    BackupType, DataKey, Envelope, Kdf, RandomSource,
    chain::{Index, IndexRun, Link, is_companion},
    container::{Encoder, Header},
    layout::PathKind,
};
use pryv_backup_engine::archive::sha256_hex;
use serde_json::{Value, json};

use super::{Draft, Files, Lock, State, delta::delta, ids};
use crate::sign::{self, losses, sign, statement};

/// Files that lie in the clear at the root of an encrypted chain.
const COMPANIONS: [(&str, &[u8]); 4] = [
    ("FORMAT.md", b"# The format\n"),
    ("RESTORE-README.md", b"# What to do\n"),
    ("decrypt-backup.html", b"<title>Decrypt</title>\n"),
    ("decrypt-backup.mjs", b"console.log('decrypt');\n"),
];

/// Where a run lies in its chain.
pub struct Place<'a> {
    /// Counted from 1.
    pub run: u32,
    /// The state that it follows; none for one that holds all.
    pub before: Option<&'a State>,
    /// The `chain` member of its manifest; none for the first run.
    pub link: Option<Link>,
    /// Files at the root of the chain.
    pub root: &'a Files,
    /// Another one gives other keys and salts.
    pub seed: u8,
}

/// A run, by the paths within it.
pub struct Run {
    /// As stored.
    pub files: Files,
    /// The manifests in the clear.
    pub manifests: Files,
    /// Its data key, if it has one.
    pub key: Option<DataKey>,
    /// Its entry in `chain.json`.
    pub entry: IndexRun,
}

/// Random enough to be sealed with, and the same on every run.
struct Seeded(u64);

impl RandomSource for Seeded {
    fn fill(&mut self, out: &mut [u8]) -> decryptor_wasm::Result<()> {
        for chunk in out.chunks_mut(16) {
            self.0 += 1;
            let digest = sha256_hex(&self.0.to_be_bytes());
            chunk.copy_from_slice(&digest.as_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// When a run was made.
fn created(draft: &Draft) -> i64 {
    draft.state.manifest["backupTimestamp"].as_i64().unwrap()
}

/// The root's files as runs after the first list them.
fn companions(root: &Files) -> Vec<Value> {
    let files = root.iter().filter(|(path, _)| is_companion(path));
    files
        .map(|(path, bytes)| json!({"path": path, "sha256": sha256_hex(bytes)}))
        .collect()
}

/// Makes a run.
///
/// # Panics
/// When the draft makes no sense.
#[must_use]
pub fn make_run(draft: &Draft, place: &Place<'_>) -> Run {
    let Place {
        run, before, root, ..
    } = *place;
    let link = place.link.as_ref();
    let companions = match (link, &draft.lock) {
        (None, _) | (_, Lock::None) => Vec::new(),
        _ => companions(root),
    };
    let mut random = Seeded(u64::from(place.seed) << 32);
    let sealed = match &draft.lock {
        Lock::None => None,
        Lock::To(keys) => {
            let key = DataKey::from_bytes([place.seed; 32]);
            let envelope = Envelope::for_recipients(&key, keys, &mut random).unwrap();
            Some((envelope, key))
        }
        Lock::Passphrase(passphrase) => {
            Some(Envelope::for_passphrase(Kdf::Scrypt, passphrase, &mut random).unwrap())
        }
    };
    let (envelope, key) = sealed.unzip();
    let envelope = envelope.map(|envelope| envelope.with_created_at(created(draft)));
    let after = &draft.state;
    let content = match (before, link) {
        (Some(before), Some(link)) => delta(before, after, &link.key),
        _ => after.content.clone(),
    };
    let mut seal = |bytes: &[u8]| {
        let Some(key) = &key else {
            return bytes.to_vec();
        };
        let mut salt = [0; 16];
        random.fill(&mut salt).unwrap();
        let mut encoder = Encoder::new(key, salt);
        let mut out = Vec::new();
        encoder.push(bytes, &mut out);
        encoder.finish(&mut out);
        out
    };
    let mut files = Files::new();
    let mut listed = Vec::new();
    let mut users = Vec::new();
    let mut lost = losses(&after.manifest);
    let mut manifests = Files::new();
    let put = |path: &str, bytes: &[u8], stored: Vec<u8>, files: &mut Files| {
        let entry = entry(path, bytes, &stored);
        files.insert(path.to_owned(), stored);
        entry
    };
    if run == 1 && envelope.is_some() {
        for (path, text) in COMPANIONS {
            listed.push(put(path, text, text.to_vec(), &mut files));
        }
    }
    for user in after.users() {
        let id = user["userId"].as_str().unwrap();
        let folder = format!("users/{id}/");
        let own: Vec<_> = content
            .iter()
            .filter(|(path, _)| path.starts_with(&folder))
            .collect();
        let known = before.and_then(|before| before.users().iter().find(|u| u["userId"] == id));
        let renamed = known.is_none_or(|known| known["username"] != user["username"]);
        if own.is_empty() && before.is_some() && !renamed {
            continue;
        }
        let mut inventory = Vec::new();
        for (path, bytes) in own {
            let (path, bytes) = stored_as(path, bytes);
            let stored = seal(&bytes);
            inventory.push(put(&path, &bytes, stored, &mut files));
        }
        let mut manifest = user.clone();
        let chunks = |kind: &str| -> Vec<String> {
            let folder = format!("{folder}{kind}/");
            let names = files.keys().filter_map(|path| path.strip_prefix(&folder));
            names.map(str::to_owned).collect()
        };
        manifest["chunks"] = json!({"events": chunks("events"), "audit": chunks("audit")});
        users.push(manifest.clone());
        lost += losses(&manifest);
        manifest["inventory"] = json!({"v": 1, "files": inventory});
        let bytes = serde_json::to_vec_pretty(&manifest).unwrap();
        let stored = seal(&bytes);
        let path = format!("{folder}user-manifest.json");
        listed.push(put(&path, &bytes, stored, &mut files));
        manifests.insert(path, bytes);
    }
    for (path, bytes) in content
        .iter()
        .filter(|(path, _)| !path.starts_with("users/"))
    {
        let (path, bytes) = stored_as(path, bytes);
        let stored = seal(&bytes);
        listed.push(put(&path, &bytes, stored, &mut files));
    }
    let mut manifest = after.manifest.clone();
    manifest["users"] = json!(users);
    manifest["compressed"] = json!(true);
    manifest["encrypted"] = json!(key.is_some());
    manifest["producer"] = json!({"name": "pryv-backup", "version": "0.1.0"});
    if let Some(before) = before {
        manifest["backupType"] = json!("incremental");
        let there: BTreeSet<&str> = ids(after).collect();
        let gone: Vec<&str> = ids(before).filter(|id| !there.contains(id)).collect();
        if !gone.is_empty() {
            manifest["removedUsers"] = json!(gone);
        }
    }
    if let Some(link) = link {
        manifest["chain"] = serde_json::to_value(link).unwrap();
    }
    sign::name(&mut manifest, draft.signer, created(draft), lost);
    if !companions.is_empty() {
        manifest["companions"] = json!(companions);
    }
    (draft.manifest)(&mut manifest);
    manifest["inventory"] = json!({"v": 1, "files": listed});
    let bytes = serde_json::to_vec_pretty(&manifest).unwrap();
    files.insert("manifest.json".into(), seal(&bytes));
    sign(draft.signer, &statement(&bytes, &files), &mut files);
    manifests.insert("manifest.json".into(), bytes);
    let recipients = envelope.iter().flat_map(Envelope::recipients);
    let entry = IndexRun {
        run,
        path: Index::path(run),
        archive_id: sha256_hex(&files["manifest.json"]),
        parent: link.map(|link| link.parent.clone()),
        kind: match before {
            Some(_) => BackupType::Incremental,
            None => BackupType::Full,
        },
        created_at: created(draft),
        mode: match &draft.lock {
            Lock::None => None,
            Lock::To(_) => Some("hybrid".to_owned()),
            Lock::Passphrase(_) => Some("symmetric".to_owned()),
        },
        recipients: recipients.map(|r| r.fingerprint.clone()).collect(),
    };
    if let Some(envelope) = envelope {
        files.insert("encryption.json".into(), envelope.to_json().unwrap());
    }
    Run {
        files,
        manifests,
        key,
        entry,
    }
}

/// Records are compressed.
fn stored_as(path: &str, bytes: &[u8]) -> (String, Vec<u8>) {
    if path.ends_with(".jsonl") {
        (format!("{path}.gz"), gzip(bytes))
    } else {
        (path.to_owned(), bytes.to_vec())
    }
}

/// The inventory's entry of a file.
fn entry(path: &str, content: &[u8], stored: &[u8]) -> Value {
    let mut entry = json!({
        "path": path, "size": stored.len(), "sha256": sha256_hex(stored), "contentSize": content.len(),
    });
    if let Ok(Some((header, _))) = Header::read(stored) {
        entry["salt"] = json!(Base64::encode_string(&header.salt));
        entry["contentSha256"] = json!(sha256_hex(content));
    }
    if PathKind::of(path).is_records() {
        let plain = if path.ends_with(".gz") {
            inflate(content)
        } else {
            content.to_vec()
        };
        entry["records"] = json!(plain.iter().filter(|&&b| b == b'\n').count());
    }
    entry
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut compressor = libdeflater::Compressor::new(libdeflater::CompressionLvl::default());
    let mut out = vec![0; compressor.gzip_compress_bound(bytes.len())];
    let length = compressor.gzip_compress(bytes, &mut out).unwrap();
    out.truncate(length);
    out
}

/// gzip of any number of members.
pub(super) fn inflate(bytes: &[u8]) -> Vec<u8> {
    use decryptor_wasm::{
        aead::RustAead,
        reader::{FileReader, ReadOptions, read_whole},
    };
    let options = ReadOptions {
        gunzip: true,
        ..ReadOptions::default()
    };
    read_whole(FileReader::<RustAead>::cleartext(options), bytes)
        .unwrap()
        .0
}
