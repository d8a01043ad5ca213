//! A chain of a platform, and the state that its runs come to, worked out here anew from what each of them holds.

use decryptor_wasm::chain::{ChainKey, ChangeIndex, Removed};
use pryv_backup_tests::{
    command::{report, run, text},
    folder,
    plain::Plain,
    stage::{Platform, Stage},
};
use serde_json::{Value, value::RawValue};
use std::collections::{BTreeMap, BTreeSet};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Records by user (nothing for those of nobody) and collection; points of series one by one.
pub type Records = BTreeMap<(String, String), BTreeSet<String>>;

/// See the module.
pub struct Chain<'s> {
    stage: &'s Stage,
    platform: &'s Platform<'s>,
    pub dir: PathBuf,
    pub state_dir: PathBuf,
}

impl<'s> Chain<'s> {
    pub fn new(stage: &'s Stage, platform: &'s Platform<'s>, name: &str) -> Self {
        Chain {
            stage,
            platform,
            dir: stage.at(name),
            state_dir: stage.at(&format!("{name} state")),
        }
    }

    /// A run, not yet started.
    pub fn command(&self) -> Command {
        let mut command = self.bare();
        command
            .args(["--include-ephemeral", "--recipient-pubkey"])
            .arg(self.stage.fixtures.join("keys/recipient.pub.pem"));
        command
    }

    /// The same, encrypted to nobody.
    pub fn bare(&self) -> Command {
        let mut command = self.platform.command();
        command
            .args(["--incremental", "--json", "--output"])
            .arg(&self.dir)
            .arg("--state-dir")
            .arg(&self.state_dir);
        command
    }

    /// Lets the host forget all runs, and keep its key.
    pub fn forget(&self) {
        for entry in fs::read_dir(&self.state_dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                fs::remove_dir_all(path).unwrap();
            }
        }
    }

    /// A run that loses nothing, and what it reports.
    pub fn add(&self) -> Value {
        let done = run(&mut self.command());
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        self.assert_sums();
        report(&done)
    }

    /// The same; it has to be an increment.
    pub fn add_increment(&self) -> Value {
        let said = self.add();
        assert_eq!(said["chain"]["kind"], "incremental", "{said}");
        said
    }

    /// The sums are those of all files, as anybody can check.
    pub fn assert_sums(&self) {
        let checked = run(Command::new("sha256sum")
            .args(["--check", "--quiet", "--strict", "SHA256SUMS"])
            .current_dir(&self.dir));
        assert!(checked.status.success(), "{}", text(&checked));
        let sums = fs::read_to_string(self.dir.join("SHA256SUMS")).unwrap();
        let listed: BTreeSet<&str> = sums.lines().map(|line| &line[66..]).collect();
        assert_eq!(listed.len(), sums.lines().count());
        let files: BTreeSet<String> = folder::tree(&self.dir).into_keys().collect();
        let files = files.iter().map(String::as_str);
        let files: BTreeSet<&str> = files.filter(|path| *path != "SHA256SUMS").collect();
        assert_eq!(listed, files);
    }

    /// The content of a run, opened as an archive of its own.
    pub fn open(&self, run: usize) -> Plain {
        let alone = self.stage.at("alone");
        let _ = fs::remove_dir_all(&alone);
        if run == 1 {
            folder::copy(&self.dir, &alone);
            let _ = fs::remove_dir_all(alone.join("increments"));
            fs::remove_file(alone.join("chain.json")).unwrap();
            let sums = fs::read_to_string(alone.join("SHA256SUMS")).unwrap();
            let own = |line: &&str| {
                let path = &line[66..];
                path != "chain.json" && !path.starts_with("increments/")
            };
            let own: String = sums
                .lines()
                .filter(own)
                .map(|line| format!("{line}\n"))
                .collect();
            fs::write(alone.join("SHA256SUMS"), own).unwrap();
        } else {
            folder::copy(&self.dir.join(format!("increments/{run:04}")), &alone);
        }
        Plain::read(&self.stage.open_run(&alone, Some(run)))
    }

    /// The state at each of the runs up to this one.
    pub fn states(&self, runs: usize) -> Vec<State> {
        let mut all: Vec<State> = Vec::new();
        let mut state = Folding::default();
        for run in 1..=runs {
            state.add(run as u32, &self.open(run));
            all.push(state.now());
        }
        all
    }

    /// The content of a backup made now.
    pub fn now(&self, name: &str) -> State {
        self.moment(name).1
    }

    /// A backup of now, and what it holds.
    pub fn moment(&self, name: &str) -> (PathBuf, State) {
        let archive = self.platform.backup(name);
        let state = Folding::of(&Plain::read(&self.stage.open(&archive))).now();
        (archive, state)
    }

    /// Where the chain is.
    pub fn path(&self) -> &Path {
        &self.dir
    }
}

/// All that a state holds.
#[derive(Debug, PartialEq)]
pub struct State {
    /// Id and name.
    pub users: BTreeMap<String, String>,
    pub records: Records,
    /// Of users, those that were brought; with what is in them.
    pub attachments: BTreeMap<String, String>,
}

/// The runs so far.
#[derive(Default)]
struct Folding {
    key: Option<ChainKey>,
    users: BTreeMap<String, String>,
    /// Run and line.
    lines: BTreeMap<(String, String), Vec<(u32, String)>>,
    removed: BTreeMap<(String, String), Vec<(u32, String)>>,
    attachments: BTreeMap<String, String>,
    /// Of each user, the numbers of the records as the manifests say.
    counts: BTreeMap<String, Value>,
}

impl Folding {
    fn of(plain: &Plain) -> Self {
        let mut folding = Self::default();
        folding.add(1, plain);
        folding
    }

    fn forget(&mut self, user: &str) {
        self.lines.retain(|(of, _), _| of != user);
        self.removed.retain(|(of, _), _| of != user);
        let folder = format!("users/{user}/");
        self.attachments
            .retain(|path, _| !path.starts_with(&folder));
        self.users.remove(user);
        self.counts.remove(user);
    }

    fn add(&mut self, run: u32, plain: &Plain) {
        let manifest = plain.json("manifest.json");
        if manifest["backupType"] == "full" {
            *self = Self::default();
        }
        let key = &manifest["chain"]["key"];
        if !key.is_null() {
            self.key = Some(serde_json::from_value(key.clone()).unwrap());
        }
        for user in manifest["removedUsers"].as_array().into_iter().flatten() {
            self.forget(user.as_str().unwrap());
        }
        for user in manifest["users"].as_array().unwrap() {
            let id = user["userId"].as_str().unwrap().to_owned();
            if user["whole"] == true {
                self.forget(&id);
            }
            let name = user["username"].as_str().unwrap().to_owned();
            self.counts.insert(id.clone(), user["stats"].clone());
            self.users.insert(id, name);
        }
        for (path, bytes) in &plain.0 {
            let parts: Vec<&str> = path.split('/').collect();
            let stem = |name: &str| name.trim_end_matches(".jsonl").to_owned();
            let place = match parts.as_slice() {
                ["users", _, "attachments", _] => {
                    let digest = pryv_backup_engine::archive::sha256_hex(bytes);
                    self.attachments.insert(path.clone(), digest);
                    continue;
                }
                ["users", _, "user-manifest.json"] => continue,
                ["users", user, kind, ..] => ((*user).to_owned(), stem(kind)),
                ["platform", kind] => (String::new(), format!("platform/{}", stem(kind))),
                _ => continue,
            };
            let lines = std::str::from_utf8(bytes).unwrap().lines();
            for line in lines {
                if place.1.ends_with("removed") {
                    let removed: Removed = serde_json::from_str(line).unwrap();
                    let place = (place.0.clone(), removed.collection);
                    self.removed
                        .entry(place)
                        .or_default()
                        .push((run, line.to_owned()));
                } else {
                    self.lines
                        .entry(place.clone())
                        .or_default()
                        .push((run, line.to_owned()));
                }
            }
        }
    }

    fn now(&self) -> State {
        let mut records = Records::new();
        let key = self.key.clone().unwrap_or(ChainKey::from_bytes([0; 16]));
        for (place, lines) in &self.lines {
            let mut fold = ChangeIndex::new(key.clone(), &place.1, 0, 1);
            for (run, line) in lines.iter().filter(|(run, _)| *run > 1) {
                fold.brought(*run, line.as_bytes()).unwrap();
            }
            for (run, line) in self.removed.get(place).into_iter().flatten() {
                fold.removed(*run, line.as_bytes()).unwrap();
            }
            fold.close();
            let mut set = BTreeSet::new();
            for (run, line) in lines {
                let mut out = Vec::new();
                fold.keep(*run, line.as_bytes(), &mut out).unwrap();
                for line in String::from_utf8(out).unwrap().lines() {
                    for record in parts(&place.1, line) {
                        assert!(set.insert(record.clone()), "{place:?}: twice: {record}");
                    }
                }
            }
            if !set.is_empty() {
                records.insert(place.clone(), set);
            }
        }
        let state = State {
            users: self.users.clone(),
            records,
            attachments: self.listed(),
        };
        self.assert_counts(&state);
        state
    }

    /// Those that are there.
    fn listed(&self) -> BTreeMap<String, String> {
        self.attachments.clone()
    }

    /// The counts of the manifests equal the content.
    fn assert_counts(&self, state: &State) {
        for (user, stats) in &self.counts {
            for kind in [
                "streams", "accesses", "profile", "webhooks", "events", "audit",
            ] {
                let place = (user.clone(), kind.to_owned());
                let found = state.records.get(&place).map_or(0, BTreeSet::len);
                assert_eq!(stats[kind].as_u64(), Some(found as u64), "{kind} of {user}");
            }
        }
    }
}

/// A record, or the points of a line.
fn parts(collection: &str, line: &str) -> Vec<String> {
    if collection != "series" {
        return vec![line.to_owned()];
    }
    let all: BTreeMap<String, Box<RawValue>> = serde_json::from_str(line).unwrap();
    let points: Vec<Box<RawValue>> = serde_json::from_str(all["points"].get()).unwrap();
    let of = format!("{} {}", all["namespace"].get(), all["measurement"].get());
    points
        .iter()
        .map(|point| format!("{of} {}", point.get()))
        .collect()
}

/// The same users and records, and no attachment of the second is missing in the first.
pub fn assert_same(folded: &State, now: &State, when: &str) {
    assert_eq!(folded.users, now.users, "{when}");
    let places: BTreeSet<_> = folded.records.keys().chain(now.records.keys()).collect();
    let none = BTreeSet::new();
    for place in places {
        let [old, new] = [folded, now].map(|state| state.records.get(place).unwrap_or(&none));
        let surplus: Vec<_> = old.difference(new).take(3).collect();
        let missing: Vec<_> = new.difference(old).take(3).collect();
        assert!(
            surplus.is_empty() && missing.is_empty(),
            "{when}: {place:?}: {} too many: {surplus:#?}, missing: {missing:#?}",
            old.len() as i64 - new.len() as i64
        );
    }
    for (path, digest) in &now.attachments {
        assert_eq!(folded.attachments.get(path), Some(digest), "{when}: {path}");
    }
}
