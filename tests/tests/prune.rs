//! Old backups that go, and what never goes.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{fs, path::Path, time::SystemTime};

use decryptor_wasm::{
    Manifest,
    signature::{SIGNATURE, Statement, unproven},
};
use pryv_backup_engine::{observer::Silent, state::host::HostKey};
use pryv_backup_tests::{
    command::{STEPS, killed_at, text},
    folder::{copy, tree},
    need,
    sampled::Stage,
};
use serde_json::Value;

/// Where the host keeps its key.
const STATE: [&str; 2] = ["--state-dir", "state"];
/// How a run is added to a chain.
const RUN: [&str; 3] = ["--recipient-pubkey", "key.pub.pem", "--incremental"];
const DAY: u64 = 86_400_000;
/// A Tuesday at noon.
const NOW: u64 = 1_780_401_600_000;

/// Changes the manifest of a backup that is not encrypted, and signs it with `key`, as its host would.
fn make_anew(archive: &Path, key: &HostKey, change: impl FnOnce(&mut Value)) {
    let place = archive.join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&place).unwrap()).unwrap();
    manifest["signer"] = key.signer().as_str().into();
    change(&mut manifest);
    let stored = serde_json::to_vec_pretty(&manifest).unwrap();
    let minisig = fs::read(archive.join(SIGNATURE)).unwrap();
    let files = unproven(&minisig).unwrap().files;
    let parsed = Manifest::parse(&stored).unwrap();
    let statement = Statement::of(&parsed, &stored, &files).unwrap();
    let signature = key.sign(&stored[..], &statement).unwrap();
    fs::write(place, stored).unwrap();
    fs::write(archive.join(SIGNATURE), signature).unwrap();
}

fn own(stage: &Stage) -> HostKey {
    HostKey::find(&stage.at("state"), &Silent).unwrap().unwrap()
}

/// A copy of `archive` that was made at that moment.
fn dated(stage: &Stage, name: &str, moment: u64) {
    let place = stage.at("all").join(name);
    copy(&stage.at("archive"), &place);
    make_anew(&place, &own(stage), |manifest| {
        manifest["createdAt"] = moment.into()
    });
}

fn backup(stage: &Stage, name: &str, more: &[&str]) {
    stage.backup_with(name, &[&STATE[..], more].concat());
}

/// A folder `all` with a backup `d00`, `d01` … of each day, the first the newest.
fn stage(days: u64) -> Stage {
    let stage = Stage::new();
    backup(&stage, "archive", &[]);
    fs::create_dir(stage.at("all")).unwrap();
    for day in 0..days {
        dated(&stage, &format!("d{day:02}"), NOW - day * DAY);
    }
    stage
}

fn prune<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["prune", "all"], &STATE[..], more].concat()
}

fn names(stage: &Stage) -> Vec<String> {
    let entries = fs::read_dir(stage.at("all")).unwrap();
    let mut names: Vec<String> = entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn flip(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_millis() as u64
}

/// Prunes, and expects that code and words.
fn says(stage: &Stage, more: &[&str], code: i32, words: &[&str]) {
    let done = stage.run(&prune(more));
    assert_eq!(done.status.code(), Some(code), "{}", text(&done));
    for word in words {
        assert!(text(&done).contains(word), "{word}: {}", text(&done));
    }
}

#[test]
fn what_the_rules_keep_stays_and_the_rest_goes() {
    let stage = stage(12);
    let before = tree(&stage.at("all"));
    let rules = [
        "--keep-last",
        "2",
        "--keep-weekly",
        "2",
        "--keep-monthly",
        "1",
        "--json",
    ];
    let dry = stage.json(&prune(&[&["--dry-run"], &rules[..]].concat()));
    assert!(tree(&stage.at("all")) == before);
    let done = stage.json(&prune(&rules));
    assert_eq!(dry["removed"], done["removed"]);
    assert_eq!(dry["kept"], done["kept"]);
    // The Tuesday and the Monday; the Sunday before is the last of its week.
    assert_eq!(names(&stage), ["d00", "d01", "d02"]);
    assert_eq!(done["removed"].as_array().unwrap().len(), 9);
    assert_eq!(
        done["kept"][0]["why"],
        serde_json::json!(["last", "weekly", "monthly", "last good"])
    );
    assert_eq!(done["kept"][0]["time"], "2026-06-02T12:00:00Z");
    let rest: Vec<_> = tree(&stage.at("all")).into_iter().collect();
    assert!(
        rest.iter()
            .all(|(path, bytes)| before.get(path) == Some(bytes))
    );
}

#[test]
fn what_is_younger_than_a_span_stays() {
    let stage = stage(0);
    for (name, days) in [("a", 1), ("b", 20), ("c", 40)] {
        dated(&stage, name, now() - days * DAY);
    }
    says(&stage, &["--keep-within", "30d"], 0, &["2 kept, 1 removed"]);
    assert_eq!(names(&stage), ["a", "b"]);
}

#[test]
fn the_last_good_one_never_goes() {
    let stage = stage(5);
    // The two newest are damaged: they do not count, and are left for who wants to save what is in them.
    let files = tree(&stage.at("all/d00")).into_iter();
    let mut attachments =
        files.filter(|(path, bytes)| path.contains("/attachments/") && !bytes.is_empty());
    let (attachment, _) = attachments.next().unwrap();
    flip(&stage.at("all/d00").join(&attachment));
    fs::remove_file(stage.at("all/d01").join(&attachment)).unwrap();
    says(
        &stage,
        &["--keep-last", "1"],
        5,
        &[
            "not known to be good, left alone:",
            "not those that were signed",
        ],
    );
    assert_eq!(names(&stage), ["d00", "d01", "d02"]);
    // Now none is good.
    flip(&stage.at("all/d02").join(&attachment));
    says(&stage, &["--keep-last", "1"], 4, &["nothing was removed"]);
    assert_eq!(names(&stage), ["d00", "d01", "d02"]);
}

#[test]
fn a_forged_backup_pushes_nothing_out() {
    let stage = stage(3);
    // Without the host's key: another signer, no signature, and the true one of another backup.
    let stranger = HostKey::unkept().unwrap();
    for (name, hours) in [("x1", 1), ("x2", 2), ("x3", 3)] {
        let place = stage.at("all").join(name);
        copy(&stage.at("archive"), &place);
        let moment = now() + hours * DAY / 24;
        make_anew(&place, &stranger, |manifest| {
            manifest["createdAt"] = moment.into()
        });
    }
    copy(&stage.at("archive"), &stage.at("all/y"));
    fs::remove_file(stage.at("all/y").join(SIGNATURE)).unwrap();
    copy(&stage.at("all/d01"), &stage.at("all/z"));
    fs::copy(
        stage.at("all/d00").join(SIGNATURE),
        stage.at("all/z").join(SIGNATURE),
    )
    .unwrap();
    let real = tree(&stage.at("all"));
    says(
        &stage,
        &["--keep-last", "3"],
        5,
        &["not signed by a signer whom you expect", "nobody signed it"],
    );
    assert!(tree(&stage.at("all")) == real);
    // A copy of one that is there counts once, and one of the future not at all.
    copy(&stage.at("all/d00"), &stage.at("all/copy"));
    dated(&stage, "future", now() + DAY);
    says(
        &stage,
        &["--keep-last", "2"],
        5,
        &["a copy of", "dated in the future"],
    );
    let stay = ["copy", "d00", "d01", "future", "x1", "x2", "x3", "y", "z"];
    assert_eq!(names(&stage), stay.map(str::to_owned));
    // Without anybody who is expected nothing can be judged.
    let done = stage.run(&["prune", "all", "--keep-last", "1"]);
    assert_eq!(done.status.code(), Some(2), "{}", text(&done));
    assert!(text(&done).contains("--signer"), "{}", text(&done));
    let key = own(&stage).signer().to_string();
    let done = stage.run(&["prune", "all", "--keep-last", "1", "--signer", &key]);
    assert_eq!(done.status.code(), Some(5), "{}", text(&done));
}

#[test]
fn what_is_of_another_platform_or_user_takes_nobodys_place() {
    let stage = stage(2);
    let user = fs::read_dir(stage.at("archive/users")).unwrap().next();
    let user = user.unwrap().unwrap().file_name().into_string().unwrap();
    backup(&stage, "all/one", &["--user", &user]);
    says(&stage, &["--keep-last", "1"], 0, &["2 kept, 1 removed"]);
    assert_eq!(names(&stage), ["d00", "one"]);
}

#[test]
fn the_newest_without_losses_stays() {
    let stage = stage(4);
    for name in ["d00", "d01"] {
        make_anew(&stage.at("all").join(name), &own(&stage), |manifest| {
            manifest["losses"] = serde_json::json!([{"what": "a file was not there"}]);
            manifest["lossCount"] = 1.into();
        });
    }
    let done = stage.json(&prune(&["--keep-last", "1", "--json"]));
    assert_eq!(names(&stage), ["d00", "d02"]);
    assert_eq!(done["kept"][0]["losses"], 1);
    assert_eq!(done["kept"][1]["why"], serde_json::json!(["last good"]));
}

#[test]
fn what_is_no_backup_is_left_alone() {
    let stage = stage(3);
    let all = stage.at("all");
    fs::create_dir_all(all.join("photos/2026")).unwrap();
    fs::write(all.join("photos/2026/a.jpg"), "x").unwrap();
    fs::write(all.join("manifest.txt"), "x").unwrap();
    dated(&stage, "mixed", 1);
    fs::write(all.join("mixed/thesis.doc"), "x").unwrap();
    fs::create_dir_all(all.join("unfinished/.pryv-backup-partial/users")).unwrap();
    copy(&stage.at("archive"), &stage.at("elsewhere"));
    std::os::unix::fs::symlink(stage.at("elsewhere"), all.join("link")).unwrap();
    // Begun by a run that was killed: one that is no backup any more goes, one that still is is judged again.
    let doomed = ".pryv-backup-pruned-d09";
    dated(&stage, doomed, NOW);
    fs::remove_file(all.join(doomed).join("manifest.json")).unwrap();
    let newest = ".pryv-backup-pruned-d10";
    dated(&stage, newest, NOW + DAY);
    // Junk of a desktop is no reason to keep a backup.
    fs::write(all.join("d02/.DS_Store"), "x").unwrap();
    let elsewhere = tree(&stage.at("elsewhere"));
    says(
        &stage,
        &["--keep-last", "1"],
        5,
        &["mixed: holds thesis.doc"],
    );
    assert_eq!(
        names(&stage),
        [
            "d10",
            "link",
            "manifest.txt",
            "mixed",
            "photos",
            "unfinished"
        ]
    );
    assert!(tree(&stage.at("elsewhere")) == elsewhere);
    fs::create_dir(all.join("json")).unwrap();
    fs::write(all.join("json/manifest.json"), "{\"name\":\"an app\"}").unwrap();
    says(
        &stage,
        &["--keep-last", "1"],
        5,
        &["json: nobody signed it"],
    );
    for (args, says) in [
        (&["prune", "all"][..], "nothing would be kept"),
        (&["prune", "archive", "--keep-last", "1"], "is a backup"),
        (
            &["prune", "platform", "--keep-last", "1"],
            "holds no backup",
        ),
    ] {
        let done = stage.run(&[args, &STATE].concat());
        assert_eq!(done.status.code(), Some(2), "{}", text(&done));
        assert!(text(&done).contains(says), "{}", text(&done));
    }
}

#[test]
fn a_killed_run_leaves_whole_backups_or_none() {
    if !need::strace() {
        return;
    }
    let stage = stage(6);
    let good = tree(&stage.at("all/d00"));
    let mut steps = 0;
    // Some of its steps: to rename a backup, and then to remove its files, one after the other.
    for nth in (1..).step_by(7) {
        let command = stage.command(&prune(&["--keep-last", "1"]));
        if !killed_at(&command, STEPS, nth) {
            break;
        }
        steps += 1;
        for name in names(&stage) {
            let folder = stage.at("all").join(&name);
            let doomed = name.starts_with(".pryv-backup-pruned-");
            if folder.join("manifest.json").exists() {
                // Whole: every file of it.
                assert!(tree(&folder).keys().eq(good.keys()), "{name}");
            } else {
                assert!(doomed, "{name} is no longer whole and has its old name");
            }
        }
        assert!(names(&stage).contains(&"d00".to_owned()));
    }
    assert!(steps > 4, "{steps}");
    stage.good(&prune(&["--keep-last", "1"]));
    assert_eq!(names(&stage), ["d00"]);
    stage.good(&[&["verify", "all/d00"], &STATE[..]].concat());
}

#[test]
fn a_chain_is_as_old_as_its_newest_run_and_stays_or_goes_whole() {
    let stage = stage(3);
    let add = || backup(&stage, "all/chain", &RUN);
    add();
    stage.sql("local-1.0.0.sqlite", "UPDATE events SET modified = 5");
    add();
    // Made now, long after the others.
    let done = stage.json(&prune(&["--json", "--keep-last", "2"]));
    assert_eq!(names(&stage), ["chain", "d00"], "{done}");
    let index = fs::read(stage.at("all/chain/chain.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    assert_eq!(done["kept"][0]["archiveId"], index["runs"][1]["archiveId"]);
    // A damaged run of it makes it a damaged backup, and so does a list of runs that says something else.
    let whole = tree(&stage.at("all/chain"));
    let part = whole
        .keys()
        .find(|path| path.starts_with("increments/") && path.contains("/events/"));
    for path in [part.unwrap().as_str(), "chain.json"] {
        let place = stage.at("all/chain").join(path);
        let sound = fs::read(&place).unwrap();
        flip(&place);
        says(&stage, &["--keep-last", "1"], 5, &["not known to be good"]);
        assert_eq!(names(&stage), ["chain", "d00"]);
        fs::write(&place, sound).unwrap();
    }
    // A run that is at work is a reason to keep it.
    dated(&stage, "newer", now() + 60_000);
    // Leftovers of a change of recipients are no archive.
    for left in [
        ".SHA256SUMS.rekey",
        "increments/0002/.encryption.json.rekey",
    ] {
        fs::write(stage.at("all/chain").join(left), "x").unwrap();
    }
    let held = fs::File::open(stage.at("all/chain")).unwrap();
    held.lock().unwrap();
    says(&stage, &["--keep-last", "1"], 5, &["a backup is at work"]);
    assert_eq!(names(&stage), ["chain", "newer"]);
    drop(held);
    says(&stage, &["--keep-last", "1"], 0, &[]);
    assert_eq!(names(&stage), ["newer"]);
}

#[test]
fn a_chain_that_was_turned_back_is_not_good() {
    let stage = stage(1);
    backup(&stage, "all/chain", &RUN);
    let older = stage.at("older");
    copy(&stage.at("all/chain"), &older);
    stage.sql("local-1.0.0.sqlite", "UPDATE events SET modified = 5");
    backup(&stage, "all/chain", &RUN);
    fs::remove_dir_all(stage.at("all/chain")).unwrap();
    copy(&older, &stage.at("all/chain"));
    says(
        &stage,
        &["--keep-last", "1"],
        5,
        &["does not end in the run that this host made last"],
    );
    assert_eq!(names(&stage), ["chain", "d00"]);
}

#[test]
fn backups_of_pryvs_own_tool_go_with_their_key_only() {
    let Some(fixtures) = need::fixtures() else {
        return;
    };
    let stage = stage(1);
    // As that tool leaves them: no inventory, no signature, and sealed.
    for name in ["hybrid-pg", "single-user"] {
        let from = fixtures.join("archives").join(name);
        copy(&from, &stage.at("all").join(name));
    }
    says(
        &stage,
        &["--keep-last", "1"],
        5,
        &["hybrid-pg: nobody signed it"],
    );
    assert!(names(&stage).contains(&"hybrid-pg".to_owned()));
}
