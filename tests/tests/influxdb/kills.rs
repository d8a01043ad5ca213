//! A restore that is killed at any request: the next one puts in place what was decided and removes what was not. And backups that are.

use super::{archive, empty, fixture, restored, with_series};
use pryv_backup_tests::{
    command::{signal, text},
    influx::Influx,
    killed,
    object_store::{Fault, StoreProxy},
    stage::{Platform, Stage},
};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

type Held = BTreeSet<(String, String)>;

fn of(held: &Held, user: &str) -> BTreeSet<String> {
    let name = format!("user.{user}");
    let own = held.iter().filter(|(database, _)| *database == name);
    own.map(|(_, line)| line.clone()).collect()
}

/// Runs a restore that hangs at a request, and kills it there; whether it came to that.
fn killed_at(target: &Platform<'_>, archive: &Path, proxy: &StoreProxy, at: usize) -> bool {
    let mut child = target
        .restoring(archive, &["--overwrite", "--jobs", "1"])
        .env("storages__engines__influxdb__port", proxy.port.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while proxy.requests() < at && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    let came = child.try_wait().unwrap().is_none();
    signal(&child, "-KILL");
    child.wait().unwrap();
    target.wait_until_alone();
    came
}

fn every_request(
    stage: &Stage,
    source: &Influx,
    other: &Influx,
    whole: &Platform<'_>,
    archive: &Path,
) {
    let counting = StoreProxy::start(other.port, |_, _| Fault::None);
    let target = with_series(stage.copy(whole), counting.port);
    let fill = || {
        other.clear();
        other.write("user.alice", "event.before v=1 1\nevent.a v=7 7");
        other.write("user.zoe", "event.z v=1 1");
    };
    fill();
    restored(&target.restore(archive, &["--overwrite", "--jobs", "1"]));
    let requests = counting.requests();
    assert!(requests > 20, "{requests}");
    let new = other.all();
    fill();
    let old = other.all();
    let (mut undone, mut finished) = (0, 0);
    for at in (3..=requests).step_by(pryv_backup_tests::rounds(5, 1) as usize) {
        fill();
        let proxy = StoreProxy::start(other.port, move |n, _| match n >= at {
            true => Fault::Silent,
            false => Fault::None,
        });
        let target = with_series(stage.copy(whole), other.port);
        if !killed_at(&target, archive, &proxy, at) {
            continue;
        }
        // Nobody else's database was touched.
        assert_eq!(of(&other.all(), "zoe"), of(&old, "zoe"));
        // The next restore, of whatever archive, settles it.
        let next = target.restore(archive, &[]);
        assert!(
            matches!(next.status.code(), Some(0 | 5)),
            "{at}: {}",
            text(&next)
        );
        let now = other.all();
        for user in ["alice", "bob00"] {
            let is_new = of(&now, user) == of(&new, user);
            assert!(
                is_new || of(&now, user) == of(&old, user),
                "{at}: {user}: {now:#?}"
            );
            match is_new {
                true => finished += 1,
                false => undone += 1,
            }
        }
        let aside = |name: &String| name.starts_with("pryv-backup-restore");
        assert!(
            !other.databases().iter().any(aside),
            "{at}: {:?}",
            other.databases()
        );
        restored(&target.restore(archive, &["--overwrite"]));
        assert_eq!(other.all(), new, "{at}");
        assert!(target.is_left_clean());
        assert!(of(&new, "alice") == of(&source.all(), "alice"));
        target.remove();
    }
    println!("users after kills: {undone} as before, {finished} as restored");
    assert!(undone > 0 && finished > 0, "{undone} {finished}");
}

#[test]
fn backups_leave_nothing_that_looks_whole() {
    let Some(stage) = Stage::new() else { return };
    let Some((server, _)) = filled() else {
        return;
    };
    let platform = fixture(&stage, &server);
    let setting = "storages__engines__influxdb__port";
    let kills = pryv_backup_tests::rounds(4, 30);
    let came = killed::backups(
        &stage,
        &platform,
        server.port,
        (setting, &|port| port.to_string()),
        kills,
    );
    println!("{came} backups were killed");
}

fn filled() -> Option<(Influx, Influx)> {
    let (server, other) = (Influx::start()?, Influx::start()?);
    server.write("user.alice", "event.a v=1,n=1i,t=\"x\" 1\nevent.b v=2 2");
    server.write("user.bob00", "event.b v=1 1");
    Some((server, other))
}

#[test]
fn in_files() {
    let Some(stage) = Stage::new() else { return };
    let Some((server, other)) = filled() else {
        return;
    };
    let made = archive(&stage, &fixture(&stage, &server), "archive");
    let whole = fixture(&stage, &other);
    every_request(&stage, &server, &other, &whole, &made);
}

#[test]
fn in_postgres() {
    let Some(stage) = Stage::new() else { return };
    let Some((server, other)) = filled() else {
        return;
    };
    let Some(source) = stage.postgres_fixture() else {
        return;
    };
    let made = archive(&stage, &with_series(source, server.port), "archive");
    let whole = with_series(stage.postgres_fixture().unwrap(), other.port);
    every_request(&stage, &server, &other, &whole, &made);
}

/// Databases that a killed restore has left are not forgotten when the series are elsewhere later.
#[test]
fn a_note_of_another_engine_is_told() {
    let Some(stage) = Stage::new() else { return };
    let Some((server, other)) = filled() else {
        return;
    };
    let made = archive(&stage, &fixture(&stage, &server), "archive");
    let target = empty(&stage, &other);
    let proxy = StoreProxy::start(other.port, |_, first| {
        match first.starts_with("POST /write") {
            true => Fault::Silent,
            false => Fault::None,
        }
    });
    // Who is there, what is there, a database aside, and the first points.
    assert!(killed_at(&target, &made, &proxy, 4));
    let target = target.with("storages__series__engine", "sqlite");
    let refused = target.restore(&made, &[]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert!(text(&refused).contains("series.json"), "{}", text(&refused));
    restored(&with_series(target, other.port).restore(&made, &[]));
    assert_eq!(other.all(), server.all());
}
