//! Other recipients for a backup in a store.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::work::{KEY, Work, error_line};
use pryv_backup_tests::{
    command::text,
    object_store::{Fault, StoreProxy},
};
use serde_json::Value;

const SECOND: [&str; 2] = ["--private-key", "second.pem"];

fn add<'a>(place: &'a str, key: &'a str) -> Vec<&'a str> {
    [&["rekey", place, "--add-recipient", key], &KEY[..]].concat()
}

#[test]
fn recipients_come_and_go() {
    let Some(work) = Work::new() else { return };
    let place = &work.at("chain");
    let second = work.stage.key("second.pem");
    work.chain(place, 2);
    let before = work.bucket.list("");
    work.ends(&[&["verify", place], &SECOND[..]].concat(), 3);
    let said = work.good(&[&add(place, "second.pub.pem")[..], &["--json"]].concat());
    assert!(said.contains("\"changed\":2"), "{said}");
    work.is_good(place);
    work.good(&[&["verify", place], &SECOND[..]].concat());
    // Nothing but what names the recipients.
    let after = work.bucket.list("");
    for (old, new) in before.iter().zip(&after) {
        assert_eq!(old.key, new.key);
        let name = old.key.rsplit('/').next().unwrap();
        assert!(
            old == new || ["encryption.json", "run.json"].contains(&name),
            "{old:?} {new:?}"
        );
    }
    let run: Value =
        serde_json::from_slice(&work.bucket.get("chain/increments/0002/run.json")).unwrap();
    let recipients = run["runs"][0]["recipients"].as_array().unwrap();
    assert!(recipients.contains(&Value::from(second)), "{run}");
    let said = work.good(&add(place, "second.pub.pem"));
    assert_eq!(work.bucket.list(""), after, "{said}");
    // The first one goes.
    let first = recipients[0].as_str().unwrap();
    let said = work.good(&[&["rekey", place, "--remove-recipient", first], &SECOND[..]].concat());
    assert!(said.contains("can still read every copy"), "{said}");
    work.ends(&[&["verify", place], &KEY[..]].concat(), 3);
    work.good(&[&["verify", place], &SECOND[..]].concat());
    work.good(&["verify", place]);
}

#[test]
fn a_bucket_that_keeps_versions_is_left_as_it_is() {
    let Some(work) = Work::new() else { return };
    work.stage.key("second.pem");
    for bucket in [work.store.versioned(), work.store.locked()] {
        let place = bucket.at("a");
        work.backup(&place, &[]);
        let before = bucket.versions("");
        let said = work.ends(&add(&place, "second.pub.pem"), 2);
        let line = error_line(&said);
        for word in ["keeps versions", "old encryption.json", "consolidate"] {
            assert!(line.contains(word), "{word}: {line}");
        }
        assert_eq!(bucket.versions(""), before);
        work.is_good(&place);
    }
}

#[test]
fn a_change_that_was_killed_is_completed() {
    let Some(work) = Work::new() else { return };
    work.stage.key("second.pem");
    for nth in 1..=8 {
        let place = work.at(&nth.to_string());
        work.chain(&place, 2);
        let puts = AtomicUsize::new(0);
        let killed = work.is_killed(&add(&place, "second.pub.pem"), move |_, first| {
            let is_reached =
                first.starts_with("PUT") && puts.fetch_add(1, Ordering::SeqCst) + 1 >= nth;
            match nth % 2 {
                _ if !is_reached => Fault::None,
                0 => Fault::NoAnswer,
                _ => Fault::Cut(0),
            }
        });
        assert!(killed, "{nth}");
        // Whoever could open it can.
        work.good(&[&["verify", &place], &KEY[..]].concat());
        work.good(&add(&place, "second.pub.pem"));
        work.is_good(&place);
        work.good(&[&["verify", &place], &SECOND[..]].concat());
    }
}

#[test]
fn of_two_changes_at_once_one_is_refused() {
    let Some(work) = Work::new() else { return };
    work.stage.key("second.pem");
    work.stage.key("third.pem");
    let place = &work.at("chain");
    work.backup(place, &[]);
    let (proxy, gate) = StoreProxy::gated(work.store.port(), |first| {
        first.starts_with("PUT") && first.contains("encryption.json")
    });
    let first = work.by_way_of(&proxy).start(&add(place, "second.pub.pem"));
    gate.wait();
    work.on_host("other").good(&add(place, "third.pub.pem"));
    drop(gate);
    let first = first.wait_with_output().unwrap();
    assert_eq!(first.status.code(), Some(1), "{}", text(&first));
    assert!(error_line(&text(&first)).contains("run it again"));
    work.good(&[&["verify", place, "--private-key"], &["third.pem"][..]].concat());
    work.good(&add(place, "second.pub.pem"));
    work.is_good(place);
    for key in ["key.pem", "second.pem", "third.pem"] {
        work.good(&["verify", place, "--private-key", key]);
    }
}
