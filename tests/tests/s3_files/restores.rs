//! Restores over what is there: the same stays, other content gives way, the rest goes, and nobody else's is touched.

use super::{
    Objects, PREFIX, archive, moved, objects, of_user, one_line, restored, small, stage,
    with_bucket,
};
use pryv_backup_tests::{
    command::{report, run, text},
    object_store::{Bucket, Fault, StoreProxy},
    stage::{Platform, Stage},
};
use std::sync::Arc;
use std::sync::Mutex;

/// Empty platforms of both engines.
fn empty<'s>(stage: &'s Stage, bucket: &Bucket, port: u16) -> Vec<Platform<'s>> {
    std::iter::once(stage.sqlite())
        .chain(stage.postgres())
        .map(|platform| with_bucket(platform, bucket, port))
        .collect()
}

/// Puts what others have into a bucket.
fn others(bucket: &Bucket) -> Objects {
    for key in [
        "pryv/files/zoe/e/f",
        "pryv/files/x",
        "other/software",
        "pryv/filesystem/e/f",
    ] {
        bucket.put(key, key.as_bytes());
    }
    objects(bucket)
}

#[test]
fn what_is_there_gives_way_when_that_is_asked_for() {
    let Some((stage, store)) = stage() else {
        return;
    };
    let source = store.plain();
    let platform = moved(stage.sqlite_fixture(), &source, store.port());
    let made = small(&stage, &platform, "archive");
    for bucket in [store.plain(), store.versioned()] {
        for target in empty(&stage, &bucket, store.port()) {
            bucket.clear("");
            let others = others(&bucket);
            restored(&target.restore(&made, &[]));
            let new = objects(&bucket);
            assert!(
                others
                    .iter()
                    .all(|(key, bytes)| new.get(key) == Some(bytes))
            );
            let user = new.keys().find(|key| !others.contains_key(*key)).unwrap();
            let user = user[PREFIX.len()..].split('/').next().unwrap().to_owned();
            let own: Vec<String> = of_user(&new, &user).into_keys().collect();
            // One is the same, one has other content, one other and longer content, one is gone, one is old, one is no attachment.
            let longer = [new[&own[1]].clone(), vec![1; 300_000]].concat();
            let large = vec![3; 9_000_000];
            bucket.put(&own[0], b"other");
            bucket.put(&own[1], &longer);
            bucket.delete(&own[2]);
            bucket.put(&own[3], &large);
            bucket.put(&own[4], b"");
            bucket.put(&format!("{PREFIX}{user}/old/one"), b"old");
            bucket.put(&format!("{PREFIX}{user}/strange"), b"strange");
            let before = objects(&bucket);
            // Without being asked, nothing changes.
            let again = target.restore(&made, &[]);
            assert!(
                matches!(again.status.code(), Some(0 | 5)),
                "{}",
                text(&again)
            );
            assert!(objects(&bucket) == before);
            restored(&target.restore(&made, &["--overwrite", "--verify-integrity"]));
            let mut due = new.clone();
            due.insert(format!("{PREFIX}{user}/strange"), b"strange".to_vec());
            assert!(objects(&bucket) == due, "{:?}", bucket.list(""));
            assert!(target.is_left_clean());
            target.remove();
        }
    }
}

/// Objects of a user of whom the platform knows nothing are somebody's, and are not added to.
#[test]
fn objects_of_an_unknown_user_are_not_mixed_with() {
    let Some((stage, store)) = stage() else {
        return;
    };
    let source = store.plain();
    let platform = moved(stage.sqlite_fixture(), &source, store.port());
    let made = archive(&platform, "archive");
    let user = objects(&source).into_keys().next().unwrap();
    let user = user[PREFIX.len()..].split('/').next().unwrap().to_owned();
    let bucket = store.plain();
    for target in empty(&stage, &bucket, store.port()) {
        bucket.clear("");
        bucket.put(&format!("{PREFIX}{user}/some/one"), b"some");
        let done = target.restore(&made, &[]);
        assert_eq!(done.status.code(), Some(5), "{}", text(&done));
        for one in report(&done)["users"].as_array().unwrap() {
            let is_it = one["userId"] == user.as_str();
            assert_eq!(
                one["outcome"],
                if is_it { "failed" } else { "restored" },
                "{one}"
            );
            if is_it {
                let reason = one["reason"].to_string();
                assert!(
                    reason.contains("holds attachments of this user already"),
                    "{reason}"
                );
            }
        }
        assert_eq!(of_user(&objects(&bucket), &user).len(), 1);
        restored(&target.restore(&made, &["--overwrite"]));
        assert!(objects(&bucket) == objects(&source));
    }
}

/// Whoever else puts an attachment of a user while it is restored keeps it.
#[test]
fn an_attachment_that_comes_meanwhile_stays() {
    let Some((stage, store)) = stage() else {
        return;
    };
    let source = store.plain();
    let platform = moved(stage.sqlite_fixture(), &source, store.port());
    let made = small(&stage, &platform, "archive");
    for (n, target) in empty(&stage, &source, store.port()).into_iter().enumerate() {
        let bucket = store.plain();
        let (there, first) = (bucket.clone(), Arc::new(Mutex::new(None::<String>)));
        let noted = first.clone();
        let proxy = StoreProxy::start(store.port(), move |_, line| {
            let key = line.split(' ').nth(1).unwrap_or_default();
            let key = key.split_once(PREFIX).map(|(_, key)| key);
            if let Some(key) = key.filter(|key| line.starts_with("PUT") && !key.starts_with('.')) {
                let mut first = noted.lock().unwrap();
                if first.is_none() {
                    let key = key.split('?').next().unwrap();
                    there.put(&format!("{PREFIX}{key}"), b"of somebody else");
                    *first = Some(format!("{PREFIX}{key}"));
                }
            }
            Fault::None
        });
        let target = with_bucket(target, &bucket, proxy.port);
        let done = target.restore(&made, &["--jobs", "1"]);
        assert_eq!(done.status.code(), Some(5), "{n}: {}", text(&done));
        assert!(
            text(&done).contains("does another restore run?"),
            "{}",
            text(&done)
        );
        let key = first.lock().unwrap().clone().unwrap();
        let now = objects(&bucket);
        let user = key[PREFIX.len()..].split('/').next().unwrap();
        let own = of_user(&now, user);
        assert_eq!(own.len(), 1, "{:?}", own.keys());
        assert_eq!(now[&key], b"of somebody else");
        assert!(target.is_left_clean());
    }
}

/// A store that knows no conditional requests is taken as it is.
#[test]
fn a_store_without_conditions_is_enough() {
    let Some((stage, store)) = stage() else {
        return;
    };
    let source = store.plain();
    let platform = moved(stage.sqlite_fixture(), &source, store.port());
    let made = small(&stage, &platform, "archive");
    let bucket = store.plain();
    let aside = std::sync::atomic::AtomicUsize::new(0);
    let proxy = StoreProxy::start(store.port(), move |_, line| {
        let is_probe = line.starts_with("PUT") && line.contains("/.pryv-backup-restore/");
        match is_probe && aside.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 {
            true => Fault::Refused(501, "NotImplemented"),
            false => Fault::None,
        }
    });
    let target = with_bucket(stage.sqlite(), &bucket, proxy.port);
    restored(&target.restore(&made, &[]));
    let found = objects(&bucket);
    assert!(found.len() > 5);
    assert!(found.iter().all(|(key, bytes)| source.get(key) == *bytes));
}

/// Nothing is written by a dry run, and where the bucket may not be read nothing is begun.
#[test]
fn a_dry_run_writes_nothing() {
    let Some((stage, store)) = stage() else {
        return;
    };
    let source = store.plain();
    let platform = moved(stage.sqlite_fixture(), &source, store.port());
    let made = small(&stage, &platform, "archive");
    let bucket = store.plain();
    for target in empty(&stage, &bucket, store.port()) {
        let before = target.rows();
        restored(&target.restore(&made, &["--dry-run"]));
        assert!(bucket.list("").is_empty() && target.rows() == before);
        let wrong = target.with("storages__engines__s3__secretAccessKey", "hidden-from-all");
        for flags in [&["--dry-run"][..], &["--overwrite"]] {
            let failed = run(wrong
                .command()
                .args(["--create-users-dir", "--restore"])
                .arg(&made)
                .args(flags));
            let said = one_line(&failed, 1);
            assert!(
                said.contains("the store refuses") && said.contains(bucket.name()),
                "{said}"
            );
            assert!(!text(&failed).contains("hidden-from-all"));
            assert!(bucket.list("").is_empty() && wrong.rows() == before);
        }
    }
}
