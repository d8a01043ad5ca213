//! Two runs at once, and runs that are killed.

use crate::work::{BACKUP, KEY, Work, error_line};
use pryv_backup_tests::{
    command::text,
    folder::tree,
    object_store::{Fault, StoreProxy},
    rounds,
};
use std::fs;

#[test]
fn of_two_runs_at_once_one_wins() {
    let Some(work) = Work::new() else { return };
    let place = &work.at("chain");
    work.backup(place, &["--incremental"]);
    // Two hosts, each with its own state: the key is the same, so that each knows the chain.
    let (state, other) = (work.stage.at("state"), work.stage.at("other"));
    fs::create_dir(&other).unwrap();
    for (path, bytes) in tree(&state) {
        let to = other.join(path);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, bytes).unwrap();
    }
    private(&other);
    // The first one's last files are held back until the second one is done.
    let (proxy, gate) = StoreProxy::gated(work.store.port(), |first| {
        first.starts_with("PUT") && first.contains("0002/run.json")
    });
    let args = [&BACKUP[..], &[place, "--incremental"]].concat();
    let first = work.by_way_of(&proxy).start(&args);
    gate.wait();
    // On the same host, one waits for the other.
    assert!(
        work.ends(&args, 2)
            .contains("another backup is being written")
    );
    work.on_host("other").good(&args);
    drop(gate);
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

/// Runs a command, and kills it at its request of this number, which was done or not; whether it came to that.
fn is_killed_at(work: &Work, args: &[&str], nth: usize) -> bool {
    work.is_killed(args, move |number, _| match nth % 4 / 2 {
        _ if number < nth => Fault::None,
        0 => Fault::NoAnswer,
        _ => Fault::Cut(0),
    })
}

#[test]
fn a_run_that_was_killed_is_finished_or_forgotten() {
    let Some(work) = Work::new() else { return };
    let place = &work.at("chain");
    let args = [
        &BACKUP[..],
        &[place, "--incremental", "--volume-size", "64K"],
    ]
    .concat();
    let mut runs = 0;
    for nth in (1..60).step_by(rounds(9, 1) as usize) {
        work.change();
        let killed = is_killed_at(&work, &args, nth);
        // What stood before is good, whatever lies beside it.
        if runs > 0 {
            for secret in [&KEY[..], &[]] {
                work.good(&[&["verify", place], secret].concat());
            }
        }
        work.backup(place, &["--incremental"]);
        runs += 1;
        if !killed {
            break;
        }
    }
    assert!(runs > 3, "{runs}");
    work.good(&[&["verify", place], &KEY[..]].concat());
    let _ = fs::remove_dir_all(work.stage.at("plain-backup"));
    work.good(&[&BACKUP[..], &["plain-backup"]].concat());
    work.is_same(place, "plain-backup");
}

#[test]
fn a_copy_that_was_killed_goes_on() {
    let Some(work) = Work::new() else { return };
    let small = ["--incremental", "--volume-size", "64K"];
    work.backup("chain", &small);
    work.backup("chain", &small);
    let mut kills = 0;
    for (n, nth) in (1..80).step_by(rounds(5, 1) as usize).enumerate() {
        let place = &work.at(&n.to_string());
        let killed = is_killed_at(&work, &["copy", "chain", place], nth);
        // Nobody takes a part of it for a backup.
        if killed {
            kills += 1;
            let done = work.run(&[&["verify", place], &KEY[..]].concat());
            if done.status.success() {
                work.is_same("chain@1", place);
            }
        }
        work.good(&["copy", "chain", place]);
        work.good(&[&["verify", place], &KEY[..]].concat());
        work.is_same("chain", place);
        if !killed {
            break;
        }
    }
    assert!(kills > 3, "{kills}");
}
