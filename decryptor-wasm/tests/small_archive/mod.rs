//! An archive of a few users, written in memory.

use std::collections::BTreeMap;

use base64ct::{Base64, Encoding};
use decryptor_wasm::{
    DataKey, Envelope, Error, FileEntry, Inventory, PrivateKey, RandomSource, UserManifest,
    container::Encoder,
};
use miniz_oxide::deflate::compress_to_vec;
use serde_json::json;
use sha2::{Digest, Sha256};

/// Contents by path.
pub type Files = BTreeMap<String, Vec<u8>>;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Numbers that differ from one another, which is all that a salt or a blinding needs here.
pub struct Counter(pub u64);

impl RandomSource for Counter {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), Error> {
        for part in out.chunks_mut(32) {
            self.0 += 1;
            part.copy_from_slice(&Sha256::digest(self.0.to_be_bytes())[..part.len()]);
        }
        Ok(())
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    bytes.extend(compress_to_vec(text.as_bytes(), 6));
    bytes.extend_from_slice(&crc32fast::hash(text.as_bytes()).to_le_bytes());
    bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
    bytes
}

/// Writes an archive in memory.
struct Writer {
    key: DataKey,
    random: Counter,
    files: Files,
}

impl Writer {
    /// Seals a file and gives its inventory entry.
    fn sealed(&mut self, path: &str, content: &[u8], records: Option<u64>) -> FileEntry {
        let mut salt = [0; 16];
        self.random.fill(&mut salt).unwrap();
        let mut encoder = Encoder::new(&self.key, salt);
        let mut stored = Vec::new();
        encoder.push(content, &mut stored);
        encoder.finish(&mut stored);
        let entry = FileEntry {
            path: path.to_owned(),
            size: stored.len() as u64,
            sha256: sha256(&stored),
            salt: Some(Base64::encode_string(&salt)),
            content_size: content.len() as u64,
            content_sha256: Some(sha256(content)),
            records,
        };
        self.files.insert(path.to_owned(), stored);
        entry
    }

    fn records(&mut self, path: &str, lines: &str) -> FileEntry {
        self.sealed(path, &gzip(lines), Some(lines.lines().count() as u64))
    }

    fn cleartext(&mut self, path: &str, content: &[u8]) -> FileEntry {
        self.files.insert(path.to_owned(), content.to_vec());
        FileEntry {
            path: path.to_owned(),
            size: content.len() as u64,
            sha256: sha256(content),
            salt: None,
            content_size: content.len() as u64,
            content_sha256: None,
            records: None,
        }
    }

    /// A user's files; her manifest's entry and her place in `manifest.json`.
    fn user(&mut self, id: &str) -> (FileEntry, serde_json::Value) {
        let at = |name: &str| format!("users/{id}/{name}");
        let mut files = Vec::new();
        for collection in ["streams", "accesses", "profile", "webhooks", "account"] {
            let lines =
                format!("{{\"id\":\"{collection} of {id}\"}}\n").repeat(collection.len() % 3);
            files.push(self.records(&at(&format!("{collection}.jsonl.gz")), &lines));
        }
        files.push(self.records(
            &at("events/events-0001.jsonl.gz"),
            "{\"id\":\"é\"}\n{\"id\":\"2\"}\n",
        ));
        files.push(self.records(&at("audit/audit-0001.jsonl.gz"), "{\"id\":\"a\"}\n"));
        files.push(self.records(
            &at("series/series.jsonl.gz"),
            "{\"measurement\":\"event.2\",\"points\":[]}\n",
        ));
        files.push(self.sealed(
            &at("attachments/file1"),
            format!("of {id}").as_bytes(),
            None,
        ));
        files.push(self.sealed(&at("attachments/empty"), b"", None));
        let entry = json!({
            "userId": id, "username": format!("name-{id}"), "backupTimestamp": 1,
            "stats": { "events": 2, "audit": 1, "series": 1, "attachments": 2 },
            "chunks": { "events": ["events-0001.jsonl.gz"], "audit": ["audit-0001.jsonl.gz"] },
        });
        let manifest = UserManifest {
            stream_paths: Default::default(),
            entry: serde_json::from_value(entry.clone()).unwrap(),
            losses: Vec::new(),
            gone_attachments: Vec::new(),
            inventory: Some(Inventory {
                v: 1,
                files: files.into_iter().collect(),
            }),
        };
        let json = serde_json::to_vec(&manifest).unwrap();
        (self.sealed(&at("user-manifest.json"), &json, None), entry)
    }
}

/// The archive and the private key that opens it.
pub fn archive() -> (Files, PrivateKey) {
    let mut random = Counter(0);
    let private = PrivateKey::generate(2048, &mut random).unwrap();
    let other = PrivateKey::generate(2048, &mut random).unwrap();
    let key = DataKey::generate(&mut random).unwrap();
    let recipients = [other.public_key(), private.public_key()];
    let envelope = Envelope::for_recipients(&key, &recipients, &mut random).unwrap();
    let mut writer = Writer {
        key,
        random,
        files: Files::new(),
    };
    let (users, mut files): (Vec<_>, Vec<_>) = ["alice", "bob", "zoe"]
        .map(|id| writer.user(id))
        .into_iter()
        .map(|(e, u)| (u, e))
        .unzip();
    files.push(writer.records("platform/platform.jsonl.gz", "{\"field\":\"email\"}\n"));
    for name in ["RESTORE-README.md", "decrypt-backup.mjs", "FORMAT.md"] {
        files.push(writer.cleartext(name, format!("content of {name}\n").as_bytes()));
    }
    let manifest = json!({
        "formatVersion": 1, "coreVersion": "1.9.3", "config": { "engine": "sqlite", "domain": "unknown" },
        "backupType": "full", "backupTimestamp": 1, "snapshotBefore": 0.5, "users": users, "compressed": true,
        "producer": { "name": "pryv-backup", "version": "0" }, "encrypted": true, "platform": { "mode": "pryv" },
        "inventory": { "v": 1, "files": files },
    });
    writer.sealed("manifest.json", manifest.to_string().as_bytes(), None);
    writer.cleartext("encryption.json", &envelope.to_json().unwrap());
    let sums: String = writer
        .files
        .iter()
        .map(|(path, bytes)| format!("{}  {path}\n", sha256(bytes)))
        .collect();
    writer.cleartext("SHA256SUMS", sums.as_bytes());
    (writer.files, private)
}
