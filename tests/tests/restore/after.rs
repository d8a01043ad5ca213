//! Disposal of a backup all of whose users were restored: the backup's own files go, and nothing else.

use super::draft::Draft;
use pryv_backup_tests::{
    command::{report, run, text},
    folder,
    stage::Stage,
};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::symlink, path::PathBuf};

#[test]
fn what_is_no_part_of_a_backup_stays() {
    let Some(stage) = Stage::new() else { return };
    let source = stage.sqlite_fixture();
    let target = stage.sqlite();
    let archive = source.backup("archive");
    fs::create_dir(archive.join("other")).unwrap();
    fs::write(archive.join("notes.txt"), "mine").unwrap();
    fs::write(archive.join("other/file"), "mine").unwrap();
    let done = target.restore(&archive, &["--delete-on-success"]);
    let said = report(&done);
    assert_eq!(done.status.code(), Some(0), "{said}");
    assert_eq!(said["archive"], Value::Null);
    let warned = said["warnings"].to_string();
    assert!(warned.contains("notes.txt, other/file"), "{warned}");
    let left: Vec<String> = folder::tree(&archive).into_keys().collect();
    assert_eq!(left, ["notes.txt", "other/file"]);
    assert!(!archive.join("users").exists());
    // An empty folder is somebody's too.
    let archive = source.backup("second");
    fs::create_dir(archive.join("empty")).unwrap();
    let done = target.restore(&archive, &["--overwrite", "--delete-on-success"]);
    let warned = report(&done)["warnings"].to_string();
    assert!(warned.contains("no part of the backup: empty"), "{warned}");
    assert!(archive.join("empty").is_dir());
}

/// By a link, and from within.
#[test]
fn the_backup_itself_goes_however_it_was_named() {
    let Some(stage) = Stage::new() else { return };
    let source = stage.sqlite_fixture();
    let target = stage.sqlite();
    for (n, flags) in [
        &["--delete-on-success"][..],
        &["--move-on-success", "moved-1"],
    ]
    .into_iter()
    .enumerate()
    {
        let flags = [&["--overwrite"][..], flags].concat();
        let archive = source.backup(&format!("real-{n}"));
        let before = folder::tree(&archive);
        let link = stage.at(&format!("link-{n}"));
        symlink(&archive, &link).unwrap();
        let named = PathBuf::from(format!("{}/", link.display()));
        let done = target.restore(&named, &flags);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        assert!(!archive.exists() && !link.is_symlink());
        if n == 1 {
            assert!(folder::tree(&stage.at("moved-1")) == before);
        }
        let archive = source.backup(&format!("within-{n}"));
        let mut command = target.restoring(&PathBuf::from("."), &[]);
        command
            .args(if n == 0 {
                &flags[..]
            } else {
                &["--overwrite", "--move-on-success", "../moved-2"]
            })
            .arg("--private-key")
            .arg(stage.key())
            .current_dir(&archive);
        let done = run(&mut command);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        assert!(!archive.exists());
    }
    assert!(stage.at("moved-2/manifest.json").exists());
}

/// An impossible disposal is refused before anything is written.
#[test]
fn places_where_no_backup_can_go() {
    let Some(stage) = Stage::new() else { return };
    let archive = stage.sqlite_fixture().backup("archive");
    let before = folder::tree(&archive);
    let target = stage.sqlite();
    fs::write(stage.at("file"), "").unwrap();
    fs::create_dir(stage.at("left.partial")).unwrap();
    symlink(stage.at("nowhere"), stage.at("dangling")).unwrap();
    symlink(&archive, stage.at("inside")).unwrap();
    for (to, says) in [
        ("file", "is there already"),
        ("dangling", "is there already"),
        ("left", "left.partial is there already"),
        ("archive", "is there already"),
        ("archive/users/deep/moved", "inside the backup"),
        ("inside/moved", "inside the backup"),
        ("file/moved", "is no folder"),
        ("new/../archive/moved", "`..`"),
    ] {
        let refused = target.restore(&archive, &["--move-on-success", to]);
        assert_eq!(refused.status.code(), Some(2), "{to}: {}", text(&refused));
        assert!(text(&refused).contains(says), "{to}: {}", text(&refused));
        assert!(!target.users.exists() && folder::tree(&archive) == before);
    }
}

/// Nobody was restored from it.
#[test]
fn a_backup_of_nobody_stays() {
    let Some(stage) = Stage::new() else { return };
    let mut draft = Draft::new(&stage, "archive");
    draft.manifest["users"] = json!([]);
    fs::remove_dir_all(draft.root.join("users")).unwrap();
    draft.seal();
    let before = folder::tree(&draft.root);
    let target = stage.sqlite();
    for flags in [
        &["--delete-on-success"][..],
        &["--move-on-success", "moved"],
    ] {
        let done = target.restore(&draft.root, flags);
        let said = report(&done);
        assert_eq!(done.status.code(), Some(0), "{said}");
        assert_eq!(said["archive"], draft.root.to_str().unwrap());
        assert!(
            said["warnings"].to_string().contains("holds no users"),
            "{said}"
        );
        assert!(folder::tree(&draft.root) == before);
    }
}
