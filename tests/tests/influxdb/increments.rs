//! Increments: no point tells when it was written, so all are read, and those that are new or differ go into the run.

use super::{empty, fixture, losses, restored, series_text, with_series};
use pryv_backup_tests::{
    command::{report, run, text},
    influx::Influx,
    stage::{Platform, Stage},
};
use serde_json::Value;
use std::path::Path;
use std::process::Output;

fn increment(stage: &Stage, platform: &Platform<'_>, chain: &str) -> Output {
    run(platform
        .command()
        .env("PRYV_BACKUP_STATE_DIR", stage.at("state"))
        .args(["--incremental", "--json", "--output"])
        .arg(stage.at(chain)))
}

fn kind(made: &Output, code: i32) -> Value {
    assert_eq!(made.status.code(), Some(code), "{}", text(made));
    report(made)["chain"]["kind"].clone()
}

/// Points of the newest run, and nothing of the others.
fn brought(stage: &Stage, chain: &str, run: &str) -> usize {
    let folder = stage.at(chain).join("increments").join(run);
    let series = |path: &Path| path.join("series/series.jsonl.gz");
    let users = std::fs::read_dir(folder.join("users"))
        .into_iter()
        .flatten();
    users
        .flatten()
        .map(|user| {
            let file = std::fs::read(series(&user.path())).unwrap_or_default();
            let all = pryv_backup_tests::plain::Plain(
                [("users/u/series/series.jsonl.gz".to_owned(), file)].into(),
            );
            if all.0.values().all(Vec::is_empty) {
                return 0;
            }
            let lines = all.records("users/u/series/series");
            lines
                .iter()
                .map(|line| line["points"].as_array().unwrap().len())
                .sum()
        })
        .sum()
}

#[test]
fn a_run_brings_what_has_changed() {
    let Some(stage) = Stage::new() else { return };
    let (Some(server), Some(other)) = (Influx::start(), Influx::start()) else {
        return;
    };
    let platform = fixture(&stage, &server);
    server.write(
        "user.alice",
        "event.a v=1,n=1i 1\nevent.a v=2 2\nevent.gone v=1 1",
    );
    server.write("user.bob00", "event.b v=1 1");
    assert_eq!(kind(&increment(&stage, &platform, "chain"), 0), "full");
    // One is new, one differs, one measurement is gone; a float is no integer.
    server.write("user.alice", "event.a v=3 3\nevent.a v=9 2");
    server.query_in("user.alice", "DROP MEASUREMENT \"event.gone\"");
    assert_eq!(
        kind(&increment(&stage, &platform, "chain"), 0),
        "incremental"
    );
    assert_eq!(brought(&stage, "chain", "0002"), 2);
    assert_eq!(
        kind(&increment(&stage, &platform, "chain"), 0),
        "incremental"
    );
    assert_eq!(brought(&stage, "chain", "0003"), 0);
    let target = empty(&stage, &other);
    restored(&target.restore(&stage.at("chain"), &[]));
    for name in ["user.alice", "user.bob00"] {
        assert_eq!(other.contents(name), server.contents(name));
    }
    // The same with the base in PostgreSQL.
    let Some(postgres) = stage.postgres_fixture() else {
        return;
    };
    let postgres = with_series(postgres, server.port);
    assert_eq!(
        kind(&increment(&stage, &postgres, "of-postgres"), 0),
        "full"
    );
    server.write("user.bob00", "event.b v=1 2");
    assert_eq!(
        kind(&increment(&stage, &postgres, "of-postgres"), 0),
        "incremental"
    );
    assert_eq!(brought(&stage, "of-postgres", "0002"), 1);
}

/// A database that is not there any more is a loss, not a removal of all its points.
#[test]
fn a_database_that_is_gone_is_named() {
    let Some(stage) = Stage::new() else { return };
    let Some(server) = Influx::start() else {
        return;
    };
    let platform = fixture(&stage, &server);
    server.write("user.alice", "event.a v=1 1");
    assert_eq!(kind(&increment(&stage, &platform, "chain"), 0), "full");
    server.query("DROP DATABASE \"user.alice\"");
    let made = increment(&stage, &platform, "chain");
    assert_eq!(kind(&made, 5), "incremental");
    let said = losses(&report(&made)).join("\n");
    assert!(said.contains("no database of series is left"), "{said}");
    assert!(series_text(&stage, &stage.at("chain")).contains("event.a"));
}
