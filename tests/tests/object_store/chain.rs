//! A chain is made in a store, read and restored.

use crate::work::{BACKUP, KEY, Work};
use pryv_backup_tests::{
    command::{run, text},
    object_store::{Fault, ObjectStore, StoreProxy},
    sampled::Stage,
};
use std::{fs, process::Command};

#[test]
fn a_chain_is_made_read_and_restored() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    store.bucket("plain");
    store.locked_bucket("locked");
    for bucket in ["plain", "locked"] {
        let place = &format!("s3://{bucket}/host/chain");
        let work = Work::of(&stage, &store);
        work.backup(place, &["--incremental"]);
        work.is_good(place);
        let before = store.list(bucket, "");
        stage.sql(
            "local-1.0.0.sqlite",
            "UPDATE events SET modified = modified + 1",
        );
        work.backup(place, &["--incremental"]);
        stage.sql(
            "local-1.0.0.sqlite",
            "UPDATE events SET modified = modified + 1",
        );
        work.backup(place, &["--incremental"]);
        work.is_good(place);
        let after = store.list(bucket, "");
        assert!(
            before.iter().all(|object| after.contains(object)),
            "{bucket}"
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
            fs::write(path, store.get(bucket, &object.key)).unwrap();
        }
        assert!(content == work.content("down"), "{bucket}");
        work.is_good("down");
        let script = run(Command::new("node")
            .current_dir(&down)
            .args(["decrypt-backup.mjs", ".", "--verify", "--private-key"])
            .arg(stage.at("key.pem")));
        assert!(script.status.success(), "{}", text(&script));
    }
    // Everything that reads takes such an address.
    let work = Work::of(&stage, &store);
    let place = "s3://plain/host/chain";
    for command in [
        &["list", place][..],
        &["stats", place],
        &["cat", place, "manifest.json"],
        &[
            "extract",
            place,
            "--user",
            "zoe-m",
            "--collection",
            "streams",
        ],
        &["decrypt", place, "--verify"],
        &["--restore", place, "--verify-only"],
    ] {
        work.good(&[command, &KEY[..]].concat());
    }
    let same = [&["diff", "s3://plain/host/chain@2", place], &KEY[..]].concat();
    assert!(!work.good(&same).is_empty());
    let taken = [&BACKUP[..], &[place]].concat();
    assert!(work.ends(&taken, 2).contains("already holds a backup"));
}

#[test]
fn few_bytes_are_read_for_one_user() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    store.bucket("bucket");
    let work = Work::of(&stage, &store);
    work.backup("s3://bucket/a", &[]);
    let proxy = StoreProxy::start(store.port, |_, _| Fault::None);
    let by_proxy = work.by_way_of(proxy.port);
    let args = [
        "extract",
        "s3://bucket/a",
        "--user",
        "zoe-m",
        "--collection",
        "streams",
    ];
    by_proxy.good(&[&args[..], &KEY[..]].concat());
    let all: u64 = store
        .list("bucket", "a/volume-")
        .iter()
        .map(|object| object.size)
        .sum();
    let read = proxy.bytes() as u64;
    assert!(
        read < all / 3,
        "{read} of {all} bytes in {} requests",
        proxy.requests()
    );
}

#[test]
fn listings_are_read_to_their_end() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    store.bucket("bucket");
    let work = Work::of(&stage, &store);
    work.backup("s3://bucket/z", &[]);
    for number in 0..1_050 {
        store.put("bucket", &format!("z/aaa/{number:04}"), b"x");
    }
    let report = work.good(&[&["verify", "s3://bucket/z"], &KEY[..]].concat());
    assert!(report.contains("aaa/1049"), "{report}");
}
