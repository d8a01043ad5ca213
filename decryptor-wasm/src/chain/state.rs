//! Puts the state of the platform at a run together: its users, and the files of the runs that hold their records.

use std::collections::BTreeMap;

use super::{ChangeFiles, Index, format::is_full, state_manifest};
use crate::gather;
use crate::{
    Code, Error, Field, Manifest, Result, UserEntry,
    layout::PathKind,
    manifest::{Chunks, Loss},
    plan::{Finding, Plan, PlannedFile, Severity},
};

/// A run that was opened.
pub struct StateRun {
    run: u32,
    manifest: Manifest,
    plan: Plan,
    /// The content of its `manifest.json`.
    manifest_json: Vec<u8>,
}

/// A file of a run, which holds a part of a file of the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePart {
    /// The run.
    pub run: u32,
    /// The file; its path is from the root of the run.
    pub file: PlannedFile,
}

/// A file of the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateFile {
    /// As in a plain archive; records are not compressed.
    pub path: String,
    /// The user whose folder it is in.
    pub user: Option<String>,
    /// The collection, `platform/keys` for what belongs to no user; none of an attachment.
    pub collection: Option<String>,
    /// The files that hold its content, oldest run first.
    pub parts: Vec<FilePart>,
}

/// The state of the platform at a run.
#[derive(Debug, Clone)]
pub struct ChainState {
    /// The users, with the numbers of their records and the names of their files.
    pub users: Vec<UserEntry>,
    /// All files, in the order of their paths.
    pub files: Vec<StateFile>,
    /// The files of later runs than the first.
    pub changes: ChangeFiles,
    /// The findings about the runs.
    pub findings: Vec<Finding>,
    /// The manifests of the users, in the order of their paths: the state's own follow from those of the runs.
    pub manifests: Vec<StateFile>,
    /// The content of the state's `manifest.json`.
    pub manifest_json: Vec<u8>,
}

impl StateRun {
    /// `manifest_json`: the content of `manifest.json`.
    pub fn new(run: u32, manifest: Manifest, plan: Plan, manifest_json: Vec<u8>) -> Self {
        StateRun {
            run,
            manifest,
            plan,
            manifest_json,
        }
    }

    /// True for a run that holds a state by itself.
    pub fn is_full(&self) -> bool {
        is_full(&self.manifest)
    }

    /// Its place.
    pub fn run(&self) -> u32 {
        self.run
    }

    /// Its manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// True if it has an inventory.
    pub fn is_inventoried(&self) -> bool {
        self.plan.inventoried
    }
}

/// The state that runs come to: the first of them is full, and each of the others follows the one before it. With `only_user` (id or
/// name) the others are left out.
///
/// # Errors
/// When there is no such user.
pub fn state(mut runs: Vec<StateRun>, only_user: Option<&str>) -> Result<ChainState> {
    let mut work = StateBuilder::new(&runs);
    work.choose(only_user)?;
    for run in &mut runs {
        for file in std::mem::take(&mut run.plan.files) {
            work.file(run.run, file, only_user.is_some());
        }
    }
    let newest = runs.last().map(|run| run.run);
    for run in runs {
        for loss in run.manifest.losses {
            // Each run names the losses of the platform itself anew.
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
        for file in run.plan.manifests {
            work.user_manifest(run.run, file);
        }
        work.manifest = run.manifest_json;
        work.findings(run.run, run.plan.findings, only_user.is_some());
    }
    work.end()
}

/// No place, and no run.
const GONE: u64 = u64::MAX;

struct StateBuilder {
    first: u32,
    users: Vec<UserEntry>,
    /// By user id: the run since which the user exists without a break; [`GONE`] if there is none.
    since: BTreeMap<String, u64>,
    /// Files, and where they are by their paths.
    files: Vec<Option<StateFile>>,
    places: BTreeMap<String, u64>,
    changes: ChangeFiles,
    findings: Vec<Finding>,
    /// Numbers of the files of a user's events or audit trail.
    chunks: BTreeMap<String, u64>,
    /// `manifest.json` of the last run.
    manifest: Vec<u8>,
    losses: Vec<Loss>,
    /// The manifests of the users, and where they are by their paths.
    user_manifests: Vec<Option<StateFile>>,
    manifest_places: BTreeMap<String, u64>,
}

impl StateBuilder {
    fn new(runs: &[StateRun]) -> Self {
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
        StateBuilder {
            first: runs.first().map_or(1, |run| run.run),
            users: all.into_iter().flatten().collect(),
            since,
            files: Vec::new(),
            places: BTreeMap::new(),
            changes: ChangeFiles::default(),
            findings: Vec::new(),
            chunks: BTreeMap::new(),
            manifest: Vec::new(),
            losses: Vec::new(),
            user_manifests: Vec::new(),
            manifest_places: BTreeMap::new(),
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

    /// True if the state uses the data of a run about a user.
    fn has(&self, user: &str, run: u32) -> bool {
        self.since
            .get(user)
            .is_some_and(|since| *since <= run.into())
    }

    /// Notes where a run has the manifest of a user.
    fn user_manifest(&mut self, run: u32, file: PlannedFile) {
        let user = file.user().filter(|user| self.has(user, run));
        if let Some(user) = user.map(str::to_owned) {
            let path = file.path.clone();
            let next = self.user_manifests.len() as u64;
            let place = *self.manifest_places.entry(path.clone()).or_insert(next);
            if place == next {
                self.user_manifests.push(None);
            }
            let known = self.user_manifests[place as usize].get_or_insert(StateFile {
                path,
                user: Some(user),
                collection: None,
                parts: Vec::new(),
            });
            known.parts.push(FilePart { run, file });
        }
    }

    /// True if another run has the attachment that this run lost.
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
            // Losses of users who are gone, or in a later full run, do not concern this state.
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
                    parts: vec![FilePart { run, file }],
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
            let part = FilePart {
                run,
                file: file.clone(),
            };
            self.changes.add(&user, &collection, part);
        }
        if ChangeFiles::are_tombstones(&collection) {
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
        known.parts.push(FilePart { run, file });
    }

    /// The index of the file of that path.
    fn place(&mut self, path: &str) -> usize {
        let next = self.files.len() as u64;
        let place = *self.places.entry(path.to_owned()).or_insert(next);
        if place == next {
            self.files.push(None);
        }
        place as usize
    }

    /// The path of the next file of a collection in the state: numbered files get new numbers.
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

    fn end(mut self) -> Result<ChainState> {
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
        }
        let manifest_json = state_manifest(&self.manifest, &self.users, &self.losses)?;
        let in_order = |places: BTreeMap<String, u64>, files: &mut [Option<StateFile>]| {
            let mut ordered = Vec::with_capacity(files.len());
            for place in places.into_values() {
                ordered.extend(files[place as usize].take());
            }
            ordered
        };
        let files = in_order(self.places, &mut self.files);
        let manifests = in_order(self.manifest_places, &mut self.user_manifests);
        Ok(ChainState {
            users: self.users,
            files,
            changes: self.changes,
            findings: self.findings,
            manifests,
            manifest_json,
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
