//! Backup of a platform in an unusual state: things that are no regular files, stores that a killed writer left, values that the format has no place for.
#![allow(clippy::unwrap_used, clippy::panic)]

mod attachments;
mod files;
mod journals;
mod parts;

use pryv_backup_tests::{
    command::{report, run, text},
    folder, rich,
    stage::{Platform, Stage},
};
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::Output,
};

/// A made-up platform of each engine that there is.
fn platforms(stage: &Stage, users: usize) -> Vec<Platform<'_>> {
    let mut all = vec![stage.sqlite()];
    all.extend(stage.postgres());
    for platform in &all {
        rich::fill(stage, platform, users, 5);
    }
    all
}

/// A file of some user, by the end of its path.
fn file(platform: &Platform<'_>, within: &str) -> PathBuf {
    let files = folder::files(&platform.users).into_iter();
    let mut found = files.filter(|path| path.is_file() && path.to_str().unwrap().contains(within));
    found.next().unwrap_or_else(|| panic!("no {within}"))
}

/// A backup to the holder of the stage's key, whatever becomes of it.
fn backup(stage: &Stage, platform: &Platform<'_>, archive: &Path) -> Output {
    run(platform
        .command()
        .args(["--json", "--recipient-pubkey"])
        .arg(stage.fixtures.join("keys/recipient.pub.pem"))
        .arg("--output")
        .arg(archive))
}

/// The losses of a backup, which has some.
fn losses(done: &Output) -> Vec<Value> {
    assert_eq!(done.status.code(), Some(5), "{}", text(done));
    report(done)["losses"].as_array().unwrap().clone()
}
