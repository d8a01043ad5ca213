//! Around a run: dry runs, other runs at the same time, disposal of the backup.

use super::shared::targets;
use pryv_backup_tests::{
    command::{report, run, signal, text},
    disk::SmallDisk,
    folder, need,
    stage::Stage,
};
use serde_json::Value;
use std::{
    fs,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
#[test]
fn a_dry_run_leaves_nothing_and_tells_all() {
    let Some(stage) = Stage::new() else { return };
    let archive = stage.sqlite_fixture().backup("archive");
    for target in targets(&stage) {
        let before = target.entries();
        let dry = target.restore(&archive, &["--dry-run"]);
        let said = report(&dry);
        assert_eq!(dry.status.code(), Some(0), "{said}");
        assert!(!target.users.exists());
        assert!(target.entries() == before);
        let done = target.restore(&archive, &[]);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        let rows = target.rows();
        let files = folder::tree(&target.users);
        let users = |said: &Value, outcome: &str| -> Vec<Value> {
            let users = said["users"].as_array().unwrap().iter();
            users
                .map(|u| {
                    assert_eq!(u["outcome"], outcome);
                    u["records"]["events"].clone()
                })
                .collect()
        };
        assert_eq!(
            users(&said, "wouldBeRestored"),
            users(&report(&done), "restored")
        );
        for flags in [&["--dry-run"][..], &["--dry-run", "--overwrite"]] {
            let dry = target.restore(&archive, flags);
            let code = if flags.len() == 1 { 5 } else { 0 };
            assert_eq!(dry.status.code(), Some(code), "{}", text(&dry));
            assert!(target.rows() == rows);
            assert!(folder::tree(&target.users) == files, "a file was touched");
        }
    }
}

#[test]
fn programs_are_told_why_nothing_was_done() {
    let Some(stage) = Stage::new() else { return };
    let archive = stage.sqlite_fixture().backup("archive");
    let target = stage.sqlite();
    let other = "0".repeat(64);
    let done = target.restore(&archive, &["--expect-id", &other]);
    assert_eq!(done.status.code(), Some(4), "{}", text(&done));
    let last: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(last["event"], "error", "{last}");
    assert_eq!(last["code"], "other-archive");
    assert_eq!(
        (&last["kind"], &last["exitCode"]),
        (&"damaged".into(), &4.into())
    );
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(said.contains(last["message"].as_str().unwrap()), "{said}");
}

#[test]
fn restored_files_belong_to_the_platform() {
    let Some(stage) = Stage::new() else { return };
    if !need::root() {
        return;
    }
    let archive = stage.sqlite_fixture().backup("archive");
    for target in targets(&stage) {
        fs::create_dir_all(&target.users).unwrap();
        chown(&target.users, Some(12345), Some(12346)).unwrap();
        for flags in [&[][..], &["--overwrite"]] {
            let done = target.restore(&archive, flags);
            assert_eq!(done.status.code(), Some(0), "{}", text(&done));
            let found = owners(&target.users);
            assert!(found.len() > 4, "{found:?}");
            for (path, owner) in found {
                assert_eq!(owner, (12345, 12346), "{}", path.display());
            }
        }
    }
}

/// The owner of everything below a folder.
fn owners(folder: &Path) -> Vec<(PathBuf, (u32, u32))> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let about = fs::symlink_metadata(&path).unwrap();
        if about.is_dir() {
            found.extend(owners(&path));
        }
        found.push((path, (about.uid(), about.gid())));
    }
    found
}

#[test]
fn two_restores_do_not_meet() {
    let Some(stage) = Stage::new() else { return };
    let archive = stage.sqlite_fixture().backup("archive");
    // Until one is stopped at work; on a busy machine that may come too late.
    let stopped = (0..20).find_map(|_| {
        let target = stage.sqlite();
        let mut first = target
            .restoring(&archive, &[])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lock = target.users.join(".pryv-backup-restore/lock");
        while !lock.exists() {
            if first.try_wait().unwrap().is_some() {
                return None;
            }
        }
        signal(&first, "-STOP");
        if lock.exists() {
            return Some((target, first));
        }
        signal(&first, "-CONT");
        first.wait().unwrap();
        None
    });
    let (target, mut first) = stopped.unwrap();
    let second = target.restore(&archive, &["--overwrite"]);
    assert!(first.try_wait().unwrap().is_none(), "it was too fast");
    assert_eq!(second.status.code(), Some(1), "{}", text(&second));
    assert!(
        text(&second).contains("another restore is at work"),
        "{}",
        text(&second)
    );
    signal(&first, "-CONT");
    assert!(first.wait().unwrap().success());
    assert!(target.is_left_clean());
}

/// To another file system: copied, compared, and only then removed.
#[test]
fn a_backup_is_moved_across_file_systems() {
    let Some(stage) = Stage::new() else { return };
    let archive = stage.sqlite_fixture().backup("archive");
    let before = folder::tree(&archive);
    // Too small: the backup stays, and that is said.
    let Some(small) = SmallDisk::mount(stage.at("small"), "size=64k") else {
        return;
    };
    let target = stage.sqlite();
    let to = small.0.join("deep/moved");
    let failed = target.restore(&archive, &["--move-on-success", to.to_str().unwrap()]);
    let said = report(&failed);
    assert_eq!(failed.status.code(), Some(5), "{said}");
    let why = said["archiveFailed"].as_str().unwrap();
    assert!(why.contains("could not be moved"), "{why}");
    assert_eq!(said["users"][3]["outcome"], "restored", "{said}");
    assert_eq!(said["archive"], archive.to_str().unwrap());
    assert!(folder::tree(&archive) == before && !to.exists());
    let times = |root: &Path| {
        let time = |path: &String| fs::metadata(root.join(path)).unwrap().modified().unwrap();
        before.keys().map(time).collect::<Vec<_>>()
    };
    let made = times(&archive);
    let disk = SmallDisk::mount(stage.at("large"), "size=200m").unwrap();
    let to = disk.0.join("deep/moved");
    let flags = ["--overwrite", "--move-on-success", to.to_str().unwrap()];
    let done = target.restore(&archive, &flags);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    assert!(folder::tree(&to) == before && !archive.exists());
    assert!(times(&to) == made);
    assert_eq!(report(&done)["archive"], to.to_str().unwrap());
    // There is something there already.
    let again = target.restore(
        &to,
        &["--overwrite", "--move-on-success", to.to_str().unwrap()],
    );
    assert_eq!(again.status.code(), Some(2), "{}", text(&again));
    assert!(folder::tree(&to) == before);
}

#[test]
fn the_help_names_every_flag_of_pryvs_guide() {
    let help = run(Command::new(pryv_backup_tests::command::tool()).arg("--help"));
    let help = text(&help);
    for flag in [
        "--restore",
        "--user",
        "--overwrite",
        "--skip-conflicts",
        "--verify-integrity",
        "--delete-on-success",
        "--move-on-success",
        "--private-key",
        "--private-key-passphrase",
        "--decrypt-passphrase",
    ] {
        assert!(help.contains(flag), "{flag}");
    }
}
