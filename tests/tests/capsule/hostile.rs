//! Archives that nobody made with this tool: their names lead nowhere.

use super::{one_line, put};
use pryv_backup_tests::{
    chain::{Draft, Files, Lock, State, make},
    command::{run, tool},
    volumes::in_one_tar,
};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Command;

/// An archive in the clear whose capsule has these files besides its record.
fn hostile(paths: &[&str]) -> Files {
    let mut content = Files::new();
    content.insert("capsule/capsule.json".into(), br#"{"v": 1}"#.to_vec());
    content.insert("capsule/ca/ca.key".into(), b"a key\n".to_vec());
    for path in paths {
        content.insert((*path).to_owned(), b"pwned\n".to_vec());
    }
    let manifest = json!({
        "formatVersion": 1, "coreVersion": "1.9.3", "config": {"engine": "sqlite", "domain": "test"},
        "backupType": "full", "backupTimestamp": 1_700_000_000_000_u64, "users": [],
    });
    let state = State { manifest, content };
    make(&[Draft::new(state, Lock::None, true)]).files
}

/// Writes what a disk takes of them.
fn write(files: &Files, folder: &Path) {
    for (path, bytes) in files {
        let is_bad = path.contains("..") || path.contains("//") || path.contains('\0');
        if is_bad || path.len() > 200 || path.starts_with('/') {
            continue;
        }
        let place = folder.join(path);
        put(&place, "", 0o600);
        fs::write(place, bytes).unwrap();
    }
}

#[test]
fn names_that_lead_elsewhere_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let long = format!("capsule/{}", "n".repeat(300));
    for (number, (paths, says)) in [
        (&["capsule/../../pwned"][..], "capsule/../../pwned"),
        (&["capsule//etc/pwned"], "capsule//etc/pwned"),
        (&["capsule/a\0b"], "capsule/a"),
        (&[&long], &long),
        (&["capsule/c:pwned"], "capsule/c:pwned"),
        (
            &["capsule/ca/Key", "capsule/ca/key"],
            "capsule/ca/Key and capsule/ca/key",
        ),
        (&["capsule/CA/x"], "capsule/CA and capsule/ca"),
        (
            &["capsule/caf\u{e9}", "capsule/cafe\u{301}"],
            "capsule/cafe\u{301} and capsule/caf\u{e9}",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let files = hostile(paths);
        let archive = dir.path().join(format!("archive-{number}"));
        write(&files, &archive);
        let tar = dir.path().join(format!("archive-{number}.tar"));
        let mut places = vec![archive];
        if !paths.iter().any(|path| path.contains('\0')) {
            fs::write(&tar, in_one_tar(&files)).unwrap();
            places.push(tar);
        }
        for place in places {
            let out = dir.path().join("out/saved");
            let done = run(Command::new(tool())
                .arg("capsule")
                .arg(&place)
                .args(["--create-parents", "--out"])
                .arg(&out));
            let said = one_line(&done, 4);
            assert!(said.contains(says), "{paths:?}: {said}");
            assert!(!out.exists(), "{paths:?}");
            assert!(!dir.path().join("pwned").exists() && !dir.path().join("out/pwned").exists());
        }
    }
}

#[test]
fn a_record_that_is_none_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    for (number, (record, code, says)) in [
        (Some("[]"), 4, "capsule/capsule.json"),
        (Some("{\"files\": 1}"), 4, "capsule/capsule.json"),
        // Of a state it is what tells that there is a capsule.
        (None, 2, "holds no capsule"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut content = Files::new();
        content.insert("capsule/ca/ca.key".into(), b"a key\n".to_vec());
        content.extend(record.map(|text| ("capsule/capsule.json".to_owned(), text.into())));
        let manifest = json!({
            "formatVersion": 1, "coreVersion": "1.9.3", "config": {"engine": "sqlite", "domain": "test"},
            "backupType": "full", "backupTimestamp": 1_700_000_000_000_u64, "users": [],
        });
        let state = State { manifest, content };
        let files = make(&[Draft::new(state, Lock::None, true)]).files;
        let archive = dir.path().join(format!("archive-{number}"));
        write(&files, &archive);
        let out = dir.path().join("saved");
        let done = run(Command::new(tool())
            .arg("capsule")
            .arg(&archive)
            .arg("--out")
            .arg(&out));
        let said = one_line(&done, code);
        assert!(said.contains(says), "{said}");
        assert!(!out.exists());
    }
}
