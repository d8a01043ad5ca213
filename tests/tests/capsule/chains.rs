//! Capsules of the runs of a chain: each is whole, and the newest of a state counts.

use super::{Host, one_line, saving};
use pryv_backup_tests::{
    command::{report, run, text, tool},
    folder,
    stage::Stage,
};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The run of the capsule that is saved, and the key of the authority in it.
fn newest(stage: &Stage, archive: &Path, flags: &[&str]) -> (Value, String) {
    let out = stage.at("saved");
    let done = saving(stage, archive, "saved", &[flags, &["--json"]].concat());
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    let key = fs::read_to_string(out.join("ca/ca.key")).unwrap();
    fs::remove_dir_all(out).unwrap();
    (report(&done)["run"].clone(), key)
}

#[test]
fn the_newest_capsule_of_a_state_is_saved() {
    let Some(stage) = Stage::new() else { return };
    let host = Host::new(&stage, stage.sqlite_fixture());
    let state = stage.at("state");
    let increment = ["--incremental", "--state-dir", state.to_str().unwrap()];
    let key = |text: &str| fs::write(host.at("ca/ca.key"), text).unwrap();
    let run_of = |said: &Value, kind: &str| assert_eq!(said["chain"]["kind"], kind, "{said}");
    key("one");
    let (chain, said) = host.backup("chain", &increment);
    run_of(&said, "full");
    // A run without one.
    let made = run(&mut host.without("chain", &increment));
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    run_of(&report(&made), "incremental");
    key("three");
    fs::remove_dir_all(host.at("tls")).unwrap();
    run_of(&host.backup("chain", &increment).1, "incremental");
    for (flags, run, text) in [
        (&[][..], 3, "three"),
        (&["--at", "3"], 3, "three"),
        (&["--at", "2"], 1, "one"),
        (&["--at", "1"], 1, "one"),
    ] {
        let (of, key) = newest(&stage, &chain, flags);
        assert_eq!((of, key.as_str()), (run.into(), text));
    }
    let told = text(&saving(&stage, &chain, "told", &["--at", "2"]));
    assert!(told.contains("saved the capsule of run 1 in"), "{told}");
    // The state has the files of one capsule alone, in every reader.
    let by_tool = folder::tree(&stage.open(&chain));
    let out = stage.at("by-script");
    let opened = Command::new("node")
        .arg(chain.join("decrypt-backup.mjs"))
        .arg(&chain)
        .arg("--private-key")
        .arg(stage.key())
        .arg("--out")
        .arg(&out)
        .output()
        .unwrap();
    assert_eq!(opened.status.code(), Some(0), "{}", text(&opened));
    assert!(by_tool == folder::tree(&out));
    assert_eq!(by_tool["capsule/ca/ca.key"], b"three");
    assert!(!by_tool.keys().any(|path| path.contains("privkey")));
    for args in [&["verify"][..], &["verify", "--at", "2"]] {
        let mut command = Command::new(tool());
        command
            .args(args)
            .arg(&chain)
            .arg("--private-key")
            .arg(stage.key());
        let done = run(&mut command);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    }
    keeps(&stage, &chain);
    // Of one that is damaged, nothing is saved; that of an earlier state is.
    let path = chain.join("increments/0003/capsule/ca/ca.key");
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(path, bytes).unwrap();
    let said = one_line(&saving(&stage, &chain, "damaged", &[]), 4);
    assert!(said.contains("capsule/ca/ca.key"), "{said}");
    assert!(!stage.at("damaged").exists());
    assert_eq!(newest(&stage, &chain, &["--at", "2"]).1, "one");
}

/// Copies, and copies under another key, have the same capsules.
fn keeps(stage: &Stage, chain: &Path) {
    let done = |args: &[&str]| {
        let mut command = Command::new(tool());
        command.args(args).current_dir(stage.at(""));
        let done = run(&mut command);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    };
    let (chain, key) = (chain.to_str().unwrap(), stage.key());
    let key = key.to_str().unwrap();
    done(&["copy", chain, "copied", "--layout", "volumes"]);
    assert_eq!(newest(stage, &stage.at("copied"), &[]).1, "three");
    assert_eq!(newest(stage, &stage.at("copied"), &["--at", "1"]).1, "one");
    done(&["keygen", "--bits", "2048", "--output", "new.pem"]);
    let rekeyed = [
        "rekey",
        "copied",
        "--private-key",
        key,
        "--add-recipient",
        "new.pub.pem",
    ];
    done(&rekeyed);
    let new = stage.at("new.pem");
    let with_new = ["--private-key", new.to_str().unwrap()];
    assert_eq!(newest(stage, &stage.at("copied"), &with_new).1, "three");
    done(&["consolidate", chain, "--into", "one", "--private-key", key]);
    let (run, text) = newest(stage, &stage.at("one"), &[]);
    assert_eq!((run, text.as_str()), (Value::Null, "three"));
}
