//! Stores that fail for a while, and stores that refuse.

use crate::work::{BACKUP, Work, error_line};
use pryv_backup_tests::{
    command::{run, text},
    object_store::{Fault, ObjectStore, StoreProxy},
    sampled::Stage,
};

#[test]
fn requests_that_fail_for_a_while_are_made_again() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    store.bucket("bucket");
    type ByRequest = fn(usize, &str) -> Fault;
    let faults: [(&str, ByRequest); 3] = [
        ("busy", |number, _| match number % 3 {
            1 => Fault::Status([503, 500][number / 3 % 2]),
            _ => Fault::None,
        }),
        ("cut", |number, first| {
            match first.starts_with("PUT") && number % 3 == 1 {
                true => Fault::Cut(1000),
                false => Fault::None,
            }
        }),
        ("unanswered", |number, _| match number % 3 {
            1 => Fault::NoAnswer,
            _ => Fault::None,
        }),
    ];
    for (name, fault) in faults {
        let proxy = StoreProxy::start(store.port, fault);
        let work = Work::of(&stage, &store).by_way_of(proxy.port);
        let place = &format!("s3://bucket/{name}");
        work.backup(place, &["--incremental", "--volume-size", "64K"]);
        let direct = work.by_way_of(store.port);
        direct.is_good(place);
        assert!(!direct.content(place).is_empty());
    }
}

#[test]
fn a_store_that_refuses_is_one_line() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    store.bucket("bucket");
    let work = Work::of(&stage, &store);
    let backup = [&BACKUP[..], &["s3://bucket/a"]].concat();
    let none = [&BACKUP[..], &["s3://nosuchbucket/a"]].concat();
    let said = work.ends(&none, 1);
    assert!(error_line(&said).contains("NoSuchBucket"), "{said}");
    let mut wrong = work.command(&backup);
    wrong.env("AWS_SECRET_ACCESS_KEY", "wrong");
    let done = run(&mut wrong);
    assert_eq!(done.status.code(), Some(1));
    assert!(
        error_line(&text(&done)).contains("the store refuses"),
        "{}",
        text(&done)
    );
    assert!(!text(&done).contains("wrong"), "{}", text(&done));
    let mut nobody = work.command(&backup);
    nobody
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY");
    let done = run(&mut nobody);
    assert_eq!(done.status.code(), Some(1));
    let _ = error_line(&text(&done));
    for elsewhere in [
        &[
            "rekey",
            "s3://bucket/a",
            "--remove-recipient",
            &"0".repeat(64),
        ][..],
        &["prune", "s3://bucket", "--keep-last", "1"],
        &["consolidate", "s3://bucket/a", "--into", "s3://bucket/b"],
    ] {
        let said = work.ends(elsewhere, 2);
        assert!(said.contains("only a folder can be given here"), "{said}");
    }
    let inside = ["copy", "s3://bucket/a", "s3://bucket/a/b"];
    assert!(work.ends(&inside, 2).contains("inside the backup"));
    let said = work.ends(&["verify", "s3://bucket/nothing"], 2);
    assert!(said.contains("s3://bucket/nothing"), "{said}");
    assert_eq!(store.list("bucket", "").len(), 0);
}
