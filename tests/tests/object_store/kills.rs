//! Two runs at once, and runs that are killed.

use crate::work::{BACKUP, KEY, Work, error_line};
use pryv_backup_tests::{
    command::{alone, run, text},
    folder::tree,
    object_store::{Fault, ObjectStore, StoreProxy},
    rounds,
    sampled::Stage,
};
use std::{
    fs,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

#[test]
fn of_two_runs_at_once_one_wins() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    store.bucket("bucket");
    let work = Work::of(&stage, &store);
    let place = "s3://bucket/chain";
    work.backup(place, &["--incremental"]);
    // Two hosts, each with its own state: the key is the same, so that each knows the chain.
    fs::create_dir(stage.at("other")).unwrap();
    for (path, bytes) in tree(&stage.at("state")) {
        let to = stage.at("other").join(path);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, bytes).unwrap();
    }
    private(&stage.at("other"));
    // The first one's last files are held back until the second one is done.
    static HELD: AtomicUsize = AtomicUsize::new(0);
    let slow = StoreProxy::start(store.port, |_, first| {
        if first.starts_with("PUT") && first.contains("0002/run.json") {
            HELD.store(1, Ordering::SeqCst);
            while HELD.load(Ordering::SeqCst) == 1 {
                thread::sleep(Duration::from_millis(20));
            }
        }
        Fault::None
    });
    let args = [&BACKUP[..], &[place, "--incremental"]].concat();
    let held = work.by_way_of(slow.port);
    let mut first = held.command(&args);
    let first = alone(&mut first)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while HELD.load(Ordering::SeqCst) == 0 {
        thread::sleep(Duration::from_millis(20));
    }
    // On the same host, one waits for the other.
    assert!(
        work.ends(&args, 2)
            .contains("another backup is being written")
    );
    let mut second = work.command(&args);
    second.env("PRYV_BACKUP_STATE_DIR", stage.at("other"));
    let second = run(&mut second);
    assert!(second.status.success(), "{}", text(&second));
    HELD.store(2, Ordering::SeqCst);
    let first = first.wait_with_output().unwrap();
    assert_eq!(first.status.code(), Some(1), "{}", text(&first));
    assert!(error_line(&text(&first)).contains("was finished first"));
    work.is_good(place);
    work.backup(place, &["--incremental"]);
    work.is_good(place);
}

fn private(folder: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap(),
            }
        }
    }
}

/// Runs a command and kills it at its request of this number, before that is done or after it; says whether it ended before.
fn ends_before(work: &Work<'_>, args: &[&str], nth: usize) -> bool {
    let killed = Arc::new(AtomicBool::new(false));
    let reached = killed.clone();
    let proxy = StoreProxy::start(work.store.port, move |number, _| {
        if number < nth {
            return Fault::None;
        }
        reached.store(true, Ordering::SeqCst);
        // Nothing of it comes back.
        match nth % 4 / 2 {
            0 => Fault::NoAnswer,
            _ => Fault::Cut(0),
        }
    });
    let by_proxy = work.by_way_of(proxy.port);
    let mut command = by_proxy.command(args);
    let mut child = alone(&mut command)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    loop {
        if killed.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(30));
            let _ = child.kill();
        }
        if let Some(ended) = child.try_wait().unwrap() {
            return ended.success();
        }
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_run_that_was_killed_is_finished_or_forgotten() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    store.bucket("bucket");
    let work = Work::of(&stage, &store);
    let place = "s3://bucket/chain";
    let args = [
        &BACKUP[..],
        &[place, "--incremental", "--volume-size", "64K"],
    ]
    .concat();
    let mut runs = 0;
    for nth in (1..60).step_by(rounds(9, 1) as usize) {
        stage.sql(
            "local-1.0.0.sqlite",
            "UPDATE events SET modified = modified + 1",
        );
        let ended = ends_before(&work, &args, nth);
        // What stood before is good, whatever lies beside it.
        if runs > 0 {
            for secret in [&KEY[..], &[]] {
                work.good(&[&["verify", place], secret].concat());
            }
        }
        work.backup(place, &["--incremental"]);
        runs += 1;
        if ended {
            break;
        }
    }
    assert!(runs > 3, "{runs}");
    work.good(&[&["verify", place], &KEY[..]].concat());
    let _ = fs::remove_dir_all(stage.at("plain-backup"));
    work.good(&[&BACKUP[..], &["plain-backup"]].concat());
    work.is_same(place, "plain-backup");
}

#[test]
fn a_copy_that_was_killed_goes_on() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    store.bucket("bucket");
    let work = Work::of(&stage, &store);
    let small = ["--incremental", "--volume-size", "64K"];
    work.backup("chain", &small);
    work.backup("chain", &small);
    let mut killed = 0;
    for (n, nth) in (1..80).step_by(rounds(5, 1) as usize).enumerate() {
        let place = &format!("s3://bucket/{n}");
        let ended = ends_before(&work, &["copy", "chain", place], nth);
        // Nobody takes a part of it for a backup.
        if !ended {
            killed += 1;
            let done = work.run(&[&["verify", place], &KEY[..]].concat());
            if done.status.success() {
                work.is_same("chain@1", place);
            }
        }
        work.good(&["copy", "chain", place]);
        work.good(&[&["verify", place], &KEY[..]].concat());
        work.is_same("chain", place);
        if ended {
            break;
        }
    }
    assert!(killed > 3, "{killed}");
}
