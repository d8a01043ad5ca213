//! Random histories: after each step a run, and each run holds what the platform held then.

use crate::chain::{Chain, assert_same};
use crate::operations::Live;
use pryv_backup_tests::{
    command::text,
    stage::{Platform, Rows, Stage},
};
use std::path::Path;

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
) -> ((Option<i32>, String), Rows) {
    let target = empty(stage).unwrap();
    let done = target.restore(archive, flags);
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
        for run in 1..=RUNS {
            if run > 1 {
                let steps = live.random.below(8);
                let steps: Vec<String> = (0..steps).map(|_| live.step()).collect();
                said.push(steps.join(", "));
                chain.add_increment();
            } else {
                chain.add();
            }
            moments.push(chain.moment(&format!("now {seed} {run}")));
        }
        let states = chain.states(RUNS);
        for (n, (state, (archive, moment))) in states.iter().zip(&moments).enumerate() {
            let when = format!("history {seed}, run {} ({said:?})", n + 1);
            assert_same(state, moment, &when);
            let at = (n + 1).to_string();
            let of_chain = restored(&stage, empty, &chain.dir, &["--at", &at], &when);
            let of_moment = restored(&stage, empty, archive, &[], &when);
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
