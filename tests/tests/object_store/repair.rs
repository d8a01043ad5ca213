//! A backup in a store, healed by a copy.

use std::{
    collections::BTreeMap,
    fs,
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::work::{KEY, Work, error_line};
use pryv_backup_tests::object_store::{Fault, StoreProxy};

const SECOND: &str = "chain/increments/0002/";

/// A chain of two runs in several volumes, and copies of it in a folder and in the same bucket.
fn chain_and_copies(work: &Work) -> [String; 3] {
    let [chain, other] = ["chain", "other"].map(|name| work.at(name));
    for _ in 0..2 {
        work.change();
        work.backup(&chain, &["--incremental", "--volume-size", "64K"]);
    }
    work.good(&["copy", &chain, "copy"]);
    work.good(&["copy", &chain, &other]);
    [chain, "copy".to_owned(), other]
}

fn repair<'a>(place: &'a str, from: &'a str, secret: &[&'a str]) -> Vec<&'a str> {
    [&["verify", place, "--repair-from", from], secret].concat()
}

/// All objects of the chain.
fn objects(work: &Work) -> BTreeMap<String, Vec<u8>> {
    let listed = work.bucket.list("chain/").into_iter();
    listed
        .map(|object| (object.key.clone(), work.bucket.get(&object.key)))
        .collect()
}

/// Puts back what was there.
fn put_back(work: &Work, before: &BTreeMap<String, Vec<u8>>) {
    work.bucket.clear("chain/");
    for (key, bytes) in before {
        work.bucket.put(key, bytes);
    }
}

#[test]
fn what_is_damaged_or_gone_is_replaced() {
    let Some(work) = Work::new() else { return };
    let [chain, copy, other] = &chain_and_copies(&work);
    let before = objects(&work);
    let root = ("chain/", true, copy);
    let changed = (SECOND, false, copy);
    let gone = (SECOND, true, other);
    for (name, places) in [
        ("volume-0001.tar", &[root, changed, gone][..]),
        ("manifest.json", &[root, changed]),
        ("manifest.json.minisig", &[root, gone]),
        ("run.json", &[root, changed]),
        ("volumes.json", &[changed]),
        ("SHA256SUMS", &[root, gone]),
        ("encryption.json", &[gone]),
    ] {
        for (place, is_gone, from) in places.iter().copied() {
            let key = &format!("{place}{name}");
            let whole = &before[key];
            match is_gone {
                true => work.bucket.delete(key),
                false => work.bucket.put(key, &whole[..whole.len() / 2]),
            }
            if name != "encryption.json" {
                let said = work.good(&repair(chain, from, &[]));
                let is_told = ["replaced by", "written anew"].map(|word| said.contains(word));
                assert_ne!(is_told, [false; 2], "{key}: {said}");
            }
            let said = work.good(&repair(chain, from, &KEY));
            assert!(!said.contains("warning: "), "{key}: {said}");
            work.is_same(chain, copy);
            let names: Vec<String> = objects(&work).into_keys().collect();
            assert!(names.iter().eq(before.keys()), "{key}: {names:?}");
            if name != "volume-0001.tar" {
                assert!(objects(&work)[key] == *whole, "{key}");
            }
            put_back(&work, &before);
        }
    }
    assert_eq!(work.places_at_work(), 0);
}

#[test]
fn what_an_attempt_left_is_not_healed() {
    let Some(work) = Work::new() else { return };
    let [chain, copy, _] = &chain_and_copies(&work);
    let left = [
        format!("{SECOND}volume-100001.tar"),
        "chain/increments/0003/volume-0001.tar".to_owned(),
        "chain/increments/0003/manifest.json".to_owned(),
    ];
    for key in &left {
        work.bucket.put(key, b"left");
    }
    let volume = format!("{SECOND}volume-0001.tar");
    work.bucket.delete(&volume);
    work.good(&repair(chain, copy, &KEY));
    for key in &left {
        assert_eq!(work.bucket.get(key), b"left");
    }
    work.is_same(chain, copy);
}

#[test]
fn a_downloaded_chain_is_healed_as_it_is_laid_out() {
    let Some(work) = Work::new() else { return };
    let [chain, ..] = &chain_and_copies(&work);
    let down = work.stage.at("down");
    let before = objects(&work);
    for (key, bytes) in &before {
        let path = down.join(key.strip_prefix("chain/").unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    for name in ["volume-0001.tar", "run.json", "SHA256SUMS"] {
        let path = down.join("increments/0002").join(name);
        fs::remove_file(&path).unwrap();
        work.good(&repair("down", chain, &KEY));
        assert!(path.exists() && !down.join("chain.json").exists());
        work.is_good("down");
        work.is_same("down", chain);
    }
}

#[test]
fn a_bucket_that_keeps_versions_is_not_repaired() {
    let Some(work) = Work::new() else { return };
    for bucket in [work.store.versioned(), work.store.locked()] {
        let place = bucket.at("a");
        work.backup(&place, &[]);
        work.good(&["copy", &place, "copy"]);
        let before = bucket.versions("");
        let said = work.ends(&repair(&place, "copy", &KEY), 2);
        for word in ["keeps versions", "copy copy to a new prefix"] {
            assert!(error_line(&said).contains(word), "{said}");
        }
        assert_eq!(bucket.versions(""), before);
        fs::remove_dir_all(work.stage.at("copy")).unwrap();
    }
    let place = &work.at("a");
    work.backup(place, &[]);
    let said = work.ends(&repair(place, place, &KEY), 2);
    assert!(error_line(&said).contains("is the backup itself"), "{said}");
}

#[test]
fn a_repair_that_is_killed_or_too_late_makes_nothing_worse() {
    let Some(work) = Work::new() else { return };
    let [chain, copy, _] = &chain_and_copies(&work);
    let before = objects(&work);
    let volume = &format!("{SECOND}volume-0001.tar");
    for nth in 1..=3 {
        work.bucket.delete(volume);
        work.bucket.delete("chain/volume-0002.tar");
        work.bucket.delete("chain/run.json");
        let puts = AtomicUsize::new(0);
        let killed = work.is_killed(&repair(chain, copy, &KEY), move |_, first| {
            let is_put = first.starts_with("PUT");
            match is_put && puts.fetch_add(1, Ordering::SeqCst) + 1 >= nth {
                false => Fault::None,
                true if nth % 2 == 0 => Fault::NoAnswer,
                true => Fault::Cut(0),
            }
        });
        assert!(killed, "{nth}");
        work.good(&repair(chain, copy, &KEY));
        work.is_good(chain);
        put_back(&work, &before);
    }
    // Somebody else puts one there meanwhile.
    work.bucket.put(volume, b"damaged");
    let (proxy, gate) = StoreProxy::gated(work.store.port(), |first| {
        first.starts_with("PUT") && first.contains("0002/volume-0001.tar")
    });
    let repairs = work.by_way_of(&proxy).start(&repair(chain, copy, &KEY));
    gate.wait();
    work.bucket.put(volume, b"by somebody else");
    drop(gate);
    let done = repairs.wait_with_output().unwrap();
    let said = pryv_backup_tests::command::text(&done);
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(
        error_line(&said).contains("somebody else changed it"),
        "{said}"
    );
    assert_eq!(work.bucket.get(volume), b"by somebody else");
}
