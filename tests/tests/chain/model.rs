//! Random histories: after each step a run, and each run holds what the platform held then.

use crate::chain::{Chain, assert_same};
use crate::operations::Live;
use pryv_backup_tests::{
    command::{run, text, tool},
    fill::random::Random,
    object_store::{Bucket, ObjectStore, reach},
    stage::{Platform, Rows, Stage},
};
use std::{path::Path, process::Command};

/// How many histories of each engine; `CHAIN_HISTORIES` names another number, as `make nightly` does.
const HISTORIES: u64 = 2;
const RUNS: usize = 6;

/// The exit code and the report of a restore into an empty platform, and the rows there after it.
fn restored(
    stage: &Stage,
    empty: &Empty,
    archive: &Path,
    flags: &[&str],
    when: &str,
    store: Option<u16>,
) -> ((Option<i32>, String), Rows) {
    let target = empty(stage).unwrap();
    let mut command = target.restoring(archive, flags);
    if let Some(port) = store {
        reach(&mut command, port);
        command.arg("--private-key").arg(stage.key());
    }
    let done = run(&mut command);
    let code = done.status.code();
    assert!(matches!(code, Some(0 | 5)), "{when}: {}", text(&done));
    let rows = target.rows();
    target.remove();
    ((code, text(&done)), rows)
}

type Empty = dyn for<'s> Fn(&'s Stage) -> Option<Platform<'s>>;

fn histories(empty: &Empty) {
    let Some(stage) = Stage::new() else { return };
    let asked = std::env::var("CHAIN_HISTORIES").ok();
    let count = asked.map_or(HISTORIES, |text| text.parse().unwrap());
    for seed in 1..=count {
        let Some(platform) = empty(&stage) else {
            return;
        };
        let mut live = Live::new(&stage, &platform, seed);
        let chain = Chain::new(&stage, &platform, &format!("chain {seed}"));
        let mut moments = Vec::new();
        let mut said = Vec::new();
        for nth in 1..=RUNS {
            if nth > 1 {
                let steps = live.random.below(8);
                let steps: Vec<String> = (0..steps).map(|_| live.step()).collect();
                said.push(steps.join(", "));
                chain.add_increment();
            } else {
                chain.add();
            }
            moments.push(chain.moment(&format!("now {seed} {nth}")));
        }
        let states = chain.states(RUNS);
        for (n, (state, (archive, moment))) in states.iter().zip(&moments).enumerate() {
            let when = format!("history {seed}, run {} ({said:?})", n + 1);
            assert_same(state, moment, &when);
            let at = (n + 1).to_string();
            let of_chain = restored(&stage, empty, &chain.dir, &["--at", &at], &when, None);
            let of_moment = restored(&stage, empty, archive, &[], &when, None);
            assert!(
                of_chain.0.0 == of_moment.0.0,
                "{when}: {:?}\n{:?}",
                of_chain.0,
                of_moment.0
            );
            assert_eq!(of_chain.1, of_moment.1, "{when}");
            std::fs::remove_dir_all(archive).unwrap();
        }
        std::fs::remove_dir_all(chain.path()).unwrap();
        platform.remove();
    }
}

#[test]
fn histories_of_sqlite() {
    histories(&|stage| Some(stage.sqlite()));
}

#[test]
fn histories_of_postgresql() {
    histories(&Stage::postgres);
}

/// The same chains in object stores, as far as they can be seen from without: each run restores as a backup of its moment does. In a bucket that
/// keeps versions somebody overwrites and deletes between the runs.
#[test]
fn histories_in_an_object_store() {
    let (Some(store), Some(stage)) = (ObjectStore::shared(), Stage::new()) else {
        return;
    };
    let buckets = [store.plain(), store.locked()];
    let asked = std::env::var("CHAIN_HISTORIES").ok();
    let count = asked.map_or(HISTORIES, |text| text.parse().unwrap());
    for seed in 1..=count {
        let platform = stage.sqlite();
        let is_locked = seed % 2 == 1;
        let bucket = &buckets[usize::from(is_locked)];
        let mut live = Live::new(&stage, &platform, seed);
        let mut random = Random::new(seed);
        let mut chain = Chain::new(&stage, &platform, &format!("stored {seed}"));
        chain.dir = bucket.at(&seed.to_string()).into();
        let good = |command: &mut Command| {
            let done = run(reach(command, store.port()));
            assert!(matches!(done.status.code(), Some(0 | 5)), "{}", text(&done));
        };
        let mut moments = Vec::new();
        let mut said = Vec::new();
        for nth in 1..=RUNS {
            if nth > 1 {
                let steps = live.random.below(8);
                let mut steps: Vec<String> = (0..steps).map(|_| live.step()).collect();
                if is_locked && random.below(2) == 0 {
                    steps.push(meddle(bucket, seed, &mut random));
                }
                if random.below(4) == 0 {
                    chain.forget();
                    steps.push("the host forgot the runs".to_owned());
                }
                said.push(steps.join(", "));
            }
            good(&mut chain.command());
            moments.push(chain.moment(&format!("now {seed} {nth}")).0);
        }
        let mut verify = Command::new(tool());
        good(verify.arg("verify").arg(&chain.dir));
        good(verify.arg("--private-key").arg(stage.key()));
        let empty: &Empty = &|stage| Some(stage.sqlite());
        for (n, archive) in moments.iter().enumerate() {
            let when = format!("history {seed}, run {} ({said:?})", n + 1);
            let at = (n + 1).to_string();
            let of_chain = restored(
                &stage,
                empty,
                &chain.dir,
                &["--at", &at],
                &when,
                Some(store.port()),
            );
            let of_moment = restored(&stage, empty, archive, &[], &when, None);
            assert_eq!(of_chain.0.0, of_moment.0.0, "{when}");
            assert_eq!(of_chain.1, of_moment.1, "{when}");
            std::fs::remove_dir_all(archive).unwrap();
        }
        platform.remove();
    }
}

/// Overwrites or deletes an object of a chain; says which.
fn meddle(bucket: &Bucket, seed: u64, random: &mut Random) -> String {
    let objects = bucket.list(&format!("{seed}/"));
    let object = &objects[random.below(objects.len())];
    match random.below(2) {
        0 => bucket.delete(&object.key),
        _ => bucket.put(&object.key, b"{}"),
    }
    format!("{} was changed", object.key)
}
