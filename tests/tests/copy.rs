//! Second copies: made, interrupted, continued, and brought up to date.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{fs, path::Path};

use pryv_backup_tests::{
    command::{STEPS, killed_at, text},
    folder::{copy, tree},
    need,
    sampled::Stage,
};

const TO: [&str; 2] = ["--recipient-pubkey", "key.pub.pem"];
const CHAIN: [&str; 3] = ["--incremental", "--state-dir", "state"];
/// Beside renames and removals: a new file is opened.
const MANY: &str =
    "rename,renameat,renameat2,unlink,unlinkat,rmdir,fsync,fdatasync,mkdir,openat,syncfs";

/// A chain of three runs, and copies of it as it was after each.
fn chain(layout: &[&str]) -> Stage {
    let stage = Stage::new();
    for run in 1..=3 {
        stage.backup_with("chain", &[&TO[..], layout, &CHAIN].concat());
        copy(&stage.at("chain"), &stage.at(&format!("chain-{run}")));
        let change = format!("UPDATE events SET modified = {run}");
        stage.sql("local-1.0.0.sqlite", &change);
    }
    stage
}

/// Kills a command at its steps, `every` how many of them; after each `check`. Returns how often it was killed.
fn kill_all(
    stage: &Stage,
    args: &[&str],
    calls: &str,
    every: usize,
    prepare: &dyn Fn(),
    check: &mut dyn FnMut(bool),
) -> u32 {
    let mut killed = 0;
    for nth in (1..).step_by(every) {
        prepare();
        let ended = !killed_at(&stage.command(args), calls, nth);
        check(ended);
        if ended {
            break;
        }
        killed += 1;
    }
    killed
}

fn empty(folder: &Path) {
    let _ = fs::remove_dir_all(folder);
}

#[test]
fn the_same_command_completes_a_copy_that_was_killed() {
    if !need::strace() {
        return;
    }
    let files = chain(&[]);
    let volumes = chain(&["--layout", "volumes", "--volume-size", "64K"]);
    let mut kept = 0;
    for (stage, layout, every) in [
        (&files, "files", 17),
        (&files, "volumes", 17),
        (&volumes, "files", 17),
        (&volumes, "volumes", 17),
    ] {
        // With one thread a copy is the same each time.
        let how = ["--layout", layout, "--volume-size", "64K", "--jobs", "1"];
        let _ = stage.good(&[&["copy", "chain", "once"], &how[..]].concat());
        let due = tree(&stage.at("once"));
        let args = [&["copy", "chain", "to", "--json"], &how[..]].concat();
        let killed = kill_all(
            stage,
            &args,
            MANY,
            every,
            &|| empty(&stage.at("to")),
            &mut |ended| {
                let whole = stage.at("to/manifest.json").exists();
                assert!(whole || !ended);
                let report = stage.json(&args);
                kept += report["kept"].as_u64().unwrap();
                assert!(tree(&stage.at("to")) == due, "{layout}: {report}");
            },
        );
        assert!(killed > 5, "{layout}: {killed}");
        empty(&stage.at("once"));
    }
    assert!(kept > 50, "only {kept} files were kept");
}

#[test]
fn what_lies_in_the_way_of_a_copy_is_made_anew() {
    let stage = chain(&[]);
    let how = ["--layout", "files", "--jobs", "2"];
    let _ = stage.good(&[&["copy", "chain", "once"], &how[..]].concat());
    let due = tree(&stage.at("once"));
    for layout in ["files", "volumes"] {
        let _ = stage.good(&["copy", "chain", "from", "--layout", layout]);
        for damage in 0..3 {
            // A copy that was interrupted and then damaged: one file changed, one cut, some of another backup beside.
            let staging = stage.at("to/.pryv-backup-partial");
            copy(&stage.at("once"), &staging);
            fs::remove_file(staging.join("manifest.json")).unwrap();
            let records = |path: &&String| path.ends_with(".jsonl.gz");
            let mut some = due.keys().filter(records).step_by(3 + damage);
            for path in some.by_ref().take(3) {
                let mut bytes = due[path].clone();
                *bytes.last_mut().unwrap() ^= 1;
                fs::write(staging.join(path), bytes).unwrap();
            }
            let cut = some.next().unwrap();
            fs::write(staging.join(cut), &due[cut][..50]).unwrap();
            fs::create_dir_all(staging.join("increments/0009/users/x")).unwrap();
            fs::write(
                staging.join("increments/0009/users/x/streams.jsonl.gz"),
                "x",
            )
            .unwrap();
            fs::write(staging.join("users/package.json"), "x").unwrap();
            let report = stage.json(&[&["copy", "from", "to", "--json"], &how[..]].concat());
            assert!(tree(&stage.at("to")) == due, "{report}");
            assert!(!stage.at("to/increments/0009").exists());
            // Of a run in volumes, nothing says which of the files is the wrong one.
            assert!(report["kept"].as_u64().unwrap() > 0, "{report}");
            empty(&stage.at("to"));
        }
        empty(&stage.at("from"));
    }
    // A link does not lead anywhere else.
    fs::create_dir_all(stage.at("to/.pryv-backup-partial")).unwrap();
    fs::create_dir(stage.at("elsewhere")).unwrap();
    std::os::unix::fs::symlink(
        stage.at("elsewhere"),
        stage.at("to/.pryv-backup-partial/users"),
    )
    .unwrap();
    let _ = stage.good(&["copy", "chain", "to"]);
    assert!(tree(&stage.at("to")) == due);
    assert!(tree(&stage.at("elsewhere")).is_empty());
}

#[test]
fn a_copy_gets_the_runs_that_it_lacks() {
    let stage = chain(&[]);
    let _ = stage.good(&["copy", "chain", "once"]);
    let due = tree(&stage.at("once"));
    for runs in [1, 2] {
        let _ = stage.good(&["copy", &format!("chain-{runs}"), "to"]);
        let report = stage.json(&["copy", "chain", "to", "--json"]);
        assert_eq!(report["runs"], 3);
        assert_eq!(report["runsThere"], runs);
        assert!(tree(&stage.at("to")) == due, "{runs}");
        let said = stage.good(&["copy", "chain", "to"]);
        assert!(said.contains("nothing copied: to has all 3 runs"), "{said}");
        assert!(tree(&stage.at("to")) == due);
        empty(&stage.at("to"));
    }
    // The other way round, and where something else lies.
    let _ = stage.good(&["copy", "chain", "to"]);
    let longer = stage.run(&["copy", "chain-1", "to"]);
    assert_eq!(longer.status.code(), Some(2));
    assert!(
        text(&longer).contains("holds more runs"),
        "{}",
        text(&longer)
    );
    stage.backup("other");
    for (from, words) in [("other", "more runs"), ("chain", "another backup")] {
        let to = if from == "other" { "to" } else { "other" };
        let refused = stage.run(&["copy", from, to]);
        assert_eq!(refused.status.code(), Some(2));
        assert!(text(&refused).contains(words), "{}", text(&refused));
        assert_eq!(text(&refused).lines().count(), 1, "{}", text(&refused));
    }
    assert!(tree(&stage.at("to")) == due);
    // An envelope that was changed stays.
    let _ = stage.good(&["copy", "chain-2", "rekeyed"]);
    stage.key("second.pem");
    let add = [
        "--add-recipient",
        "second.pub.pem",
        "--private-key",
        "key.pem",
    ];
    stage.good(&[&["rekey", "rekeyed"], &add[..]].concat());
    let envelope = fs::read(stage.at("rekeyed/encryption.json")).unwrap();
    let done = stage.run(&["copy", "chain", "rekeyed"]);
    assert!(done.status.success(), "{}", text(&done));
    assert!(text(&done).contains("left as it is"), "{}", text(&done));
    assert!(fs::read(stage.at("rekeyed/encryption.json")).unwrap() == envelope);
    let said = stage.good(&["verify", "rekeyed", "--private-key", "key.pem"]);
    assert!(said.contains("3 runs"), "{said}");
}

#[test]
fn the_same_command_adds_runs_after_a_kill() {
    if !need::strace() {
        return;
    }
    for layout in [&[][..], &["--layout", "volumes"]] {
        let stage = chain(layout);
        let how = ["--jobs", "1"];
        let _ = stage.good(&[&["copy", "chain", "once"], &how[..]].concat());
        let due = tree(&stage.at("once"));
        let _ = stage.good(&[&["copy", "chain-1", "first"], &how[..]].concat());
        let args = [&["copy", "chain", "to"], &how[..]].concat();
        let killed = kill_all(
            &stage,
            &args,
            STEPS,
            1,
            &|| {
                empty(&stage.at("to"));
                copy(&stage.at("first"), &stage.at("to"));
            },
            &mut |_| {
                stage.good(&["verify", "to"]);
                stage.good(&["verify", "to", "--private-key", "key.pem"]);
                stage.good(&args);
                let found = tree(&stage.at("to"));
                let names: Vec<_> = found
                    .keys()
                    .filter(|path| !due.contains_key(*path))
                    .collect();
                assert!(found == due, "{names:?}");
            },
        );
        assert!(killed > 10, "{killed}");
    }
}

#[test]
fn what_was_not_compared_and_what_is_odd_is_said() {
    let stage = chain(&[]);
    let _ = stage.good(&["copy", "chain-1", "to"]);
    let said = stage.good(&["copy", "chain", "to"]);
    let last = said.lines().last().unwrap();
    assert!(last.starts_with("2 runs, "), "{said}");
    assert!(
        last.contains("1 run was there already and not compared"),
        "{said}"
    );
    assert!(!last.contains("all are"), "{said}");
    // A run that was not finished is left alone, and that is said.
    copy(
        &stage.at("chain/increments/0003"),
        &stage.at("chain/increments/0004"),
    );
    fs::write(stage.at("chain/increments/0004/.unnamed"), "").unwrap();
    let consolidate = [
        "consolidate",
        "chain",
        "--into",
        "one",
        "--private-key",
        "key.pem",
    ];
    for args in [&["copy", "chain", "odd"][..], &consolidate] {
        let done = stage.run(args);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        let warning = "warning: increments/0004: left by a run that was not finished";
        assert!(text(&done).contains(warning), "{}", text(&done));
    }
    // One that was finished and is not listed: the list is an older one.
    fs::remove_file(stage.at("chain/increments/0004/.unnamed")).unwrap();
    fs::remove_dir_all(stage.at("one")).unwrap();
    fs::remove_dir_all(stage.at("odd")).unwrap();
    for args in [&["copy", "chain", "odd"][..], &consolidate] {
        let done = stage.run(args);
        assert_eq!(done.status.code(), Some(4), "{}", text(&done));
        assert!(text(&done).contains("increments/0004"), "{}", text(&done));
    }
    assert!(!stage.at("one").exists() && !stage.at("odd").exists());
}

#[test]
fn names_do_not_steer_the_terminal() {
    let stage = chain(&[]);
    let name = "\u{1b}[31m\nerror: all is lost\u{9b}";
    fs::write(stage.at("chain").join(name), "").unwrap();
    let copied = format!("co{name}py");
    for args in [
        &["copy", "chain", &copied][..],
        &["verify", &copied],
        &["list", &copied],
        &[
            "rekey",
            &copied,
            "--private-key",
            "key.pem",
            "--add-recipient",
            "key.pub.pem",
        ],
        &["stats", &copied, "--private-key", "key.pem"],
        &["diff", "chain-1", &copied, "--private-key", "key.pem"],
        &["prune", &copied, "--keep-last", "1", "--dry-run"],
        &[
            "consolidate",
            "chain",
            "--into",
            &format!("{copied}2"),
            "--private-key",
            "key.pem",
        ],
        &["keygen", "--output", &format!("{name}.pem")],
        &["sample", &format!("{name}-platform")],
    ] {
        let said = text(&stage.run(args));
        assert!(!said.contains(['\u{1b}', '\u{9b}']), "{args:?}: {said:?}");
        assert!(
            !said
                .lines()
                .any(|line| line.starts_with("error: all is lost")),
            "{args:?}: {said}"
        );
    }
    assert!(stage.at(&copied).exists());
}
