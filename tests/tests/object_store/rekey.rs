//! Other recipients for a backup in a store.

use crate::work::{KEY, Work, error_line};
use pryv_backup_tests::{
    command::{alone, text},
    object_store::{Fault, ObjectStore, StoreProxy},
    sampled::Stage,
};
use serde_json::Value;
use std::{
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

const SECOND: [&str; 2] = ["--private-key", "second.pem"];
const PLACE: &str = "s3://bucket/chain";

fn add<'a>(place: &'a str, key: &'a str) -> Vec<&'a str> {
    [&["rekey", place, "--add-recipient", key], &KEY[..]].concat()
}

/// A chain of two runs in a bucket.
fn chain(work: &Work<'_>, place: &str) {
    work.backup(place, &["--incremental"]);
    work.stage.sql(
        "local-1.0.0.sqlite",
        "UPDATE events SET modified = modified + 1",
    );
    work.backup(place, &["--incremental"]);
}

#[test]
fn recipients_come_and_go() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    store.bucket("bucket");
    let work = Work::of(&stage, &store);
    let second = stage.key("second.pem");
    chain(&work, PLACE);
    let before = store.list("bucket", "");
    work.ends(&[&["verify", PLACE], &SECOND[..]].concat(), 3);
    let said = work.good(&[&add(PLACE, "second.pub.pem")[..], &["--json"]].concat());
    assert!(said.contains("\"changed\":2"), "{said}");
    work.is_good(PLACE);
    work.good(&[&["verify", PLACE], &SECOND[..]].concat());
    // Nothing but what names the recipients.
    let after = store.list("bucket", "");
    for (old, new) in before.iter().zip(&after) {
        assert_eq!(old.key, new.key);
        let name = old.key.rsplit('/').next().unwrap();
        assert!(
            old == new || ["encryption.json", "run.json"].contains(&name),
            "{old:?} {new:?}"
        );
    }
    let run: Value =
        serde_json::from_slice(&store.get("bucket", "chain/increments/0002/run.json")).unwrap();
    let recipients = run["runs"][0]["recipients"].as_array().unwrap();
    assert!(recipients.contains(&Value::from(second)), "{run}");
    let said = work.good(&add(PLACE, "second.pub.pem"));
    assert_eq!(store.list("bucket", ""), after, "{said}");
    // The first one goes.
    let first = recipients[0].as_str().unwrap();
    let said = work.good(&[&["rekey", PLACE, "--remove-recipient", first], &SECOND[..]].concat());
    assert!(said.contains("can still read every copy"), "{said}");
    work.ends(&[&["verify", PLACE], &KEY[..]].concat(), 3);
    work.good(&[&["verify", PLACE], &SECOND[..]].concat());
    work.good(&["verify", PLACE]);
}

#[test]
fn a_bucket_that_keeps_versions_is_left_as_it_is() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    store.versioned_bucket("versioned");
    store.locked_bucket("locked");
    let work = Work::of(&stage, &store);
    stage.key("second.pem");
    for bucket in ["versioned", "locked"] {
        let place = format!("s3://{bucket}/a");
        work.backup(&place, &[]);
        let before = store.versions(bucket, "");
        let said = work.ends(&add(&place, "second.pub.pem"), 2);
        let line = error_line(&said);
        for word in ["keeps versions", "old encryption.json", "consolidate"] {
            assert!(line.contains(word), "{word}: {line}");
        }
        assert_eq!(store.versions(bucket, ""), before);
        work.is_good(&place);
    }
}

#[test]
fn a_change_that_was_killed_is_completed() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    store.bucket("bucket");
    let work = Work::of(&stage, &store);
    stage.key("second.pem");
    for nth in 1..=8 {
        let place = format!("s3://bucket/{nth}");
        chain(&work, &place);
        let (puts, reached) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
        let seen = reached.clone();
        let proxy = StoreProxy::start(store.port, move |_, first| {
            if first.starts_with("PUT") && puts.fetch_add(1, Ordering::SeqCst) + 1 >= nth {
                seen.store(1, Ordering::SeqCst);
                return match nth % 2 {
                    0 => Fault::NoAnswer,
                    _ => Fault::Cut(0),
                };
            }
            Fault::None
        });
        let by_proxy = work.by_way_of(proxy.port);
        let mut command = by_proxy.command(&add(&place, "second.pub.pem"));
        let mut child = alone(&mut command)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while reached.load(Ordering::SeqCst) == 0 {
            thread::sleep(Duration::from_millis(5));
        }
        thread::sleep(Duration::from_millis(30));
        let _ = child.kill();
        let _ = child.wait();
        // Whoever could open it can.
        work.good(&[&["verify", &place], &KEY[..]].concat());
        work.good(&add(&place, "second.pub.pem"));
        work.is_good(&place);
        work.good(&[&["verify", &place], &SECOND[..]].concat());
    }
}

#[test]
fn of_two_changes_at_once_one_is_refused() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    store.bucket("bucket");
    let work = Work::of(&stage, &store);
    stage.key("second.pem");
    stage.key("third.pem");
    work.backup(PLACE, &[]);
    static HELD: AtomicUsize = AtomicUsize::new(0);
    let slow = StoreProxy::start(store.port, |_, first| {
        if first.starts_with("PUT") && first.contains("encryption.json") {
            HELD.store(1, Ordering::SeqCst);
            while HELD.load(Ordering::SeqCst) == 1 {
                thread::sleep(Duration::from_millis(20));
            }
        }
        Fault::None
    });
    let held = work.by_way_of(slow.port);
    let mut first = held.command(&add(PLACE, "second.pub.pem"));
    let first = alone(&mut first)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while HELD.load(Ordering::SeqCst) == 0 {
        thread::sleep(Duration::from_millis(20));
    }
    // That of another host.
    let mut second = work.command(&add(PLACE, "third.pub.pem"));
    second.env("PRYV_BACKUP_STATE_DIR", stage.at("other"));
    let second = pryv_backup_tests::command::run(&mut second);
    HELD.store(2, Ordering::SeqCst);
    let first = first.wait_with_output().unwrap();
    assert!(second.status.success(), "{}", text(&second));
    assert_eq!(first.status.code(), Some(1), "{}", text(&first));
    assert!(error_line(&text(&first)).contains("run it again"));
    work.good(&[&["verify", PLACE, "--private-key"], &["third.pem"][..]].concat());
    work.good(&add(PLACE, "second.pub.pem"));
    work.is_good(PLACE);
    for key in ["key.pem", "second.pem", "third.pem"] {
        work.good(&["verify", PLACE, "--private-key", key]);
    }
}
