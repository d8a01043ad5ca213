//! Other recipients for an archive that is there.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{collections::BTreeMap, fs, process::Command};

use pryv_backup_engine::archive::sha256_hex;
use pryv_backup_tests::{
    command::{STEPS, killed_at, text},
    folder::{copy, tree},
    need,
    sampled::Stage,
};
use serde_json::Value;

const OWN: [&str; 2] = ["--private-key", "key.pem"];

fn envelope(stage: &Stage, archive: &str) -> Value {
    let file = stage.at(archive).join("encryption.json");
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

fn fingerprints(envelope: &Value) -> Vec<&str> {
    let list = envelope["recipients"].as_array().unwrap();
    assert_eq!(list[0]["wrappedKey"], envelope["wrappedKey"]);
    list.iter()
        .map(|r| r["fingerprint"].as_str().unwrap())
        .collect()
}

fn opens(stage: &Stage, archive: &str, key: &str, code: i32) {
    stage.ends(&["verify", archive, "--private-key", key], code);
    // The script that travels in the archive, too.
    if stage.at(archive).join("decrypt-backup.mjs").exists() {
        let mut node = Command::new("node");
        node.current_dir(stage.at(archive)).args([
            "decrypt-backup.mjs",
            ".",
            "--verify",
            "--private-key",
        ]);
        let done = node.arg(stage.at(key)).output().unwrap();
        assert_eq!(done.status.code(), Some(code), "{}", text(&done));
    }
}

/// The verdict of `sha256sum`, which every system has.
fn sums_hold(stage: &Stage, archive: &str) {
    let mut command = Command::new("sha256sum");
    command
        .current_dir(stage.at(archive))
        .args(["--strict", "--quiet", "-c", "SHA256SUMS"]);
    let done = command.output().unwrap();
    assert!(done.status.success(), "{}", text(&done));
}

#[test]
fn recipients_come_and_go_and_nothing_else_changes() {
    let stage = Stage::new();
    let (second, third) = (stage.key("second.pem"), stage.key("third.pem"));
    stage.backup("archive");
    let before = tree(&stage.at("archive"));
    let first = fingerprints(&envelope(&stage, "archive"))[0].to_owned();

    let args = [
        "rekey",
        "archive",
        "--json",
        "--add-recipient",
        "second.pub.pem",
        "--add-recipient",
        "third.pub.pem",
    ];
    let done = stage.json(&[&args[..], &OWN].concat());
    assert_eq!(done["archiveId"], sha256_hex(&before["manifest.json"]));
    assert_eq!(done["added"], serde_json::json!([second, third]));
    assert_eq!(done["warning"], Value::Null);
    assert_eq!(
        fingerprints(&envelope(&stage, "archive")),
        [&first, &second, &third]
    );
    for key in ["key.pem", "second.pem", "third.pem"] {
        opens(&stage, "archive", key, 0);
    }
    sums_hold(&stage, "archive");

    // The first goes, and somebody else's key does it.
    let args = [
        "rekey",
        "archive",
        "--private-key",
        "third.pem",
        "--remove-recipient",
        &first.to_uppercase(),
    ];
    let said = stage.run(&args);
    assert!(said.status.success(), "{}", text(&said));
    assert!(
        text(&said).contains("can still read every copy"),
        "{}",
        text(&said)
    );
    assert_eq!(
        fingerprints(&envelope(&stage, "archive")),
        [&second, &third]
    );
    opens(&stage, "archive", "key.pem", 3);
    opens(&stage, "archive", "second.pem", 0);
    sums_hold(&stage, "archive");

    let whole = |files: &BTreeMap<String, Vec<u8>>| {
        let mut files = files.clone();
        files.remove("encryption.json");
        files.remove("SHA256SUMS");
        files
    };
    assert!(whole(&before) == whole(&tree(&stage.at("archive"))));
    let sums = String::from_utf8(tree(&stage.at("archive"))["SHA256SUMS"].clone()).unwrap();
    let paths: Vec<&str> = sums.lines().map(|line| &line[66..]).collect();
    assert_eq!(paths.len(), before.len() - 1);
    assert!(paths.contains(&"encryption.json"));
}

#[test]
fn what_cannot_be_done_is_refused_and_changes_nothing() {
    let stage = Stage::new();
    let second = stage.key("second.pem");
    stage.backup("archive");
    stage.backup_with("passphrase", &["--encrypt-passphrase", "p"]);
    stage.backup_with("open", &[]);
    let own = fingerprints(&envelope(&stage, "archive"))[0].to_owned();
    let refused = |archive: &str, args: &[&str], code: i32, says: &str| {
        let before = tree(&stage.at(archive));
        let done = stage.run(&[&["rekey", archive], args].concat());
        assert_eq!(done.status.code(), Some(code), "{args:?}: {}", text(&done));
        assert!(text(&done).contains(says), "{args:?}: {}", text(&done));
        assert!(tree(&stage.at(archive)) == before, "{args:?}");
    };
    let add = ["--add-recipient", "second.pub.pem"];
    refused("archive", &OWN, 2, "--add-recipient");
    refused("archive", &add, 3, "--private-key");
    refused(
        "archive",
        &[&add[..], &["--private-key", "second.pem"]].concat(),
        3,
        "wrong private key",
    );
    refused(
        "archive",
        &[&OWN[..], &["--remove-recipient", &own]].concat(),
        2,
        "at least one recipient",
    );
    refused(
        "archive",
        &[&OWN[..], &["--remove-recipient", &second]].concat(),
        2,
        "is no recipient",
    );
    refused(
        "archive",
        &[&OWN[..], &["--remove-recipient", "abc"]].concat(),
        2,
        "64 hex digits",
    );
    // Whoever is there already stays, and nothing is written.
    refused(
        "archive",
        &[&OWN[..], &["--add-recipient", "key.pub.pem"]].concat(),
        0,
        "nothing was left to change",
    );
    refused(
        "archive",
        &[&OWN[..], &add, &["--expect-id", &"0".repeat(64)]].concat(),
        4,
        "not the archive that you expect",
    );
    refused(
        "archive",
        &[&OWN[..], &add, &["--passphrase", "p"]].concat(),
        2,
        "unexpected argument",
    );
    refused(
        "archive",
        &[&OWN[..], &["--add-recipient", "second.pem"]].concat(),
        2,
        "private key",
    );
    refused("passphrase", &[&OWN[..], &add].concat(), 2, "consolidate");
    refused("open", &[&OWN[..], &add].concat(), 2, "not encrypted");
    refused("platform", &[&OWN[..], &add].concat(), 2, "not a backup");
    // An envelope that was swapped for that of another archive opens, and is not this one's.
    stage.backup("other");
    fs::copy(
        stage.at("other/encryption.json"),
        stage.at("archive/encryption.json"),
    )
    .unwrap();
    refused("archive", &[&OWN[..], &add].concat(), 4, "manifest.json");
}

#[test]
fn an_archive_of_pryv_gets_a_list_of_recipients() {
    let Some(fixtures) = need::fixtures() else {
        return;
    };
    let stage = Stage::new();
    copy(
        &fixtures.join("archives/small-hybrid-nocompress"),
        &stage.at("archive"),
    );
    copy(&fixtures.join("keys"), &stage.at("keys"));
    let before = envelope(&stage, "archive");
    let args = [
        "rekey",
        "archive",
        "--private-key",
        "keys/recipient.key.pem",
        "--add-recipient",
        "key.pub.pem",
    ];
    stage.good(&args);
    let after = envelope(&stage, "archive");
    // The part that Pryv's own tool reads is unchanged.
    for (name, value) in before.as_object().unwrap() {
        assert_eq!(&after[name], value, "{name}");
    }
    assert_eq!(fingerprints(&after).len(), 2);
    assert!(!stage.at("archive/SHA256SUMS").exists());
    for key in ["key.pem", "keys/recipient.key.pem"] {
        // Its records have stale hashes.
        stage.ends(&["verify", "archive", "--private-key", key], 5);
    }
    let old = fingerprints(&after)[0].to_owned();
    stage.good(&[
        "rekey",
        "archive",
        "--private-key",
        "key.pem",
        "--remove-recipient",
        &old,
    ]);
    stage.ends(
        &[
            "verify",
            "archive",
            "--private-key",
            "keys/recipient.key.pem",
        ],
        3,
    );
    stage.ends(&["verify", "archive", "--private-key", "key.pem"], 5);
}

#[test]
fn a_killed_run_leaves_an_archive_that_opens_and_whose_sums_hold() {
    if !need::strace() {
        return;
    }
    let stage = Stage::new();
    let second = stage.key("second.pem");
    stage.backup("archive");
    let mut steps = 0;
    for nth in 1.. {
        let there = fingerprints(&envelope(&stage, "archive")).contains(&second.as_str());
        let change = if there {
            ["--remove-recipient", &second]
        } else {
            ["--add-recipient", "second.pub.pem"]
        };
        let rekey = [&["rekey", "archive"], &OWN[..], &change].concat();
        if !killed_at(&stage.command(&rekey), STEPS, nth) {
            break;
        }
        steps += 1;
        sums_hold(&stage, "archive");
        stage.good(&["verify", "archive"]);
        stage.good(&[&["verify", "archive"], &OWN[..]].concat());
    }
    assert!(steps > 4, "{steps}");
    // A run that is not disturbed leaves nothing behind.
    let there = fingerprints(&envelope(&stage, "archive")).contains(&second.as_str());
    let change = if there {
        ["--remove-recipient", &second]
    } else {
        ["--add-recipient", "second.pub.pem"]
    };
    stage.good(&[&["rekey", "archive"], &OWN[..], &change].concat());
    let found = stage.json(&["verify", "archive", "--json"]);
    assert_eq!(found["warnings"], serde_json::json!([]));
}
