//! Users whom Pryv.io has renamed: what is kept under every name that an account has had is backed up, restored and removed.

use super::defects;
use pryv_backup_tests::{
    command::{report, run, text},
    compare::{Differences, Meant},
    plain::Plain,
    rich,
    stage::{Platform, Rows, Stage},
};
use rusqlite::Connection;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::Output,
};

/// The fixture platforms, of either engine.
fn sources(stage: &Stage) -> Vec<Platform<'_>> {
    std::iter::once(stage.sqlite_fixture())
        .chain(stage.postgres_fixture())
        .collect()
}

/// Empty platforms, of either engine.
fn targets(stage: &Stage) -> Vec<Platform<'_>> {
    std::iter::once(stage.sqlite())
        .chain(stage.postgres())
        .collect()
}

/// Backs up with more flags into a folder, which is returned with what was said.
fn backup(stage: &Stage, source: &Platform<'_>, name: &str, flags: &[&str]) -> (PathBuf, Output) {
    let archive = stage.at(name);
    let made = run(source
        .command()
        .args(["--json", "--include-ephemeral", "--recipient-pubkey"])
        .arg(stage.fixtures.join("keys/recipient.pub.pem"))
        .arg("--output")
        .arg(&archive)
        .args(flags));
    (archive, made)
}

fn ended(done: &Output, code: i32) -> Value {
    assert_eq!(done.status.code(), Some(code), "{}", text(done));
    report(done)
}

/// Restored, but for what SQLite has no column for.
fn restored(done: &Output) {
    assert!(matches!(done.status.code(), Some(0 | 5)), "{}", text(done));
    let said = report(done);
    let users = said["users"].as_array().unwrap();
    let losses = users
        .iter()
        .flat_map(|one| one["losses"].as_array().unwrap());
    for loss in losses {
        assert!(loss.as_str().unwrap().contains("tags"), "{said}");
    }
}

fn id(platform: &Platform<'_>, name: &str) -> String {
    if platform.database.is_some() {
        return platform.sql(&format!(
            "SELECT user_id FROM users_index WHERE username = '{name}'"
        ));
    }
    let index = Connection::open(platform.users.join("user-index.db")).unwrap();
    let sql = "SELECT userId FROM id4name WHERE username = ?";
    index.query_row(sql, [name], |row| row.get(0)).unwrap()
}

/// Every point: namespace, measurement, nanoseconds.
fn points(platform: &Platform<'_>) -> BTreeSet<(String, String, i64)> {
    defects::points(platform).into_iter().collect()
}

/// The differences only: there are many records.
#[track_caller]
fn assert_points(found: &Platform<'_>, due: &BTreeSet<(String, String, i64)>, name: &str) {
    let found = points(found);
    let lacks: Vec<_> = due.difference(&found).take(5).collect();
    let more: Vec<_> = found.difference(due).take(5).collect();
    assert!(
        lacks.is_empty() && more.is_empty(),
        "{name}: lacks {lacks:?}, has {more:?}"
    );
}

/// Adds a point of a series, wherever the platform keeps it.
fn point(platform: &Platform<'_>, namespace: &str, event: &str, time: i64) {
    if platform.database.is_some() {
        platform.sql(&format!(
            "INSERT INTO series_data VALUES ('{namespace}', '{event}', {time}, {time}, '{{\"value\": 1}}')"
        ));
        return;
    }
    let folder = rich::folder(&platform.users, namespace);
    std::fs::create_dir_all(&folder).unwrap();
    let file = Connection::open(folder.join("series-1.0.0.sqlite")).unwrap();
    file.execute_batch(
        "CREATE TABLE IF NOT EXISTS series_data (event_id TEXT NOT NULL, point_time INTEGER NOT NULL, delta_time INTEGER NOT NULL, \
         fields TEXT NOT NULL, PRIMARY KEY (event_id, point_time))",
    )
    .unwrap();
    let sql = "INSERT INTO series_data VALUES (?, ?, ?, ?)";
    file.execute(sql, (event, time, time, "{\"value\": 1}"))
        .unwrap();
}

/// Renamed once and twice, with and without the aliases in the archive: every point comes back under the name that it was under,
/// and is found again by the next backup.
#[test]
fn series_from_before_a_rename_come_back() {
    let Some(stage) = Stage::new() else { return };
    for (at, source) in sources(&stage).iter().enumerate() {
        let alice = id(source, "alice");
        let before = points(source);
        assert!(before.iter().any(|(of, ..)| of == "user.alice"));
        let names = ["alice", "alice-two", "alice-three"];
        for times in 1..names.len() {
            source.rename(&alice, names[times - 1], names[times], 2e9 + times as f64);
            let now = format!("user.{}", names[times]);
            point(source, &now, "event.later", times as i64);
            let due = points(source);
            assert_eq!(due.len(), before.len() + times);
            // The second time what was renamed before is there as well.
            for mode in ["full", "none"].into_iter().take(times) {
                let name = format!("{at}-{times}-{mode}");
                let (archive, made) = backup(&stage, source, &name, &["--platform", mode]);
                ended(&made, 0);
                let opened = Plain::read(&stage.open(&archive));
                let manifest = opened.json(&format!("users/{alice}/user-manifest.json"));
                let listed: Vec<&str> = manifest["otherNames"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|name| name.as_str().unwrap())
                    .collect();
                assert!(names[..times].iter().all(|name| listed.contains(name)));
                for target in targets(&stage) {
                    restored(&target.restore(&archive, &["--verify-integrity"]));
                    assert_points(&target, &due, &name);
                    // Records that came in between are deleted with the user that is replaced.
                    point(&target, "user.alice", "event.of-the-target", 1);
                    let (_, again) = backup(&stage, &target, &format!("again-{name}"), &[]);
                    ended(&again, 0);
                    std::fs::remove_dir_all(stage.at(&format!("again-{name}"))).unwrap();
                    restored(&target.restore(&archive, &["--overwrite"]));
                    assert_points(&target, &due, &name);
                    target.remove();
                }
            }
        }
    }
}

/// Entries that a deletion left under a name belong to nobody: a backup names them, and they give way to a user who gets the
/// name.
#[test]
fn series_of_nobody_are_named_and_give_way() {
    let Some(stage) = Stage::new() else { return };
    for (at, source) in sources(&stage).iter().enumerate() {
        let due = points(source);
        let (clean, made) = backup(&stage, source, &format!("{at}-clean"), &[]);
        ended(&made, 0);
        point(source, "user.gone", "event.e", 7);
        point(source, "user.gone", "event.e", 8);
        let (_, made) = backup(&stage, source, &format!("{at}-left"), &[]);
        let said = ended(&made, 5);
        let losses = said["losses"].as_array().unwrap();
        assert_eq!(losses.len(), 1, "{said}");
        let path = losses[0]["path"].as_str().unwrap();
        let what = losses[0]["what"].as_str().unwrap();
        assert!(path.contains("user.gone"), "{said}");
        assert!(
            what.contains("2 points") && what.contains("no account"),
            "{said}"
        );
        for target in targets(&stage) {
            let (_, event, time) = due.iter().find(|(of, ..)| of == "user.alice").unwrap();
            point(&target, "user.alice", event, *time);
            point(&target, "user.alice", "event.left", 1);
            restored(&target.restore(&clean, &[]));
            assert_points(&target, &due, "clean");
        }
    }
}

/// Series under a name that is somebody else's on the target would become theirs: they are left out, and named.
#[test]
fn series_under_a_name_of_somebody_else_are_left_out() {
    let Some(stage) = Stage::new() else { return };
    for (at, source) in sources(&stage).iter().enumerate() {
        let alice = id(source, "alice");
        source.rename(&alice, "alice", "alice-two", 2e9);
        point(source, "user.alice-two", "event.later", 1);
        let flags = ["--platform", "none"];
        let (archive, made) = backup(&stage, source, &format!("{at}"), &flags);
        ended(&made, 0);
        for target in targets(&stage) {
            // Somebody who is called so now.
            let draft = super::draft::Draft::new(&stage, "stranger");
            let id = draft.id(1);
            let name = draft.manifest["users"][1]["username"].as_str().unwrap();
            let remap = format!("{name}=alice");
            let flags = ["--user", id.as_str(), "--remap-user", remap.as_str()];
            let done = target.restore(&draft.root, &flags);
            assert!(matches!(done.status.code(), Some(0 | 5)), "{}", text(&done));
            let theirs = points(&target);
            let flags = ["--user", alice.as_str()];
            let done = target.restore(&archive, &flags);
            let said = ended(&done, 5);
            assert!(said.to_string().contains("somebody else's too"), "{said}");
            let mut due = theirs;
            due.insert(("user.alice-two".into(), "event.later".into(), 1));
            assert_points(&target, &due, "stranger");
            std::fs::remove_dir_all(&draft.root).unwrap();
        }
    }
}

/// Where two platforms differ: by table, rows that only one has.
fn differences(due: &Rows, found: &Rows) -> BTreeMap<String, [Vec<String>; 2]> {
    let none = BTreeSet::new();
    let places: BTreeSet<&String> = due.keys().chain(found.keys()).collect();
    let mut all = BTreeMap::new();
    for place in places {
        let [due, found] = [due, found].map(|rows| rows.get(place).unwrap_or(&none));
        let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect();
        let both: [Vec<String>; 2] = [only(due, found), only(found, due)];
        if both.iter().any(|rows| !rows.is_empty()) {
            all.insert(place.clone(), both);
        }
    }
    all
}

fn show(all: &BTreeMap<String, [Vec<String>; 2]>) {
    for (place, [lacks, more]) in all {
        println!("{place}: {} {}", lacks.len(), more.len());
        for row in lacks.iter().take(4) {
            println!("  - {}", row.chars().take(300).collect::<String>());
        }
        for row in more.iter().take(4) {
            println!("  + {}", row.chars().take(300).collect::<String>());
        }
    }
}

/// Values that come back changed, and why that is right.
fn explained(mut all: BTreeMap<String, [Vec<String>; 2]>, now: &str, entries: usize) {
    show(&all);
    // A restore names the core of everybody by the present name, and so does it for accesses; Pryv.io leaves the name that was.
    let [lacks, more] = all.remove("keyValue").unwrap();
    let renamed = |row: &String| row.contains("beat-one") || row.contains("beat-two");
    assert!(lacks.iter().all(renamed) && lacks.len() == entries);
    let present = |row: &&String| row.replace("beat-one", now).replace("beat-two", now);
    let due: BTreeSet<String> = lacks.iter().map(|row| present(&row)).collect();
    assert_eq!(due, more.into_iter().collect());
    // Pryv.io does not tell the events of a stream that was moved where they are now.
    let [lacks, more] = all.remove("event_streams").unwrap();
    let moved = |row: &String| row.contains("\"stream_id\": \"heart-raw\"");
    assert!(lacks.iter().chain(&more).all(moved) && lacks.len() == more.len());
    // Nor does it tell the stream itself; and what a deleted stream was by default is in no record of it.
    let [lacks, more] = all.remove("streams").unwrap();
    let here = |row: &String| {
        row.replace("health/heart/heart-raw/", "health/heart-raw/")
            .replace("\"single_activity\": false", "\"single_activity\": null")
    };
    let [due, found] = [lacks, more].map(|rows| rows.iter().map(here).collect::<BTreeSet<_>>());
    assert_eq!(due, found);
    assert!(all.is_empty(), "{:?}", all.keys());
}

/// A platform that was filled through Pryv's own API, with a user whom Pryv renamed, comes back row by row: from a full backup, and
/// from a chain.
#[test]
fn a_platform_filled_through_the_api_comes_back() {
    let Some(stage) = Stage::new() else { return };
    let Some(source) = stage.api_fixture() else {
        return;
    };
    let (archive, made) = backup(&stage, &source, "full", &["--verify"]);
    ended(&made, 0);
    let target = stage.api_empty().unwrap();
    ended(&target.restore(&archive, &["--verify-integrity"]), 0);
    explained(differences(&source.rows(), &target.rows()), "beat-two", 9);

    let state = stage.at("state");
    let next = || {
        let flags = ["--incremental", "--state-dir", state.to_str().unwrap()];
        let (chain, made) = backup(&stage, &source, "chain", &flags);
        (chain, ended(&made, 0))
    };
    next();
    let beat = id(&source, "beat-two");
    source.rename(&beat, "beat-two", "beat-three", 2e9);
    point(&source, "user.beat-three", "event.later", 1);
    source.sql("DELETE FROM series_data WHERE user_id = 'user.beat-one' AND delta_time = (SELECT max(delta_time) FROM series_data WHERE user_id = 'user.beat-one')");
    let (chain, said) = next();
    assert_eq!(said["chain"]["kind"], "incremental", "{said}");
    let target = stage.api_empty().unwrap();
    ended(&target.restore(&chain, &["--verify-integrity"]), 0);
    explained(
        differences(&source.rows(), &target.rows()),
        "beat-three",
        10,
    );
}

/// Pryv's own archive of it holds less; what it holds comes back as it is there.
#[test]
fn pryvs_archive_of_it_comes_back() {
    let Some(stage) = Stage::new() else { return };
    let Some(target) = stage.api_empty() else {
        return;
    };
    let archive = stage.api_files().join("pryv-archive");
    let done = target.restore(&archive, &[]);
    ended(&done, 0);
    let (again, made) = backup(&stage, &target, "again", &["--platform", "pryv"]);
    ended(&made, 0);
    let ours = Plain::read(&stage.open(&again));
    let found = Differences::of_archives(&ours, &Plain::read(&archive));
    found.assert_meant(&[
        Meant {
            what: "manifest: config.domain is \"unknown\", in theirs \"http://127.0.0.1:21000/\"",
            times: 1,
            reason: "the target is not configured",
        },
        Meant {
            what: "manifest: user.otherNames only in ours",
            times: 3,
            reason: "Pryv's tool knows present names only",
        },
        Meant {
            what: "platform: value is \"INS/1%2+3\", in theirs \"INS\"",
            times: 1,
            reason: "Pryv's tool cuts unique values at a slash; the account tells the whole",
        },
    ]);
}
