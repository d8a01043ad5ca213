//! The state of the platform at a run, as one archive: whose records it holds, and in which files of which runs they lie.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Changes, Index, format::is_full, state_manifest, state_user_manifest};
use crate::gather;
use crate::{
    Code, Error, Field, Manifest, Result, UserEntry, UserManifest,
    layout::PathKind,
    manifest::{Chunks, Loss},
    plan::{Finding, Plan, PlannedFile, Severity},
};

/// A run that was opened.
pub struct Opened {
    run: u32,
    manifest: Manifest,
    plan: Plan,
    /// The content of its manifests, by path.
    manifests: BTreeMap<String, Vec<u8>>,
}

/// A file of a run, which holds a part of a file of the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// The run.
    pub run: u32,
    /// The file; its path is from the root of the run.
    pub file: PlannedFile,
}

/// A file of the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StateFile {
    /// As in a plain archive; records are not compressed.
    pub path: String,
    /// The user whose folder it is in.
    pub user: Option<String>,
    /// The collection, `platform/keys` for what belongs to no user; none of an attachment.
    pub collection: Option<String>,
    /// Where its content lies, oldest run first.
    pub parts: Vec<Part>,
}

/// The state of the platform at a run.
#[derive(Debug, Clone)]
pub struct State {
    /// The users, with the numbers of their records and the names of their files.
    pub users: Vec<UserEntry>,
    /// All files, in the order of their paths.
    pub files: Vec<StateFile>,
    /// The files of later runs than the first.
    pub changes: Changes,
    /// What is wrong or worth saying of the runs.
    pub findings: Vec<Finding>,
    /// The content of `manifest.json` and of each `user-manifest.json` of the state, by path.
    pub manifests: BTreeMap<String, Vec<u8>>,
}

impl Opened {
    /// `manifests`: the content of `manifest.json`, and of every `user-manifest.json` that could be read, by path.
    pub fn new(
        run: u32,
        manifest: Manifest,
        plan: Plan,
        manifests: BTreeMap<String, Vec<u8>>,
    ) -> Self {
        Opened {
            run,
            manifest,
            plan,
            manifests,
        }
    }

    /// Whether it holds a state by itself.
    pub fn is_full(&self) -> bool {
        is_full(&self.manifest)
    }

    /// Its place.
    pub fn run(&self) -> u32 {
        self.run
    }

    /// What it says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Whether it lists its files.
    pub fn is_inventoried(&self) -> bool {
        self.plan.inventoried
    }
}

/// The state that runs come to: the first of them is full, and each of the others follows the one before it. With `only_user` (id or
/// name) the others are left out.
///
/// # Errors
/// When there is no such user.
pub fn state(mut runs: Vec<Opened>, only_user: Option<&str>) -> Result<State> {
    let mut work = Work::new(&runs);
    work.choose(only_user)?;
    for run in &mut runs {
        for file in std::mem::take(&mut run.plan.files) {
            work.file(run.run, file, only_user.is_some());
        }
    }
    let newest = runs.last().map(|run| run.run);
    for run in runs {
        for loss in run.manifest.losses {
            // What was not known of the platform is told by each run anew.
            let of_the_platform = loss.user_id.is_none() && loss.collection.is_none();
            if of_the_platform && Some(run.run) != newest {
                continue;
            }
            let user = loss.user_id.as_ref();
            let gone = user.is_some_and(|id| !work.has(id, run.run));
            if !gone && !work.losses.contains(&loss) && !work.is_there(&loss, run.run) {
                work.losses.push(loss);
            }
        }
        for (path, json) in run.manifests {
            match PathKind::of(&path) {
                PathKind::UserManifest { user } if work.has(&user, run.run) => {
                    work.said(run.run, user, json);
                }
                PathKind::Manifest => work.manifest = json,
                _ => {}
            }
        }
        work.findings(run.run, run.plan.findings, only_user.is_some());
    }
    work.end()
}

/// What the user manifests of the runs come to.
#[derive(Default)]
struct Said {
    /// The last of them.
    last: Vec<u8>,
    losses: Vec<Loss>,
    /// Where deleted streams were.
    paths: BTreeMap<String, String>,
}

/// No place, and no run.
const GONE: u64 = u64::MAX;

struct Work {
    first: u32,
    users: Vec<UserEntry>,
    /// By user id: from which run on the user is the one that stands; [`GONE`] for none.
    since: BTreeMap<String, u64>,
    /// Files, and where they are by their paths.
    files: Vec<Option<StateFile>>,
    places: BTreeMap<String, u64>,
    changes: Changes,
    findings: Vec<Finding>,
    /// Numbers of the files of a user's events or audit trail.
    chunks: BTreeMap<String, u64>,
    /// `manifest.json` of the last run.
    manifest: Vec<u8>,
    losses: Vec<Loss>,
    /// What the user manifests say, and where that is by user id.
    said: Vec<Said>,
    speakers: BTreeMap<String, u64>,
}

impl Work {
    fn new(runs: &[Opened]) -> Self {
        let mut all: Vec<Option<UserEntry>> = Vec::new();
        let mut places: BTreeMap<String, u64> = BTreeMap::new();
        let mut since: BTreeMap<String, u64> = BTreeMap::new();
        for run in runs {
            for id in &run.manifest.removed_users {
                if let Some(place) = places.insert(id.clone(), GONE).filter(|at| *at != GONE) {
                    all[place as usize] = None;
                }
                since.insert(id.clone(), GONE);
            }
            for user in &run.manifest.users {
                let id = &user.user_id;
                if user.whole || since.get(id).is_none_or(|since| *since == GONE) {
                    since.insert(id.clone(), run.run.into());
                }
                match places.get(id).filter(|place| **place != GONE) {
                    Some(place) => all[*place as usize] = Some(user.clone()),
                    None => {
                        places.insert(id.clone(), all.len() as u64);
                        all.push(Some(user.clone()));
                    }
                }
            }
        }
        Work {
            first: runs.first().map_or(1, |run| run.run),
            users: all.into_iter().flatten().collect(),
            since,
            files: Vec::new(),
            places: BTreeMap::new(),
            changes: Changes::default(),
            findings: Vec::new(),
            chunks: BTreeMap::new(),
            manifest: Vec::new(),
            losses: Vec::new(),
            said: Vec::new(),
            speakers: BTreeMap::new(),
        }
    }

    fn choose(&mut self, only: Option<&str>) -> Result<()> {
        let Some(only) = only else {
            return Ok(());
        };
        self.users
            .retain(|user| user.user_id == only || user.username == only);
        let known: BTreeMap<&str, u64> =
            gather(self.users.iter().map(|user| (user.user_id.as_str(), 0)));
        for (id, since) in &mut self.since {
            if !known.contains_key(id.as_str()) {
                *since = GONE;
            }
        }
        if self.users.is_empty() {
            return Err(Error::of(Code::NoSuchUser).with(Field::User, only));
        }
        Ok(())
    }

    /// Whether what a run says of a user counts.
    fn has(&self, user: &str, run: u32) -> bool {
        self.since
            .get(user)
            .is_some_and(|since| *since <= run.into())
    }

    /// Notes what a run says of a user.
    fn said(&mut self, run: u32, user: String, json: Vec<u8>) {
        let UserManifest {
            stream_paths,
            losses: mut lost,
            ..
        } = match UserManifest::parse(&json, &user) {
            Ok(manifest) => manifest,
            // That it is damaged was found when the run was opened.
            Err(_) => return,
        };
        lost.retain(|loss| !self.is_there(loss, run));
        let next = self.said.len() as u64;
        let place = *self.speakers.entry(user).or_insert(next);
        if place == next {
            self.said.push(Said::default());
        }
        let said = &mut self.said[place as usize];
        said.last = json;
        said.paths.extend(stream_paths);
        for loss in lost {
            if !said.losses.contains(&loss) {
                said.losses.push(loss);
            }
        }
    }

    /// Whether what a run lost is there all the same: an attachment that another run brought.
    fn is_there(&self, loss: &Loss, run: u32) -> bool {
        let path = loss.path.as_deref();
        path.is_some_and(|path| self.is_brought(path, run))
    }

    fn is_brought(&self, path: &str, but_for: u32) -> bool {
        let place = self.places.get(path);
        let file = place.and_then(|place| self.files.get(*place as usize)?.as_ref());
        let file = file.filter(|file| file.collection.is_none());
        file.is_some_and(|file| file.parts.iter().all(|part| part.run != but_for))
    }

    fn findings(&mut self, run: u32, findings: Vec<Finding>, one_user: bool) {
        for mut finding in findings {
            let kind = PathKind::of(&finding.path);
            let others = match kind.user() {
                Some(user) => one_user && !self.has(user, run),
                None => one_user && kind.is_records(),
            };
            // What was lost of somebody who is gone, or in a full that came after, is no matter of this state.
            let gone = finding.severity == Severity::Note
                && kind.user().is_some_and(|user| !self.has(user, run));
            let repaired = finding.code == "loss" && self.is_brought(&finding.path, run);
            if others || gone || repaired {
                continue;
            }
            if run > 1 {
                let folder = Index::path(run);
                finding.path = match finding.path.as_str() {
                    "" => folder,
                    path => format!("{folder}/{path}"),
                };
            }
            self.findings.push(finding);
        }
    }

    fn file(&mut self, run: u32, file: PlannedFile, one_user: bool) {
        let kind = PathKind::of(&file.path);
        match &kind {
            PathKind::Attachment { user } if self.has(user, run) => {
                let (path, user) = (file.path.clone(), Some(user.clone()));
                // An id never gets other content: the last file is as good as the first.
                let place = self.place(&path);
                self.files[place] = Some(StateFile {
                    path,
                    user,
                    collection: None,
                    parts: vec![Part { run, file }],
                });
            }
            PathKind::UserRecords { user } if self.has(user, run) => {
                self.records(run, user.clone(), file);
            }
            PathKind::SharedRecords if !one_user => self.records(run, String::new(), file),
            _ => {}
        }
    }

    fn records(&mut self, run: u32, user: String, file: PlannedFile) {
        let Some(collection) = collection(&file.path) else {
            return;
        };
        if run > self.first {
            let part = Part {
                run,
                file: file.clone(),
            };
            self.changes.add(&user, &collection, part);
        }
        if Changes::are_tombstones(&collection) {
            return;
        }
        let path = self.path(&user, &collection);
        let user = (!user.is_empty()).then_some(user);
        let place = self.place(&path);
        let known = self.files[place].get_or_insert(StateFile {
            path,
            user,
            collection: Some(collection),
            parts: Vec::new(),
        });
        known.parts.push(Part { run, file });
    }

    /// Where the file of that path is.
    fn place(&mut self, path: &str) -> usize {
        let next = self.files.len() as u64;
        let place = *self.places.entry(path.to_owned()).or_insert(next);
        if place == next {
            self.files.push(None);
        }
        place as usize
    }

    /// Where records of a collection lie in the state: what is in numbered files is numbered anew.
    fn path(&mut self, user: &str, collection: &str) -> String {
        match collection {
            _ if user.is_empty() => format!("{collection}.jsonl"),
            "events" | "audit" => {
                let folder = format!("users/{user}/{collection}");
                let number = self.chunks.entry(folder.clone()).or_default();
                *number += 1;
                format!("{folder}/{collection}-{number:04}.jsonl")
            }
            "series" => format!("users/{user}/series/series.jsonl"),
            _ => format!("users/{user}/{collection}.jsonl"),
        }
    }

    fn end(mut self) -> Result<State> {
        let mut manifests = BTreeMap::new();
        for user in &mut self.users {
            user.whole = false;
            let names = |kind: &str| -> Vec<String> {
                let count = self.chunks.get(&format!("users/{}/{kind}", user.user_id));
                let count = count.copied().unwrap_or(0);
                (1..=count)
                    .map(|n| format!("{kind}-{n:04}.jsonl"))
                    .collect()
            };
            user.chunks = Chunks {
                events: names("events"),
                audit: user.chunks.audit.as_ref().map(|_| names("audit")),
            };
            if let Some(place) = self.speakers.get(&user.user_id) {
                let said = &self.said[*place as usize];
                let path = format!("users/{}/user-manifest.json", user.user_id);
                let json = state_user_manifest(&said.last, user, &said.losses, &said.paths)?;
                manifests.insert(path, json);
            }
        }
        let json = state_manifest(&self.manifest, &self.users, &self.losses)?;
        manifests.insert("manifest.json".to_owned(), json);
        let mut files = Vec::with_capacity(self.files.len());
        for place in self.places.into_values() {
            files.extend(self.files[place as usize].take());
        }
        Ok(State {
            users: self.users,
            files,
            changes: self.changes,
            findings: self.findings,
            manifests,
        })
    }
}

/// `events` for what is in `users/<userId>/events`, `platform/keys` for what belongs to no user, `removed` for tombstones.
fn collection(path: &str) -> Option<String> {
    let within = match PathKind::of(path) {
        PathKind::UserRecords { .. } => path.split('/').nth(2)?,
        PathKind::SharedRecords => path,
        _ => return None,
    };
    let name = within.strip_suffix(".gz").unwrap_or(within);
    Some(name.strip_suffix(".jsonl").unwrap_or(name).to_owned())
}
