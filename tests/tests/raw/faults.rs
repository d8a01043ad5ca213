//! Tools that are missing, too old, or die half-way; disks that fill; runs that are killed: nothing is left that looks whole and is not.

use super::{dump, dumping, one_line, restoring};
use pryv_backup_tests::{
    command::{alone, run, signal, text},
    disk::SmallDisk,
    stage::{Platform, Stage},
};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A folder with a program of that name, which comes first on the `PATH`.
pub fn program(stage: &Stage, name: &str, script: &str) -> PathBuf {
    let folder = stage.at(&format!("bin-{}", script.len()));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

pub fn with_path<'c>(command: &'c mut Command, first: &Path) -> &'c mut Command {
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", first.display()))
}

/// Tells the version of the real one.
pub const VERSION: &str = "[ \"$1\" = --version ] && exec /usr/bin/pg_dump --version";

fn is_no_backup(output: &Path) {
    assert!(!output.join("manifest.json").exists());
    assert_eq!(fs::read_dir(output).map_or(0, Iterator::count), 0);
}

#[test]
fn a_tool_that_is_missing_or_too_old_is_said_before_anything_starts() {
    let Some(stage) = Stage::new() else { return };
    let Some(platform) = stage.postgres_fixture() else {
        return;
    };
    let output = stage.at("dump");
    let begun = stage.at("begun");
    let stop = format!("touch {}", begun.display());
    let flags = ["--stop-command", stop.as_str(), "--start-command", "true"];
    let mut none = dumping(&stage, &platform, &output, &flags);
    let said = one_line(&run(none.env("PATH", "/nowhere")), 1);
    assert!(said.contains("no pg_dump on the PATH"), "{said}");
    is_no_backup(&output);
    assert!(!begun.exists());
    let old = program(&stage, "pg_dump", "echo 'pg_dump (PostgreSQL) 9.6.24'");
    let mut old_one = dumping(&stage, &platform, &output, &[]);
    let said = one_line(&run(with_path(&mut old_one, &old)), 1);
    assert!(
        said.contains("pg_dump 9.6.24 cannot dump a server"),
        "{said}"
    );
    is_no_backup(&output);
    let (archive, _) = dump(&stage, &platform, "dump", &[]);
    let target = super::empty_like(&stage, &platform, "target");
    let old = program(&stage, "pg_restore", "echo 'pg_restore (PostgreSQL) 12.1'");
    let mut restore = restoring(&stage, &target, &archive, &[]);
    let said = one_line(&run(with_path(&mut restore, &old)), 1);
    assert!(said.contains("pg_restore 12.1 cannot read"), "{said}");
    assert!(!target.users.exists());
}

#[test]
fn a_tool_that_dies_leaves_no_dump() {
    let Some(stage) = Stage::new() else { return };
    let Some(platform) = stage.postgres_fixture() else {
        return;
    };
    for (script, why) in [
        (
            "printf PGDMP; head -c 3000000 /dev/zero; echo 'pg_dump: error: lost' >&2; exit 1",
            "pg_dump: error: lost",
        ),
        (
            "printf PGDMP; head -c 2000000 /dev/zero; kill -9 $$; exit 0",
            "signal: 9",
        ),
        ("echo 'no dump'", "is no dump"),
        ("true", "wrote nothing"),
    ] {
        let bin = program(&stage, "pg_dump", &format!("{VERSION}\n{script}"));
        let output = stage.at("dump");
        let mut dying = dumping(&stage, &platform, &output, &[]);
        let said = one_line(&run(with_path(&mut dying, &bin)), 1);
        assert!(said.contains(why), "{said}");
        is_no_backup(&output);
    }
    // The same of a restore: what is not empty is said.
    let (archive, _) = dump(&stage, &platform, "good", &[]);
    let target = super::empty_like(&stage, &platform, "target");
    let version = VERSION.replace("pg_dump", "pg_restore");
    let bin = program(
        &stage,
        "pg_restore",
        &format!("{version}\necho 'pg_restore: error: gone' >&2; exit 1"),
    );
    let mut dying = restoring(&stage, &target, &archive, &[]);
    let said = one_line(&run(with_path(&mut dying, &bin)), 1);
    assert!(
        said.contains("gone") && said.contains("the database may hold a part"),
        "{said}"
    );
    assert!(!target.users.exists());
}

#[test]
fn no_secret_is_among_the_arguments_of_a_tool() {
    let Some(stage) = Stage::new() else { return };
    let Some(platform) = stage.postgres_fixture() else {
        return;
    };
    let seen = stage.at("seen");
    let platform = platform.with("storages__engines__postgresql__password", "geheim");
    let script = format!(
        "{VERSION}\necho \"$@\" > {seen}.args; env > {seen}.env; exec /usr/bin/pg_dump \"$@\"",
        seen = seen.display()
    );
    let bin = program(&stage, "pg_dump", &script);
    let output = stage.at("dump");
    let mut command = platform.command();
    command
        .args(["raw", "--output"])
        .arg(&output)
        .env("PRYV_BACKUP_PASSPHRASE", "correct horse battery");
    let made = run(with_path(&mut command, &bin));
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    let args = fs::read_to_string(seen.with_extension("args")).unwrap();
    let environment = fs::read_to_string(seen.with_extension("env")).unwrap();
    assert!(!args.contains("geheim"), "{args}");
    assert!(environment.contains("PGPASSWORD=geheim"));
    assert!(
        !environment.contains("horse") && !environment.contains("storages__"),
        "{environment}"
    );
}

#[test]
fn a_disk_that_fills_leaves_no_dump() {
    let Some(stage) = Stage::new() else { return };
    let Some(platform) = stage.postgres_fixture() else {
        return;
    };
    let (_, said) = dump(&stage, &platform, "good", &[]);
    // The decryptors have room, and not all that is read after them.
    let size = format!("size={}", said["bytes"].as_u64().unwrap() * 3 / 4);
    let Some(disk) = SmallDisk::mount(stage.at("small"), &size) else {
        return;
    };
    let output = disk.0.join("dump");
    let full = run(&mut dumping(&stage, &platform, &output, &[]));
    let said = one_line(&full, 1);
    assert!(said.contains("No space left"), "{said}");
    is_no_backup(&output);
    // What a tool needs is looked at before.
    let folder = ["--format", "directory"];
    let full = run(dumping(&stage, &platform, &output, &folder).env("TMPDIR", &disk.0));
    let said = one_line(&full, 1);
    assert!(said.contains("are free: make room"), "{said}");
    is_no_backup(&output);
}

/// Waits until something is so.
pub fn until(is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "it does not come"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_run_that_is_stopped_leaves_nothing_that_looks_whole() {
    let Some(stage) = Stage::new() else { return };
    let Some(platform) = stage.postgres_fixture() else {
        return;
    };
    let output = stage.at("dump");
    let waits = stage.at("waits");
    let script = format!(
        "{VERSION}\nprintf PGDMP; head -c 3000000 /dev/zero; echo $$ > {}; exec sleep 600",
        waits.display()
    );
    let bin = program(&stage, "pg_dump", &script);
    let begin = |stop: &str| {
        let _ = fs::remove_file(&waits);
        let mut command = dumping(&stage, &platform, &output, &[]);
        let command = with_path(&mut command, &bin);
        let mut child = alone(command)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until(|| fs::read_to_string(&waits).is_ok_and(|text| text.ends_with('\n')));
        let tool = fs::read_to_string(&waits).unwrap().trim().to_owned();
        signal(&child, stop);
        (child.wait().unwrap(), tool)
    };
    let (ended, tool) = begin("-TERM");
    assert_eq!(ended.code(), Some(143));
    is_no_backup(&output);
    assert!(!Path::new("/proc").join(&tool).exists(), "the tool goes on");
    let (ended, tool) = begin("-KILL");
    assert_eq!(ended.code(), None);
    let _ = Command::new("kill").arg(&tool).status();
    assert!(!output.join("manifest.json").exists());
    // The next run takes away what is left.
    let (output, _) = dump(&stage, &platform, "dump", &[]);
    assert!(!output.join(".pryv-backup-partial").exists());
    let target: Platform<'_> = super::empty_like(&stage, &platform, "target");
    let restored = run(&mut restoring(&stage, &target, &output, &[]));
    assert_eq!(restored.status.code(), Some(0), "{}", text(&restored));
}

/// What waits in the clear goes with its run, however that ends: at the latest when the next one of this host begins. What a run uses stays.
#[test]
fn what_a_killed_dump_left_in_the_clear_goes() {
    let Some(stage) = Stage::new() else { return };
    let Some(platform) = stage.postgres_fixture() else {
        return;
    };
    let waiting = stage.at("waiting");
    fs::create_dir(&waiting).unwrap();
    let waits = stage.at("waits");
    let script = format!(
        "{VERSION}\nfor one; do [ \"$last\" = --file ] && into=$one; last=$one; done\n\
         mkdir \"$into\"; echo clear > \"$into/toc.dat\"; echo $$ $into > {}; exec sleep 600",
        waits.display()
    );
    let bin = program(&stage, "pg_dump", &script);
    // A dump that hangs with something in the clear: its process, that of the tool, and where it is.
    let hanging = |name: &str| {
        let _ = fs::remove_file(&waits);
        let mut command = dumping(
            &stage,
            &platform,
            &stage.at(name),
            &["--format", "directory"],
        );
        let command = with_path(command.env("TMPDIR", &waiting), &bin);
        let child = alone(command)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until(|| fs::read_to_string(&waits).is_ok_and(|text| text.ends_with('\n')));
        let said = fs::read_to_string(&waits).unwrap();
        let (tool, folder) = said.trim().split_once(' ').unwrap();
        (child, tool.to_owned(), PathBuf::from(folder))
    };
    let (mut killed, tool, dead) = hanging("killed");
    signal(&killed, "-KILL");
    killed.wait().unwrap();
    let _ = Command::new("kill").arg(&tool).status();
    assert!(dead.join("toc.dat").exists());
    let (mut running, _, live) = hanging("running");
    assert!(!dead.exists());
    let mut next = dumping(&stage, &platform, &stage.at("next"), &[]);
    let made = run(next.env("TMPDIR", &waiting));
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    assert!(live.join("toc.dat").exists());
    signal(&running, "-TERM");
    assert_eq!(running.wait().unwrap().code(), Some(143));
    assert_eq!(fs::read_dir(&waiting).unwrap().count(), 0);
}
