//! Chains made of the states that they are to come to: each run holds what differs from the state before.

mod delta;
mod run;

use std::collections::BTreeMap;

use decryptor_wasm::{
    DataKey, PublicKey,
    chain::{ChainKey, Index, Link},
    layout::PathKind,
};
use pryv_backup_engine::{archive::sha256_hex, state::host::HostKey};
use serde_json::Value;

use crate::{plain::Plain, sign};

use run::inflate;
pub use run::{Place, Run, make_run};

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
    /// Who signs it.
    pub signer: &'static HostKey,
    /// The last words on its manifest.
    pub manifest: fn(&mut Value),
}

impl Draft {
    /// Of the host that makes the archives of tests.
    #[must_use]
    pub fn new(state: State, lock: Lock, full: bool) -> Self {
        Draft {
            state,
            lock,
            full,
            signer: sign::host(),
            manifest: |_| {},
        }
    }
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
        for of_run in ["inventory", "chain", "companions"] {
            members.remove(of_run);
        }
        State { manifest, content }
    }

    fn users(&self) -> &Vec<Value> {
        self.manifest["users"].as_array().unwrap()
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
    for (at, draft) in drafts.iter().enumerate() {
        let run = at as u32 + 1;
        if draft.full {
            key = ChainKey::from_bytes([run as u8; 16]);
        }
        let link = (at > 0).then(|| Link {
            run,
            parent: made.ids[at - 1].clone(),
            base: made.ids[0].clone(),
            key: key.clone(),
        });
        let place = Place {
            run,
            before: (at > 0 && !draft.full).then(|| &drafts[at - 1].state),
            link,
            root: &made.files,
            seed: run as u8,
        };
        let run = make_run(draft, &place);
        made.add(run);
    }
    made
}

impl Made {
    /// Adds a run behind those that `chain.json` lists.
    ///
    /// # Panics
    /// Never.
    pub fn add(&mut self, run: Run) {
        let mut index = match self.files.get("chain.json") {
            Some(json) => Index::parse(json).unwrap(),
            None => Index::new(Vec::new()),
        };
        let within = |files: Files| {
            let folder = match Index::path(run.entry.run).as_str() {
                "" => String::new(),
                path => format!("{path}/"),
            };
            let files = files.into_iter();
            files.map(move |(path, bytes)| (format!("{folder}{path}"), bytes))
        };
        self.files.extend(within(run.files));
        self.manifests.extend(within(run.manifests));
        self.ids.push(run.entry.archive_id.clone());
        self.keys.push(run.key);
        index.runs.push(run.entry);
        self.index(&index);
    }

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

fn ids(state: &State) -> impl Iterator<Item = &str> {
    state.users().iter().map(|u| u["userId"].as_str().unwrap())
}
