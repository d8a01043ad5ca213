//! Backups in volumes, as an operator makes, copies, unpacks and restores them.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use pryv_backup_tests::{
    command::{STEPS, killed_at, run, text},
    folder::{copy, tree},
    need,
    sampled::Stage,
};
use serde_json::Value;

const KEY: [&str; 2] = ["--private-key", "key.pem"];
const TO: [&str; 2] = ["--recipient-pubkey", "key.pub.pem"];
const CHAIN: [&str; 3] = ["--incremental", "--state-dir", "state"];
const VOLUMES: [&str; 2] = ["--layout", "volumes"];

fn backup(stage: &Stage, name: &str, more: &[&str]) {
    stage.backup_with(name, &[&TO[..], &VOLUMES, more].concat());
}

/// The content of an archive, decrypted and inflated.
fn content(stage: &Stage, archive: &str) -> BTreeMap<String, Vec<u8>> {
    let out = format!("{archive}-opened");
    stage.good(&[&["decrypt", archive, "--gunzip", "--out", &out], &KEY[..]].concat());
    let files = tree(&stage.at(&out));
    fs::remove_dir_all(stage.at(&out)).unwrap();
    files
}

/// The same without what says when and how it was made.
fn records(stage: &Stage, archive: &str) -> BTreeMap<String, Vec<u8>> {
    let mut files = content(stage, archive);
    files.retain(|path, _| !path.ends_with("manifest.json"));
    files
}

/// Verifies with the key, without it, and with the script.
fn is_good(stage: &Stage, archive: &str) {
    for secret in [&KEY[..], &[]] {
        let report = stage.json(&[&["verify", archive, "--json"], secret].concat());
        assert_eq!(report["verdict"], "good", "{archive}: {report}");
    }
    let script = run(Command::new("node")
        .current_dir(stage.at(archive))
        .args(["decrypt-backup.mjs", ".", "--verify", "--private-key"])
        .arg(stage.at("key.pem")));
    assert!(script.status.success(), "{}", text(&script));
}

/// Unpacks all volumes in their folder, with the system's `tar`, and removes them.
fn unpack(folder: &Path) {
    for (path, _) in tree(folder) {
        if path.ends_with(".tar") {
            let volume = folder.join(path);
            let done = run(Command::new("tar")
                .current_dir(volume.parent().unwrap())
                .arg("-xf")
                .arg(&volume));
            assert!(done.status.success(), "{}", text(&done));
            fs::remove_file(volume).unwrap();
        }
    }
}

#[test]
fn volumes_hold_what_separate_files_hold() {
    let stage = Stage::new();
    stage.backup("files");
    backup(&stage, "volumes", &["--volume-size", "200K"]);
    is_good(&stage, "volumes");
    assert!(records(&stage, "files") == records(&stage, "volumes"));
    let names: Vec<String> = tree(&stage.at("volumes")).into_keys().collect();
    assert!(names.iter().all(|name| !name.contains('/')), "{names:?}");
    assert!(names.contains(&"volume-0002.tar".to_owned()), "{names:?}");
    let sums = run(Command::new("sha256sum")
        .current_dir(stage.at("volumes"))
        .args(["--quiet", "--check", "SHA256SUMS"]));
    assert!(sums.status.success(), "{}", text(&sums));
}

#[test]
fn what_tar_unpacks_is_the_archive_in_separate_files() {
    let stage = Stage::new();
    backup(&stage, "volumes", &[]);
    let before = content(&stage, "volumes");
    copy(&stage.at("volumes"), &stage.at("unpacked"));
    unpack(&stage.at("unpacked"));
    is_good(&stage, "unpacked");
    assert!(before == content(&stage, "unpacked"));
    // Each file is the one that `copy` makes.
    let _ = stage.good(&["copy", "volumes", "files", "--layout", "files"]);
    let (mut unpacked, files) = (tree(&stage.at("unpacked")), tree(&stage.at("files")));
    unpacked.retain(|path, _| !path.starts_with("volume"));
    for (path, bytes) in &unpacked {
        assert!(path == "SHA256SUMS" || files[path] == *bytes, "{path}");
    }
    assert_eq!(
        unpacked.keys().collect::<Vec<_>>(),
        files.keys().collect::<Vec<_>>()
    );
    // One that was changed after that is noticed without a key too.
    let changed = stage.at("unpacked").join(
        unpacked
            .keys()
            .find(|path| path.ends_with("streams.jsonl.gz"))
            .unwrap(),
    );
    let mut bytes = fs::read(&changed).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&changed, bytes).unwrap();
    let said = text(&stage.run(&["verify", "unpacked"]));
    assert!(said.contains("not those that were signed"), "{said}");
}

#[test]
fn copies_have_the_same_id_in_either_layout() {
    let stage = Stage::new();
    backup(&stage, "chain", &CHAIN);
    stage.sql("local-1.0.0.sqlite", "UPDATE events SET modified = 5");
    stage.backup_with("chain", &[&TO[..], &CHAIN].concat());
    is_good(&stage, "chain");
    let chain = content(&stage, "chain");
    let id = |report: Value| report["archiveId"].as_str().unwrap().to_owned();
    let due = id(stage.json(&[&["verify", "chain", "--json"], &KEY[..]].concat()));
    for (from, to, layout) in [
        ("chain", "files", "files"),
        ("files", "volumes", "volumes"),
        ("volumes", "again", "files"),
    ] {
        let copied = stage.json(&["copy", from, to, "--layout", layout, "--json"]);
        assert_eq!(copied["runs"], 2);
        assert_eq!(id(copied), due);
        is_good(&stage, to);
        assert!(chain == content(&stage, to), "{to}");
    }
    assert!(tree(&stage.at("files")) == tree(&stage.at("again")));
    // Without a layout each run keeps its own.
    let _ = stage.good(&["copy", "chain", "same"]);
    // How many volumes there are depends on the threads.
    let names = |folder: &str| {
        let mut names: Vec<String> = tree(&stage.at(folder)).into_keys().collect();
        names.retain(|name| !name.ends_with("volume-0002.tar"));
        names
    };
    assert_eq!(names("chain"), names("same"));
}

#[test]
fn nothing_damaged_is_copied() {
    let stage = Stage::new();
    backup(&stage, "good", &[]);
    let damage = |name: &str, change: &dyn Fn(&Path)| {
        copy(&stage.at("good"), &stage.at(name));
        change(&stage.at(name));
        let refused = stage.run(&["copy", name, "copy"]);
        assert_eq!(refused.status.code(), Some(4), "{name}: {}", text(&refused));
        assert!(!stage.at("copy").exists(), "{name}");
    };
    let edit = |file: &'static str, change: fn(&mut Vec<u8>)| {
        move |folder: &Path| {
            let mut bytes = fs::read(folder.join(file)).unwrap();
            change(&mut bytes);
            fs::write(folder.join(file), bytes).unwrap();
        }
    };
    damage("content", &edit("volume-0001.tar", |b| b[600] ^= 1));
    damage("cut", &edit("volume-0001.tar", |b| b.truncate(b.len() / 2)));
    damage("manifest", &edit("manifest.json", |b| b[100] ^= 1));
    damage("envelope", &edit("encryption.json", |b| b[30] ^= 1));
    damage("page", &edit("decrypt-backup.html", |b| b.push(b' ')));
    damage("gone", &|folder| {
        fs::remove_file(folder.join("volume-0001.tar")).unwrap();
    });
    // Where nobody is expected, a copy claims no more than what the signature file states.
    let unknown = stage.good(&["copy", "good", "unknown", "--state-dir", "none"]);
    assert!(unknown.contains("who made that is not known"), "{unknown}");
    assert!(!unknown.contains("files that were signed"), "{unknown}");
    fs::remove_file(stage.at("good/manifest.json.minisig")).unwrap();
    let unsigned = stage.run(&["copy", "good", "copy"]);
    assert_eq!(unsigned.status.code(), Some(2), "{}", text(&unsigned));
}

#[test]
fn a_restore_takes_volumes() {
    let stage = Stage::new();
    backup(&stage, "first", &[]);
    fs::remove_dir_all(stage.at("platform/users")).unwrap();
    let place = ["--pryv-root", "platform", "--config", "platform/config.yml"];
    let how = [
        "--restore",
        "first",
        "--skip-platform",
        "--create-users-dir",
    ];
    stage.good(&[&place[..], &how, &KEY].concat());
    stage.backup("second");
    stage.good(&[&["diff", "first", "second"], &KEY[..]].concat());
}

#[test]
fn an_increment_is_not_built_on_damaged_volumes() {
    let stage = Stage::new();
    backup(&stage, "chain", &CHAIN);
    let volume = stage.at("chain/volume-0001.tar");
    let mut bytes = fs::read(&volume).unwrap();
    bytes[600] ^= 1;
    fs::write(&volume, bytes).unwrap();
    let place = ["--pryv-root", "platform", "--config", "platform/config.yml"];
    let how = ["--platform", "none", "--output", "chain"];
    let refused = stage.run(&[&place[..], &how, &TO, &VOLUMES, &CHAIN].concat());
    assert_eq!(refused.status.code(), Some(4), "{}", text(&refused));
}

#[test]
fn kills_leave_nothing_that_looks_whole() {
    if !need::strace() {
        return;
    }
    let stage = Stage::new();
    backup(&stage, "whole", &[]);
    let place = ["--pryv-root", "platform", "--config", "platform/config.yml"];
    let how = ["--platform", "none", "--quiet", "--output", "killed"];
    let make = [&place[..], &how, &TO, &VOLUMES].concat();
    let copies = ["copy", "whole", "killed", "--layout", "volumes"];
    for args in [&make[..], &copies] {
        let mut killed = 0;
        for nth in [1, 2, 4, 7, 11, 16] {
            let command = stage.command(args);
            killed += u32::from(killed_at(&command, STEPS, nth));
            // The same command completes it, or finds it whole.
            if !stage.at("killed/manifest.json").exists() {
                stage.good(args);
            }
            is_good(&stage, "killed");
            fs::remove_dir_all(stage.at("killed")).unwrap();
        }
        assert!(killed > 2, "{args:?}: killed {killed} times");
    }
}
