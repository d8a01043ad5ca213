//! Dumps and restores that are killed at any moment: nothing looks whole that is not; the next dump is whole, and the next restore either finishes
//! or says by one line what is to be emptied.

use super::{at, database, dump, dumping, empty_like, files, one_line, restoring};
use pryv_backup_tests::{
    command::{killed_at, run, text},
    killed::{is_no_backup, killed},
    need, rounds,
    stage::{Platform, Stage},
};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

fn kills() -> u32 {
    rounds(4, 30)
}

/// The moment of a kill, in a command that takes so long.
fn moment(seed: u32, takes: Duration) -> Duration {
    takes.mul_f64((f64::from(seed) + 0.5) / f64::from(kills()))
}

/// How long it takes: the shorter of two times, and what comes of it.
fn takes(begin: impl Fn() -> Command, look: impl Fn()) -> Duration {
    let once = || {
        let mut command = begin();
        let begun = Instant::now();
        let done = run(&mut command);
        let took = begun.elapsed();
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        look();
        took
    };
    once().min(once())
}

fn killed_after(command: &mut Command, after: Duration) -> bool {
    let begun = Instant::now();
    killed(command, || begun.elapsed() >= after)
}

fn verified(stage: &Stage, archive: &Path) {
    let mut verify = Command::new(pryv_backup_tests::command::tool());
    verify
        .arg("verify")
        .arg(archive)
        .arg("--private-key")
        .arg(stage.key());
    let said = run(&mut verify);
    assert_eq!(said.status.code(), Some(0), "{}", text(&said));
}

#[test]
fn a_killed_dump_never_looks_whole() {
    let Some(stage) = Stage::new() else { return };
    let Some(platform) = stage.postgres_fixture() else {
        return;
    };
    let whole = stage.at("whole");
    let takes = takes(
        || dumping(&stage, &platform, &whole, &[]),
        || fs::remove_dir_all(&whole).unwrap(),
    );
    let (mut cut, mut stood) = (0, 0);
    for seed in 0..kills() {
        let output = stage.at("killed");
        let mut command = dumping(&stage, &platform, &output, &[]);
        killed_after(&mut command, moment(seed, takes));
        platform.wait_until_alone();
        match output.join("manifest.json").exists() {
            // It came too late.
            true => stood += 1,
            false => {
                assert!(is_no_backup(&output), "seed {seed}");
                drop(dump(&stage, &platform, "killed", &[]));
                cut += 1;
            }
        }
        verified(&stage, &output);
        assert!(!output.join(".pryv-backup-partial").exists());
        fs::remove_dir_all(output).unwrap();
    }
    println!("dumps after kills: {cut} cut, {stood} whole");
    assert!(cut > 0);
}

/// A dump that is put back again and again, and what it comes to.
struct PutBack<'s> {
    stage: &'s Stage,
    source: Platform<'s>,
    archive: std::path::PathBuf,
    dumped: String,
    held: BTreeMap<String, (u32, u32, u32, i64, i64, String)>,
}

impl<'s> PutBack<'s> {
    fn new(stage: &'s Stage) -> Option<Self> {
        let source = stage.postgres_fixture()?;
        let (archive, _) = dump(stage, &source, "dump", &[]);
        Some(Self {
            stage,
            dumped: database(stage, &source),
            held: held(&source),
            source,
            archive,
        })
    }

    fn empty(&self) -> Platform<'s> {
        empty_like(self.stage, &self.source, "target")
    }

    fn command(&self, target: &Platform<'_>) -> Command {
        restoring(self.stage, target, &self.archive, &[])
    }

    fn is_whole(&self, target: &Platform<'_>) -> bool {
        held(target) == self.held && database(self.stage, target) == self.dumped
    }

    /// Looks at what a killed restore has left, and ends it. Returns whether the next run was refused.
    fn settle(&self, target: Platform<'s>, when: &str) -> bool {
        target.wait_until_alone();
        let mut names: Vec<String> = held(&target).into_keys().collect();
        names.retain(|name| !name.is_empty() && !name.starts_with(".pryv-backup-raw-restore"));
        // Files come into their places when the servers hold all of the dump.
        let dumped = || database(self.stage, &target) == self.dumped;
        assert!(names.is_empty() || dumped(), "{when}: {names:?}");
        let next = run(&mut self.command(&target));
        if next.status.code() == Some(0) {
            assert!(self.is_whole(&target), "{when}");
            end(target);
            return false;
        }
        let said = one_line(&next, 1);
        assert!(said.contains("not empty"), "{when}: {said}");
        // As the line says.
        let users = target.users.clone();
        end(target);
        let target = at(self.empty(), users);
        let again = run(&mut self.command(&target));
        assert_eq!(again.status.code(), Some(0), "{when}: {}", text(&again));
        assert!(self.is_whole(&target), "{when}");
        end(target);
        true
    }
}

/// What is in the folder of the users, without the folder itself.
fn held(platform: &Platform<'_>) -> BTreeMap<String, (u32, u32, u32, i64, i64, String)> {
    if !platform.users.exists() {
        return BTreeMap::new();
    }
    let mut all = files(&platform.users);
    all.remove("");
    all
}

/// Removes a target, its folder with it.
fn end(target: Platform<'_>) {
    assert!(target.database.is_some());
    target.remove();
}

#[test]
fn a_killed_restore_is_finished_or_refused_by_the_next() {
    let Some(stage) = Stage::new() else { return };
    let Some(put_back) = PutBack::new(&stage) else {
        return;
    };
    let takes = takes(
        || put_back.command(&put_back.empty()),
        || fs::remove_dir_all(stage.at("target")).unwrap(),
    );
    let mut refused = 0;
    for seed in 0..kills() {
        let target = put_back.empty();
        killed_after(&mut put_back.command(&target), moment(seed, takes));
        refused += u32::from(put_back.settle(target, &format!("seed {seed}")));
    }
    println!(
        "restores after kills: {refused} of {} refused, the others finished",
        kills()
    );
    assert!(refused > 0);
}

/// The short time in which files are moved into their places.
#[test]
fn a_restore_that_is_killed_while_it_moves_files_is_refused_by_the_next() {
    let Some(stage) = Stage::new() else { return };
    if !need::strace() {
        return;
    }
    let Some(put_back) = PutBack::new(&stage) else {
        return;
    };
    let mut refused = 0;
    for nth in (1..).step_by(rounds(4, 1) as usize) {
        let target = put_back.empty();
        if !killed_at(&put_back.command(&target), "renameat2", nth) {
            end(target);
            break;
        }
        refused += u32::from(put_back.settle(target, &format!("step {nth}")));
    }
    println!("restores after kills while files are moved: {refused} refused");
    assert!(refused > 0);
}
