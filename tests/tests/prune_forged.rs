//! Files that whoever stores the backups adds to them, so that `prune` removes the good ones.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use decryptor_wasm::{
    DataKey, Envelope, PublicKey, RandomSource, Result, chain::Index, container::Encoder,
    layout::PathKind, signature::SIGNATURE,
};
use pryv_backup_engine::archive::sha256_hex;
use pryv_backup_tests::{
    command::text,
    folder::{copy, tree},
    sampled::Stage,
};
use serde_json::{Value, json};

const STATE: [&str; 2] = ["--state-dir", "state"];
const SEALED: [&str; 2] = ["--recipient-pubkey", "key.pub.pem"];
const KEY: [&str; 2] = ["--private-key", "key.pem"];
const ENVELOPE: &str = "encryption.json";
const DOOMED: &str = ".pryv-backup-pruned-";

fn backup(stage: &Stage, name: &str, more: &[&str]) {
    stage.backup_with(name, &[&SEALED[..], &STATE, more].concat());
}

/// A folder `all` with two backups: `a`, and `b` which is newer.
fn stage() -> Stage {
    let stage = Stage::new();
    backup(&stage, "a", &[]);
    backup(&stage, "b", &[]);
    fs::create_dir(stage.at("all")).unwrap();
    for name in ["a", "b"] {
        fs::rename(stage.at(name), stage.at("all").join(name)).unwrap();
    }
    stage
}

fn prune(stage: &Stage, more: &[&str]) -> (Option<i32>, String) {
    let done = stage.run(&[&["prune", "all", "--keep-last", "1"], &STATE[..], more].concat());
    (done.status.code(), text(&done))
}

/// Prunes, and expects that code and words, and that these folders stay.
fn says(stage: &Stage, more: &[&str], code: i32, words: &[&str], left: &[&str]) {
    let (done, said) = prune(stage, more);
    assert_eq!(done, Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert_eq!(names(stage), left, "{said}");
}

fn names(stage: &Stage) -> Vec<String> {
    let entries = fs::read_dir(stage.at("all")).unwrap();
    let mut names: Vec<String> = entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Makes the sums fit what is there, as anybody can.
fn sum(root: &Path) {
    let lines = tree(root).into_iter();
    let lines = lines.filter(|(path, _)| path != "SHA256SUMS");
    let lines: String = lines
        .map(|(path, bytes)| format!("{}  {path}\n", sha256_hex(&bytes)))
        .collect();
    fs::write(root.join("SHA256SUMS"), lines).unwrap();
}

fn json(place: &Path) -> Value {
    serde_json::from_slice(&fs::read(place).unwrap()).unwrap()
}

#[test]
fn a_backup_that_nobody_can_open_is_not_good() {
    let stage = stage();
    let place = stage.at("all/b").join(ENVELOPE);
    let sums = stage.at("all/b/SHA256SUMS");
    let (sound, listed) = (fs::read(&place).unwrap(), fs::read(&sums).unwrap());
    let other = fs::read(stage.at("all/a").join(ENVELOPE)).unwrap();
    let both = ["a", "b"];
    fs::remove_file(&place).unwrap();
    says(
        &stage,
        &[],
        5,
        &["b: encryption.json: it is missing"],
        &both,
    );
    // The sums may be made to fit.
    for summed in [false, true] {
        for bad in [&b""[..], b"{}", b"[]", &other] {
            fs::write(&place, bad).unwrap();
            if summed {
                sum(&stage.at("all/b"));
            }
            says(&stage, &[], 5, &["all/b: encryption.json"], &both);
        }
    }
    // Whoever has the other one writes its time over; the key tells.
    let mut forged: Value = serde_json::from_slice(&other).unwrap();
    let own: Value = serde_json::from_slice(&sound).unwrap();
    forged["createdAt"] = own["createdAt"].clone();
    fs::write(&place, serde_json::to_vec_pretty(&forged).unwrap()).unwrap();
    says(
        &stage,
        &[],
        5,
        &["is not the one that SHA256SUMS lists"],
        &both,
    );
    sum(&stage.at("all/b"));
    says(&stage, &KEY, 5, &["all/b: manifest.json"], &both);
    stage.key("other.pem");
    fs::write(&place, &sound).unwrap();
    fs::write(&sums, &listed).unwrap();
    let words = ["wrong private key", "nothing was removed"];
    says(&stage, &["--private-key", "other.pem"], 4, &words, &both);
    says(&stage, &KEY, 0, &[], &["b"]);
}

#[test]
fn a_run_that_nobody_can_open_makes_its_chain_bad() {
    let stage = stage();
    for user in ["5", "6"] {
        backup(&stage, "all/chain", &["--incremental"]);
        let sql = format!("UPDATE events SET modified = {user}");
        stage.sql("local-1.0.0.sqlite", &sql);
    }
    let all = ["a", "b", "chain"];
    let place = stage.at("all/chain/increments/0002").join(ENVELOPE);
    let sound = fs::read(&place).unwrap();
    for bad in [
        &b"{}"[..],
        &fs::read(stage.at("all/b").join(ENVELOPE)).unwrap(),
    ] {
        fs::write(&place, bad).unwrap();
        sum(&stage.at("all/chain"));
        let words = ["chain: increments/0002/encryption.json"];
        says(&stage, &["--dry-run"], 5, &words, &all);
    }
    fs::write(&place, sound).unwrap();
    sum(&stage.at("all/chain"));
    says(&stage, &[&["--dry-run"], &KEY[..]].concat(), 0, &[], &all);
}

#[test]
fn copies_of_one_chain_that_were_cut_off_count_once() {
    let stage = stage();
    for modified in 5..8 {
        backup(&stage, "all/chain", &["--incremental"]);
        let sql = format!("UPDATE events SET modified = {modified}");
        stage.sql("local-1.0.0.sqlite", &sql);
    }
    for runs in [1, 2] {
        let place = stage.at("all").join(format!("z{runs}"));
        copy(&stage.at("all/chain"), &place);
        let mut index = Index::parse(&fs::read(place.join("chain.json")).unwrap()).unwrap();
        index.runs.truncate(runs);
        fs::write(place.join("chain.json"), index.to_json().unwrap()).unwrap();
        for run in runs + 1..=3 {
            fs::remove_dir_all(place.join(format!("increments/{run:04}"))).unwrap();
        }
        sum(&place);
    }
    // The host knows the newest run; somebody else, who only expects it, does not.
    let signer = fs::read_to_string(stage.at("state/host.pub")).unwrap();
    let signer = signer.lines().nth(1).unwrap();
    let args = ["prune", "all", "--keep-last", "2", "--state-dir", "none"];
    let done = stage.run(&[&args[..], &["--signer", signer]].concat());
    assert_eq!(done.status.code(), Some(5), "{}", text(&done));
    for copy in ["z1", "z2"] {
        let words = format!("all/{copy}: an older copy of all/chain");
        assert!(text(&done).contains(&words), "{}", text(&done));
    }
    assert_eq!(names(&stage), ["b", "chain", "z1", "z2"]);
}

struct Fixed;

impl RandomSource for Fixed {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        bytes.fill(7);
        Ok(())
    }
}

/// As Pryv's own tool would have made it, by anybody who has the public key: it names itself as he likes.
fn unsigned(stage: &Stage, from: &Path, to: &Path, domain: &str) {
    let key = DataKey::from_bytes([7; 32]);
    let public = PublicKey::parse(&fs::read(stage.at("key.pub.pem")).unwrap()).unwrap();
    let envelope = Envelope::for_recipients(&key, &[public], &mut Fixed).unwrap();
    let mut envelope: Value = serde_json::from_slice(&envelope.to_json().unwrap()).unwrap();
    envelope.as_object_mut().unwrap().remove("keyCheck");
    let mut files: BTreeMap<String, Vec<u8>> = tree(from);
    files.retain(|path, _| PathKind::of(path).is_sealed());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    for (path, bytes) in &mut files {
        if !path.ends_with("manifest.json") {
            continue;
        }
        let mut manifest: Value = serde_json::from_slice(bytes).unwrap();
        let fields = manifest.as_object_mut().unwrap();
        let ours = [
            "inventory",
            "signer",
            "source",
            "createdAt",
            "lossCount",
            "losses",
            "producer",
        ];
        fields.retain(|name, _| !ours.contains(&name.as_str()));
        if path == "manifest.json" {
            manifest["config"]["domain"] = domain.into();
            manifest["backupTimestamp"] = json!(now.as_millis() as u64);
        }
        *bytes = manifest.to_string().into_bytes();
    }
    for (at, (path, bytes)) in files.into_iter().enumerate() {
        let mut salt = [0; 16];
        salt[0] = u8::try_from(at).unwrap();
        let (mut encoder, mut sealed) = (Encoder::new(&key, salt), Vec::new());
        encoder.push(&bytes, &mut sealed);
        encoder.finish(&mut sealed);
        let place = to.join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, sealed).unwrap();
    }
    fs::write(to.join(ENVELOPE), envelope.to_string()).unwrap();
}

#[test]
fn what_nobody_signed_takes_no_place_of_what_was_signed() {
    let stage = stage();
    stage.backup_with("clear", &STATE);
    let source = json(&stage.at("clear/manifest.json"))["source"].clone();
    let source = source.as_str().unwrap();
    let clear = stage.at("clear");
    unsigned(&stage, &clear, &stage.at("all/x"), source);
    let accept = [&["--accept-unsigned"], &KEY[..]].concat();
    says(&stage, &accept, 0, &["2 kept, 1 removed"], &["b", "x"]);
    // Of its own kind it counts.
    unsigned(&stage, &clear, &stage.at("all/y"), source);
    says(&stage, &accept, 0, &["2 kept, 1 removed"], &["b", "y"]);
    let unproven = ["y: nobody signed it"];
    says(&stage, &KEY, 5, &unproven, &["b", "y"]);
}

#[test]
fn what_is_demanded_is_demanded_of_each() {
    let stage = stage();
    let both = ["a", "b"];
    let other = ["--expect-source", "00000000000000000000000000000000"];
    let words = ["of another platform", "nothing was removed"];
    says(&stage, &other, 4, &words, &both);
    says(
        &stage,
        &["--max-age", "1d"],
        2,
        &["unexpected argument"],
        &both,
    );
    stage.backup_with("all/clear", &STATE);
    let require = ["--require-encrypted"];
    let words = ["clear: this backup is not encrypted"];
    says(&stage, &require, 5, &words, &["b", "clear"]);
    says(&stage, &KEY, 5, &words, &["b", "clear"]);
    let source = json(&stage.at("all/clear/manifest.json"))["source"].clone();
    let own = ["--expect-source", source.as_str().unwrap()];
    says(&stage, &own, 0, &[], &["clear"]);
}

#[test]
fn only_parts_of_backups_are_removed_unjudged() {
    let stage = stage();
    let doomed = |name: &str| stage.at("all").join(format!("{DOOMED}{name}"));
    fs::create_dir_all(doomed("photos")).unwrap();
    fs::write(doomed("photos").join("a.jpg"), "x").unwrap();
    copy(&stage.at("all/a"), &doomed("link"));
    fs::remove_file(doomed("link").join("manifest.json")).unwrap();
    symlink("/none", doomed("link").join("manifest.json")).unwrap();
    copy(&stage.at("all/a"), &doomed("rest"));
    fs::remove_file(doomed("rest").join("manifest.json")).unwrap();
    // Planted where `a` is to go.
    fs::create_dir_all(doomed("a").join("manifest.json")).unwrap();
    let kept = ["a", "link", "photos"].map(|name| format!("{DOOMED}{name}"));
    let kept: Vec<&str> = kept.iter().map(String::as_str).chain(["b"]).collect();
    let words = ["holds a.jpg", "is a symbolic link", "1 kept, 1 removed"];
    says(&stage, &[], 5, &words, &kept);
}

#[test]
fn a_file_put_into_a_backup_is_no_reason_to_be_silent() {
    let stage = stage();
    for name in ["a", "b"] {
        let place = stage.at("all").join(name).join("thesis.doc");
        fs::write(&place, "x").unwrap();
        let (code, words) = match name {
            "a" => (5, "a: holds thesis.doc"),
            _ => (4, "nothing was removed"),
        };
        says(&stage, &[], code, &[words], &["a", "b"]);
    }
    for name in ["a", "b"] {
        fs::remove_file(stage.at("all").join(name).join("thesis.doc")).unwrap();
    }
    fs::remove_file(stage.at("all/a/manifest.json")).unwrap();
    let words = ["a: manifest.json is missing"];
    says(&stage, &[], 5, &words, &["a", "b"]);
    assert!(stage.at("all/a").join(SIGNATURE).exists());
}

/// The id of what lies there.
fn id(stage: &Stage, place: &str) -> String {
    sha256_hex(&fs::read(stage.at(place).join("manifest.json")).unwrap())
}

#[test]
fn folders_that_were_exchanged_take_no_state_of_others_away() {
    let stage = Stage::new();
    backup(&stage, "all/old", &["--create-parents"]);
    for modified in 5..7 {
        backup(&stage, "all/live", &["--incremental"]);
        let sql = format!("UPDATE events SET modified = {modified}");
        stage.sql("local-1.0.0.sqlite", &sql);
    }
    let [old, live] = ["all/old", "all/live"].map(|place| id(&stage, place));
    for (from, to) in [("live", "other"), ("old", "live")] {
        let all = stage.at("all");
        fs::rename(all.join(from), all.join(to)).unwrap();
    }
    says(&stage, &[], 0, &["removed"], &["other"]);
    let state = |base: &str| stage.at("state").join(base).join("state").exists();
    assert!(state(&live) && state(&old));
    // Where a folder is what it was, its state goes with it.
    backup(&stage, "all/older", &[]);
    let older = id(&stage, "all/older");
    backup(&stage, "all/newer", &[]);
    assert!(state(&older));
    assert_eq!(prune(&stage, &[]).0, Some(0));
    assert!(!state(&older) && state(&live));
}

#[test]
fn a_finished_run_that_was_made_to_look_unfinished_is_not_lost() {
    let stage = Stage::new();
    for modified in 5..7 {
        backup(&stage, "all/chain", &["--incremental", "--create-parents"]);
        let sql = format!("UPDATE events SET modified = {modified}");
        stage.sql("local-1.0.0.sqlite", &sql);
    }
    let place = stage.at("all/chain");
    let mut index = Index::parse(&fs::read(place.join("chain.json")).unwrap()).unwrap();
    index.runs.truncate(1);
    fs::write(place.join("chain.json"), index.to_json().unwrap()).unwrap();
    fs::write(place.join("increments/0002/.unnamed"), "").unwrap();
    sum(&place);
    backup(&stage, "all/full", &[]);
    let before = tree(&place);
    let signer = fs::read_to_string(stage.at("state/host.pub")).unwrap();
    let signer = signer.lines().nth(1).unwrap();
    let args = ["prune", "all", "--keep-last", "1", "--state-dir", "none"];
    let done = stage.run(&[&args[..], &["--signer", signer]].concat());
    assert_eq!(done.status.code(), Some(5), "{}", text(&done));
    assert!(
        text(&done).contains("left by a run that was not finished"),
        "{}",
        text(&done)
    );
    // The host has finished it, and does not take it away.
    let place_of = ["--pryv-root", "platform", "--config", "platform/config.yml"];
    let output = [
        "--platform",
        "none",
        "--output",
        "all/chain",
        "--incremental",
    ];
    let done = stage.run(&[&place_of[..], &SEALED, &STATE, &output].concat());
    assert_eq!(done.status.code(), Some(4), "{}", text(&done));
    assert!(
        text(&done).contains("which a run has finished"),
        "{}",
        text(&done)
    );
    assert!(tree(&place) == before);
}

#[test]
fn what_was_consolidated_takes_no_place_of_another() {
    let stage = stage();
    let consolidate = ["consolidate", "all/b", "--into", "all/b2"];
    let done = stage.run(&[&consolidate[..], &KEY, &STATE].concat());
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    let done = stage.run(&[&["prune", "all", "--keep-last", "2"][..], &STATE].concat());
    assert_eq!(done.status.code(), Some(5), "{}", text(&done));
    assert!(
        text(&done).contains("a copy in another form of all/b2"),
        "{}",
        text(&done)
    );
    assert_eq!(names(&stage), ["a", "b", "b2"]);
}
