//! S3 as the engine of attachments, both ways, on a real server.
#![allow(clippy::unwrap_used, clippy::panic)]

mod backups;
#[path = "../restore/draft.rs"]
mod draft;
mod faults;
mod hostile;
mod increments;
mod kills;
mod others;
mod restores;
mod round_trips;

use pryv_backup_tests::{
    command::{report, run, text},
    folder,
    normal::records,
    object_store::{Bucket, ObjectStore, access_key},
    plain::Plain,
    stage::{Platform, Stage},
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

/// Objects by their keys.
type Objects = BTreeMap<String, Vec<u8>>;
type Records = BTreeMap<String, BTreeSet<String>>;

/// What comes before the ids of users where a test does not say otherwise.
const PREFIX: &str = "pryv/files/";

/// A stage, and the store that all tests share.
fn stage() -> Option<(Stage, &'static ObjectStore)> {
    Some((Stage::new()?, ObjectStore::shared()?))
}

/// The same platform, with its attachments in a bucket that is reached at this port.
fn with_bucket<'s>(platform: Platform<'s>, bucket: &Bucket, port: u16) -> Platform<'s> {
    let [id, secret] = access_key();
    platform
        .with("storages__file__engine", "s3")
        .with("storages__engines__s3__bucket", bucket.name())
        .with(
            "storages__engines__s3__endpoint",
            &format!("http://127.0.0.1:{port}"),
        )
        .with("storages__engines__s3__accessKeyId", id)
        .with("storages__engines__s3__secretAccessKey", secret)
        .with("storages__engines__s3__keyPrefix", PREFIX)
}

/// The same platform, whose attachments are moved to the bucket, as Pryv.io keeps them there.
fn moved<'s>(platform: Platform<'s>, bucket: &Bucket, port: u16) -> Platform<'s> {
    for (name, bytes) in attachments_of(&platform) {
        bucket.put(&format!("{PREFIX}{name}"), &bytes);
    }
    for path in folder::files(&platform.users) {
        if path.ends_with("attachments") {
            fs::remove_dir_all(path).unwrap();
        }
    }
    with_bucket(platform, bucket, port)
}

/// The files of a platform by user, event and id.
fn attachments_of(platform: &Platform<'_>) -> Objects {
    let files = folder::tree(&platform.users).into_iter();
    let named = files.filter_map(|(path, bytes)| {
        let (folder, file) = path.split_once("/attachments/")?;
        let user = folder.rsplit('/').next()?;
        Some((format!("{user}/{file}"), bytes))
    });
    named.collect()
}

/// Everything in a bucket.
fn objects(bucket: &Bucket) -> Objects {
    let all = bucket.list("").into_iter();
    all.map(|object| (object.key.clone(), bucket.get(&object.key)))
        .collect()
}

/// Those of one user.
fn of_user(all: &Objects, user_id: &str) -> Objects {
    let prefix = format!("{PREFIX}{user_id}/");
    let own = all.iter().filter(|(key, _)| key.starts_with(&prefix));
    own.map(|(key, bytes)| (key.clone(), bytes.clone()))
        .collect()
}

/// A backup, with `--json` and these flags.
fn backup(stage: &Stage, platform: &Platform<'_>, name: &str, flags: &[&str]) -> Output {
    run(platform
        .command()
        .args(["--json", "--output"])
        .arg(stage.at(name))
        .args(flags))
}

/// One of everything, sealed, in which nothing is lost.
fn archive(platform: &Platform<'_>, name: &str) -> PathBuf {
    platform.backup(name)
}

/// One of a user with few records, in which nothing is lost.
fn small(stage: &Stage, platform: &Platform<'_>, name: &str) -> PathBuf {
    let flags = ["--user", "bob00", "--include-ephemeral"];
    let made = backup(stage, platform, name, &flags);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    stage.at(name)
}

/// All records of an archive, and the digests of its attachments.
fn read(stage: &Stage, archive: &Path) -> Records {
    records(&Plain::read(&stage.open(archive)))
}

/// The losses in the report of a backup: their names, and what they say.
fn losses(made: &Output) -> Vec<String> {
    let said = report(made);
    let all = said["losses"].as_array().unwrap();
    let of = |loss: &Value| {
        let part = |name: &str| loss[name].as_str().unwrap_or_default().to_owned();
        format!("{}: {}", part("path"), part("what"))
    };
    all.iter().map(of).collect()
}

/// Everybody was restored, without a loss.
fn restored(done: &Output) -> Value {
    assert_eq!(done.status.code(), Some(0), "{}", text(done));
    report(done)
}

/// The one line that a failed run ends with.
fn one_line(failed: &Output, code: i32) -> String {
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    let lines: Vec<&str> = said.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(failed.status.code(), Some(code), "{}", text(failed));
    assert_eq!(lines.len(), 1, "{said}");
    lines[0].to_owned()
}
