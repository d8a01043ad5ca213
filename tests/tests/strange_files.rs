//! Files in the clear that whoever stores a backup makes as large, or as strange, as he likes; and files of the host that are not what they
//! should be.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    ffi::OsStr,
    fs::{self, File, Permissions},
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    process::Command,
    time::{Duration, Instant},
};

use pryv_backup_tests::{
    command::{run, text, tool},
    folder::copy,
    sampled::Stage,
};
use serde_json::{Value, json};

const STATE: [&str; 2] = ["--state-dir", "state"];
const SEALED: [&str; 2] = ["--recipient-pubkey", "key.pub.pem"];
const KEY: &str = "--private-key key.pem";
/// In kilobytes of address space.
const ROOM: u64 = 2 * 1024 * 1024;
const LARGE: u64 = 3 * 1024 * 1024 * 1024;

/// The backup `sound`, and for a chain a second run; the script beside it.
fn stage(chain: bool) -> Stage {
    let stage = Stage::new();
    let more = [&SEALED[..], &STATE].concat();
    if chain {
        for _ in 0..2 {
            stage.backup_with("sound", &[&more[..], &["--incremental"]].concat());
        }
    } else {
        stage.backup_with("sound", &more);
    }
    fs::copy(stage.at("sound/decrypt-backup.mjs"), stage.at("script.mjs")).unwrap();
    stage
}

fn bad(stage: &Stage) {
    let _ = fs::remove_dir_all(stage.at("bad"));
    copy(&stage.at("sound"), &stage.at("bad"));
}

/// All readers of `bad` end with that code, soon, and the native ones in little room.
fn all(stage: &Stage, code: i32, words: &str) {
    let tool = tool();
    let tool = tool.display();
    let native = |what: &str| format!("ulimit -v {ROOM}; exec {tool} {what} --state-dir none");
    for command in [
        native("verify bad"),
        native(&format!("verify bad {KEY}")),
        native("list bad"),
        native(&format!("decrypt bad --list {KEY}")),
        format!("exec node script.mjs bad --list {KEY}"),
    ] {
        let begun = Instant::now();
        let mut shell = Command::new("sh");
        shell.current_dir(stage.at(".")).args(["-c", &command]);
        let done = run(&mut shell);
        let said = text(&done);
        assert_eq!(done.status.code(), Some(code), "{command}: {said}");
        assert!(said.contains(words), "{command}: {said}");
        assert!(begun.elapsed() < Duration::from_secs(60), "{command}");
    }
}

#[test]
fn what_is_read_in_one_piece_is_bounded() {
    let stage = stage(true);
    let larger = "is larger than any such file";
    for (path, size, words) in [
        ("chain.json", LARGE, larger),
        ("encryption.json", LARGE, larger),
        ("manifest.json", LARGE, larger),
        ("increments/0002/manifest.json", LARGE, larger),
        // Verifying reads it piece by piece.
        ("FORMAT.md", LARGE / 50, "FORMAT.md"),
    ] {
        bad(&stage);
        let file = File::options().write(true).open(stage.at("bad").join(path));
        file.unwrap().set_len(size).unwrap();
        all(&stage, 4, words);
    }
}

#[test]
fn sums_are_read_line_by_line_and_are_text() {
    let stage = stage(false);
    bad(&stage);
    let sums = stage.at("bad/SHA256SUMS");
    let file = File::options().write(true).open(&sums);
    file.unwrap().set_len(LARGE).unwrap();
    all(&stage, 4, "SHA256SUMS: holds a line");
    let mut bytes = fs::read(stage.at("sound/SHA256SUMS")).unwrap();
    bytes[100] = 0xff;
    fs::write(&sums, bytes).unwrap();
    all(&stage, 4, "SHA256SUMS: holds a line");
}

#[test]
fn a_long_list_of_runs_takes_no_long_time() {
    let stage = stage(true);
    bad(&stage);
    let place = stage.at("bad/chain.json");
    let mut index: Value = serde_json::from_slice(&fs::read(&place).unwrap()).unwrap();
    let runs = index["runs"].as_array_mut().unwrap();
    for run in 3..60_000 {
        runs.push(json!({"run": run, "path": format!("increments/{run:04}"), "archiveId": format!("{run:064x}"),
            "parent": format!("{:064x}", run + 7), "kind": "incremental", "createdAt": 1, "mode": "hybrid"}));
    }
    fs::write(&place, index.to_string()).unwrap();
    all(&stage, 4, "chain.json");
}

#[test]
fn names_and_folders_are_what_they_should_be() {
    let stage = stage(false);
    bad(&stage);
    fs::write(stage.at("bad").join(OsStr::from_bytes(b"a\xffb")), "").unwrap();
    all(&stage, 4, "has a name that is not text");
    bad(&stage);
    fs::write(stage.at("bad/increments"), "").unwrap();
    all(&stage, 4, "is not a folder");
}

#[test]
fn a_key_of_the_host_that_others_can_touch_is_named() {
    let stage = stage(false);
    let key = stage.at("state/host.key");
    let verify = |code: i32, words: &str| {
        let done = stage.run(&[&["verify", "sound"], &STATE[..]].concat());
        assert_eq!(done.status.code(), Some(code), "{}", text(&done));
        assert!(text(&done).contains(words), "{}", text(&done));
    };
    let mode = |path: &std::path::Path, mode| {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    };
    mode(&key, 0o644);
    verify(0, "its mode is 644): chmod 600");
    mode(&key, 0o602);
    verify(1, "everybody on this machine may write to it");
    mode(&key, 0o600);
    mode(&stage.at("state"), 0o777);
    verify(1, "everybody on this machine may write to it");
    mode(&stage.at("state"), 0o700);
    verify(0, "as expected");
    // The public half comes back.
    fs::remove_file(stage.at("state/host.pub")).unwrap();
    stage.backup_with("again", &[&SEALED[..], &STATE].concat());
    assert!(stage.at("state/host.pub").exists());
    // A pipe is none.
    for name in ["host.key", "signers"] {
        let place = stage.at("state").join(name);
        let _ = fs::rename(&place, stage.at("aside"));
        assert!(
            Command::new("mkfifo")
                .arg(&place)
                .status()
                .unwrap()
                .success()
        );
        verify(1, "no regular file");
        fs::remove_file(&place).unwrap();
        let _ = fs::rename(stage.at("aside"), &place);
    }
    fs::write(stage.at("state/signers"), b"# \xff\n").unwrap();
    verify(1, "signers");
    fs::write(stage.at("state/signers"), "\u{feff}# mine\r\n").unwrap();
    verify(0, "as expected");
}

#[test]
fn an_environment_that_asks_for_nothing_excludes_nothing() {
    let stage = stage(false);
    for (value, code) in [("0", 0), ("false", 0), ("", 0), ("1", 2)] {
        let args = ["verify", "sound", "--allow-plaintext"];
        let mut command = stage.command(&[&args[..], &STATE].concat());
        let done = run(command.env("PRYV_BACKUP_REQUIRE_ENCRYPTED", value));
        assert_eq!(done.status.code(), Some(code), "{value}: {}", text(&done));
    }
}
