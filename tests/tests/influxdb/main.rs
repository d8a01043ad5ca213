//! InfluxDB as the engine of series, both ways, on a real server.
#![allow(clippy::unwrap_used, clippy::panic)]

mod backups;
mod faults;
mod increments;
mod kills;
mod restores;
mod round_trips;

use pryv_backup_tests::{
    command::{report, run, text},
    folder,
    influx::Influx,
    stage::{Platform, Stage},
};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Output;

/// The same platform, with its series in InfluxDB.
fn with_series<'s>(platform: Platform<'s>, port: u16) -> Platform<'s> {
    platform
        .with("storages__series__engine", "influxdb")
        .with("storages__engines__influxdb__port", &port.to_string())
}

/// The fixture platform of the SQLite engine, whose series are whatever the server holds.
fn fixture<'s>(stage: &'s Stage, server: &Influx) -> Platform<'s> {
    with_series(stage.sqlite_fixture(), server.port)
}

/// An empty platform of the SQLite engine.
fn empty<'s>(stage: &'s Stage, server: &Influx) -> Platform<'s> {
    with_series(stage.sqlite(), server.port)
}

/// A backup, with `--json` and these flags.
fn backup(stage: &Stage, platform: &Platform<'_>, name: &str, flags: &[&str]) -> Output {
    run(platform
        .command()
        .args(["--json", "--output"])
        .arg(stage.at(name))
        .args(flags))
}

/// The names of the losses in the report of a backup, and what they say.
fn losses(said: &Value) -> Vec<String> {
    let all = said["losses"].as_array().unwrap();
    let of = |loss: &Value| {
        format!(
            "{}: {}",
            loss["path"].as_str().unwrap_or_default(),
            loss["what"].as_str().unwrap_or_default()
        )
    };
    all.iter().map(of).collect()
}

/// All points of an archive: namespace, measurement, and the point.
fn points(stage: &Stage, archive: &Path) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for line in series_text(stage, archive).lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        for point in line["points"].as_array().unwrap() {
            let name = [&line["namespace"], &line["measurement"]].map(|n| n.as_str().unwrap());
            let new = all.insert(format!("{} {} {point}", name[0], name[1]));
            assert!(new, "{point}");
        }
    }
    all
}

/// The lines of the series of an archive, as they are written.
fn series_text(stage: &Stage, archive: &Path) -> String {
    let mut all = String::new();
    for (path, bytes) in folder::tree(&stage.open(archive)) {
        if path.contains("/series/") {
            all += std::str::from_utf8(&bytes).unwrap();
        }
    }
    all
}

/// Everybody was restored, without a loss.
fn restored(done: &Output) -> Value {
    assert_eq!(done.status.code(), Some(0), "{}", text(done));
    report(done)
}

/// The one line that a failed run ends with.
fn one_line(failed: &Output, code: i32) -> String {
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    let lines: Vec<&str> = said.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(failed.status.code(), Some(code), "{}", text(failed));
    assert_eq!(lines.len(), 1, "{said}");
    lines[0].to_owned()
}

/// The ids of two events of alice that have series, and the whole archive without any.
fn archive(stage: &Stage, platform: &Platform<'_>, name: &str) -> PathBuf {
    let made = backup(stage, platform, name, &["--include-ephemeral"]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    stage.at(name)
}
