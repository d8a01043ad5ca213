//! Random histories: after each step a run, and each run holds what the platform held then.

use crate::chain::{Chain, assert_same};
use crate::operations::Live;
use pryv_backup_tests::stage::{Platform, Stage};

/// How many histories of each engine; `CHAIN_HISTORIES` names another number.
const HISTORIES: u64 = 10;
const RUNS: usize = 6;

fn histories(platform: impl for<'s> Fn(&'s Stage) -> Option<Platform<'s>>) {
    let Some(stage) = Stage::new() else { return };
    let asked = std::env::var("CHAIN_HISTORIES").ok();
    let count = asked.map_or(HISTORIES, |text| text.parse().unwrap());
    for seed in 1..=count {
        let Some(platform) = platform(&stage) else {
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
            moments.push(chain.now(&format!("now {seed} {run}")));
        }
        let states = chain.states(RUNS);
        for (n, (state, moment)) in states.iter().zip(&moments).enumerate() {
            let when = format!(
                "history {seed}, run {} ({:?})",
                n + 1,
                said.get(n.wrapping_sub(1))
            );
            assert_same(state, moment, &when);
        }
        std::fs::remove_dir_all(chain.path()).unwrap();
        platform.remove();
    }
}

#[test]
fn histories_of_sqlite() {
    histories(|stage| Some(stage.sqlite()));
}

#[test]
fn histories_of_postgresql() {
    histories(Stage::postgres);
}
