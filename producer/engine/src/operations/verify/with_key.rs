//! With the key: every frame, every record, every reference.

use std::{
    collections::BTreeSet,
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use decryptor_wasm::{
    Error, ErrorKind, Result,
    chain::Index,
    manifest::UsersById,
    plan::{PlannedFile, Severity},
};

use super::{
    report::Report,
    seen::RecordChecks,
    sums,
    user::{VerifiedUser, collection, nobody},
};
use crate::threads::{lock, unlocked};
use crate::{archive::read::Archive, findings::sentence, progress::Tally, schedule};

/// The order in which a user's files are read: events refer to the others.
const STAGES: [fn(&PlannedFile) -> bool; 3] = [
    |file| collection(file) == "streams",
    |file| !matches!(collection(file), "streams" | "events"),
    |file| collection(file) == "events",
];

enum Task<'a> {
    /// The files of one user, or of none, by their places in the plan.
    Group(Range<usize>),
    File(Option<Arc<VerifiedUser<'a>>>, usize),
}

struct Verification<'a> {
    archive: &'a Archive,
    tally: &'a Tally,
    users: UsersById<'a>,
    /// Of which something is wrong according to the list of files.
    wrong: BTreeSet<&'a str>,
    /// Sentences with the paths that they are about.
    damaged: Mutex<Vec<(String, String)>>,
    found: Mutex<Results>,
    files: AtomicU64,
    bytes: AtomicU64,
    records: AtomicU64,
}

#[derive(Default)]
struct Results {
    seen: RecordChecks,
    problems: Vec<String>,
    warnings: Vec<String>,
    notes: Vec<String>,
}

/// Reads the whole archive, several files at once.
pub fn verify(archive: &Archive, jobs: usize, tally: &Tally) -> Result<Report> {
    let findings = |severity: Severity| {
        let of = archive.plan.findings.iter();
        of.filter(move |finding| finding.severity == severity)
    };
    let work = Verification {
        archive,
        tally,
        users: archive.plan.users.by_id(),
        wrong: findings(Severity::Error).map(|f| f.path.as_str()).collect(),
        damaged: Mutex::default(),
        found: Mutex::default(),
        files: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
        records: AtomicU64::new(0),
    };
    let groups = archive.files().by_user();
    schedule::run(jobs, groups.map(Task::Group), &|task, brought| {
        work.task(task, brought)
    })?;
    let mut damaged = unlocked(work.damaged);
    damaged.sort();
    let mut found = unlocked(work.found);
    found.problems.sort();
    found.warnings.sort();
    found.notes.sort();
    let mut report = Report::of(archive);
    if archive.plan.inventoried && !archive.is_decrypted() && archive.chain.is_none() {
        match sums::compare(archive) {
            Err(error) if error.kind() == ErrorKind::Damaged => {
                damaged.push((sums::NAME.to_owned(), error.to_string()));
            }
            compared => found.warnings.extend(compared?),
        }
    }
    report.damaged = findings(Severity::Error)
        .map(sentence)
        .chain(damaged.into_iter().map(|(_, sentence)| sentence))
        .collect();
    let (left_out, odd): (Vec<_>, Vec<_>) =
        findings(Severity::Warning).partition(|finding| finding.is_left_out());
    report.left_out = left_out.into_iter().map(sentence).collect();
    report.problems.clone_from(&report.left_out);
    report.problems.append(&mut found.problems);
    report.warnings = odd
        .into_iter()
        .map(sentence)
        .chain(found.warnings)
        .collect();
    report.notes = findings(Severity::Note)
        .map(sentence)
        .chain(found.notes)
        .collect();
    report.hashes = Some(found.seen.hashes);
    report.files = work.files.into_inner() + archive.plan.manifests.len() as u64 + 1;
    report.bytes = work.bytes.into_inner();
    report.records = Some(work.records.into_inner());
    Ok(report)
}

/// Reads some files of an archive, each by itself; `has`: whether one is read, by its path from the root.
pub fn sample(
    archive: &Archive,
    has: &(dyn Fn(&str) -> bool + Sync),
    jobs: usize,
    tally: &Tally,
) -> Result<Report> {
    let folder = archive.newest().map_or(1, |run| run.run);
    let root = |path: &str| match Index::path(folder) {
        folder if folder.is_empty() => path.to_owned(),
        folder => format!("{folder}/{path}"),
    };
    let damaged = Mutex::new(Vec::new());
    let (files, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
    let chosen = archive.files().iter().filter(|file| has(&root(&file.path)));
    schedule::run(jobs, chosen, &|file: PlannedFile, _| {
        let read = archive.stream::<Error>(&file, true, true, &mut |_| crate::interrupt::check());
        tally.add(0, file.size);
        match read {
            Ok(_) => {
                files.fetch_add(1, Ordering::Relaxed);
                bytes.fetch_add(file.size, Ordering::Relaxed);
            }
            Err(error) if error.kind() == ErrorKind::Damaged => {
                lock(&damaged).push((file.path.clone(), error.to_string()));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    })?;
    let mut report = Report::of(archive);
    report.take(&archive.plan.findings);
    let mut damaged = unlocked(damaged);
    damaged.sort();
    for (path, sentence) in damaged {
        report.damaged_paths.push(root(&path));
        report.damaged.push(sentence);
    }
    report.files = files.into_inner();
    report.bytes = bytes.into_inner();
    Ok(report)
}

impl<'a> Verification<'a> {
    fn task(&self, task: Task<'a>, brought: &mut Vec<Task<'a>>) -> Result<()> {
        match task {
            Task::Group(files) => {
                let first = self.archive.files().get(files.start);
                let Some(id) = first.as_ref().and_then(|file| file.user()) else {
                    brought.extend(files.map(|file| Task::File(None, file)));
                    return Ok(());
                };
                let Some(entry) = self.users.get(id) else {
                    for file in self.archive.files().within(files) {
                        self.damage(&file.path, nobody(&file).to_string());
                    }
                    return Ok(());
                };
                self.next_stage(
                    &Arc::new(VerifiedUser::new(self.archive, entry, files)),
                    brought,
                );
            }
            Task::File(user, place) => {
                if let Some(file) = self.archive.files().get(place) {
                    self.file(user.as_deref(), &file)?;
                }
                if let Some(user) = user
                    && user.left.fetch_sub(1, Ordering::AcqRel) == 1
                {
                    self.next_stage(&user, brought);
                }
            }
        }
        Ok(())
    }

    /// Brings the files that come next, or ends the user.
    fn next_stage(&self, user: &Arc<VerifiedUser<'a>>, brought: &mut Vec<Task<'a>>) {
        loop {
            let stage = user.stage.fetch_add(1, Ordering::AcqRel);
            let Some(belongs) = STAGES.get(stage) else {
                return self.finish(user);
            };
            let all = self.archive.files().within(user.files.clone());
            let files = user.files.clone().zip(all);
            let files = files.filter(|(_, file)| belongs(file));
            let files: Vec<usize> = files.map(|(place, _)| place).collect();
            if !files.is_empty() {
                user.left.store(files.len(), Ordering::Release);
                let task = |file| Task::File(Some(user.clone()), file);
                // The last one is taken first.
                brought.extend(files.into_iter().rev().map(task));
                return;
            }
        }
    }

    fn file(&self, user: Option<&VerifiedUser<'a>>, file: &PlannedFile) -> Result<()> {
        let progress = Progress::new(self.tally, file);
        let shown = |bytes: usize| progress.step(bytes as u64);
        let read = match user {
            Some(user) => user.file(self.archive, file, &shown),
            None => self
                .archive
                .stream(file, true, true, &mut |piece| {
                    shown(piece.len());
                    crate::interrupt::check()
                })
                .map(|summary| (summary.output_size, summary.records.unwrap_or(0))),
        };
        match read {
            Ok((bytes, records)) => {
                self.files.fetch_add(1, Ordering::Relaxed);
                self.bytes.fetch_add(bytes, Ordering::Relaxed);
                self.records.fetch_add(records, Ordering::Relaxed);
            }
            Err(error) if error.kind() == ErrorKind::Damaged => {
                self.damage(&file.path, error.to_string());
            }
            Err(error) => return Err(error),
        }
        progress.end();
        Ok(())
    }

    fn finish(&self, user: &VerifiedUser<'a>) {
        let folder = format!("users/{}", user.entry.user_id);
        let within = |path: &str| {
            let rest = path.strip_prefix(folder.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let intact = !self.wrong.iter().any(|path| within(path))
            && !lock(&self.damaged).iter().any(|(path, _)| within(path));
        let inventoried = self.archive.plan.inventoried;
        let outcome = user.finish(intact, inventoried);
        for contradiction in outcome.contradictions {
            self.damage(&folder, contradiction);
        }
        let mut found = lock(&self.found);
        found.warnings.extend(outcome.surplus);
        let seen = outcome.seen;
        for (what, named) in &seen.remarks {
            let name = match user.entry.username.as_str() {
                "" => &user.entry.user_id,
                name => name,
            };
            let mut ids = named.ids.join(", ");
            if named.ids.len() < usize::try_from(named.count).unwrap_or(usize::MAX) {
                ids += ", …";
            }
            let line = format!("{name}: {}: {} ({ids})", what.describe(), named.count);
            if what.is_problem(inventoried) {
                found.problems.push(line);
            } else if what.is_note() {
                found.notes.push(line);
            } else {
                found.warnings.push(line);
            }
        }
        found.seen.merge(RecordChecks {
            hashes: seen.hashes,
            ..RecordChecks::default()
        });
    }

    fn damage(&self, path: &str, sentence: String) {
        lock(&self.damaged).push((path.to_owned(), sentence));
    }
}

/// How far a file is, in its stored bytes: of a compressed one that is an estimate until its end.
struct Progress<'t> {
    tally: &'t Tally,
    size: u64,
    /// Plain bytes for one that is stored.
    ratio: u64,
    shown: AtomicU64,
}

impl<'t> Progress<'t> {
    fn new(tally: &'t Tally, file: &PlannedFile) -> Self {
        Progress {
            tally,
            size: file.size,
            ratio: if file.gzip { 5 } else { 1 },
            shown: AtomicU64::new(0),
        }
    }

    fn step(&self, plain: u64) {
        let before = self.shown.fetch_add(plain, Ordering::Relaxed);
        let stored = |plain: u64| (plain / self.ratio).min(self.size);
        self.tally.add(0, stored(before + plain) - stored(before));
    }

    fn end(&self) {
        let shown = self.shown.load(Ordering::Relaxed) / self.ratio;
        self.tally.add(0, self.size.saturating_sub(shown));
    }
}
