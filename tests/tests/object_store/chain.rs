//! A chain is made in a store, read and restored.

use crate::work::{BACKUP, KEY, Work};
use pryv_backup_tests::{
    command::{run, text},
    object_store::Fault,
};
use std::{fs, process::Command};

#[test]
fn a_chain_is_made_read_and_restored() {
    let Some(plain) = Work::new() else { return };
    let locked = plain.with(plain.store.locked());
    for work in [&plain, &locked] {
        let (stage, bucket) = (&work.stage, &work.bucket);
        let place = &work.at("host/chain");
        work.chain(place, 1);
        work.is_good(place);
        let before = bucket.list("");
        work.chain(place, 2);
        work.is_good(place);
        let after = bucket.list("");
        assert!(
            before.iter().all(|object| after.contains(object)),
            "{place}"
        );
        let keys: Vec<&str> = after.iter().map(|object| object.key.as_str()).collect();
        assert!(
            keys.contains(&"host/chain/increments/0003/run.json"),
            "{keys:?}"
        );
        assert!(
            !keys.iter().any(|key| key.ends_with("chain.json")),
            "{keys:?}"
        );
        // The newest state is that of the platform; a folder with the same objects is a chain too, for every reader.
        let _ = fs::remove_dir_all(stage.at("plain-backup"));
        work.good(&[&BACKUP[..], &["plain-backup"]].concat());
        let content = work.content(place);
        work.is_same(place, "plain-backup");
        let down = stage.at("down");
        let _ = fs::remove_dir_all(&down);
        for object in &after {
            let path = down.join(object.key.strip_prefix("host/chain/").unwrap());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bucket.get(&object.key)).unwrap();
        }
        assert!(content == work.content("down"), "{place}");
        work.is_good("down");
        let script = run(Command::new("node")
            .current_dir(&down)
            .args(["decrypt-backup.mjs", ".", "--verify", "--private-key"])
            .arg(stage.at("key.pem")));
        assert!(script.status.success(), "{}", text(&script));
    }
    // Everything that reads takes such an address.
    let (work, place) = (&plain, plain.at("host/chain"));
    let place = place.as_str();
    let streams = ["--user", "zoe-m", "--collection", "streams"];
    for command in [
        &["list", place][..],
        &["stats", place],
        &["cat", place, "manifest.json"],
        &[&["extract", place], &streams[..]].concat(),
        &["decrypt", place, "--verify"],
        &["--restore", place, "--verify-only"],
    ] {
        work.good(&[command, &KEY[..]].concat());
    }
    let second = format!("{place}@2");
    let same = [&["diff", &second, place], &KEY[..]].concat();
    assert!(!work.good(&same).is_empty());
    let taken = [&BACKUP[..], &[place]].concat();
    assert!(work.ends(&taken, 2).contains("already holds a backup"));
}

#[test]
fn few_bytes_are_read_for_one_user() {
    let Some(work) = Work::new() else { return };
    let place = &work.at("a");
    work.backup(place, &[]);
    let proxy = work.proxy(|_, _| Fault::None);
    let streams = ["--user", "zoe-m", "--collection", "streams"];
    let extract = [&["extract", place], &streams[..], &KEY[..]].concat();
    work.by_way_of(&proxy).good(&extract);
    let volumes = work.bucket.list("a/volume-");
    let all: u64 = volumes.iter().map(|object| object.size).sum();
    let read = proxy.bytes() as u64;
    assert!(
        read < all / 3,
        "{read} of {all} bytes in {} requests",
        proxy.requests()
    );
}

#[test]
fn listings_are_read_to_their_end() {
    let Some(work) = Work::new() else { return };
    let place = &work.at("z");
    work.backup(place, &[]);
    for number in 0..1_050 {
        work.bucket.put(&format!("z/aaa/{number:04}"), b"x");
    }
    let report = work.good(&[&["verify", place], &KEY[..]].concat());
    assert!(report.contains("aaa/1049"), "{report}");
}
