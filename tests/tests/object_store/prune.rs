//! Old backups that go from a store, and what stays.

use crate::work::{KEY, Work};
use pryv_backup_tests::{
    command::{alone, run, text},
    object_store::{Fault, ObjectStore, StoreProxy},
    sampled::Stage,
};
use std::{
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// Three backups below `all`, the first a chain of two runs.
fn three(work: &Work<'_>, bucket: &str) {
    let place = |name: &str| format!("s3://{bucket}/all/{name}");
    work.backup(&place("a"), &["--incremental"]);
    work.stage.sql(
        "local-1.0.0.sqlite",
        "UPDATE events SET modified = modified + 1",
    );
    work.backup(&place("a"), &["--incremental"]);
    work.backup(&place("b"), &[]);
    work.backup(&place("c"), &[]);
}

#[test]
fn what_goes_goes_with_all_its_versions() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    store.bucket("plain");
    store.versioned_bucket("versioned");
    let work = Work::of(&stage, &store);
    for bucket in ["plain", "versioned"] {
        three(&work, bucket);
        let all = format!("s3://{bucket}/all");
        if bucket == "versioned" {
            // Somebody hid one, and put another one over it.
            store.delete(bucket, "all/a/volume-0001.tar");
            store.put(bucket, "all/a/manifest.json", b"other");
        }
        let prune = ["prune", &all, "--keep-last", "1"];
        let before = store.versions(bucket, "");
        let said = work.good(&[&prune[..], &["--dry-run"]].concat());
        assert!(said.contains("1 kept, 2 would remove"), "{said}");
        assert_eq!(store.versions(bucket, ""), before);
        let said = work.good(&[&prune[..], &KEY[..]].concat());
        assert!(said.contains("1 kept, 2 removed"), "{said}");
        for gone in ["all/a/", "all/b/"] {
            assert_eq!(store.versions(bucket, gone), 0, "{bucket}/{gone}");
        }
        work.is_good(&format!("{all}/c"));
        // Nothing of the chain that went is missed.
        work.backup(&format!("{all}/a"), &["--incremental"]);
        work.is_good(&format!("{all}/a"));
        let said = work.ends(&["prune", &format!("{all}/c"), "--keep-last", "1"], 2);
        assert!(said.contains("is a backup"), "{said}");
    }
    assert_eq!(stage.at("state/uploads").read_dir().unwrap().count(), 0);
}

#[test]
fn what_is_locked_is_named_and_stays() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    store.locked_bucket("locked");
    let work = Work::of(&stage, &store);
    three(&work, "locked");
    let before = store.versions("locked", "");
    let prune = ["prune", "s3://locked/all", "--keep-last", "1"];
    for more in [&["--dry-run"][..], &[]] {
        let said = work.ends(&[&prune[..], more].concat(), 5);
        for name in ["a", "b"] {
            let line = format!("cannot go yet: s3://locked/all/{name}: locked until 20");
            assert!(said.contains(&line), "{said}");
        }
        assert!(said.contains("1 kept, 0 "), "{said}");
    }
    assert_eq!(store.versions("locked", ""), before);
    for name in ["a", "b", "c"] {
        work.is_good(&format!("s3://locked/all/{name}"));
    }
}

#[test]
fn what_is_not_known_to_be_good_stays() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    store.bucket("bucket");
    let work = Work::of(&stage, &store);
    three(&work, "bucket");
    // One is changed, one is of nobody who is expected, and one was begun and not finished.
    let mut volume = store.get("bucket", "all/b/volume-0001.tar");
    let middle = volume.len() / 2;
    volume[middle] ^= 1;
    store.put("bucket", "all/b/volume-0001.tar", &volume);
    let mut other = work.command(&crate::work::BACKUP);
    other.arg("s3://bucket/all/other");
    other.env("PRYV_BACKUP_STATE_DIR", stage.at("another"));
    let done = run(&mut other);
    assert!(done.status.success(), "{}", text(&done));
    store.put("bucket", "all/begun/claim-0001", b"{}");
    store.put("bucket", "all/a/increments/0003/claim-0001", b"{}");
    store.put("bucket", "all/notes/readme.txt", b"hello");
    let before = store.list("bucket", "");
    let said = work.ends(&["prune", "s3://bucket/all", "--keep-last", "1"], 5);
    for line in [
        "left alone: s3://bucket/all/b: ",
        "left alone: s3://bucket/all/other: ",
        "left alone: s3://bucket/all/begun: a run that was not finished",
        "left alone: s3://bucket/all/notes: no backup",
        // A run may be at work there.
        "cannot go yet: s3://bucket/all/a: run 3 was begun",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert_eq!(store.list("bucket", ""), before);
}

#[test]
fn a_prune_that_is_killed_leaves_nothing_that_looks_whole() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    store.bucket("bucket");
    let work = Work::of(&stage, &store);
    work.backup("s3://bucket/all/new", &[]);
    for nth in [1, 2, 3, 5] {
        // Older than the other one, which is made anew.
        let place = "s3://bucket/all/old";
        work.backup(place, &["--incremental"]);
        work.backup(place, &["--incremental"]);
        work.good(&["prune", "s3://bucket/all", "--keep-last", "1"]);
        work.backup("s3://bucket/all/new", &[]);
        let (deletes, reached) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let seen = reached.clone();
        let proxy = StoreProxy::start(store.port, move |_, first| {
            let is_delete = first.starts_with("DELETE");
            if is_delete && deletes.fetch_add(1, Ordering::SeqCst) >= nth {
                seen.store(1, Ordering::SeqCst);
                return Fault::Cut(0);
            }
            Fault::None
        });
        let by_proxy = work.by_way_of(proxy.port);
        let mut command = by_proxy.command(&["prune", "s3://bucket/all", "--keep-last", "1"]);
        let mut child = alone(&mut command)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while reached.load(Ordering::SeqCst) == 0 {
            thread::sleep(Duration::from_millis(5));
        }
        let _ = child.kill();
        let _ = child.wait();
        let left = store.list("bucket", "all/old/").len();
        assert!(left > 0, "{nth}");
        let done = work.run(&[&["verify", place], &KEY[..]].concat());
        assert_ne!(done.status.code(), Some(0), "{nth}: {}", text(&done));
        let said = work.good(&["prune", "s3://bucket/all", "--keep-last", "1"]);
        assert!(said.contains("begun by an earlier run"), "{said}");
        assert_eq!(store.list("bucket", "all/old/").len(), 0);
        work.is_good("s3://bucket/all/new");
    }
}

#[test]
fn what_dead_attempts_left_goes() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    store.bucket("plain");
    store.versioned_bucket("versioned");
    let work = Work::of(&stage, &store);
    for bucket in ["plain", "versioned"] {
        let all = format!("s3://{bucket}/all");
        work.backup(&format!("{all}/a"), &["--incremental"]);
        let volume = store.get(bucket, "all/a/volume-0001.tar");
        let left = [
            "a/volume-100001.tar",
            "a/increments/0002/claim-0001",
            "a/increments/0002/volume-0001.tar",
            "b/claim-0001",
            "b/volume-0001.tar",
        ];
        for key in left {
            store.put(bucket, &format!("all/{key}"), &volume);
        }
        let upload = format!("/{bucket}/all/b/volume-0002.tar?uploads=");
        assert_eq!(store.request("POST", &upload, b"").0, 200);
        let prune = ["prune", &all, "--keep-last", "9"];
        let before = store.versions(bucket, "");
        // What is new may be of a run that is at work.
        let said = work.good(&prune);
        assert!(said.contains("a run that was not finished"), "{said}");
        let proxy = StoreProxy::start(store.port, |_, _| Fault::Aged);
        let later = work.by_way_of(proxy.port);
        let said = later.good(&[&prune[..], &["--dry-run"]].concat());
        assert!(said.contains("would remove 3 objects below"), "{said}");
        assert_eq!(store.versions(bucket, ""), before);
        assert_eq!(store.uploads(bucket), 1);
        let said = later.good(&prune);
        for line in [
            "removed 3 objects",
            "removed 2 objects",
            "removed 1 uploads",
        ] {
            assert!(said.contains(line), "{line}: {said}");
        }
        for key in left {
            assert_eq!(store.versions(bucket, &format!("all/{key}")), 0, "{key}");
        }
        assert_eq!(store.uploads(bucket), 0);
        work.is_good(&format!("{all}/a"));
        work.backup(&format!("{all}/a"), &["--incremental"]);
        work.backup(&format!("{all}/b"), &[]);
        work.is_good(&format!("{all}/a"));
        work.is_good(&format!("{all}/b"));
    }
}

#[test]
fn a_store_without_versions_is_pruned_too() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    store.bucket("bucket");
    let work = Work::of(&stage, &store);
    let proxy = StoreProxy::start(store.port, |_, first| {
        let knows = |word: &str| first.contains(word) && first.starts_with("GET");
        match knows("?versions") || knows("?versioning") || knows("?uploads") {
            true => Fault::Refused(501, "NotImplemented"),
            false => Fault::None,
        }
    });
    let work = work.by_way_of(proxy.port);
    three(&work, "bucket");
    let said = work.good(&["prune", "s3://bucket/all", "--keep-last", "1"]);
    assert!(said.contains("1 kept, 2 removed"), "{said}");
    assert_eq!(store.list("bucket", "all/a/").len(), 0);
    work.is_good("s3://bucket/all/c");
}
