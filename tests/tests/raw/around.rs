//! What is run around a dump: it is not waited for longer than it runs, knows nothing of ours, and what it could not end is said last.

use super::{dumping, one_line};
use pryv_backup_tests::{
    command::{report, run, text},
    stage::Stage,
};
use std::fs;
use std::process::Command;

#[test]
fn what_a_command_leaves_running_is_not_waited_for() {
    let Some(stage) = Stage::new() else { return };
    let platform = stage.sqlite_fixture();
    let left = stage.at("left");
    let start = format!("sleep 3600 & echo $! > {}", left.display());
    let flags = ["--stop-command", start.as_str(), "--start-command", &start];
    let made = run(&mut dumping(&stage, &platform, &stage.at("dump"), &flags));
    let running = fs::read_to_string(&left).unwrap();
    let stopped = Command::new("kill").arg(running.trim()).status().unwrap();
    assert!(stopped.success());
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
}

#[test]
fn commands_have_the_umask_of_the_operator_and_no_secret_of_ours() {
    let Some(stage) = Stage::new() else { return };
    let platform = stage.sqlite_fixture();
    let seen = stage.at("seen");
    let say = format!("(umask; env) > {}", seen.display());
    let flags = ["--stop-command", "true", "--start-command", say.as_str()];
    let mut command = dumping(&stage, &platform, &stage.at("dump"), &flags);
    command
        .env("AWS_SECRET_ACCESS_KEY", "geheim")
        .env("PRYV_BACKUP_SIGN_PASSWORD", "geheim")
        .env("OF_THE_OPERATOR", "known");
    let made = run(&mut command);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    let seen = fs::read_to_string(&seen).unwrap();
    let own = Command::new("sh").args(["-c", "umask"]).output().unwrap();
    let own = String::from_utf8(own.stdout).unwrap();
    assert_eq!(seen.lines().next(), Some(own.trim()));
    assert!(seen.contains("OF_THE_OPERATOR=known"), "{seen}");
    assert!(!seen.contains("geheim"), "{seen}");
    // What we write is ours alone all the same.
    let about = fs::metadata(stage.at("dump/manifest.json")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&about) & 0o077, 0);
}

#[test]
fn a_core_that_is_not_started_again_is_said_last() {
    let Some(stage) = Stage::new() else { return };
    let platform = stage.sqlite_fixture();
    let start = "echo no such unit >&2; exit 3";
    let flags = ["--stop-command", "true", "--start-command", start];
    let due = "the core was not started: the start command failed";
    let mut command = platform.command();
    command
        .args(["raw", "--recipient-pubkey"])
        .arg(stage.fixtures.join("keys/recipient.pub.pem"))
        .arg("--output")
        .arg(stage.at("dump"))
        .args(flags);
    let made = run(&mut command);
    assert_eq!(made.status.code(), Some(5), "{}", text(&made));
    let said = String::from_utf8(made.stdout.clone()).unwrap();
    let last = said.lines().last().unwrap();
    assert!(
        last.contains("FAILED: ") && last.contains(due),
        "{}",
        text(&made)
    );
    assert!(stage.at("dump/manifest.json").exists());
    // The same where the dump fails, by itself or later.
    let nowhere = ["--snapshot-command", "echo /nowhere"];
    let failing = [&flags[..], &nowhere].concat();
    let failed = run(&mut dumping(&stage, &platform, &stage.at("none"), &failing));
    let said = one_line(&failed, 1);
    assert!(said.contains("/nowhere") && said.contains(due), "{said}");
    // And what is lost is named beside it.
    std::os::unix::fs::symlink("/nowhere", platform.users.join("link")).unwrap();
    let made = run(&mut dumping(&stage, &platform, &stage.at("lost"), &flags));
    assert_eq!(made.status.code(), Some(5), "{}", text(&made));
    let said = report(&made);
    assert_eq!(said["losses"].as_array().unwrap().len(), 1, "{said}");
    assert!(said["trouble"][0].as_str().unwrap().contains(due), "{said}");
}
