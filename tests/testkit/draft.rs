//! A small archive in the making: its content is laid down, then locked; tests may interfere at each step.

use base64ct::{Base64, Encoding};
use decryptor_wasm::{
    DataKey, Envelope, Kdf, Manifest, PublicKey, RandomSource, Result,
    container::{Encoder, Header},
    layout::PathKind,
    signature::Statement,
};
use libdeflater::{CompressionLvl, Compressor};
use pryv_backup_engine::{archive::sha256_hex, state::host::HostKey};
use pryv_backup_tests::sign::{self, losses, sign, statement};
use serde_json::{Value, json};

pub use pryv_backup_tests::chain::Files;

/// When the archives were made.
pub const CREATED: i64 = 1_700_000_000_000;

/// How an archive is locked.
#[derive(Clone, Copy)]
pub enum Lock {
    None,
    To(&'static [&'static str]),
    Passphrase(Kdf, &'static str),
}

/// A description of the archive to make.
#[derive(Clone)]
pub struct Draft {
    pub lock: Lock,
    pub compressed: bool,
    /// With what pryv-backup adds to Pryv's own format: inventory, key check, recipients, signature, sums.
    pub ours: bool,
    /// Who signs it.
    pub signer: &'static HostKey,
    /// The files that an encrypted archive has in the clear.
    pub companions: &'static [(&'static str, &'static str)],
    /// Content, as plain record lines and attachments; `.jsonl` files are compressed later.
    pub content: Files,
    /// The last words on the content as it will be sealed, before it is listed.
    pub before_listing: fn(&mut Files),
    /// The last words on a user's manifest.
    pub user_manifest: fn(&str, &mut Value),
    /// The last words on the manifest.
    pub manifest: fn(&mut Value),
    /// The last words on the envelope.
    pub envelope: fn(&mut Value),
    /// The last words on what is signed.
    pub statement: fn(&mut Statement),
}

/// An archive, ready to be damaged.
#[derive(Clone)]
pub struct Made {
    /// As stored.
    pub files: Files,
    /// The content that a reader must get.
    pub content: Files,
    pub key: Option<DataKey>,
}

/// Random enough to be sealed with, and the same on every run.
pub struct Seeded(pub u64);

impl RandomSource for Seeded {
    fn fill(&mut self, out: &mut [u8]) -> Result<()> {
        for chunk in out.chunks_mut(16) {
            self.0 += 1;
            let digest = sha256_hex(&self.0.to_be_bytes());
            chunk.copy_from_slice(&digest.as_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

impl Draft {
    /// Two users with a little of everything, to Alice's key.
    pub fn new() -> Self {
        let mut content = Files::new();
        for (id, name) in [("u1", "alice"), ("u2", "zoë-m")] {
            let mut put = |path: &str, lines: &[String]| {
                let text: String = lines.iter().map(|l| l.clone() + "\n").collect();
                content.insert(format!("users/{id}/{path}.jsonl"), text.into_bytes());
            };
            put(
                "streams",
                &[json!({"id": "diary", "name": format!("Diary of {name}")}).to_string()],
            );
            put("accesses", &[json!({"id": "a1", "token": "t"}).to_string()]);
            put("profile", &[]);
            put("webhooks", &[]);
            put("account", &[json!({"passwords": []}).to_string()]);
            let event =
                |i: usize| json!({"id": format!("e{i}"), "content": "🔋 note".repeat(i % 7)});
            put(
                "events/events-0001",
                &(0..40).map(|i| event(i).to_string()).collect::<Vec<_>>(),
            );
            put(
                "events/events-0002",
                &(40..60).map(|i| event(i).to_string()).collect::<Vec<_>>(),
            );
            put("audit/audit-0001", &[json!({"id": "x"}).to_string()]);
            for (file, size) in [("empty", 0), ("frame", 65536), ("frames", 65536 * 2 + 100)] {
                let bytes = (0..size).map(|i| (i * 7 % 251) as u8 ^ id.as_bytes()[1]);
                content.insert(format!("users/{id}/attachments/{file}"), bytes.collect());
            }
        }
        content.insert(
            "platform/platform.jsonl".into(),
            b"{\"field\":\"email\",\"value\":\"a@b.c\"}\n".to_vec(),
        );
        Draft {
            lock: Lock::To(&["alice"]),
            compressed: true,
            ours: true,
            signer: sign::host(),
            companions: &[("RESTORE-README.md", "# What to do\n")],
            content,
            before_listing: |_| {},
            user_manifest: |_, _| {},
            manifest: |_| {},
            envelope: |_| {},
            statement: |_| {},
        }
    }

    /// As Pryv's own tool would have made it.
    pub fn pryv() -> Self {
        Draft {
            ours: false,
            ..Draft::new()
        }
    }

    /// Makes the archive.
    pub fn make(&self) -> Made {
        let mut random = Seeded(0);
        let (envelope, key) = self.envelope(&mut random);
        let mut sealing = Sealing {
            key: key.clone(),
            random,
        };
        let mut content = self.compress();
        (self.before_listing)(&mut content);
        let mut files = Files::new();
        let mut users = Vec::new();
        let mut listed = Vec::new();
        let mut lost = 0;
        if let Some(envelope) = envelope {
            if self.ours {
                for (path, text) in self.companions {
                    listed.push(entry(path, text.as_bytes(), text.as_bytes()));
                    files.insert((*path).to_owned(), text.as_bytes().to_vec());
                }
            }
            files.insert("encryption.json".into(), pretty(&envelope));
        }
        for id in ["u1", "u2"] {
            let folder = format!("users/{id}/");
            let mut own = Vec::new();
            for (path, bytes) in content.iter().filter(|(p, _)| p.starts_with(&folder)) {
                let stored = sealing.seal(bytes);
                own.push(entry(path, bytes, &stored));
                files.insert(path.clone(), stored);
            }
            let chunks = |kind: &str| -> Vec<&str> {
                let folder = format!("{folder}{kind}/");
                content
                    .keys()
                    .filter_map(|p| p.strip_prefix(&folder))
                    .collect()
            };
            let username = if id == "u1" { "alice" } else { "zoë-m" };
            let attachments = format!("{folder}attachments/");
            let attachments = content
                .keys()
                .filter(|path| path.starts_with(&attachments))
                .count();
            let mut manifest = json!({
                "userId": id, "username": username, "backupTimestamp": 1_700_000_000_000u64,
                "stats": {"streams": 1, "accesses": 1, "events": 60, "audit": 1, "attachments": attachments},
                "chunks": {"events": chunks("events"), "audit": chunks("audit")},
            });
            users.push(manifest.clone());
            if self.ours {
                manifest["inventory"] = json!({"v": 1, "files": own});
            }
            (self.user_manifest)(id, &mut manifest);
            lost += losses(&manifest);
            let path = format!("{folder}user-manifest.json");
            let stored = sealing.seal(&pretty(&manifest));
            listed.push(entry(&path, &pretty(&manifest), &stored));
            content.insert(path.clone(), pretty(&manifest));
            files.insert(path, stored);
        }
        for (path, bytes) in content.iter().filter(|(p, _)| !p.starts_with("users/")) {
            let stored = sealing.seal(bytes);
            listed.push(entry(path, bytes, &stored));
            files.insert(path.clone(), stored);
        }
        let mut manifest = json!({
            "formatVersion": 1, "coreVersion": "1.9.3", "config": {"engine": "sqlite", "domain": "test"},
            "backupType": "full", "backupTimestamp": 1_700_000_000_000u64, "users": users,
            "compressed": self.compressed,
        });
        if self.ours {
            manifest["producer"] = json!({"name": "pryv-backup", "version": "0.1.0"});
            manifest["encrypted"] = json!(key.is_some());
            manifest["inventory"] = json!({"v": 1, "files": listed});
            sign::name(&mut manifest, self.signer, CREATED, lost);
        }
        (self.manifest)(&mut manifest);
        content.insert("manifest.json".into(), pretty(&manifest));
        files.insert("manifest.json".into(), sealing.seal(&pretty(&manifest)));
        let mut made = Made {
            files,
            content,
            key,
        };
        if self.ours {
            made.sign(self.signer, self.statement);
        }
        made
    }

    fn envelope(&self, random: &mut Seeded) -> (Option<Value>, Option<DataKey>) {
        let (envelope, key) = match self.lock {
            Lock::None => return (None, None),
            Lock::To(names) => {
                let key = DataKey::from_bytes([7; 32]);
                let public = names
                    .iter()
                    .map(|name| PublicKey::parse(super::keys::public(name)).unwrap());
                let recipients: Vec<_> = public.collect();
                (
                    Envelope::for_recipients(&key, &recipients, random).unwrap(),
                    key,
                )
            }
            Lock::Passphrase(kdf, passphrase) => {
                Envelope::for_passphrase(kdf, passphrase, random).unwrap()
            }
        };
        let envelope = if self.ours {
            envelope.with_created_at(CREATED)
        } else {
            envelope
        };
        let mut json: Value = serde_json::from_slice(&envelope.to_json().unwrap()).unwrap();
        if !self.ours {
            json.as_object_mut()
                .unwrap()
                .retain(|k, _| k != "keyCheck" && k != "recipients");
        }
        (self.envelope)(&mut json);
        (Some(json), Some(key))
    }

    fn compress(&self) -> Files {
        let one = |(path, bytes): (&String, &Vec<u8>)| {
            if self.compressed && path.ends_with(".jsonl") {
                (format!("{path}.gz"), gzip(bytes))
            } else {
                (path.clone(), bytes.clone())
            }
        };
        self.content.iter().map(one).collect()
    }
}

impl Made {
    /// Signs what is there, and makes the sums fit; `last` has the last words on what is signed.
    pub fn sign(&mut self, key: &HostKey, last: impl FnOnce(&mut Statement)) {
        if let Ok(manifest) = Manifest::parse(&self.content["manifest.json"])
            && manifest.signer.is_some()
        {
            let mut statement = statement(&self.content["manifest.json"], &self.files);
            last(&mut statement);
            sign(key, &statement, &mut self.files);
        }
        self.sum();
    }

    /// Makes the sums fit what is there.
    pub fn sum(&mut self) {
        self.files.remove("SHA256SUMS");
        let line = |(path, bytes): (&String, &Vec<u8>)| format!("{}  {path}\n", sha256_hex(bytes));
        let sums: String = self.files.iter().map(line).collect();
        self.files.insert("SHA256SUMS".into(), sums.into_bytes());
    }

    /// Seals other bytes with the archive's own key, as only someone with that key can.
    pub fn seal(&self, bytes: &[u8]) -> Vec<u8> {
        let random = Seeded(1_000_000);
        Sealing {
            key: self.key.clone(),
            random,
        }
        .seal(bytes)
    }

    /// Changes a stored file.
    pub fn change(&mut self, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
        change(
            self.files
                .get_mut(path)
                .unwrap_or_else(|| panic!("no {path}")),
        );
    }
}

struct Sealing {
    key: Option<DataKey>,
    random: Seeded,
}

impl Sealing {
    fn seal(&mut self, bytes: &[u8]) -> Vec<u8> {
        let Some(key) = &self.key else {
            return bytes.to_vec();
        };
        let mut salt = [0; 16];
        self.random.fill(&mut salt).unwrap();
        let mut encoder = Encoder::new(key, salt);
        let mut out = Vec::new();
        encoder.push(bytes, &mut out);
        encoder.finish(&mut out);
        out
    }
}

/// Two members, as several blocks would make them.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let members: &[&[u8]] = if bytes.len() > 100 {
        &[first, second]
    } else {
        &[bytes]
    };
    let mut out = Vec::new();
    for plain in members {
        let mut compressor = Compressor::new(CompressionLvl::default());
        let mut member = vec![0; compressor.gzip_compress_bound(plain.len())];
        let length = compressor.gzip_compress(plain, &mut member).unwrap();
        out.extend_from_slice(&member[..length]);
    }
    out
}

/// The inventory's entry of a file.
pub fn entry(path: &str, content: &[u8], stored: &[u8]) -> Value {
    let mut entry = json!({
        "path": path, "size": stored.len(), "sha256": sha256_hex(stored), "contentSize": content.len(),
    });
    if let Ok(Some((header, _))) = Header::read(stored) {
        entry["salt"] = json!(Base64::encode_string(&header.salt));
        entry["contentSha256"] = json!(sha256_hex(content));
    }
    if PathKind::of(path).is_records() {
        let plain = if path.ends_with(".gz") {
            gunzip(content)
        } else {
            content.to_vec()
        };
        entry["records"] = json!(plain.iter().filter(|&&b| b == b'\n').count());
    }
    entry
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    use decryptor_wasm::{
        aead::RustAead,
        reader::{FileReader, ReadOptions, read_whole},
    };
    let options = ReadOptions {
        gunzip: true,
        ..ReadOptions::default()
    };
    read_whole(FileReader::<RustAead>::cleartext(options), bytes)
        .map_or_else(|_| Vec::new(), |(plain, _)| plain)
}

/// A manifest's bytes.
pub fn pretty(value: &Value) -> Vec<u8> {
    serde_json::to_vec_pretty(value).unwrap()
}
