//! A store that breaks off, is slow, refuses or is away: it is asked again, and what does not come whole is no backup and no restore.

use super::{
    Objects, PREFIX, backup, losses, moved, objects, of_user, one_line, read, restored, small,
    stage, with_bucket,
};
use pryv_backup_tests::{
    command::text,
    object_store::{Bucket, Fault, ObjectStore, StoreProxy},
    plain::Plain,
    rounds,
    stage::{Platform, Stage},
};
use std::path::{Path, PathBuf};

/// A platform with its attachments in a bucket, and an archive of one of its users.
fn filled<'s>(stage: &'s Stage, store: &ObjectStore) -> (Platform<'s>, Bucket, PathBuf) {
    let bucket = store.plain();
    let platform = moved(stage.sqlite_fixture(), &bucket, store.port());
    let made = small(stage, &platform, "archive");
    (platform, bucket, made)
}

/// What a bucket holds of the user of an archive.
fn due_of(bucket: &Bucket, stage: &Stage, archive: &Path) -> Objects {
    let manifest = Plain::read(&stage.open(archive)).json("manifest.json");
    let user = manifest["users"][0]["userId"].as_str().unwrap();
    of_user(&objects(bucket), user)
}

fn through<'s>(
    platform: Platform<'s>,
    bucket: &Bucket,
    store: &ObjectStore,
    choose: impl Fn(usize, &str) -> Fault + Send + Sync + 'static,
) -> (Platform<'s>, StoreProxy) {
    let proxy = StoreProxy::start(store.port(), choose);
    (with_bucket(platform, bucket, proxy.port), proxy)
}

#[test]
fn what_breaks_off_once_is_asked_again() {
    let Some((stage, store)) = stage() else {
        return;
    };
    let (mut platform, bucket, made) = filled(&stage, store);
    let due = read(&stage, &made);
    let counted;
    (platform, counted) = through(platform, &bucket, store, |_, _| Fault::None);
    let _ = small(&stage, &platform, "counted");
    let requests = counted.requests();
    assert!(requests > 10, "{requests}");
    let faults = [
        Fault::Cut(0),
        Fault::NoAnswer,
        Fault::CutAnswer(300),
        Fault::Status(503),
        Fault::Status(500),
    ];
    for (n, at) in (1..=requests).step_by(rounds(2, 1) as usize).enumerate() {
        let fault = faults[n % faults.len()];
        (platform, _) = through(platform, &bucket, store, move |n, _| match n == at {
            true => fault,
            false => Fault::None,
        });
        let again = small(&stage, &platform, &format!("again {at}"));
        assert_eq!(read(&stage, &again), due, "{fault:?} {at}");
    }
    let all = due_of(&bucket, &stage, &made);
    for (n, fault) in faults.into_iter().enumerate() {
        let other = store.plain();
        let (target, _) = through(stage.sqlite(), &other, store, move |at, _| {
            match at % 3 == n % 3 {
                true => fault,
                false => Fault::None,
            }
        });
        restored(&target.restore(&made, &[]));
        assert!(objects(&other) == all, "{fault:?}");
    }
}

#[test]
fn a_slow_store_is_waited_for() {
    let Some((stage, store)) = stage() else {
        return;
    };
    let (platform, bucket, made) = filled(&stage, store);
    let slow = |_: usize, _: &str| Fault::Slow(32 * 1024);
    let (platform, _) = through(platform, &bucket, store, slow);
    let again = small(&stage, &platform, "slow");
    assert_eq!(read(&stage, &again), read(&stage, &made));
    let other = store.plain();
    let (target, _) = through(stage.sqlite(), &other, store, slow);
    restored(&target.restore(&made, &[]));
    assert!(objects(&other) == due_of(&bucket, &stage, &made));
}

/// What stores say that will not do what they are asked.
const REFUSALS: [(u16, &str); 5] = [
    (403, "ExpiredToken"),
    (403, "InvalidAccessKeyId"),
    (403, "RequestTimeTooSkewed"),
    (404, "NoSuchBucket"),
    (400, "ExpiredToken"),
];

#[test]
fn a_store_that_refuses_is_no_backup() {
    let Some((stage, store)) = stage() else {
        return;
    };
    let (mut platform, bucket, _) = filled(&stage, store);
    for (status, code) in REFUSALS {
        for from in [1, 7] {
            (platform, _) = through(platform, &bucket, store, move |n, _| match n >= from {
                true => Fault::Refused(status, code),
                false => Fault::None,
            });
            let failed = backup(&stage, &platform, "failed", &[]);
            let said = one_line(&failed, 1);
            assert!(
                said.contains(code) && said.contains("storages.engines.s3"),
                "{from}: {said}"
            );
            assert!(!stage.at("failed").exists(), "{said}");
        }
    }
    let away = with_bucket(platform, &bucket, 1);
    let failed = backup(&stage, &away, "failed", &[]);
    let said = one_line(&failed, 1);
    assert!(
        said.contains("the store failed, after several tries"),
        "{said}"
    );
}

/// One that the store keeps and does not give is a loss; the others come.
#[test]
fn an_object_that_is_refused_is_a_loss() {
    let Some((stage, store)) = stage() else {
        return;
    };
    let (platform, bucket, made) = filled(&stage, store);
    let listed: Vec<String> = read(&stage, &made)
        .into_iter()
        .filter(|(place, _)| place.ends_with(" attachments"))
        .flat_map(|(_, files)| files)
        .map(|file| file.split(' ').next().unwrap().to_owned())
        .collect();
    let file = listed[0].clone();
    let refused = format!("/{file} ");
    let (platform, _) = through(platform, &bucket, store, move |_, first| {
        match first.starts_with("GET") && first.contains(&refused) {
            true => Fault::Refused(403, "InvalidObjectState"),
            false => Fault::None,
        }
    });
    let partial = backup(&stage, &platform, "partial", &["--user", "bob00"]);
    assert_eq!(partial.status.code(), Some(5), "{}", text(&partial));
    let named = losses(&partial);
    assert_eq!(named.len(), 1, "{named:#?}");
    assert!(named[0].contains(&file) && named[0].contains("InvalidObjectState"));
    let report = pryv_backup_tests::command::report(&partial);
    assert!(!report.to_string().contains("backupsecret"));
}

/// A restore that is refused halfway leaves every user whole or as before, and the same again finishes.
#[test]
fn a_store_that_refuses_leaves_users_whole() {
    let Some((stage, store)) = stage() else {
        return;
    };
    let (_, source, made) = filled(&stage, store);
    let all = due_of(&source, &stage, &made);
    for (n, target) in std::iter::once(stage.sqlite())
        .chain(stage.postgres())
        .enumerate()
    {
        for from in [1, 4, 12] {
            let (status, code) = REFUSALS[(n + from) % REFUSALS.len()];
            let other = store.plain();
            let (broken, _) = through(stage.copy(&target), &other, store, move |n, _| {
                match n >= from {
                    true => Fault::Refused(status, code),
                    false => Fault::None,
                }
            });
            let failed = broken.restore(&made, &["--jobs", "1"]);
            let said = text(&failed);
            assert!(matches!(failed.status.code(), Some(1 | 5)), "{said}");
            assert!(
                said.contains(code) || said.contains("status 4"),
                "{from}: {said}"
            );
            assert!(!said.contains("backupsecret"), "{said}");
            let straight = with_bucket(broken, &other, store.port());
            restored(&straight.restore(&made, &[]));
            let mut found = objects(&other);
            // A probe that could not be taken away again is empty, and in nobody's way.
            found.retain(|key, bytes| !key.contains("/.pryv-backup-restore/") || !bytes.is_empty());
            assert!(found == all, "{from} {code}");
            assert!(straight.is_left_clean());
        }
    }
}

/// A store that fails for good ends a backup and a restore, once and not for each attachment.
#[test]
fn a_store_that_fails_for_good() {
    let Some((stage, store)) = stage() else {
        return;
    };
    let (platform, bucket, made) = filled(&stage, store);
    let fails = |n: usize, _: &str| match n > 6 {
        true => Fault::Status(503),
        false => Fault::None,
    };
    let other = store.plain();
    let (target, _) = through(stage.sqlite(), &other, store, fails);
    let mut restore = target
        .restoring(&made, &["--jobs", "1"])
        .env("PRYV_BACKUP_STATE_DIR", "/dev/null/state")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let (platform, _) = through(platform, &bucket, store, fails);
    let failed = backup(&stage, &platform, "failed", &["--jobs", "1"]);
    let said = one_line(&failed, 1);
    assert!(
        said.contains("after several tries") && said.contains("SlowDown"),
        "{said}"
    );
    assert!(said.contains(PREFIX), "{said}");
    assert!(!stage.at("failed").exists());
    let code = restore.wait().unwrap().code();
    assert!(matches!(code, Some(1 | 5)), "{code:?}");
    let straight = with_bucket(target, &other, store.port());
    restored(&straight.restore(&made, &[]));
    let mut found = objects(&other);
    found.retain(|key, _| !key.contains("/.pryv-backup-restore/"));
    assert!(found == due_of(&bucket, &stage, &made));
}
