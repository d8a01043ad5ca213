//! Chains made of the states that they are to come to: each run holds what differs from the state before.

use std::collections::{BTreeMap, BTreeSet};

use base64ct::{Base64, Encoding};
use decryptor_wasm::{
    DataKey, Envelope, Kdf, PublicKey, RandomSource,
    chain::{ChainKey, Index, IndexRun, Link, Removed, number, numbers},
    container::{Encoder, Header},
    layout::PathKind,
};
use pryv_backup::archive::sha256_hex;
use serde_json::{Value, json};

use crate::plain::Plain;

/// Path -> bytes.
pub type Files = BTreeMap<String, Vec<u8>>;

/// The state of a platform: a manifest, and records and attachments as plain as they get.
#[derive(Clone)]
pub struct State {
    /// `manifest.json` of a full backup; `users` tells whose folders count.
    pub manifest: Value,
    /// `users/<id>/streams.jsonl` and the like.
    pub content: Files,
}

/// To whom a run is locked.
#[derive(Clone)]
pub enum Lock {
    /// To nobody.
    None,
    /// To the holders of these keys.
    To(Vec<PublicKey>),
    /// To whoever knows it.
    Passphrase(&'static str),
}

/// A run in the making.
#[derive(Clone)]
pub struct Draft {
    /// The state that it comes to.
    pub state: State,
    /// To whom it is locked.
    pub lock: Lock,
    /// It holds all, not what differs.
    pub full: bool,
}

/// A chain, ready to be damaged.
#[derive(Clone)]
pub struct Made {
    /// As stored.
    pub files: Files,
    /// The manifests in the clear, by their paths in the chain.
    pub manifests: Files,
    /// The archive ids.
    pub ids: Vec<String>,
    /// The data key of each run, if it has one.
    pub keys: Vec<Option<DataKey>>,
}

impl State {
    /// That of an archive in the clear.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn of(archive: &Plain) -> Self {
        let mut content = Files::new();
        for (path, bytes) in &archive.0 {
            match PathKind::of(path) {
                kind if kind.is_records() => {
                    let plain = path.strip_suffix(".gz");
                    let bytes = plain.map_or_else(|| bytes.clone(), |_| inflate(bytes));
                    content.insert(plain.unwrap_or(path).to_owned(), bytes);
                }
                PathKind::Attachment { .. } => drop(content.insert(path.clone(), bytes.clone())),
                _ => {}
            }
        }
        let mut manifest = archive.json("manifest.json");
        let members = manifest.as_object_mut().unwrap();
        members.remove("inventory");
        State { manifest, content }
    }

    fn users(&self) -> &Vec<Value> {
        self.manifest["users"].as_array().unwrap()
    }
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

/// Makes the chain of these runs.
///
/// # Panics
/// When a draft makes no sense.
#[must_use]
pub fn make(drafts: &[Draft]) -> Made {
    let mut made = Made {
        files: Files::new(),
        manifests: Files::new(),
        ids: Vec::new(),
        keys: Vec::new(),
    };
    let mut key = ChainKey::from_bytes([1; 16]);
    let mut runs = Vec::new();
    for (at, draft) in drafts.iter().enumerate() {
        let run = at as u32 + 1;
        if draft.full {
            key = ChainKey::from_bytes([run as u8; 16]);
        }
        let before = (at > 0 && !draft.full).then(|| &drafts[at - 1].state);
        let link = (at > 0).then(|| Link {
            run,
            parent: made.ids[at - 1].clone(),
            base: made.ids[0].clone(),
            key: key.clone(),
        });
        let (files, manifests, data_key, recipients) = make_run(draft, before, link.as_ref(), run);
        let id = sha256_hex(&files["manifest.json"]);
        let path = Index::path(run);
        runs.push(IndexRun {
            run,
            path: path.clone(),
            archive_id: id.clone(),
            parent: made.ids.last().cloned(),
            kind: if before.is_some() {
                "incremental"
            } else {
                "full"
            }
            .to_owned(),
            created_at: draft.state.manifest["backupTimestamp"].as_i64().unwrap(),
            mode: match &draft.lock {
                Lock::None => None,
                Lock::To(_) => Some("hybrid".to_owned()),
                Lock::Passphrase(_) => Some("symmetric".to_owned()),
            },
            recipients,
        });
        let folder = if path.is_empty() { path } else { path + "/" };
        let files = files.into_iter();
        made.files
            .extend(files.map(|(path, bytes)| (format!("{folder}{path}"), bytes)));
        let manifests = manifests.into_iter();
        made.manifests
            .extend(manifests.map(|(path, bytes)| (format!("{folder}{path}"), bytes)));
        made.ids.push(id);
        made.keys.push(data_key);
    }
    made.index(&Index::new(runs));
    made
}

impl Made {
    /// Puts another index in, and sums that fit.
    ///
    /// # Panics
    /// Never.
    pub fn index(&mut self, index: &Index) {
        self.files
            .insert("chain.json".into(), index.to_json().unwrap());
        self.sum();
    }

    /// The index that is there.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn indexed(&self) -> Index {
        Index::parse(&self.files["chain.json"]).unwrap()
    }

    /// Makes the sums fit what is there.
    pub fn sum(&mut self) {
        self.files.remove("SHA256SUMS");
        let line = |(path, bytes): (&String, &Vec<u8>)| format!("{}  {path}\n", sha256_hex(bytes));
        let sums: String = self.files.iter().map(line).collect();
        self.files.insert("SHA256SUMS".into(), sums.into_bytes());
    }

    /// The files of a run, by their paths within it.
    #[must_use]
    pub fn run(&self, run: u32) -> Files {
        let folder = format!("{}/", Index::path(run));
        let of_run = |(path, bytes): (&String, &Vec<u8>)| {
            Some((path.strip_prefix(&folder)?.to_owned(), bytes.clone()))
        };
        self.files.iter().filter_map(of_run).collect()
    }

    /// Puts other files in the place of a run.
    pub fn replace(&mut self, run: u32, files: Files) {
        let folder = format!("{}/", Index::path(run));
        self.files.retain(|path, _| !path.starts_with(&folder));
        let files = files.into_iter();
        self.files
            .extend(files.map(|(path, bytes)| (format!("{folder}{path}"), bytes)));
    }
}

fn make_run(
    draft: &Draft,
    before: Option<&State>,
    link: Option<&Link>,
    run: u32,
) -> (Files, Files, Option<DataKey>, Vec<String>) {
    let mut random = Seeded(u64::from(run) << 32);
    let sealed = match &draft.lock {
        Lock::None => None,
        Lock::To(keys) => {
            let key = DataKey::from_bytes([run as u8; 32]);
            let envelope = Envelope::for_recipients(&key, keys, &mut random).unwrap();
            Some((envelope, key))
        }
        Lock::Passphrase(passphrase) => {
            Some(Envelope::for_passphrase(Kdf::Scrypt, passphrase, &mut random).unwrap())
        }
    };
    let (envelope, key) = sealed.unzip();
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
    let mut manifests = Files::new();
    let put = |path: &str, bytes: &[u8], stored: Vec<u8>, files: &mut Files| {
        let entry = entry(path, bytes, &stored);
        files.insert(path.to_owned(), stored);
        entry
    };
    if run == 1 && envelope.is_some() {
        let text = b"# What to do\n";
        listed.push(put("RESTORE-README.md", text, text.to_vec(), &mut files));
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
    manifest["inventory"] = json!({"v": 1, "files": listed});
    let bytes = serde_json::to_vec_pretty(&manifest).unwrap();
    files.insert("manifest.json".into(), seal(&bytes));
    manifests.insert("manifest.json".into(), bytes);
    let recipients = envelope
        .iter()
        .flat_map(|e| e.recipients().iter().map(|r| r.fingerprint.clone()));
    let recipients = recipients.collect();
    if let Some(envelope) = envelope {
        files.insert("encryption.json".into(), envelope.to_json().unwrap());
    }
    (files, manifests, key, recipients)
}

fn ids(state: &State) -> impl Iterator<Item = &str> {
    state.users().iter().map(|u| u["userId"].as_str().unwrap())
}

/// Records are compressed.
fn stored_as(path: &str, bytes: &[u8]) -> (String, Vec<u8>) {
    if path.ends_with(".jsonl") {
        (format!("{path}.gz"), gzip(bytes))
    } else {
        (path.to_owned(), bytes.to_vec())
    }
}

/// What is new or differs, and tombstones of what is gone.
fn delta(before: &State, after: &State, key: &ChainKey) -> Files {
    let mut delta = Files::new();
    let there: BTreeSet<&str> = ids(after).collect();
    let known: BTreeSet<&str> = ids(before).collect();
    let mut places: BTreeSet<(String, String)> = BTreeSet::new();
    for path in before.content.keys().chain(after.content.keys()) {
        match PathKind::of(path) {
            PathKind::UserRecords { user } => {
                let name = path.split('/').nth(2).unwrap();
                places.insert((user, name.trim_end_matches(".jsonl").to_owned()));
            }
            PathKind::SharedRecords => {
                let name = path.trim_end_matches(".jsonl").to_owned();
                places.insert((String::new(), name));
            }
            _ => {}
        }
    }
    for (user, collection) in places {
        if !user.is_empty() && !there.contains(user.as_str()) {
            continue;
        }
        let new = !user.is_empty() && !known.contains(user.as_str());
        let old = if new {
            Parts::default()
        } else {
            parts(before, &user, &collection, key)
        };
        let parts = parts(after, &user, &collection, key);
        let lines: String = parts
            .lines
            .iter()
            .filter(|(number, line)| old.lines.get(number) != Some(line))
            .map(|(_, line)| format!("{line}\n"))
            .collect();
        if !lines.is_empty() || new {
            let path = match collection.as_str() {
                _ if user.is_empty() => format!("{collection}.jsonl"),
                "events" | "audit" => format!("users/{user}/{collection}/{collection}-0001.jsonl"),
                "series" => format!("users/{user}/series/series.jsonl"),
                _ => format!("users/{user}/{collection}.jsonl"),
            };
            delta.insert(path, lines.into_bytes());
        }
        let mut gone: Vec<u64> = old
            .measurements
            .iter()
            .filter(|(number, _)| !parts.measurements.contains_key(number))
            .map(|(number, _)| *number)
            .collect();
        let covered: BTreeSet<u64> = old
            .measurements
            .iter()
            .filter(|(number, _)| !parts.measurements.contains_key(number))
            .flat_map(|(_, points)| points.iter().copied())
            .collect();
        let left = old.lines.keys().filter(|n| !parts.lines.contains_key(n));
        gone.extend(left.filter(|n| !covered.contains(n)));
        if !gone.is_empty() {
            let path = match user.as_str() {
                "" => "platform/removed.jsonl".to_owned(),
                user => format!("users/{user}/removed.jsonl"),
            };
            let line = serde_json::to_string(&Removed::new(&collection, &gone)).unwrap();
            let file = delta.entry(path).or_default();
            file.extend_from_slice((line + "\n").as_bytes());
        }
    }
    for (path, bytes) in &after.content {
        let attachment = matches!(PathKind::of(path), PathKind::Attachment { .. });
        if attachment && !before.content.contains_key(path) {
            delta.insert(path.clone(), bytes.clone());
        }
    }
    delta
}

/// The records of a collection, or points, by their numbers.
#[derive(Default)]
struct Parts {
    lines: BTreeMap<u64, String>,
    /// The points of each measurement.
    measurements: BTreeMap<u64, Vec<u64>>,
}

fn parts(state: &State, user: &str, collection: &str, key: &ChainKey) -> Parts {
    let mut parts = Parts::default();
    let folder = match user {
        "" => collection.to_owned(),
        user => format!("users/{user}/{collection}"),
    };
    let mine = |path: &str| {
        let rest = path.strip_prefix(&folder);
        rest.is_some_and(|rest| rest == ".jsonl" || rest.starts_with('/'))
    };
    for (_, bytes) in state.content.iter().filter(|(path, _)| mine(path)) {
        for line in std::str::from_utf8(bytes).unwrap().lines() {
            if collection != "series" {
                let mut add =
                    |number| assert!(parts.lines.insert(number, line.to_owned()).is_none());
                numbers(key, collection, line.as_bytes(), &mut add).unwrap();
                continue;
            }
            let value: Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| value[name].as_str().unwrap_or_default();
            let (namespace, name) = (text("namespace"), text("measurement"));
            let whole = number(key, "series", &[namespace, name]);
            for point in value["points"].as_array().unwrap() {
                let one = json!({"measurement": name, "namespace": namespace, "points": [point]});
                let one = one.to_string();
                let mut add = |number| {
                    parts.lines.insert(number, one.clone());
                    parts.measurements.entry(whole).or_default().push(number);
                };
                numbers(key, "series", one.as_bytes(), &mut add).unwrap();
            }
        }
    }
    parts
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
fn inflate(bytes: &[u8]) -> Vec<u8> {
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
