//! Requests that are refused, and what is done instead.

use crate::chain::{Chain, assert_same};
use pryv_backup_tests::{
    command::{report, run, text, tool},
    folder,
    stage::Stage,
};
use std::fs;

#[test]
fn a_run_without_a_state_is_full_and_stands_beside() {
    let Some(stage) = Stage::new() else { return };
    let platform = stage.sqlite_fixture();
    let chain = Chain::new(&stage, &platform, "chain");
    assert_eq!(chain.add()["chain"]["kind"], "full");
    let first = folder::tree(&chain.dir);
    chain.forget();
    let said = chain.add();
    assert_eq!(said["chain"]["kind"], "full", "{said}");
    let why = said["chain"]["whyFull"].as_str().unwrap();
    assert!(why.contains("remembers nothing"), "{why}");
    let now = folder::tree(&chain.dir);
    for (path, bytes) in &first {
        assert!(
            path == "SHA256SUMS" || path == "chain.json" || now.get(path) == Some(bytes),
            "{path}"
        );
    }
    chain.add_increment();
    assert_same(&chain.states(3)[2], &chain.now("now"), "after a full run");
}

#[test]
fn a_state_of_another_run_or_damaged_costs_a_full_run() {
    let Some(stage) = Stage::new() else { return };
    let platform = stage.sqlite_fixture();
    let chain = Chain::new(&stage, &platform, "chain");
    let id = chain.add()["archiveId"].as_str().unwrap().to_owned();
    let state = chain.state_dir.join(&id).join("state");
    let old = fs::read(&state).unwrap();
    chain.add_increment();
    fs::write(&state, &old).unwrap();
    let said = chain.add();
    assert_eq!(said["chain"]["kind"], "full", "{said}");
    assert!(
        said["chain"]["whyFull"]
            .as_str()
            .unwrap()
            .contains("another run")
    );
    let mut bytes = fs::read(&state).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&state, &bytes).unwrap();
    let said = chain.add();
    assert_eq!(said["chain"]["kind"], "full", "{said}");
    assert!(
        said["chain"]["whyFull"]
            .as_str()
            .unwrap()
            .contains("damaged")
    );
    chain.add_increment();
}

#[test]
fn what_cannot_be_bound_or_would_lie_open_is_refused() {
    let Some(stage) = Stage::new() else { return };
    let platform = stage.sqlite_fixture();
    let refused = |command: &mut std::process::Command, what: &str| {
        let done = run(command);
        assert_eq!(done.status.code(), Some(2), "{}", text(&done));
        assert!(text(&done).contains(what), "{}", text(&done));
    };
    let theirs = Chain::new(&stage, &platform, "theirs");
    folder::copy(&stage.fixtures.join("archives/plain-sqlite"), &theirs.dir);
    let before = folder::tree(&theirs.dir);
    refused(&mut theirs.command(), "Pryv's own tool");
    assert!(folder::tree(&theirs.dir) == before);

    let chain = Chain::new(&stage, &platform, "chain");
    chain.add();
    let before = folder::tree(&chain.dir);
    refused(&mut chain.bare(), "would not be");
    refused(
        chain.command().args(["--user", "alice"]),
        "are of other users",
    );
    assert!(folder::tree(&chain.dir) == before);

    let alice = Chain::new(&stage, &platform, "alice");
    let first = run(alice.command().args(["--user", "alice"]));
    assert_eq!(first.status.code(), Some(0), "{}", text(&first));
    refused(&mut alice.command(), "are of other users");
    refused(
        alice.command().args(["--user", "bob00"]),
        "are of other users",
    );
    let second = run(alice.command().args(["--user", "alice"]));
    assert_eq!(
        report(&second)["chain"]["kind"],
        "incremental",
        "{}",
        text(&second)
    );
}

#[test]
fn an_archive_of_ours_becomes_the_first_run() {
    let Some(stage) = Stage::new() else { return };
    let platform = stage.sqlite_fixture();
    let archive = platform.backup("archive");
    let mut chain = Chain::new(&stage, &platform, "chain");
    chain.dir = archive;
    let said = chain.add();
    assert_eq!(said["chain"]["run"], 2, "{said}");
    assert_eq!(said["chain"]["kind"], "full", "{said}");
    chain.add_increment();
}

#[test]
fn a_passphrase_is_enough_and_recipients_may_change() {
    let Some(stage) = Stage::new() else { return };
    let platform = stage.sqlite_fixture();
    let chain = Chain::new(&stage, &platform, "chain");
    let with = |passphrase: &str, more: &[&str]| {
        let done = run(chain
            .bare()
            .args(["--include-ephemeral", "--encrypt-passphrase", passphrase])
            .args(more));
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        report(&done)
    };
    with("one", &["--kdf", "pbkdf2"]);
    for more in [&["--kdf", "pbkdf2"][..], &[]] {
        assert_eq!(with("one", more)["chain"]["kind"], "incremental");
    }
    // The key of this run opens the state at it.
    for said in [with("two", &[]), chain.add()] {
        assert_eq!(said["chain"]["kind"], "full", "{said}");
        let why = said["chain"]["whyFull"].as_str().unwrap();
        assert!(
            why.contains("of the runs before it") || why.contains("could not open"),
            "{why}"
        );
    }
    chain.add_increment();
    let read = run(std::process::Command::new(tool())
        .args(["decrypt", "--verify"])
        .arg(&chain.dir)
        .arg("--private-key")
        .arg(stage.key()));
    assert_eq!(read.status.code(), Some(0), "{}", text(&read));
    let index = fs::read(chain.dir.join("chain.json")).unwrap();
    let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
    let modes: Vec<_> = (0..6)
        .map(|n| index["runs"][n]["mode"].as_str().unwrap())
        .collect();
    assert_eq!(
        modes,
        [
            "symmetric-pbkdf2",
            "symmetric-pbkdf2",
            "symmetric",
            "symmetric",
            "hybrid",
            "hybrid"
        ]
    );
    assert_eq!(index["runs"][4]["recipients"].as_array().unwrap().len(), 1);
    // A second recipient cannot open what was sealed before it came; a recipient less is no matter.
    let both = |command: &mut std::process::Command| {
        let other = stage.at("other.pem");
        if !other.exists() {
            let made = run(std::process::Command::new(tool())
                .args(["keygen", "--output"])
                .arg(&other));
            assert_eq!(made.status.code(), Some(0), "{}", text(&made));
        }
        let done = run(command
            .arg("--recipient-pubkey")
            .arg(stage.at("other.pub.pem")));
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        report(&done)
    };
    assert_eq!(both(&mut chain.command())["chain"]["kind"], "full");
    assert_eq!(both(&mut chain.command())["chain"]["kind"], "incremental");
    chain.add_increment();
}

#[test]
fn what_is_sealed_and_what_is_not_does_not_mix() {
    let Some(stage) = Stage::new() else { return };
    let platform = stage.sqlite_fixture();
    let chain = Chain::new(&stage, &platform, "chain");
    let refused = |command: &mut std::process::Command, what: &str| {
        let before = folder::tree(&stage.at(""));
        let done = run(command);
        assert_eq!(done.status.code(), Some(2), "{}", text(&done));
        assert!(text(&done).contains(what), "{}", text(&done));
        assert!(folder::tree(&stage.at("")) == before);
    };
    let mut inside = platform.command();
    inside
        .args(["--incremental", "--output", "new", "--state-dir"])
        .arg(stage.at("new/state"));
    refused(&mut inside, "lies in the backup");
    let made = run(&mut chain.bare());
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    refused(&mut chain.command(), "is not encrypted");
    refused(chain.command().arg("--dry-run"), "is not encrypted");
    let sealed = Chain::new(&stage, &platform, "sealed");
    sealed.add();
    refused(sealed.bare().arg("--dry-run"), "would not be");
    // Nor does a chain of everybody become one of a single user when nobody remembers it.
    sealed.forget();
    let mut narrower = sealed.command();
    narrower.args(["--user", "alice"]);
    refused(&mut narrower, "are of other users");
}

#[test]
fn a_chain_that_has_lost_its_list_is_no_archive() {
    let Some(stage) = Stage::new() else { return };
    let platform = stage.sqlite_fixture();
    for runs in [2, 3] {
        let chain = Chain::new(&stage, &platform, &format!("chain {runs}"));
        chain.add();
        for _ in 1..runs {
            chain.add_increment();
        }
        fs::remove_file(chain.dir.join("chain.json")).unwrap();
        let before = folder::tree(&chain.dir);
        for _ in 0..2 {
            let done = run(&mut chain.command());
            assert_eq!(done.status.code(), Some(4), "{}", text(&done));
            assert!(text(&done).contains("is missing"), "{}", text(&done));
            assert!(folder::tree(&chain.dir) == before);
        }
        fs::remove_file(chain.dir.join("manifest.json")).unwrap();
        let done = run(&mut chain.command());
        assert_eq!(done.status.code(), Some(4), "{}", text(&done));
        assert!(text(&done).contains("run 1 is missing"), "{}", text(&done));
    }
}

/// Of yesterday, from another medium: whatever they do not name was finished, and is not taken away.
#[test]
fn older_files_at_the_root_take_no_run_away() {
    let Some(stage) = Stage::new() else { return };
    let platform = stage.sqlite_fixture();
    let chain = Chain::new(&stage, &platform, "chain");
    chain.add();
    chain.add_increment();
    let old = ["chain.json", "SHA256SUMS"].map(|name| {
        let path = chain.dir.join(name);
        (path.clone(), fs::read(path).unwrap())
    });
    chain.add_increment();
    for (path, bytes) in old {
        fs::write(path, bytes).unwrap();
    }
    let before = folder::tree(&chain.dir);
    for forgetful in [false, true] {
        if forgetful {
            chain.forget();
        }
        let done = run(&mut chain.command());
        assert_eq!(done.status.code(), Some(4), "{}", text(&done));
        assert!(
            text(&done).contains("does not name increments/0003"),
            "{}",
            text(&done)
        );
        assert!(folder::tree(&chain.dir) == before);
    }
}

#[test]
fn nothing_is_added_to_a_broken_chain() {
    let Some(stage) = Stage::new() else { return };
    let platform = stage.sqlite_fixture();
    let chain = Chain::new(&stage, &platform, "chain");
    chain.add();
    let mut victim = None;
    for path in folder::tree(&chain.dir).into_keys() {
        if path.contains("/events/") {
            victim = Some(chain.dir.join(path));
        }
    }
    let victim = victim.unwrap();
    let mut bytes = fs::read(&victim).unwrap();
    bytes[100] ^= 1;
    fs::write(&victim, bytes).unwrap();
    let done = run(&mut chain.command());
    assert_eq!(done.status.code(), Some(4), "{}", text(&done));
    assert!(
        text(&done).contains("the run before is damaged"),
        "{}",
        text(&done)
    );
}

#[test]
fn an_older_list_of_runs_takes_no_run_away() {
    let Some(stage) = Stage::new() else { return };
    let platform = stage.sqlite_fixture();
    let chain = Chain::new(&stage, &platform, "chain");
    chain.add();
    chain.add_increment();
    let old = fs::read(chain.dir.join("chain.json")).unwrap();
    chain.add_increment();
    fs::write(chain.dir.join("chain.json"), old).unwrap();
    let before = folder::tree(&chain.dir);
    let done = run(&mut chain.command());
    assert_eq!(done.status.code(), Some(4), "{}", text(&done));
    assert!(text(&done).contains("SHA256SUMS lists"), "{}", text(&done));
    assert!(folder::tree(&chain.dir) == before);
}
