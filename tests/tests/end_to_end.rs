//! The whole way, as the key holder walks it: the sample platform is backed up with the real command and opened with the script
//! that lies inside the backup; then everything that can go wrong with it, with its exit code.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use pryv_backup_tests::{
    command::{run, text, tool},
    folder::tree,
};
use tempfile::TempDir;

struct Backup {
    dir: TempDir,
}

impl Backup {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let at = |name: &str| dir.path().join(name);
        for key in ["key.pem", "other.pem"] {
            let made = run(Command::new(tool())
                .args(["keygen", "--bits", "2048", "--output"])
                .arg(at(key)));
            assert!(made.status.success(), "{}", text(&made));
        }
        let sample = run(Command::new(tool())
            .current_dir(dir.path())
            .args(["sample", "platform"]));
        assert!(sample.status.success(), "{}", text(&sample));
        let made = run(&mut backup_command(dir.path(), "backup"));
        assert!(made.status.success(), "{}", text(&made));
        Backup { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn archive(&self, name: &str) -> PathBuf {
        self.path("backup").join(name)
    }

    /// Runs the script inside the archive.
    fn open(&self, out: &str, key: &str, extra: &[&str]) -> Output {
        run(Command::new("node")
            .current_dir(self.path("backup"))
            .args(["decrypt-backup.mjs", ".", "--private-key"])
            .arg(self.path(key))
            .arg("--out")
            .arg(self.path(out))
            .args(extra))
    }

    /// Runs the script inside the archive without anything to write to.
    fn verify(&self, extra: &[&str]) -> Output {
        run(Command::new("node")
            .current_dir(self.path("backup"))
            .args(["decrypt-backup.mjs", ".", "--verify", "--private-key"])
            .arg(self.path("key.pem"))
            .args(extra))
    }

    fn expect(&self, case: &str, code: i32, names: &str) {
        let out = case.replace(' ', "-");
        let opened = self.open(&out, "key.pem", &[]);
        assert_eq!(
            opened.status.code(),
            Some(code),
            "{case}: {}",
            text(&opened)
        );
        assert!(
            text(&opened).contains(names),
            "{case}: {names:?} is not named in: {}",
            text(&opened)
        );
    }

    /// Some user's file.
    fn find(&self, ending: &str) -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> = tree(&self.path("backup"))
            .into_keys()
            .filter(|p| p.ends_with(ending))
            .map(|p| self.archive(&p))
            .collect();
        found.sort();
        assert!(!found.is_empty(), "no {ending}");
        found
    }
}

fn backup_command(dir: &Path, output: &str) -> Command {
    let mut command = Command::new(tool());
    command
        .arg("--pryv-root")
        .arg(dir.join("platform"))
        .arg("--config")
        .arg(dir.join("platform/config.yml"))
        .args(["--platform", "none", "--output"])
        .arg(dir.join(output))
        .arg("--recipient-pubkey")
        .arg(dir.join("key.pub.pem"));
    command
}

/// Changes a file, runs `check`, and puts it back.
fn with_change(path: &Path, change: impl FnOnce(&mut Vec<u8>), check: impl FnOnce()) {
    let before = fs::read(path).unwrap();
    let mut bytes = before.clone();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
    check();
    fs::write(path, before).unwrap();
}

#[test]
fn both_engines_give_the_same_plaintext_and_it_is_the_platforms() {
    let backup = Backup::new();
    for engine in ["host", "wasm"] {
        let opened = backup.open(engine, "key.pem", &["--engine", engine, "--gunzip"]);
        assert!(opened.status.success(), "{}", text(&opened));
    }
    let (host, wasm) = (tree(&backup.path("host")), tree(&backup.path("wasm")));
    assert!(host == wasm, "the engines differ");
    let manifest: serde_json::Value = serde_json::from_slice(&host["manifest.json"]).unwrap();
    for user in manifest["users"].as_array().unwrap() {
        let folder = format!("users/{}", user["userId"].as_str().unwrap());
        let lines = |name: &str| {
            let text = String::from_utf8(host[&format!("{folder}/{name}")].clone()).unwrap();
            let parsed: Vec<serde_json::Value> = text
                .lines()
                .map(|l| serde_json::from_str(l).unwrap())
                .collect();
            parsed.len() as u64
        };
        assert_eq!(
            lines("streams.jsonl"),
            user["stats"]["streams"].as_u64().unwrap()
        );
        assert_eq!(
            lines("events/events-0001.jsonl"),
            user["stats"]["events"].as_u64().unwrap()
        );
        assert_eq!(lines("account.jsonl"), 1);
    }
}

#[test]
fn the_decrypted_folder_verifies_until_a_byte_changes() {
    let backup = Backup::new();
    assert!(backup.open("plain", "key.pem", &[]).status.success());
    let verify = || {
        run(Command::new("node")
            .arg(backup.archive("decrypt-backup.mjs"))
            .arg(backup.path("plain"))
            .arg("--verify"))
    };
    let untouched = verify();
    assert!(untouched.status.success(), "{}", text(&untouched));
    let some_attachment = tree(&backup.path("plain"))
        .into_keys()
        .find(|p| p.contains("/attachments/"))
        .unwrap();
    with_change(
        &backup.path("plain").join(some_attachment),
        |b| b.push(b'x'),
        || assert_eq!(verify().status.code(), Some(4)),
    );
}

#[test]
fn damage_is_named_and_the_exit_code_tells() {
    let backup = Backup::new();
    let events = backup.find("events-0001.jsonl.gz");
    let streams = backup.find("streams.jsonl.gz");

    with_change(
        &events[0],
        |b| {
            let at = b.len() - 3;
            b[at] ^= 1
        },
        || backup.expect("one flipped byte", 4, "events-0001.jsonl.gz"),
    );
    // Header and no frame: a cut at a frame boundary.
    with_change(
        &events[0],
        |b| b.truncate(12 + 55),
        || backup.expect("cut at a frame boundary", 4, "events-0001.jsonl.gz"),
    );
    let [one, two] = [
        fs::read(&streams[0]).unwrap(),
        fs::read(&streams[1]).unwrap(),
    ];
    fs::write(&streams[0], &two).unwrap();
    fs::write(&streams[1], &one).unwrap();
    backup.expect("two files swapped", 4, "streams.jsonl.gz");
    fs::write(&streams[0], &one).unwrap();
    fs::write(&streams[1], &two).unwrap();

    let hidden = backup.path("hidden");
    fs::rename(&streams[0], &hidden).unwrap();
    backup.expect("a file missing", 4, "streams.jsonl.gz");
    fs::rename(&hidden, &streams[0]).unwrap();

    let foreign = events[0].with_file_name("events-0002.jsonl.gz");
    fs::copy(&events[0], &foreign).unwrap();
    backup.expect("a file added", 4, "events-0002.jsonl.gz");
    fs::remove_file(&foreign).unwrap();

    fs::write(backup.archive(".DS_Store"), "x").unwrap();
    backup.expect("a stray file", 0, ".DS_Store");
}

#[test]
fn wrong_keys_are_told_apart() {
    let backup = Backup::new();
    for (key, names) in [
        ("other.pem", "wrong private key"),
        ("key.pub.pem", "public key"),
    ] {
        let opened = backup.open("out", key, &[]);
        assert_eq!(opened.status.code(), Some(3), "{key}: {}", text(&opened));
        assert!(text(&opened).contains(names), "{key}: {}", text(&opened));
    }
}

#[test]
fn a_passphrase_opens_with_either_derivation_and_a_wrong_one_is_told() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name);
    assert!(
        run(Command::new(tool()).arg("sample").arg(at("platform")))
            .status
            .success()
    );
    fs::write(at("right"), "pässword 🔋\n").unwrap();
    fs::write(at("wrong"), "password\n").unwrap();
    for kdf in ["scrypt", "pbkdf2"] {
        let made = run(Command::new(tool())
            .arg("--pryv-root")
            .arg(at("platform"))
            .arg("--config")
            .arg(at("platform/config.yml"))
            .args(["--platform", "none", "--kdf", kdf, "--passphrase-file"])
            .arg(at("right"))
            .arg("--output")
            .arg(at(kdf)));
        assert!(made.status.success(), "{kdf}: {}", text(&made));
        for (file, code) in [("right", 0), ("wrong", 3)] {
            let opened = run(Command::new("node")
                .current_dir(at(kdf))
                .args(["decrypt-backup.mjs", ".", "--verify", "--passphrase-file"])
                .arg(at(file)));
            assert_eq!(opened.status.code(), Some(code), "{kdf}: {}", text(&opened));
        }
    }
}

#[test]
fn the_archive_id_pins_the_archive() {
    let backup = Backup::new();
    let before = tree(backup.dir.path());
    let wrong = backup.verify(&["--expect-id", &"0".repeat(64)]);
    assert_eq!(wrong.status.code(), Some(4), "{}", text(&wrong));
    let right = backup.verify(&[]);
    assert!(right.status.success(), "{}", text(&right));
    assert!(
        tree(backup.dir.path()) == before,
        "--verify wrote something"
    );
}

#[test]
fn a_backup_is_never_written_over_and_a_dead_run_is_recognised() {
    let backup = Backup::new();
    let before = tree(&backup.path("backup"));
    let again = run(&mut backup_command(backup.dir.path(), "backup"));
    assert_eq!(again.status.code(), Some(2), "{}", text(&again));
    assert!(tree(&backup.path("backup")) == before, "the backup changed");

    fs::create_dir_all(backup.path("dead/.pryv-backup-partial/users")).unwrap();
    let rerun = run(&mut backup_command(backup.dir.path(), "dead"));
    assert!(rerun.status.success(), "{}", text(&rerun));
    assert!(text(&rerun).contains("did not finish"), "{}", text(&rerun));
    assert!(!backup.path("dead/.pryv-backup-partial").exists());
}

#[test]
fn a_lost_attachment_is_named_and_makes_exit_code_5() {
    let backup = Backup::new();
    let platform = backup.path("platform/users");
    let lost = tree(&platform)
        .into_keys()
        .find(|p| p.contains("/attachments/"))
        .unwrap();
    fs::remove_file(platform.join(&lost)).unwrap();
    let made = run(&mut backup_command(backup.dir.path(), "lossy"));
    assert_eq!(made.status.code(), Some(5), "{}", text(&made));
    assert!(text(&made).contains("LOST"), "{}", text(&made));
}

#[test]
fn unknown_flags_and_missing_features_do_not_look_like_success() {
    let dir = TempDir::new().unwrap();
    for (arguments, code) in [
        (vec!["--no-such-flag"], 2),
        (vec!["--incremental", "--output", "x"], 1),
        (vec![], 2),
    ] {
        let output = run(Command::new(tool())
            .current_dir(dir.path())
            .args(&arguments));
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {}",
            text(&output)
        );
    }
}
