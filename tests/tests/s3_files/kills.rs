//! A restore that is killed at any request: the next one puts in place what was decided and removes what was not, and nobody else's. And backups
//! that are.

use super::{Objects, PREFIX, moved, objects, of_user, restored, small, stage, with_bucket};
use pryv_backup_tests::{
    command::{signal, text},
    killed,
    object_store::{Bucket, Fault, ObjectStore, StoreProxy},
    rounds,
    stage::{Platform, Stage},
};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

/// Runs a restore that hangs at a request, and kills it there; whether it came to that.
pub fn killed_at(target: &Platform<'_>, archive: &Path, proxy: &StoreProxy, at: usize) -> bool {
    let mut child = target
        .restoring(archive, &["--overwrite", "--jobs", "1"])
        .env(
            "storages__engines__s3__endpoint",
            format!("http://127.0.0.1:{}", proxy.port),
        )
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .env("PRYV_BACKUP_STATE_DIR", "/dev/null/state")
        .spawn()
        .unwrap();
    while proxy.requests() < at && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    let came = child.try_wait().unwrap().is_none();
    signal(&child, "-KILL");
    child.wait().unwrap();
    target.wait_until_alone();
    proxy.end();
    came
}

/// What is in the bucket before: of the user something that is the same, something else and something old; and what is of others.
pub fn fill(bucket: &Bucket, new: &Objects, users: &[String]) {
    bucket.clear("");
    let own: Vec<(String, Vec<u8>)> = of_user(new, &users[0]).into_iter().collect();
    bucket.put(&own[0].0, &own[0].1);
    bucket.put(&own[1].0, b"other content");
    bucket.put(&format!("{PREFIX}{}/old/one", users[0]), b"old");
    bucket.put(&format!("{PREFIX}zoe/e/f"), b"zoe's");
    bucket.put("other/software", b"x");
}

fn every_request(
    stage: &Stage,
    store: &ObjectStore,
    whole: Platform<'_>,
    archive: &Path,
    due: &Objects,
) {
    let users: BTreeSet<String> = due
        .keys()
        .map(|key| key[PREFIX.len()..].split('/').next().unwrap().to_owned())
        .collect();
    let users: Vec<String> = users.into_iter().collect();
    let bucket = store.plain();
    let fresh = |port: u16| with_bucket(stage.copy(&whole), &bucket, port);
    fill(&bucket, due, &users);
    let others: Objects = objects(&bucket)
        .into_iter()
        .filter(|(key, _)| {
            !users
                .iter()
                .any(|user| key.starts_with(&format!("{PREFIX}{user}/")))
        })
        .collect();
    assert_eq!(others.len(), 2);
    let old = objects(&bucket);
    let counting = StoreProxy::start(store.port(), |_, _| Fault::None);
    let target = fresh(counting.port);
    restored(&target.restore(archive, &["--overwrite", "--jobs", "1"]));
    target.remove();
    let requests = counting.requests();
    let new = objects(&bucket);
    let all: Objects = due.clone().into_iter().chain(others.clone()).collect();
    assert!(new == all && requests > 15, "{requests}");
    let (mut undone, mut finished) = (0, 0);
    for at in (2..=requests).step_by(rounds(3, 1) as usize) {
        fill(&bucket, due, &users);
        let proxy = StoreProxy::start(store.port(), move |n, _| match n >= at {
            true => Fault::Silent,
            false => Fault::None,
        });
        let target = fresh(store.port());
        if !killed_at(&target, archive, &proxy, at) {
            target.remove();
            continue;
        }
        let now = objects(&bucket);
        assert!(
            others
                .iter()
                .all(|(key, bytes)| now.get(key) == Some(bytes)),
            "{at}"
        );
        // The next restore settles it: whoever is there is left as it is.
        let next = target.restore(archive, &[]);
        assert!(
            matches!(next.status.code(), Some(0 | 5)),
            "{at}: {}",
            text(&next)
        );
        let now = objects(&bucket);
        assert!(
            others
                .iter()
                .all(|(key, bytes)| now.get(key) == Some(bytes)),
            "{at}"
        );
        for user in &users {
            let is_new = of_user(&now, user) == of_user(&new, user);
            assert!(
                is_new || of_user(&now, user) == of_user(&old, user),
                "{at}: {user}: {:?}",
                of_user(&now, user).keys()
            );
            match is_new {
                true => finished += 1,
                false => undone += 1,
            }
        }
        assert!(target.is_left_clean(), "{at}");
        assert_eq!(bucket.uploads(), 0);
        restored(&target.restore(archive, &["--overwrite"]));
        let left: BTreeSet<String> = objects(&bucket)
            .into_keys()
            .filter(|key| !all.contains_key(key))
            .collect();
        // A probe of the killed run is empty, and in nobody's way.
        assert!(
            left.iter()
                .all(|key| key.contains("/.pryv-backup-restore/")),
            "{left:?}"
        );
        assert!(
            left.len() <= 1 && all.iter().all(|(key, bytes)| bucket.get(key) == *bytes),
            "{at}"
        );
        target.remove();
    }
    println!("users after kills: {undone} as before, {finished} as restored");
    assert!(undone > 0 && finished > 0, "{undone} {finished}");
}

#[test]
fn backups_leave_nothing_that_looks_whole() {
    let Some((stage, store)) = stage() else {
        return;
    };
    let bucket = store.plain();
    let platform = moved(stage.sqlite_fixture(), &bucket, store.port());
    let setting = "storages__engines__s3__endpoint";
    let address = |port| format!("http://127.0.0.1:{port}");
    let came = killed::backups(
        &stage,
        &platform,
        store.port(),
        (setting, &address),
        rounds(4, 30),
    );
    println!("{came} backups were killed");
}

/// An archive of a user, and what a bucket holds after a restore of it.
pub fn made(
    stage: &Stage,
    store: &ObjectStore,
    platform: Platform<'_>,
) -> (std::path::PathBuf, Objects) {
    let (source, first) = (store.plain(), store.plain());
    let platform = moved(platform, &source, store.port());
    let archive = small(stage, &platform, "archive");
    let empty = match platform.database {
        Some(_) => stage.postgres().unwrap(),
        None => stage.sqlite(),
    };
    let target = with_bucket(empty, &first, store.port());
    restored(&target.restore(&archive, &[]));
    (archive, objects(&first))
}

#[test]
fn in_files() {
    let Some((stage, store)) = stage() else {
        return;
    };
    let (archive, due) = made(&stage, store, stage.sqlite_fixture());
    every_request(&stage, store, stage.sqlite_fixture(), &archive, &due);
}

#[test]
fn in_postgres() {
    let Some((stage, store)) = stage() else {
        return;
    };
    let Some(whole) = stage.postgres_fixture() else {
        return;
    };
    let (archive, due) = made(&stage, store, stage.postgres_fixture().unwrap());
    every_request(&stage, store, whole, &archive, &due);
}

/// What a killed restore has sent is not forgotten when attachments are elsewhere later.
#[test]
fn a_note_of_another_bucket_is_told() {
    let Some((stage, store)) = stage() else {
        return;
    };
    let (archive, due) = made(&stage, store, stage.sqlite_fixture());
    let (bucket, other) = (store.plain(), store.plain());
    let target = with_bucket(stage.sqlite(), &bucket, store.port());
    let proxy = StoreProxy::start(store.port(), |n, _| match n >= 9 {
        true => Fault::Silent,
        false => Fault::None,
    });
    assert!(killed_at(&target, &archive, &proxy, 9));
    assert!(!bucket.list("").is_empty());
    let target = target.with("storages__file__engine", "filesystem");
    let refused = target.restore(&archive, &[]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert!(
        text(&refused).contains("/objects names attachments"),
        "{}",
        text(&refused)
    );
    let target = with_bucket(target, &other, store.port());
    let refused = target.restore(&archive, &[]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert!(text(&refused).contains(bucket.name()), "{}", text(&refused));
    restored(&with_bucket(target, &bucket, store.port()).restore(&archive, &[]));
    let found: Objects = objects(&bucket)
        .into_iter()
        .filter(|(key, _)| !key.contains("/.pryv-backup-restore/"))
        .collect();
    assert!(found == due);
}
