//! From each engine of series into each other: a backup of what was restored holds the same records.

use super::{restored, with_series};
use pryv_backup_tests::{
    command::{report, text},
    influx::Influx,
    normal::records,
    plain::Plain,
    rich,
    stage::{Platform, Stage},
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

type Records = BTreeMap<String, BTreeSet<String>>;

fn read(stage: &Stage, archive: &Path) -> Records {
    records(&Plain::read(&stage.open(archive)))
}

/// Restores an archive into an empty platform, whose backup is returned; its series are those of the first one.
fn carry(
    stage: &Stage,
    archive: &Path,
    target: &Platform<'_>,
    name: &str,
    due: &Records,
) -> PathBuf {
    restored(&target.restore(archive, &["--verify-integrity"]));
    let again = target.backup(name);
    let found = read(stage, &again);
    let wrong: Vec<String> = due
        .iter()
        .filter(|(place, _)| place.ends_with(" series"))
        .filter(|(place, records)| found.get(*place) != Some(*records))
        .map(|(place, records)| {
            let none = BTreeSet::new();
            let there = found.get(place).unwrap_or(&none);
            let differ: Vec<_> = records.symmetric_difference(there).take(6).collect();
            format!("{place}: {differ:#?}")
        })
        .collect();
    assert!(wrong.is_empty(), "{name}: {}", wrong.join("\n"));
    again
}

/// Every record of the fixture, from files to InfluxDB, to PostgreSQL, to InfluxDB, and back to files.
#[test]
fn of_the_fixture_through_every_engine() {
    let Some(stage) = Stage::new() else { return };
    let (Some(first), Some(second)) = (Influx::start(), Influx::start()) else {
        return;
    };
    let source = stage.sqlite_fixture();
    let archive = source.backup("files");
    let due = read(&stage, &archive);
    let series = |all: &Records| {
        all.keys()
            .filter(|place| place.ends_with(" series"))
            .count()
    };
    assert!(series(&due) > 0);

    let target = with_series(stage.sqlite(), first.port);
    let archive = carry(&stage, &archive, &target, "influx", &due);
    assert_eq!(read(&stage, &archive), due, "all but series too");
    assert!(
        first
            .databases()
            .iter()
            .any(|name| name.starts_with("user."))
    );
    let aside = |server: &Influx| {
        let all = server.databases();
        all.into_iter()
            .any(|name| name.starts_with("pryv-backup-restore"))
    };
    assert!(!aside(&first) && target.is_left_clean());

    if let Some(postgres) = stage.postgres() {
        let archive = carry(&stage, &archive, &postgres, "postgres", &due);
        let target = with_series(stage.postgres().unwrap(), second.port);
        let archive = carry(&stage, &archive, &target, "postgres with influx", &due);
        assert!(!aside(&second) && target.is_left_clean());
        assert_eq!(target.sql("SELECT count(*) FROM series_data"), "0");
        carry(&stage, &archive, &stage.sqlite(), "files again", &due);
    }
    carry(&stage, &archive, &stage.sqlite(), "files from influx", &due);
}

/// Fields that hold now this and now that: the first kind stays, and what the server refuses is named, whoever it is of.
#[test]
fn of_a_made_up_platform() {
    let Some(stage) = Stage::new() else { return };
    let Some(server) = Influx::start() else {
        return;
    };
    let source = stage.sqlite();
    rich::fill(&stage, &source, 3, 11);
    let archive = source.backup("files");
    let due = read(&stage, &archive);
    let target = with_series(stage.sqlite(), server.port);
    let done = target.restore(&archive, &[]);
    assert_eq!(done.status.code(), Some(5), "{}", text(&done));
    for user in report(&done)["users"].as_array().unwrap() {
        assert_eq!(user["outcome"], "restored", "{user}");
        for loss in user["losses"].as_array().unwrap() {
            assert!(loss.as_str().unwrap().starts_with("series: "), "{loss}");
        }
        assert!(
            user["losses"].to_string().contains("field type conflict"),
            "{user}"
        );
    }
    let archive = target.backup("influx");
    let found = read(&stage, &archive);
    for (place, records) in &due {
        match place.ends_with(" series") {
            true => assert!(found[place].len() > 10 && found[place].len() < records.len()),
            false => assert_eq!(found.get(place), Some(records)),
        }
    }
    carry(&stage, &archive, &stage.sqlite(), "files again", &found);
}
