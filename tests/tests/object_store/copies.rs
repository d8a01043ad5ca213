//! Copies from and to a store.

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
