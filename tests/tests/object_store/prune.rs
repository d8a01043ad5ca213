//! Old backups that go from a store, and what stays.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::work::{KEY, Work};
use pryv_backup_tests::{command::text, object_store::Fault};

/// Three backups below `all`, the first a chain of two runs.
fn three(work: &Work) {
    work.chain(&work.at("all/a"), 2);
    work.backup(&work.at("all/b"), &[]);
    work.backup(&work.at("all/c"), &[]);
}

#[test]
fn what_goes_goes_with_all_its_versions() {
    let Some(work) = Work::new() else { return };
    for versioned in [false, true] {
        let bucket = match versioned {
            false => work.store.plain(),
            true => work.store.versioned(),
        };
        let (work, all) = (&work.with(bucket.clone()), bucket.at("all"));
        three(work);
        if versioned {
            // Somebody hid one, and put another one over it.
            bucket.delete("all/a/volume-0001.tar");
            bucket.put("all/a/manifest.json", b"other");
        }
        let prune = ["prune", &all, "--keep-last", "1"];
        let before = bucket.versions("");
        let said = work.good(&[&prune[..], &["--dry-run"]].concat());
        assert!(said.contains("1 kept, 2 would remove"), "{said}");
        assert_eq!(bucket.versions(""), before);
        let said = work.good(&[&prune[..], &KEY[..]].concat());
        assert!(said.contains("1 kept, 2 removed"), "{said}");
        for gone in ["all/a/", "all/b/"] {
            assert_eq!(bucket.versions(gone), 0, "{all}: {gone}");
        }
        work.is_good(&format!("{all}/c"));
        // Nothing of the chain that went is missed.
        work.backup(&format!("{all}/a"), &["--incremental"]);
        work.is_good(&format!("{all}/a"));
        let said = work.ends(&["prune", &format!("{all}/c"), "--keep-last", "1"], 2);
        assert!(said.contains("is a backup"), "{said}");
    }
    assert_eq!(work.places_at_work(), 0);
}

#[test]
fn what_is_locked_is_named_and_stays() {
    let Some(work) = Work::new() else { return };
    let work = work.with(work.store.locked());
    three(&work);
    let (all, before) = (&work.at("all"), work.bucket.versions(""));
    let prune = ["prune", all, "--keep-last", "1"];
    for more in [&["--dry-run"][..], &[]] {
        let said = work.ends(&[&prune[..], more].concat(), 5);
        for name in ["a", "b"] {
            let line = format!("cannot go yet: {all}/{name}: locked until 20");
            assert!(said.contains(&line), "{said}");
        }
        assert!(said.contains("1 kept, 0 "), "{said}");
    }
    assert_eq!(work.bucket.versions(""), before);
    for name in ["a", "b", "c"] {
        work.is_good(&format!("{all}/{name}"));
    }
}

#[test]
fn what_is_not_known_to_be_good_stays() {
    let Some(work) = Work::new() else { return };
    three(&work);
    let all = &work.at("all");
    // One is changed, one is of nobody who is expected, and one was begun and not finished.
    let mut volume = work.bucket.get("all/b/volume-0001.tar");
    let middle = volume.len() / 2;
    volume[middle] ^= 1;
    work.bucket.put("all/b/volume-0001.tar", &volume);
    let other = format!("{all}/other");
    work.on_host("another").backup(&other, &[]);
    work.bucket.put("all/begun/claim-0001", b"{}");
    work.bucket.put("all/a/increments/0003/claim-0001", b"{}");
    work.bucket.put("all/notes/readme.txt", b"hello");
    let before = work.bucket.list("");
    let said = work.ends(&["prune", all, "--keep-last", "1"], 5);
    for line in [
        format!("left alone: {all}/b: "),
        format!("left alone: {other}: "),
        format!("left alone: {all}/begun: a run that was not finished"),
        format!("left alone: {all}/notes: no backup"),
        // A run may be at work there.
        format!("cannot go yet: {all}/a: run 3 was begun"),
    ] {
        assert!(said.contains(&line), "{line}: {said}");
    }
    assert_eq!(work.bucket.list(""), before);
}

#[test]
fn a_prune_that_is_killed_leaves_nothing_that_looks_whole() {
    let Some(work) = Work::new() else { return };
    let (all, old, new) = (&work.at("all"), &work.at("all/old"), &work.at("all/new"));
    let prune = ["prune", all, "--keep-last", "1"];
    work.backup(new, &[]);
    for nth in [1, 2, 3, 5] {
        // Older than the other one, which is made anew.
        work.backup(old, &["--incremental"]);
        work.backup(old, &["--incremental"]);
        work.good(&prune);
        work.backup(new, &[]);
        let deletes = AtomicUsize::new(0);
        let killed = work.is_killed(&prune, move |_, first| {
            let is_delete = first.starts_with("DELETE");
            match is_delete && deletes.fetch_add(1, Ordering::SeqCst) >= nth {
                true => Fault::Cut(0),
                false => Fault::None,
            }
        });
        assert!(killed, "{nth}");
        let left = work.bucket.list("all/old/").len();
        assert!(left > 0, "{nth}");
        let done = work.run(&[&["verify", old], &KEY[..]].concat());
        assert_ne!(done.status.code(), Some(0), "{nth}: {}", text(&done));
        let said = work.good(&prune);
        assert!(said.contains("begun by an earlier run"), "{said}");
        assert_eq!(work.bucket.list("all/old/").len(), 0);
        work.is_good(new);
    }
}

#[test]
fn what_dead_attempts_left_goes() {
    let Some(work) = Work::new() else { return };
    for bucket in [work.store.plain(), work.store.versioned()] {
        let work = work.with(bucket.clone());
        let (all, a, b) = (work.at("all"), &work.at("all/a"), &work.at("all/b"));
        work.backup(a, &["--incremental"]);
        let volume = bucket.get("all/a/volume-0001.tar");
        let left = [
            "a/volume-100001.tar",
            "a/increments/0002/claim-0001",
            "a/increments/0002/volume-0001.tar",
            "b/claim-0001",
            "b/volume-0001.tar",
        ];
        for key in left {
            bucket.put(&format!("all/{key}"), &volume);
        }
        bucket.begin_upload("all/b/volume-0002.tar");
        let prune = ["prune", &all, "--keep-last", "9"];
        let before = bucket.versions("");
        // What is new may be of a run that is at work.
        let said = work.good(&prune);
        assert!(said.contains("a run that was not finished"), "{said}");
        let later = work.breaking(|_, _| Fault::Aged);
        let said = later.good(&[&prune[..], &["--dry-run"]].concat());
        assert!(said.contains("would remove 3 objects below"), "{said}");
        assert_eq!(bucket.versions(""), before);
        assert_eq!(bucket.uploads(), 1);
        let said = later.good(&prune);
        for line in [
            "removed 3 objects",
            "removed 2 objects",
            "removed 1 uploads",
        ] {
            assert!(said.contains(line), "{line}: {said}");
        }
        for key in left {
            assert_eq!(bucket.versions(&format!("all/{key}")), 0, "{key}");
        }
        assert_eq!(bucket.uploads(), 0);
        work.is_good(a);
        work.backup(a, &["--incremental"]);
        work.backup(b, &[]);
        work.is_good(a);
        work.is_good(b);
    }
}

#[test]
fn a_store_without_versions_is_pruned_too() {
    let Some(work) = Work::new() else { return };
    let work = work.breaking(|_, first| {
        let knows = |word: &str| first.contains(word) && first.starts_with("GET");
        match knows("?versions") || knows("?versioning") || knows("?uploads") {
            true => Fault::Refused(501, "NotImplemented"),
            false => Fault::None,
        }
    });
    three(&work);
    let said = work.good(&["prune", &work.at("all"), "--keep-last", "1"]);
    assert!(said.contains("1 kept, 2 removed"), "{said}");
    assert_eq!(work.bucket.list("all/a/").len(), 0);
    work.is_good(&work.at("all/c"));
}
