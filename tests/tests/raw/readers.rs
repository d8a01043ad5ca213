//! A raw dump is an archive that every reader opens, and that only `raw-restore` puts back.

use super::{at, dump, one_line};
use pryv_backup_tests::{
    command::{run, text, tool},
    folder,
    stage::Stage,
};
use serde_json::Value;
use std::process::Command;

#[test]
fn readers_open_a_raw_dump() {
    let Some(stage) = Stage::new() else { return };
    let platform = stage.sqlite_fixture();
    let (archive, said) = dump(&stage, &platform, "dump", &[]);
    let read = |args: &[&str]| {
        let mut command = Command::new(tool());
        command.args(args).arg("--private-key").arg(stage.key());
        let done = run(&mut command);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        String::from_utf8(done.stdout).unwrap()
    };
    let at = archive.to_str().unwrap();
    assert!(read(&["verify", at]).contains("good"));
    let listed: Value = serde_json::from_str(&read(&["list", at, "--json"])).unwrap();
    assert_eq!(listed["archives"][0]["backupType"], "raw");
    assert_eq!(listed["archives"][0]["archiveId"], said["archiveId"]);
    let shown = read(&["decrypt", at, "--list"]);
    assert!(
        shown.contains("raw/rqlite.sqlite  ") && shown.contains("0 users"),
        "{shown}"
    );
    // What Pryv's own tool looks at first: without users it fails, instead of restoring nobody with success.
    let manifest: Value = serde_json::from_str(&read(&["cat", at, "manifest.json"])).unwrap();
    assert!(manifest.get("users").is_none());
    assert_eq!(manifest["backupType"], "raw");
    assert_eq!(manifest["raw"]["rqlite"]["version"], "9.4.5");
    let by_tool = stage.open(&archive);
    let by_script = stage.at("by-script");
    let opened = Command::new("node")
        .arg(archive.join("decrypt-backup.mjs"))
        .arg(&archive)
        .arg("--gunzip")
        .arg("--private-key")
        .arg(stage.key())
        .arg("--out")
        .arg(&by_script)
        .output()
        .unwrap();
    assert_eq!(opened.status.code(), Some(0), "{}", text(&opened));
    let files = folder::tree(&by_tool);
    assert!(files == folder::tree(&by_script));
    assert!(
        files
            .keys()
            .any(|path| path.starts_with("raw/users/") && path.contains("/attachments/"))
    );
    assert!(files.contains_key("raw/files.jsonl"));
}

#[test]
fn only_raw_restore_puts_a_raw_dump_back() {
    let Some(stage) = Stage::new() else { return };
    let platform = stage.sqlite_fixture();
    let state = stage.at("state");
    let flags = ["--state-dir", state.to_str().unwrap()];
    let (archive, _) = dump(&stage, &platform, "dump", &flags);
    let target = stage.sqlite();
    let before = target.entries();
    let said = one_line(&target.restore(&archive, &[]), 2);
    assert!(said.contains("raw-restore"), "{said}");
    assert_eq!(target.entries(), before);
    // And that puts nothing else back.
    let records = platform.backup("records");
    let refused = run(&mut super::restoring(&stage, &target, &records, &[]));
    let said = one_line(&refused, 2);
    assert!(said.contains("--restore"), "{said}");
    // No increment follows it.
    let next = run(platform
        .command()
        .args(["--incremental", "--recipient-pubkey"])
        .arg(stage.fixtures.join("keys/recipient.pub.pem"))
        .arg("--output")
        .arg(&archive)
        .args(flags));
    let said = one_line(&next, 2);
    assert!(said.contains("or a raw dump"), "{said}");
    assert!(!archive.join("increments").exists());
}

#[test]
fn a_raw_dump_is_copied_and_sealed_anew() {
    let Some(stage) = Stage::new() else { return };
    let platform = stage.sqlite_fixture();
    let (archive, _) = dump(&stage, &platform, "dump", &["--layout", "volumes"]);
    let copied = run(Command::new(tool())
        .arg("copy")
        .arg(&archive)
        .arg(stage.at("copy"))
        .args(["--layout", "files"]));
    assert_eq!(copied.status.code(), Some(0), "{}", text(&copied));
    let sealed = run(Command::new(tool())
        .arg("consolidate")
        .arg(stage.at("copy"))
        .arg("--into")
        .arg(stage.at("anew"))
        .arg("--private-key")
        .arg(stage.key()));
    assert_eq!(sealed.status.code(), Some(0), "{}", text(&sealed));
    let target = at(stage.sqlite(), stage.at("restored"));
    let restored = run(&mut super::restoring(
        &stage,
        &target,
        &stage.at("anew"),
        &[],
    ));
    assert_eq!(restored.status.code(), Some(0), "{}", text(&restored));
    assert_eq!(target.entries(), platform.entries());
}
