//! Copies from and to a store.

use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::work::{KEY, Work, error_line};
use pryv_backup_tests::{command::text, object_store::Fault};

#[test]
fn copies_go_either_way() {
    let Some(work) = Work::new() else { return };
    let copy = &work.at("copy");
    work.chain("chain", 1);
    work.good(&["copy", "chain", copy]);
    work.chain("chain", 1);
    let said = work.good(&["copy", "chain", copy, "--json"]);
    assert!(said.contains("\"runsThere\":1"), "{said}");
    work.is_good(copy);
    work.is_same("chain", copy);
    for layout in ["files", "volumes"] {
        let back = &format!("back-{layout}");
        work.good(&["copy", copy, back, "--layout", layout]);
        work.is_good(back);
        work.is_same("chain", back);
    }
    // A copy of a store in a store; and a backup that is none of its first runs.
    let again = &work.at("again");
    work.good(&["copy", copy, again]);
    work.is_good(again);
    work.backup("other", &[]);
    let said = work.ends(&["copy", "other", copy], 2);
    assert!(said.contains("nothing was copied"), "{said}");
    work.is_good(copy);
}

#[test]
fn a_chain_is_sealed_anew_in_a_store() {
    let Some(work) = Work::new() else { return };
    let locked = work.store.locked();
    work.stage.key("second.pem");
    let place = work.at("chain");
    let place = place.as_str();
    work.chain(place, 2);
    work.good(&["copy", place, "folder"]);
    for (from, into) in [
        (place, locked.at("new").as_str()),
        ("folder", &work.at("new")),
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
    let other = &locked.at("other");
    let to_other = ["--recipient-pubkey", "second.pub.pem"];
    let args = ["consolidate", place, "--into", other];
    work.good(&[&args[..], &to_other, &KEY].concat());
    let verify = ["verify", other, "--private-key"];
    work.good(&[&verify[..], &["second.pem"]].concat());
    work.ends(&[&verify[..], &["key.pem"]].concat(), 3);
    assert_eq!(work.places_at_work(), 0);
}

#[test]
fn a_copy_that_is_not_what_was_sent_gets_no_name() {
    let Some(work) = Work::new() else { return };
    let new = &work.at("new");
    work.backup("old", &[]);
    // What is read of the volume is missing.
    let by_proxy = work.breaking(|_, first| {
        match first.starts_with("GET") && first.contains("volume-0001.tar") {
            true => Fault::Refused(404, "NoSuchKey"),
            false => Fault::None,
        }
    });
    let args = [&["consolidate", "old", "--into", new], &KEY[..]].concat();
    let done = by_proxy.run(&args);
    assert!(!done.status.success(), "{}", text(&done));
    let _ = error_line(&text(&done));
    let keys = work.bucket.list("new/manifest.json");
    assert!(keys.is_empty(), "{keys:?}");
    // Another attempt is not held up by what the first one left.
    work.good(&args);
    work.good(&[&["verify", new], &KEY[..]].concat());
}

#[test]
fn what_is_copied_is_what_was_checked() {
    let Some(work) = Work::new() else { return };
    let (chain, to) = (&work.at("chain"), &work.at("to"));
    work.chain(chain, 1);
    for (file, from, changed) in [
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
            let places = match file {
                "manifest.json.minisig" | "encryption.json" => &["to", to][..],
                _ => &["to"],
            };
            for place in places {
                let asked = AtomicUsize::new(0);
                let end = format!("/chain/{file} HTTP/1.1");
                let by_proxy = work.breaking(move |_, first| {
                    match first.starts_with("GET") && first.ends_with(&end) {
                        true if asked.fetch_add(1, Ordering::SeqCst) >= good => {
                            Fault::Changed(from, changed)
                        }
                        _ => Fault::None,
                    }
                });
                let done = by_proxy.run(&["copy", chain, place]);
                if done.status.success() {
                    work.is_good(place);
                } else {
                    assert_eq!(done.status.code(), Some(4), "{file} {good} {done:?}");
                }
                let _ = fs::remove_dir_all(work.stage.at("to"));
                work.bucket.clear("to/");
            }
        }
    }
}

#[test]
fn volumes_that_a_lost_run_left_are_left_aside() {
    let Some(work) = Work::new() else { return };
    let (chain, to, bucket) = (&work.at("chain"), &work.at("to"), &work.bucket);
    work.chain(chain, 3);
    work.backup(&work.at("other"), &[]);
    let left = "chain/increments/0003/volume-100001.tar";
    let other = bucket.get("other/volume-0001.tar");
    for volume in [&other[..], b"garbage"] {
        bucket.put(left, volume);
        for place in ["to", to] {
            let said = work.good(&["copy", chain, place]);
            let warning = "increments/0003/volume-100001.tar: volumes.json does not name it";
            assert!(said.contains(warning), "{said}");
            work.is_good(place);
        }
        fs::remove_dir_all(work.stage.at("to")).unwrap();
        bucket.clear("to/");
    }
    // A run that is damaged: those before it are copied, and that is said.
    bucket.put("chain/increments/0003/volume-0001.tar", &other);
    let said = work.ends(&["copy", chain, to], 4);
    assert!(
        error_line(&said).contains("2 runs were copied before it"),
        "{said}"
    );
    assert!(
        said.contains("warning: increments/0003/volume-100001.tar"),
        "{said}"
    );
    work.is_good(to);
    let said = work.ends(&["copy", chain, "to"], 4);
    assert!(error_line(&said).contains("nothing was copied"), "{said}");
    assert!(!work.stage.at("to").exists());
}

#[test]
fn a_volume_of_somebody_else_is_not_taken_for_a_copied_one() {
    let Some(work) = Work::new() else { return };
    let (chain, to, bucket) = (&work.at("chain"), &work.at("to"), &work.bucket);
    work.chain(chain, 1);
    let volume = bucket.get("chain/volume-0001.tar");
    bucket.put("to/volume-0001.tar", &vec![0; volume.len()]);
    let done = work.run(&["copy", chain, to]);
    if done.status.success() {
        // It went to names of its own.
        assert!(bucket.get("to/volume-0001.tar") == vec![0; volume.len()]);
        for secret in [&KEY[..], &[]] {
            work.good(&[&["verify", to], secret].concat());
        }
        work.is_same(chain, to);
    }
}
