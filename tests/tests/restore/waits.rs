//! Waits of a restore: it names them, and signals end them.

use pryv_backup_tests::{
    command::text,
    stage::{Platform, Stage},
};
use std::{
    fs::File,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// A restore that is at work, with what it says in a file.
fn begin(stage: &Stage, target: &Platform<'_>, archive: &std::path::Path) -> Child {
    let said = File::create(stage.at("said")).unwrap();
    target
        .restoring(archive, &["--overwrite"])
        .stdout(Stdio::null())
        .stderr(said)
        .spawn()
        .unwrap()
}

fn terminate(child: &Child) {
    let pid = child.id().to_string();
    Command::new("kill").args(["-TERM", &pid]).status().unwrap();
}

fn until(stage: &Stage, words: &str) {
    let started = Instant::now();
    let said = || std::fs::read_to_string(stage.at("said")).unwrap();
    while !said().contains(words) {
        assert!(started.elapsed() < PATIENCE, "no {words:?} in {:?}", said());
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_commit_that_waits_for_a_standby_says_so() {
    let Some(stage) = Stage::new() else { return };
    let Some(source) = stage.postgres_fixture() else {
        return;
    };
    let archive = source.backup("archive");
    let Some(target) = stage.postgres() else {
        return;
    };
    let server = stage.server().unwrap();
    let standby = |name: &str| {
        let set = format!("ALTER SYSTEM SET synchronous_standby_names = '{name}'");
        server.sql("postgres", &set);
        server.sql("postgres", "SELECT pg_reload_conf()");
    };
    let whole = stage.copy(&target);
    assert_eq!(whole.restore(&archive, &[]).status.code(), Some(0));
    standby("nobody");
    // The first signal does not end it, the second one does; what was committed stands, and the next run knows.
    let mut child = begin(&stage, &target, &archive);
    until(&stage, "no synchronous standby has confirmed it");
    terminate(&child);
    until(&stage, "a second signal ends it now");
    sleep(Duration::from_secs(2));
    assert!(child.try_wait().unwrap().is_none(), "it should wait");
    terminate(&child);
    let started = Instant::now();
    assert_eq!(child.wait().unwrap().code(), None);
    assert!(started.elapsed() < PATIENCE);

    // With a standby that answers after the first signal, it ends in order.
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pryv-backup'";
    server.sql("postgres", end);
    let mut child = begin(&stage, &target, &archive);
    until(&stage, "no synchronous standby has confirmed it");
    terminate(&child);
    until(&stage, "a second signal ends it now");
    standby("");
    assert_eq!(child.wait().unwrap().code(), Some(143));
    target.wait_until_alone();
    let done = target.restore(&archive, &["--overwrite"]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    assert!(target.rows() == whole.rows());
    assert!(target.is_left_clean());
}
