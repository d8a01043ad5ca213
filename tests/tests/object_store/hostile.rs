//! Whoever holds the store puts, deletes and answers what they like.

use crate::work::{BACKUP, KEY, Work, error_line};
use pryv_backup_tests::{
    command::text,
    object_store::{Fault, StoreProxy},
};
use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
};

const INCREMENTAL: &str = "--incremental";

/// A chain of some runs; where it is.
fn chain(work: &Work, runs: usize) -> String {
    let chain = work.at("chain");
    work.chain(&chain, runs);
    chain
}

/// All that reads the newest state, and its exit codes.
fn readers(work: &Work, chain: &str) -> Vec<(String, i32)> {
    let _ = fs::remove_dir_all(work.stage.at("copy"));
    let _ = fs::remove_dir_all(work.stage.at("one"));
    let consolidate = [
        "consolidate",
        chain,
        "--into",
        "one",
        "--recipient-pubkey",
        "key.pub.pem",
    ];
    let commands = [
        [&["verify", chain], &KEY[..]].concat(),
        vec!["verify", chain],
        [&["list", chain], &KEY[..]].concat(),
        vec!["copy", chain, "copy"],
        [&consolidate, &KEY[..]].concat(),
        [&["--restore", chain, "--verify-only"], &KEY[..]].concat(),
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
    let Some(work) = Work::new() else { return };
    let chain = &chain(&work, 3);
    let listed =
        |key: &str| -> serde_json::Value { serde_json::from_slice(&work.bucket.get(key)).unwrap() };
    let mut first = listed("chain/run.json");
    let second = listed("chain/increments/0002/run.json");
    let runs = first["runs"].as_array_mut().unwrap();
    runs.extend(second["runs"].as_array().unwrap().iter().cloned());
    let forged = serde_json::to_vec(&first).unwrap();
    work.bucket.put("chain/chain.json", &forged);
    work.bucket.put("chain/increments/0003/.unnamed", b"");
    for secret in [&KEY[..], &[]] {
        let said = work.good(&[&["verify", chain], secret].concat());
        assert!(said.contains("chain.json"), "{said}");
    }
    work.good(&[&BACKUP[..], &["now"]].concat());
    work.is_same(chain, "now");
    work.change();
    let said = work.backup(chain, &[INCREMENTAL, "--json"]);
    assert!(said.contains("\"run\":4"), "{said}");
    work.good(&[&["verify", chain], &KEY[..]].concat());
}

#[test]
fn a_run_that_was_finished_and_lost_a_part_is_damaged() {
    let Some(work) = Work::new() else { return };
    let chain = &chain(&work, 3);
    for parts in [
        &["manifest.json"][..],
        &["run.json"],
        &["manifest.json", "run.json"],
    ] {
        let keys = parts
            .iter()
            .map(|part| format!("chain/increments/0003/{part}"));
        let kept: Vec<_> = keys.map(|key| (work.bucket.get(&key), key)).collect();
        for (_, key) in &kept {
            work.bucket.delete(key);
        }
        for (said, code) in readers(&work, chain) {
            assert_eq!(code, 4, "without {parts:?}: {said}");
        }
        // What came before is still to be had, and nothing is built on it unasked.
        work.good(&[&["verify", chain, "--at", "2"], &KEY[..]].concat());
        let backup = [&BACKUP[..], &[chain, INCREMENTAL]].concat();
        let code = work.run(&backup).status.code();
        assert!(matches!(code, Some(1 | 4)), "without {parts:?}: {code:?}");
        for (bytes, key) in kept {
            work.bucket.put(&key, &bytes);
        }
        work.is_good(chain);
    }
    // Without its signature, a run looks as one that was not finished; whoever reads says so, and this host knows better.
    work.bucket
        .delete("chain/increments/0003/manifest.json.minisig");
    for (said, code) in readers(&work, chain) {
        assert_eq!(
            code,
            if said.contains("verify\"") { 4 } else { 0 },
            "{said}"
        );
        assert!(said.contains("increments/0003"), "{said}");
    }
}

#[test]
fn a_newest_run_that_is_hidden_is_missed_by_the_host_that_made_it() {
    let Some(work) = Work::new() else { return };
    let chain = &chain(&work, 3);
    work.bucket.clear("chain/increments/0003/");
    let other = work.on_host("other");
    for secret in [&KEY[..], &[], &["--sample", "50%"]] {
        let verify = [&["verify", chain], secret].concat();
        let said = work.ends(&verify, 4);
        assert!(said.contains("run 3 (archive "), "{said}");
        assert!(said.contains("made last in s3://"), "{said}");
        other.good(&verify);
    }
    work.good(&[&["verify", chain, "--at", "2"], &KEY[..]].concat());
    // Another backup may be there on purpose.
    work.backup("another", &[]);
    work.bucket.clear("chain/");
    work.good(&["copy", "another", chain]);
    let said = work.good(&["verify", chain]);
    assert!(said.contains("warning: run 3 (archive "), "{said}");
}

#[test]
fn lists_that_cannot_be_true_are_refused() {
    let Some(work) = Work::new() else { return };
    let chain = &chain(&work, 1);
    let (key, short) = ("<Key>chain/run.json</Key>", "<Key>c</Key><Y>123456</Y>");
    let (last, more) = ("<IsTruncated>false", "<IsTruncated >true");
    for (from, to, why) in [
        (key, short, "it lists c, which is not below chain/"),
        ("<Key>chain/", "<Key>chaim/", "which is not below chain/"),
        (last, more, "its list has more, and does not go on"),
    ] {
        let lying = work.breaking(move |_, first| match first.contains("prefix=") {
            true => Fault::Changed(from, to),
            false => Fault::None,
        });
        for args in [
            &["verify", chain][..],
            &["list", chain],
            &[&BACKUP[..], &[chain, INCREMENTAL]].concat(),
        ] {
            let said = lying.ends(args, 1);
            assert!(error_line(&said).contains(why), "{args:?}: {said}");
            assert!(!said.contains("several tries"), "{args:?}: {said}");
        }
    }
    work.is_good(chain);
}

#[test]
fn what_an_unfinished_run_left_hides_nothing() {
    let Some(work) = Work::new() else { return };
    let chain = &chain(&work, 1);
    let volume = work.bucket.get("chain/volume-0001.tar");
    work.bucket
        .put("chain/increments/0002/volume-0001.tar", &volume);
    for command in ["verify", "list", "stats"] {
        for secret in [&KEY[..], &[]] {
            if command != "stats" || !secret.is_empty() {
                work.good(&[&[command, chain], secret].concat());
            }
        }
    }
    for name in ["run.json", "manifest.json", "SHA256SUMS"] {
        let bytes = work.bucket.get(&format!("chain/{name}"));
        work.bucket
            .put(&format!("chain/increments/0002/{name}"), &bytes);
        for secret in [&KEY[..], &[]] {
            work.good(&[&["verify", chain], secret].concat());
        }
        let backup = [&BACKUP[..], &[chain, INCREMENTAL]].concat();
        let said = work.ends(&backup, 1);
        assert!(error_line(&said).contains("increments/0002/"), "{said}");
        work.good(&[&["verify", chain], &KEY[..]].concat());
    }
}

#[test]
fn a_volume_that_lies_there_is_not_taken_for_our_own() {
    let Some(work) = Work::new() else { return };
    let (lost, other) = (&work.at("lost"), &work.at("other"));
    // Its own volume, the answer of which was lost, is known again.
    let answered = AtomicBool::new(true);
    let proxy = work.proxy(move |_, first| {
        let is_volume = first.starts_with("PUT") && first.contains("volume-0001.tar");
        match is_volume && answered.swap(false, Ordering::SeqCst) {
            true => Fault::NoAnswer,
            false => Fault::None,
        }
    });
    work.by_way_of(&proxy).backup(lost, &[]);
    assert_eq!(proxy.broken(), 1);
    work.is_good(lost);
    let size = work.bucket.get("lost/volume-0001.tar").len();
    work.bucket.put("other/volume-0001.tar", &vec![b'x'; size]);
    work.backup(other, &[INCREMENTAL]);
    let keys = work.bucket.list("other/volume-");
    assert!(
        keys.iter()
            .any(|object| object.key.contains("volume-100001")),
        "{keys:?}"
    );
    work.good(&[&["verify", other], &KEY[..]].concat());
}

#[test]
fn what_was_put_and_deleted_before_is_not_read_instead() {
    let Some(work) = Work::new() else { return };
    let work = work.with(work.store.locked());
    for name in [
        "SHA256SUMS",
        "manifest.json.minisig",
        "volumes.json",
        "run.json",
    ] {
        let (place, key) = (work.at(name), format!("{name}/{name}"));
        work.bucket.put(&key, b"{}");
        work.bucket.delete(&key);
        let done = work.run(&[&BACKUP[..], &[&place]].concat());
        assert!(matches!(done.status.code(), Some(1 | 2)), "{}", text(&done));
        assert!(error_line(&text(&done)).contains(&place), "{}", text(&done));
        assert_eq!(work.bucket.list(&format!("{name}/")), []);
    }
    // A volume of that name costs an attempt.
    work.bucket.put("volume/volume-0001.tar", b"{}");
    work.bucket.delete("volume/volume-0001.tar");
    let volume = &work.at("volume");
    work.backup(volume, &[]);
    work.good(&[&["verify", volume], &KEY[..]].concat());
    // The same while the run is at work.
    let (proxy, gate) = StoreProxy::gated(work.store.port(), |first| {
        first.starts_with("PUT") && first.contains("late/SHA256SUMS")
    });
    let late = work.at("late");
    let backup = [&BACKUP[..], &[&late]].concat();
    let backup = work.by_way_of(&proxy).start(&backup);
    gate.wait();
    work.bucket.put("late/SHA256SUMS", b"{}");
    work.bucket.delete("late/SHA256SUMS");
    drop(gate);
    let done = backup.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(1), "{}", text(&done));
    assert!(error_line(&text(&done)).contains("late/SHA256SUMS"));
}

#[test]
fn claims_without_end_stop_nobody_for_long() {
    let Some(work) = Work::new() else { return };
    for claim in ["claim-50000", "claim-4294967295"] {
        let place = work.at(claim);
        work.bucket.put(&format!("{claim}/{claim}"), b"x");
        let said = work.ends(&[&BACKUP[..], &[&place]].concat(), 1);
        assert!(error_line(&said).contains("claim-"), "{said}");
    }
    let taken =
        work.breaking(
            |_, first| match first.starts_with("PUT") && first.contains("claim-") {
                true => Fault::Refused(412, "PreconditionFailed"),
                false => Fault::None,
            },
        );
    let place = work.at("taken");
    let backup = [&BACKUP[..], &[&place]].concat();
    let said = taken.ends(&backup, 1);
    assert!(error_line(&said).contains("claim-"), "{said}");
}

#[test]
fn answers_that_lead_elsewhere_or_never_end_are_refused() {
    let Some(work) = Work::new() else { return };
    let chain = &chain(&work, 1);
    let elsewhere = work.proxy(|_, _| Fault::None);
    let port = elsewhere.port;
    let moved = work.breaking(move |_, _| Fault::Redirect(port));
    let verify = [&["verify", chain], &KEY[..]].concat();
    let said = moved.ends(&verify, 1);
    let _ = error_line(&said);
    assert_eq!(elsewhere.requests(), 0);
    for part in ["manifest.json", "volume-0001"] {
        let endless =
            work.breaking(
                move |_, first| match first.starts_with("GET") && first.contains(part) {
                    true => Fault::Endless,
                    false => Fault::None,
                },
            );
        let _ = error_line(&endless.ends(&verify, 1));
    }
}

#[test]
fn a_moment_is_not_read_where_versions_cannot_be_listed() {
    let Some(work) = Work::new() else { return };
    let chain = &chain(&work, 1);
    let hidden = work.breaking(|_, first| match first.contains("versions") {
        true => Fault::Refused(403, "AccessDenied"),
        false => Fault::None,
    });
    hidden.good(&[&["verify", chain], &KEY[..]].concat());
    let early = [&["verify", chain, "--as-of", "2030"], &KEY[..]].concat();
    let said = hidden.ends(&early, 1);
    assert!(
        error_line(&said).contains("versions cannot be listed"),
        "{said}"
    );
}
