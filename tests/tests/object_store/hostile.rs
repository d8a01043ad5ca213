//! Whoever holds the store puts, deletes and answers what they like.

use crate::work::{BACKUP, KEY, Work, error_line};
use pryv_backup_tests::{
    command::{run, text},
    object_store::{Fault, ObjectStore, StoreProxy},
    sampled::Stage,
};
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

const CHAIN: &str = "s3://bucket/chain";
const INCREMENTAL: &str = "--incremental";

/// A chain of some runs, in an ordinary bucket.
fn chain(work: &Work<'_>, runs: usize) {
    work.store.bucket("bucket");
    for _ in 0..runs {
        work.stage.sql(
            "local-1.0.0.sqlite",
            "UPDATE events SET modified = modified + 1",
        );
        work.backup(CHAIN, &[INCREMENTAL]);
    }
}

/// All that reads the newest state, and its exit codes.
fn readers(work: &Work<'_>) -> Vec<(String, i32)> {
    let _ = fs::remove_dir_all(work.stage.at("copy"));
    let _ = fs::remove_dir_all(work.stage.at("one"));
    let consolidate = [
        "consolidate",
        CHAIN,
        "--into",
        "one",
        "--recipient-pubkey",
        "key.pub.pem",
    ];
    let commands = [
        [&["verify", CHAIN], &KEY[..]].concat(),
        vec!["verify", CHAIN],
        [&["list", CHAIN], &KEY[..]].concat(),
        vec!["copy", CHAIN, "copy"],
        [&consolidate, &KEY[..]].concat(),
        [&["--restore", CHAIN, "--verify-only"], &KEY[..]].concat(),
    ];
    let codes = commands.iter().map(|args| {
        let done = work.run(args);
        (
            format!("{args:?}: {}", text(&done)),
            done.status.code().unwrap(),
        )
    });
    codes.collect()
}

#[test]
fn a_list_of_runs_that_was_put_there_decides_nothing() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    let work = Work::of(&stage, &store);
    chain(&work, 3);
    let listed = |key: &str| -> serde_json::Value {
        serde_json::from_slice(&store.get("bucket", key)).unwrap()
    };
    let mut first = listed("chain/run.json");
    let second = listed("chain/increments/0002/run.json");
    let runs = first["runs"].as_array_mut().unwrap();
    runs.extend(second["runs"].as_array().unwrap().iter().cloned());
    let forged = serde_json::to_vec(&first).unwrap();
    store.put("bucket", "chain/chain.json", &forged);
    store.put("bucket", "chain/increments/0003/.unnamed", b"");
    for secret in [&KEY[..], &[]] {
        let said = work.good(&[&["verify", CHAIN], secret].concat());
        assert!(said.contains("chain.json"), "{said}");
    }
    work.good(&[&BACKUP[..], &["now"]].concat());
    work.is_same(CHAIN, "now");
    stage.sql(
        "local-1.0.0.sqlite",
        "UPDATE events SET modified = modified + 1",
    );
    let said = work.backup(CHAIN, &[INCREMENTAL, "--json"]);
    assert!(said.contains("\"run\":4"), "{said}");
    work.good(&[&["verify", CHAIN], &KEY[..]].concat());
}

#[test]
fn a_run_that_was_finished_and_lost_a_part_is_damaged() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    let work = Work::of(&stage, &store);
    chain(&work, 3);
    for parts in [
        &["manifest.json"][..],
        &["run.json"],
        &["manifest.json", "run.json"],
    ] {
        let keys = parts
            .iter()
            .map(|part| format!("chain/increments/0003/{part}"));
        let kept: Vec<_> = keys.map(|key| (store.get("bucket", &key), key)).collect();
        for (_, key) in &kept {
            store.delete("bucket", key);
        }
        for (said, code) in readers(&work) {
            assert_eq!(code, 4, "without {parts:?}: {said}");
        }
        // What came before is still to be had, and nothing is built on it unasked.
        work.good(&[&["verify", CHAIN, "--at", "2"], &KEY[..]].concat());
        let backup = [&BACKUP[..], &[CHAIN, INCREMENTAL]].concat();
        let code = work.run(&backup).status.code();
        assert!(matches!(code, Some(1 | 4)), "without {parts:?}: {code:?}");
        for (bytes, key) in kept {
            store.put("bucket", &key, &bytes);
        }
        work.is_good(CHAIN);
    }
    // Without its signature, a run looks as one that was not finished; whoever reads says so.
    store.delete("bucket", "chain/increments/0003/manifest.json.minisig");
    for (said, code) in readers(&work) {
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("increments/0003"), "{said}");
    }
}

#[test]
fn what_an_unfinished_run_left_hides_nothing() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    let work = Work::of(&stage, &store);
    chain(&work, 1);
    for name in ["run.json", "manifest.json", "SHA256SUMS"] {
        let bytes = store.get("bucket", &format!("chain/{name}"));
        store.put("bucket", &format!("chain/increments/0002/{name}"), &bytes);
        for secret in [&KEY[..], &[]] {
            work.good(&[&["verify", CHAIN], secret].concat());
        }
        let backup = [&BACKUP[..], &[CHAIN, INCREMENTAL]].concat();
        let said = work.ends(&backup, 1);
        assert!(error_line(&said).contains("increments/0002/"), "{said}");
        work.good(&[&["verify", CHAIN], &KEY[..]].concat());
    }
}

#[test]
fn a_volume_that_lies_there_is_not_taken_for_our_own() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    let work = Work::of(&stage, &store);
    store.bucket("bucket");
    // Every run puts it there as soon as it has taken its number.
    let port = store.port;
    let planted = Arc::new(AtomicBool::new(false));
    let plants = planted.clone();
    let planter = StoreProxy::start(port, move |_, first| {
        let is_volume = first.starts_with("PUT") && first.contains("volume-0001.tar");
        if is_volume && !plants.swap(true, Ordering::SeqCst) {
            return Fault::NoAnswer;
        }
        Fault::None
    });
    // Its own volume, the answer of which was lost, is known again.
    work.by_way_of(planter.port).backup("s3://bucket/lost", &[]);
    assert!(planted.load(Ordering::SeqCst));
    work.is_good("s3://bucket/lost");
    let size = store.get("bucket", "lost/volume-0001.tar").len();
    store.put("bucket", "other/volume-0001.tar", &vec![b'x'; size]);
    work.backup("s3://bucket/other", &[INCREMENTAL]);
    let keys = store.list("bucket", "other/volume-");
    assert!(
        keys.iter()
            .any(|object| object.key.contains("volume-100001")),
        "{keys:?}"
    );
    work.good(&[&["verify", "s3://bucket/other"], &KEY[..]].concat());
}

#[test]
fn what_was_put_and_deleted_before_is_not_read_instead() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    let work = Work::of(&stage, &store);
    store.locked_bucket("locked");
    for name in [
        "SHA256SUMS",
        "manifest.json.minisig",
        "volumes.json",
        "run.json",
    ] {
        let (place, key) = (format!("s3://locked/{name}"), format!("{name}/{name}"));
        store.put("locked", &key, b"{}");
        store.delete("locked", &key);
        let done = work.run(&[&BACKUP[..], &[&place]].concat());
        assert!(matches!(done.status.code(), Some(1 | 2)), "{}", text(&done));
        assert!(error_line(&text(&done)).contains(&place), "{}", text(&done));
        assert_eq!(store.list("locked", &format!("{name}/")), []);
    }
    // A volume of that name costs an attempt.
    store.put("locked", "volume/volume-0001.tar", b"{}");
    store.delete("locked", "volume/volume-0001.tar");
    work.backup("s3://locked/volume", &[]);
    work.good(&[&["verify", "s3://locked/volume"], &KEY[..]].concat());
    // The same while the run is at work.
    let place = "s3://locked/late";
    let (began, say) = std::sync::mpsc::channel();
    let (may_go, go) = std::sync::mpsc::channel::<()>();
    let go = std::sync::Mutex::new(go);
    let held = StoreProxy::start(store.port, move |_, first| {
        if first.starts_with("PUT") && first.contains("late/SHA256SUMS") {
            began.send(()).unwrap();
            let _ = go.lock().unwrap().recv();
        }
        Fault::None
    });
    let done = std::thread::scope(|scope| {
        let by_proxy = work.by_way_of(held.port);
        let mut command = by_proxy.command(&[&BACKUP[..], &[place]].concat());
        let backup = scope.spawn(move || run(&mut command));
        say.recv().unwrap();
        store.put("locked", "late/SHA256SUMS", b"{}");
        store.delete("locked", "late/SHA256SUMS");
        drop(may_go);
        backup.join().unwrap()
    });
    assert_eq!(done.status.code(), Some(1), "{}", text(&done));
    assert!(error_line(&text(&done)).contains("late/SHA256SUMS"));
}

#[test]
fn claims_without_end_stop_nobody_for_long() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    let work = Work::of(&stage, &store);
    store.bucket("bucket");
    for claim in ["claim-50000", "claim-4294967295"] {
        let place = format!("s3://bucket/{claim}");
        store.put("bucket", &format!("{claim}/{claim}"), b"x");
        let said = work.ends(&[&BACKUP[..], &[&place]].concat(), 1);
        assert!(error_line(&said).contains("claim-"), "{said}");
    }
    let taken = StoreProxy::start(store.port, |_, first| {
        match first.starts_with("PUT") && first.contains("claim-") {
            true => Fault::Refused(412, "PreconditionFailed"),
            false => Fault::None,
        }
    });
    let backup = [&BACKUP[..], &["s3://bucket/taken"]].concat();
    let said = work.by_way_of(taken.port).ends(&backup, 1);
    assert!(error_line(&said).contains("claim-"), "{said}");
}

#[test]
fn answers_that_lead_elsewhere_or_never_end_are_refused() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    let work = Work::of(&stage, &store);
    chain(&work, 1);
    let elsewhere = StoreProxy::start(store.port, |_, _| Fault::None);
    let port = elsewhere.port;
    let moved = StoreProxy::start(store.port, move |_, _| Fault::Redirect(port));
    let verify = [&["verify", CHAIN], &KEY[..]].concat();
    let said = work.by_way_of(moved.port).ends(&verify, 1);
    let _ = error_line(&said);
    assert_eq!(elsewhere.requests(), 0);
    for part in ["manifest.json", "volume-0001"] {
        let endless = StoreProxy::start(store.port, move |_, first| {
            match first.starts_with("GET") && first.contains(part) {
                true => Fault::Endless,
                false => Fault::None,
            }
        });
        let by_proxy = work.by_way_of(endless.port);
        let mut command = by_proxy.command(&verify);
        let done = run(&mut command);
        assert_eq!(done.status.code(), Some(1), "{part}: {}", text(&done));
        let _ = error_line(&text(&done));
    }
}

#[test]
fn a_moment_is_not_read_where_versions_cannot_be_listed() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let stage = Stage::new();
    let work = Work::of(&stage, &store);
    chain(&work, 1);
    let hidden = StoreProxy::start(store.port, |_, first| match first.contains("versions") {
        true => Fault::Refused(403, "AccessDenied"),
        false => Fault::None,
    });
    let by_proxy = work.by_way_of(hidden.port);
    by_proxy.good(&[&["verify", CHAIN], &KEY[..]].concat());
    let early = [&["verify", CHAIN, "--as-of", "2030"], &KEY[..]].concat();
    let said = by_proxy.ends(&early, 1);
    assert!(
        error_line(&said).contains("versions cannot be listed"),
        "{said}"
    );
}
