//! Puts the state of the platform at a run together: its users, and the files of the runs that hold their records.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    ChangeFiles, Index,
    format::is_full,
    state_files::{Part, RunFiles, StateFiles, collection},
};
use crate::{
    Code, Error, Field, Manifest, Result, UserEntry, UserList, gather,
    layout::{CAPSULE_RECORD, PathKind},
    listing::FileList,
    manifest::{Chunks, Loss},
    plan::{Finding, Plan, PlannedFile, Severity},
};

/// A run that was opened.
pub struct StateRun {
    run: u32,
    manifest: Manifest,
    plan: Plan,
    /// Its `manifest.json`, but for users and files.
    manifest_rest: Vec<u8>,
}

/// The state of the platform at a run.
#[derive(Debug, Clone)]
pub struct ChainState {
    /// The users, with the numbers of their records and the names of their files.
    pub users: UserList,
    /// All files, in the order of their paths.
    pub files: StateFiles,
    /// The files of later runs than the first.
    pub changes: ChangeFiles,
    /// The findings about the runs.
    pub findings: Vec<Finding>,
    /// The manifests of the users, in the order of their paths: the state's own follow from those of the runs.
    pub manifests: StateFiles,
    /// `manifest.json` of the state's run, but for users and files.
    pub manifest_rest: Vec<u8>,
    /// The losses of the state.
    pub losses: Vec<Loss>,
}

impl StateRun {
    /// `manifest_rest`: see [`ChainState::manifest_rest`].
    pub fn new(run: u32, manifest: Manifest, plan: Plan, manifest_rest: Vec<u8>) -> Self {
        StateRun {
            run,
            manifest,
            plan,
            manifest_rest,
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
    let mut of_runs = Vec::with_capacity(runs.len());
    for run in &mut runs {
        of_runs.push(RunFiles {
            run: run.run,
            files: std::mem::take(&mut run.plan.files),
            manifests: std::mem::take(&mut run.plan.manifests),
        });
    }
    let mut work = StateBuilder::new(&runs, of_runs);
    work.choose(only_user)?;
    work.files(only_user.is_some());
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
        work.manifest_rest = run.manifest_rest;
        work.findings(run.run, run.plan.findings, only_user.is_some());
    }
    Ok(work.end())
}

/// No place, and no run.
const GONE: u64 = u64::MAX;

struct StateBuilder {
    first: u32,
    /// The newest run with a capsule; 0 if there is none.
    capsule: u32,
    runs: Arc<Vec<RunFiles>>,
    users: UserList,
    /// By user id: the run since which the user exists without a break; [`GONE`] if there is none.
    since: BTreeMap<String, u64>,
    files: StateFiles,
    /// The paths of the files, each with the number of a part, until all are known.
    found: Found,
    changes: ChangeFiles,
    findings: Vec<Finding>,
    /// Numbers of the files of a user's events or audit trail.
    chunks: BTreeMap<String, u64>,
    /// `manifest.json` of the last run, but for users and files.
    manifest_rest: Vec<u8>,
    losses: Vec<Loss>,
    /// The manifests of the users.
    manifests: StateFiles,
}

/// Parts of files, and the path of each.
#[derive(Default)]
struct Found {
    paths: FileList,
    parts: Vec<Part>,
}

impl Found {
    fn push(&mut self, path: &str, part: Part) {
        self.paths.push(path, self.parts.len() as u64);
        self.parts.push(part);
    }
}

impl StateBuilder {
    fn new(runs: &[StateRun], of_runs: Vec<RunFiles>) -> Self {
        // Where the entry of each user is: in which run, and where in its list.
        let mut all: Vec<Option<(usize, usize)>> = Vec::new();
        let mut places: BTreeMap<String, u64> = BTreeMap::new();
        let mut since: BTreeMap<String, u64> = BTreeMap::new();
        for (number, run) in runs.iter().enumerate() {
            for id in &run.manifest.removed_users {
                if let Some(place) = places.insert(id.clone(), GONE).filter(|at| *at != GONE) {
                    all[place as usize] = None;
                }
                since.insert(id.clone(), GONE);
            }
            for (at, user) in run.manifest.users.iter().enumerate() {
                let id = &user.user_id;
                if user.whole || since.get(id).is_none_or(|since| *since == GONE) {
                    since.insert(id.clone(), run.run.into());
                }
                match places.get(id).filter(|place| **place != GONE) {
                    Some(place) => all[*place as usize] = Some((number, at)),
                    None => {
                        places.insert(user.user_id, all.len() as u64);
                        all.push(Some((number, at)));
                    }
                }
            }
        }
        let mut users = UserList::default();
        for (run, at) in all.into_iter().flatten() {
            users.extend(runs[run].manifest.users.get(at));
        }
        let mut newest_first = of_runs.iter().rev();
        let capsule = newest_first.find(|of_run| of_run.files.place(CAPSULE_RECORD).is_some());
        let capsule = capsule.map_or(0, |of_run| of_run.run);
        let of_runs = Arc::new(of_runs);
        StateBuilder {
            first: runs.first().map_or(1, |run| run.run),
            capsule,
            users,
            since,
            files: StateFiles::new(of_runs.clone(), false),
            found: Found::default(),
            changes: ChangeFiles::new(of_runs.clone()),
            findings: Vec::new(),
            chunks: BTreeMap::new(),
            manifest_rest: Vec::new(),
            losses: Vec::new(),
            manifests: StateFiles::new(of_runs.clone(), true),
            runs: of_runs,
        }
    }

    fn choose(&mut self, only: Option<&str>) -> Result<()> {
        let Some(only) = only else {
            return Ok(());
        };
        self.users
            .retain(|user| user.user_id == only || user.username == only);
        let known: BTreeSet<String> = gather(self.users.ids().map(str::to_owned));
        for (id, since) in &mut self.since {
            if !known.contains(id) {
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

    /// Takes note of the files of all runs.
    fn files(&mut self, one_user: bool) {
        let runs = self.runs.clone();
        let mut manifests = Found::default();
        for (number, of_run) in (0..).zip(runs.iter()) {
            for (place, file) in (0..).zip(of_run.files.iter()) {
                let part = Part {
                    run: number,
                    file: place,
                };
                self.file(of_run.run, part, &file, one_user);
            }
            for (place, file) in (0..).zip(of_run.manifests.iter()) {
                if file.user().is_some_and(|user| self.has(user, of_run.run)) {
                    manifests.push(
                        &file.path,
                        Part {
                            run: number,
                            file: place,
                        },
                    );
                }
            }
        }
        let found = std::mem::take(&mut self.found);
        self.files.gather(found.paths, &found.parts);
        self.manifests.gather(manifests.paths, &manifests.parts);
    }

    /// True if another run has the attachment that this run lost.
    fn is_there(&self, loss: &Loss, run: u32) -> bool {
        let path = loss.path.as_deref();
        path.is_some_and(|path| self.files.is_brought(path, run))
    }

    fn findings(&mut self, run: u32, findings: Vec<Finding>, one_user: bool) {
        for mut finding in findings {
            let kind = PathKind::of(&finding.path);
            let others = match kind.user() {
                Some(user) => one_user && !self.has(user, run),
                None => one_user && kind.is_shared(),
            };
            // Losses of users who are gone, or in a later full run, do not concern this state.
            let gone = finding.severity == Severity::Note
                && kind.user().is_some_and(|user| !self.has(user, run));
            let repaired = finding.code == "loss" && self.files.is_brought(&finding.path, run);
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

    fn file(&mut self, run: u32, part: Part, file: &PlannedFile, one_user: bool) {
        match PathKind::of(&file.path) {
            PathKind::Attachment { user } if self.has(&user, run) => {
                self.found.push(&file.path, part);
            }
            PathKind::UserRecords { user } if self.has(&user, run) => {
                self.records(run, &user, part, &file.path);
            }
            PathKind::SharedRecords if !one_user => self.records(run, "", part, &file.path),
            PathKind::Raw if !one_user && self.capsule == run => {
                self.found.push(&file.path, part);
            }
            _ => {}
        }
    }

    fn records(&mut self, run: u32, user: &str, part: Part, path: &str) {
        let Some(collection) = collection(path) else {
            return;
        };
        if run > self.first {
            self.changes.add(user, &collection, part);
        }
        if ChangeFiles::are_tombstones(&collection) {
            return;
        }
        let path = self.path(user, &collection);
        self.found.push(&path, part);
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

    fn end(self) -> ChainState {
        let named = |user: UserEntry| {
            let names = |kind: &str| -> Vec<String> {
                let count = self.chunks.get(&format!("users/{}/{kind}", user.user_id));
                let count = count.copied().unwrap_or(0);
                (1..=count)
                    .map(|n| format!("{kind}-{n:04}.jsonl"))
                    .collect()
            };
            let chunks = Chunks {
                events: names("events"),
                audit: user.chunks.audit.as_ref().map(|_| names("audit")),
            };
            UserEntry {
                whole: false,
                chunks,
                ..user
            }
        };
        ChainState {
            users: self.users.iter().map(named).collect(),
            files: self.files,
            changes: self.changes,
            findings: self.findings,
            manifests: self.manifests,
            manifest_rest: self.manifest_rest,
            losses: self.losses,
        }
    }
}
