//! Runs that are killed, at any moment: the chain is what it was, or has the run whole; and the next run goes on.

use crate::chain::{Chain, assert_same};
use crate::operations::Live;
use pryv_backup_tests::{
    command::{run, text, tool},
    rounds,
    stage::{Platform, Stage},
};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How many runs are committed.
fn runs(chain: &Chain<'_>) -> usize {
    let Ok(index) = fs::read(chain.dir.join("chain.json")) else {
        return usize::from(chain.dir.join("manifest.json").exists());
    };
    let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
    index["runs"].as_array().unwrap().len()
}

/// Files that a run writes on its way: as soon as one exists, the run is killed.
fn landmark(chain: &Chain<'_>, seed: u64) -> Option<Box<dyn Fn() -> bool>> {
    let dir = chain.dir.clone();
    let next = dir.join(format!("increments/{:04}", runs(chain) + 1));
    let sums = fs::metadata(dir.join("SHA256SUMS"))
        .and_then(|m| m.modified())
        .ok();
    let index = fs::metadata(dir.join("chain.json"))
        .and_then(|m| m.modified())
        .ok();
    let changed = |path: std::path::PathBuf, before: Option<std::time::SystemTime>| {
        move || fs::metadata(&path).and_then(|m| m.modified()).ok() != before
    };
    match seed % 8 {
        0 => Some(Box::new(move || {
            dir.join(".pryv-backup-partial/manifest.json").exists()
        })),
        1 => {
            let states = chain.state_dir.clone();
            Some(Box::new(move || holds_new(&states)))
        }
        2 => Some(Box::new(move || next.exists())),
        3 => Some(Box::new(changed(dir.join("SHA256SUMS"), sums))),
        4 => Some(Box::new(changed(dir.join("chain.json"), index))),
        _ => None,
    }
}

fn holds_new(states: &Path) -> bool {
    let chains = fs::read_dir(states).into_iter().flatten().flatten();
    chains
        .into_iter()
        .any(|chain| chain.path().join("state.new").exists())
}

/// Starts a run, and kills it at a moment that the seed decides.
fn killed(chain: &Chain<'_>, seed: u64, whole: Duration) {
    let there = landmark(chain, seed);
    let mut run = chain
        .command()
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let wait = whole * (seed * 7919 % 100) as u32 / 90;
    while run.try_wait().unwrap().is_none() {
        if there
            .as_ref()
            .map_or_else(|| begun.elapsed() >= wait, |there| there())
        {
            break;
        }
    }
    let _ = run.kill();
    run.wait().unwrap();
}

fn kills(empty: impl for<'s> Fn(&'s Stage) -> Option<Platform<'s>>) {
    let Some(stage) = Stage::new() else { return };
    let Some(platform) = empty(&stage) else {
        return;
    };
    let mut live = Live::new(&stage, &platform, 4711);
    let chain = Chain::new(&stage, &platform, "chain");
    let mut moments = Vec::new();
    let mut whole = Duration::from_millis(300);
    let (mut before, mut after) = (0, 0);
    for seed in 0..u64::from(rounds(16, 50)) {
        live.step();
        let (archive, moment) = chain.moment("now");
        fs::remove_dir_all(archive).unwrap();
        killed(&chain, seed, whole);
        platform.wait_until_alone();
        let there = runs(&chain);
        assert!(
            there == moments.len() || there == moments.len() + 1,
            "kill {seed}: {there} runs"
        );
        if there > moments.len() {
            after += 1;
            moments.push(moment);
        } else {
            before += 1;
        }
        if there > 0 {
            let checked = run(Command::new("sha256sum")
                .args(["--check", "--quiet", "--strict", "SHA256SUMS"])
                .current_dir(&chain.dir));
            assert!(checked.status.success(), "kill {seed}: {}", text(&checked));
            let verified = run(Command::new(tool()).arg("verify").arg(&chain.dir));
            assert_eq!(
                verified.status.code(),
                Some(0),
                "kill {seed}: {}",
                text(&verified)
            );
        }
        if seed % 3 == 0 {
            let begun = Instant::now();
            if there > 0 {
                chain.add_increment();
            } else {
                chain.add();
            }
            whole = begun.elapsed();
            let (archive, moment) = chain.moment("now");
            fs::remove_dir_all(archive).unwrap();
            moments.push(moment);
        }
    }
    // Each landmark is looked for again and again; on a busy machine a run may be past it.
    assert!(
        before > 0 && after > 0,
        "{before} before the commit, {after} after"
    );
    chain.add_increment();
    for (n, (state, moment)) in chain.states(moments.len()).iter().zip(&moments).enumerate() {
        assert_same(state, moment, &format!("run {}", n + 1));
    }
    let opened = run(Command::new(tool())
        .arg("verify")
        .arg(&chain.dir)
        .arg("--private-key")
        .arg(stage.key()));
    assert!(
        matches!(opened.status.code(), Some(0 | 5)),
        "{}",
        text(&opened)
    );
}

#[test]
fn killed_runs_of_sqlite() {
    kills(|stage| Some(stage.sqlite()));
}

#[test]
fn killed_runs_of_postgresql() {
    kills(Stage::postgres);
}
