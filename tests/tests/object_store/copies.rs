//! Copies from and to a store.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::work::{KEY, Work, error_line};
use pryv_backup_tests::{
    command::text,
    object_store::{Fault, ObjectStore, StoreProxy},
    sampled::Stage,
};

#[test]
fn copies_go_either_way() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    store.bucket("bucket");
    let work = Work::of(&stage, &store);
    work.backup("chain", &["--incremental"]);
    work.good(&["copy", "chain", "s3://bucket/copy"]);
    stage.sql(
        "local-1.0.0.sqlite",
        "UPDATE events SET modified = modified + 1",
    );
    work.backup("chain", &["--incremental"]);
    let said = work.good(&["copy", "chain", "s3://bucket/copy", "--json"]);
    assert!(said.contains("\"runsThere\":1"), "{said}");
    work.is_good("s3://bucket/copy");
    work.is_same("chain", "s3://bucket/copy");
    for layout in ["files", "volumes"] {
        let back = &format!("back-{layout}");
        work.good(&["copy", "s3://bucket/copy", back, "--layout", layout]);
        work.is_good(back);
        work.is_same("chain", back);
    }
    // A copy of a store in a store; and a backup that is none of its first runs.
    work.good(&["copy", "s3://bucket/copy", "s3://bucket/again"]);
    work.is_good("s3://bucket/again");
    work.backup("other", &[]);
    let said = work.ends(&["copy", "other", "s3://bucket/copy"], 2);
    assert!(said.contains("nothing was copied"), "{said}");
    work.is_good("s3://bucket/copy");
}

#[test]
fn a_chain_is_sealed_anew_in_a_store() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    store.bucket("plain");
    store.locked_bucket("locked");
    let work = Work::of(&stage, &store);
    stage.key("second.pem");
    let place = "s3://plain/chain";
    work.backup(place, &["--incremental"]);
    stage.sql(
        "local-1.0.0.sqlite",
        "UPDATE events SET modified = modified + 1",
    );
    work.backup(place, &["--incremental"]);
    work.good(&["copy", place, "folder"]);
    for (from, into) in [
        (place, "s3://locked/new"),
        ("folder", "s3://plain/new"),
        (place, "new-folder"),
    ] {
        let args = [&["consolidate", from, "--into", into], &KEY[..]].concat();
        let said = work.good(&[&args[..], &["--json"]].concat());
        assert!(said.contains("\"verdict\":\"good\""), "{said}");
        work.is_good(into);
        work.is_same(place, into);
        assert!(work.ends(&args, 2).contains("already holds a backup"));
    }
    // To somebody else.
    let to_other = ["--recipient-pubkey", "second.pub.pem"];
    let args = ["consolidate", place, "--into", "s3://locked/other"];
    work.good(&[&args[..], &to_other, &KEY].concat());
    let verify = ["verify", "s3://locked/other", "--private-key"];
    work.good(&[&verify[..], &["second.pem"]].concat());
    work.ends(&[&verify[..], &["key.pem"]].concat(), 3);
    assert_eq!(stage.at("state/uploads").read_dir().unwrap().count(), 0);
}

#[test]
fn a_copy_that_is_not_what_was_sent_gets_no_name() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    store.bucket("bucket");
    let work = Work::of(&stage, &store);
    work.backup("old", &[]);
    // What is read of the volume is missing.
    let proxy = StoreProxy::start(store.port, |_, first| {
        match first.starts_with("GET") && first.contains("volume-0001.tar") {
            true => Fault::Refused(404, "NoSuchKey"),
            false => Fault::None,
        }
    });
    let by_proxy = work.by_way_of(proxy.port);
    let args = [
        &["consolidate", "old", "--into", "s3://bucket/new"],
        &KEY[..],
    ]
    .concat();
    let done = by_proxy.run(&args);
    assert!(!done.status.success(), "{}", text(&done));
    let _ = error_line(&text(&done));
    let keys = store.list("bucket", "new/manifest.json");
    assert!(keys.is_empty(), "{keys:?}");
    // Another attempt is not held up by what the first one left.
    work.good(&args);
    work.good(&[&["verify", "s3://bucket/new"], &KEY[..]].concat());
}

/// A chain of `runs` at `s3://bucket/chain`.
fn chain(work: &Work<'_>, runs: u32) {
    work.store.bucket("bucket");
    for _ in 0..runs {
        work.backup("s3://bucket/chain", &["--incremental"]);
        work.stage.sql(
            "local-1.0.0.sqlite",
            "UPDATE events SET modified = modified + 1",
        );
    }
}

#[test]
fn what_is_copied_is_what_was_checked() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    let work = Work::of(&stage, &store);
    chain(&work, 1);
    for (file, from, to) in [
        (
            "manifest.json.minisig",
            "trusted comment: p",
            "trusted comment: q",
        ),
        ("encryption.json", "\"fingerprint\"", "\"fingerPrint\""),
        ("run.json", "\"archiveId\"", "\"archiveID\""),
        ("manifest.json", "PRYV", "PRYW"),
        ("SHA256SUMS", "a", "b"),
        ("volumes.json", "volume-", "volums-"),
        ("FORMAT.md", "#", "!"),
    ] {
        // The first answers are true, the others are not.
        for good in 1..4 {
            let asked = Arc::new(AtomicUsize::new(0));
            let count = asked.clone();
            let end = format!("/chain/{file} HTTP/1.1");
            let proxy = StoreProxy::start(store.port, move |_, first| {
                match first.starts_with("GET") && first.ends_with(&end) {
                    true if count.fetch_add(1, Ordering::SeqCst) >= good => {
                        Fault::Changed(from, to)
                    }
                    _ => Fault::None,
                }
            });
            let places = match file {
                "manifest.json.minisig" | "encryption.json" => &["to", "s3://bucket/to"][..],
                _ => &["to"],
            };
            for place in places {
                asked.store(0, Ordering::SeqCst);
                let args = ["copy", "s3://bucket/chain", place];
                let done = work.by_way_of(proxy.port).run(&args);
                if done.status.success() {
                    work.is_good(place);
                } else {
                    assert_eq!(done.status.code(), Some(4), "{file} {good} {done:?}");
                }
                let _ = fs::remove_dir_all(stage.at("to"));
                for object in store.list("bucket", "to/") {
                    store.delete("bucket", &object.key);
                }
            }
        }
    }
}

#[test]
fn volumes_that_a_lost_run_left_are_left_aside() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    let work = Work::of(&stage, &store);
    chain(&work, 3);
    work.backup("s3://bucket/other", &[]);
    let left = "chain/increments/0003/volume-100001.tar";
    let other = store.get("bucket", "other/volume-0001.tar");
    for volume in [&other[..], b"garbage"] {
        store.put("bucket", left, volume);
        for place in ["to", "s3://bucket/to"] {
            let said = work.good(&["copy", "s3://bucket/chain", place]);
            let warning = "increments/0003/volume-100001.tar: volumes.json does not name it";
            assert!(said.contains(warning), "{said}");
            work.is_good(place);
        }
        fs::remove_dir_all(stage.at("to")).unwrap();
        for object in store.list("bucket", "to/") {
            store.delete("bucket", &object.key);
        }
    }
    // A run that is damaged: those before it are copied, and that is said.
    let volume = "chain/increments/0003/volume-0001.tar";
    store.put("bucket", volume, &other);
    let copy = ["copy", "s3://bucket/chain", "s3://bucket/to"];
    let said = work.ends(&copy, 4);
    assert!(
        error_line(&said).contains("2 runs were copied before it"),
        "{said}"
    );
    assert!(
        said.contains("warning: increments/0003/volume-100001.tar"),
        "{said}"
    );
    work.is_good("s3://bucket/to");
    let said = work.ends(&["copy", "s3://bucket/chain", "to"], 4);
    assert!(error_line(&said).contains("nothing was copied"), "{said}");
    assert!(!stage.at("to").exists());
}

#[test]
fn a_volume_of_somebody_else_is_not_taken_for_a_copied_one() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    let work = Work::of(&stage, &store);
    chain(&work, 1);
    let volume = store.get("bucket", "chain/volume-0001.tar");
    store.put("bucket", "to/volume-0001.tar", &vec![0; volume.len()]);
    let done = work.run(&["copy", "s3://bucket/chain", "s3://bucket/to"]);
    if done.status.success() {
        // It went to names of its own.
        assert!(store.get("bucket", "to/volume-0001.tar") == vec![0; volume.len()]);
        for secret in [&KEY[..], &[]] {
            work.good(&[&["verify", "s3://bucket/to"], secret].concat());
        }
        work.is_same("s3://bucket/chain", "s3://bucket/to");
    }
}
