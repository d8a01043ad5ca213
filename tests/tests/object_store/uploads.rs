//! Uploads of many parts that a killed run leaves.

use crate::work::{BACKUP, KEY, Work};
use pryv_backup_tests::{
    command::alone,
    object_store::{Fault, ObjectStore, StoreProxy},
    sampled::Stage,
};
use std::{
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

#[test]
fn uploads_of_a_killed_run_are_given_up_by_the_next() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    store.bucket("bucket");
    let work = Work::of(&stage, &store);
    let place = "s3://bucket/chain";
    work.backup(place, &["--incremental"]);
    stage.sql(
        "local-1.0.0.sqlite",
        "UPDATE events SET modified = modified + 1, content = '\"' || hex(randomblob(12000000)) || '\"' \
         WHERE rowid = (SELECT min(rowid) FROM events)",
    );
    static PARTS: AtomicUsize = AtomicUsize::new(0);
    let proxy = StoreProxy::start(store.port, |_, first| {
        if first.contains("partNumber=2") {
            PARTS.fetch_add(1, Ordering::SeqCst);
            return Fault::Cut(1000);
        }
        Fault::None
    });
    let by_proxy = work.by_way_of(proxy.port);
    let args = [&BACKUP[..], &[place, "--incremental"]].concat();
    let mut command = by_proxy.command(&args);
    let mut child = alone(&mut command)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while PARTS.load(Ordering::SeqCst) == 0 {
        assert!(
            child.try_wait().unwrap().is_none(),
            "it sent no second part"
        );
        thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    let _ = child.wait();
    // That of somebody else is none of its business.
    let (status, answer) = store.request("POST", "/bucket/chain/volume-0001.tar?uploads=", b"");
    assert_eq!(status, 200, "{answer}");
    assert_eq!(store.uploads("bucket"), 2);
    work.good(&[&["verify", place], &KEY[..]].concat());
    work.backup(place, &["--incremental"]);
    assert_eq!(store.uploads("bucket"), 1);
    work.is_good(place);
    // Nothing of the work stays on this host.
    assert_eq!(stage.at("state/uploads").read_dir().unwrap().count(), 0);
}
