//! Old backups that go, and what never goes.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    fs,
    path::Path,
    thread::sleep,
    time::{Duration, SystemTime},
};

use pryv_backup::archive::sha256_hex;
use pryv_backup_tests::{
    command::text,
    folder::{copy, tree},
    sampled::Stage,
};
use serde_json::Value;

/// How a run is added to a chain.
const RUN: [&str; 5] = [
    "--recipient-pubkey",
    "key.pub.pem",
    "--incremental",
    "--state-dir",
    "state",
];
const DAY: u64 = 86_400_000;
/// A Tuesday at noon.
const NOW: u64 = 1_780_401_600_000;

/// Says another moment in the envelope of an archive, none for `None`, and mends the sums.
fn date(archive: &Path, moment: Option<u64>) {
    let place = archive.join("encryption.json");
    let old = fs::read(&place).unwrap();
    let mut envelope: Value = serde_json::from_slice(&old).unwrap();
    envelope.as_object_mut().unwrap().remove("createdAt");
    if let Some(moment) = moment {
        envelope["createdAt"] = moment.into();
    }
    let new = serde_json::to_vec_pretty(&envelope).unwrap();
    let sums = fs::read_to_string(archive.join("SHA256SUMS")).unwrap();
    let sums = sums.replace(&sha256_hex(&old), &sha256_hex(&new));
    fs::write(archive.join("SHA256SUMS"), sums).unwrap();
    fs::write(place, new).unwrap();
}

/// A folder `all` with a backup `d00`, `d01` … of each day, the first the newest.
fn stage(days: u64) -> Stage {
    let stage = Stage::new();
    stage.backup("archive");
    for day in 0..days {
        let place = stage.at("all").join(format!("d{day:02}"));
        copy(&stage.at("archive"), &place);
        date(&place, Some(NOW - day * DAY));
    }
    stage
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
    ];
    let dry = stage.json(&[&["prune", "all", "--json", "--dry-run"], &rules[..]].concat());
    assert!(tree(&stage.at("all")) == before);
    let done = stage.json(&[&["prune", "all", "--json"], &rules[..]].concat());
    assert_eq!(dry["removed"], done["removed"]);
    assert_eq!(dry["kept"], done["kept"]);
    // The Tuesday and the Monday; the Sunday before is the last of its week.
    assert_eq!(names(&stage), ["d00", "d01", "d02"]);
    assert_eq!(done["removed"].as_array().unwrap().len(), 9);
    assert_eq!(
        done["kept"][0]["why"],
        serde_json::json!(["last", "weekly", "monthly", "last good"])
    );
    assert_eq!(done["kept"][0]["timeFrom"], "envelope");
    assert_eq!(done["kept"][0]["time"], "2026-06-02T12:00:00Z");
    let rest: Vec<_> = tree(&stage.at("all")).into_iter().collect();
    assert!(
        rest.iter()
            .all(|(path, bytes)| before.get(path) == Some(bytes))
    );
}

#[test]
fn the_last_good_one_never_goes() {
    let stage = stage(5);
    // The two newest are damaged: they do not count, and are left for who wants to save what is in them.
    let attachment = tree(&stage.at("all/d00"))
        .into_keys()
        .find(|p| p.contains("/attachments/"))
        .unwrap();
    flip(&stage.at("all/d00").join(&attachment));
    fs::remove_file(stage.at("all/d01").join(&attachment)).unwrap();
    let done = stage.run(&["prune", "all", "--keep-last", "1"]);
    assert_eq!(done.status.code(), Some(5), "{}", text(&done));
    assert!(
        text(&done).contains("damaged, left alone:") && text(&done).contains("SHA-256 differs"),
        "{}",
        text(&done)
    );
    assert_eq!(names(&stage), ["d00", "d01", "d02"]);
    // Now none is good.
    flip(&stage.at("all/d02").join(&attachment));
    let done = stage.run(&["prune", "all", "--keep-last", "1"]);
    assert_eq!(done.status.code(), Some(4), "{}", text(&done));
    assert!(
        text(&done).contains("nothing was removed"),
        "{}",
        text(&done)
    );
    assert_eq!(names(&stage), ["d00", "d01", "d02"]);
}

#[test]
fn what_is_no_backup_is_left_alone() {
    let stage = stage(3);
    let all = stage.at("all");
    fs::create_dir_all(all.join("photos/2026")).unwrap();
    fs::write(all.join("photos/2026/a.jpg"), "x").unwrap();
    fs::write(all.join("manifest.txt"), "x").unwrap();
    copy(&stage.at("archive"), &all.join("mixed"));
    date(&all.join("mixed"), Some(1));
    fs::write(all.join("mixed/thesis.doc"), "x").unwrap();
    fs::create_dir(all.join("json")).unwrap();
    fs::write(all.join("json/manifest.json"), "{\"name\":\"an app\"}").unwrap();
    fs::create_dir_all(all.join("unfinished/.pryv-backup-partial/users")).unwrap();
    copy(&stage.at("archive"), &stage.at("elsewhere"));
    std::os::unix::fs::symlink(stage.at("elsewhere"), all.join("link")).unwrap();
    // Begun by a run that was killed.
    copy(&stage.at("archive"), &all.join(".pryv-backup-pruned-d09"));
    fs::remove_file(all.join(".pryv-backup-pruned-d09/manifest.json")).unwrap();
    // Junk of a desktop is no reason to keep a backup.
    fs::write(all.join("d02/.DS_Store"), "x").unwrap();
    let elsewhere = tree(&stage.at("elsewhere"));
    let said = stage.run(&["prune", "all", "--keep-last", "1"]);
    assert_eq!(said.status.code(), Some(0), "{}", text(&said));
    assert_eq!(
        names(&stage),
        [
            "d00",
            "json",
            "link",
            "manifest.txt",
            "mixed",
            "photos",
            "unfinished"
        ]
    );
    assert!(text(&said).contains("thesis.doc"), "{}", text(&said));
    assert!(tree(&stage.at("elsewhere")) == elsewhere);
    for (args, says) in [
        (&["prune", "all"][..], "nothing would be kept"),
        (&["prune", "archive", "--keep-last", "1"], "is a backup"),
        (
            &["prune", "platform", "--keep-last", "1"],
            "holds no backup",
        ),
    ] {
        let done = stage.run(args);
        assert_eq!(done.status.code(), Some(2), "{}", text(&done));
        assert!(text(&done).contains(says), "{}", text(&done));
    }
}

#[test]
fn without_a_moment_in_the_envelope_the_file_tells() {
    let stage = stage(3);
    for (name, seconds) in [("d00", 1_000_000), ("d01", 3_000_000), ("d02", 2_000_000)] {
        let archive = stage.at("all").join(name);
        date(&archive, None);
        let manifest = fs::File::options()
            .write(true)
            .open(archive.join("manifest.json"))
            .unwrap();
        manifest
            .set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
            .unwrap();
    }
    stage.backup_with("all/open", &[]);
    let done = stage.json(&["prune", "all", "--keep-last", "2", "--json"]);
    assert_eq!(names(&stage), ["d01", "open"]);
    assert_eq!(done["kept"][0]["timeFrom"], "manifest");
    assert_eq!(done["kept"][1]["timeFrom"], "file");
    assert_eq!(done["kept"][1]["time"], "1970-02-04T17:20:00Z");
}

#[test]
fn a_killed_run_leaves_whole_backups_or_none() {
    let stage = stage(12);
    let good = tree(&stage.at("all/d00"));
    let mut interrupted = 0;
    for round in 0..30 {
        let mut child = stage.start(&["prune", "all", "--keep-last", "1"]);
        sleep(Duration::from_millis(round));
        child.kill().unwrap();
        interrupted += usize::from(!child.wait().unwrap().success());
        for name in names(&stage) {
            let folder = stage.at("all").join(&name);
            let doomed = name.starts_with(".pryv-backup-pruned-");
            if folder.join("manifest.json").exists() {
                // Whole: every file of it, of the right length.
                let sizes =
                    |files: &std::collections::BTreeMap<String, Vec<u8>>| -> Vec<(String, usize)> {
                        let of = files.iter().filter(|(path, _)| *path != "encryption.json");
                        of.map(|(path, bytes)| (path.clone(), bytes.len()))
                            .collect()
                    };
                assert!(sizes(&tree(&folder)) == sizes(&good), "{name}");
            } else {
                assert!(doomed, "{name} is no longer whole and has its old name");
            }
        }
        assert!(names(&stage).contains(&"d00".to_owned()));
    }
    assert!(interrupted > 0);
    stage.good(&["prune", "all", "--keep-last", "1"]);
    assert_eq!(names(&stage), ["d00"]);
    stage.good(&["verify", "all/d00"]);
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_millis() as u64
}

#[test]
fn a_backup_that_is_yet_to_be_made_does_not_push_out_the_newest() {
    let stage = stage(3);
    let clock = stage.at("all/clock");
    copy(&stage.at("archive"), &clock);
    date(&clock, Some(now() + 3 * DAY / 2));
    let rules = ["--keep-last", "1", "--keep-daily", "1", "--json"];
    let done = stage.json_of(&[&["prune", "all"], &rules[..]].concat(), 5);
    assert_eq!(names(&stage), ["clock", "d00"]);
    assert_eq!(done["future"].as_array().unwrap().len(), 1, "{done}");
    assert_eq!(done["kept"].as_array().unwrap().len(), 1, "{done}");
    let said = stage.run(&["prune", "all", "--keep-last", "1"]);
    assert_eq!(said.status.code(), Some(5), "{}", text(&said));
    assert!(
        text(&said).contains("dated in the future"),
        "{}",
        text(&said)
    );
    // Clocks may be apart a little.
    date(&clock, Some(now() + DAY / 2));
    stage.good(&["prune", "all", "--keep-last", "1"]);
    assert_eq!(names(&stage), ["clock"]);
}

#[test]
fn a_chain_has_its_time_from_its_newest_run_and_not_from_its_index() {
    let stage = stage(2);
    stage.backup_with("all/chain", &RUN);
    stage.backup_with("all/chain", &RUN);
    let place = stage.at("all/chain/chain.json");
    let old = fs::read(&place).unwrap();
    let sums = fs::read_to_string(stage.at("all/chain/SHA256SUMS")).unwrap();
    let own = ["verify", "all/chain", "--private-key", "key.pem"];
    stage.good(&own);
    for (name, value, says) in [
        ("createdAt", Value::from(1), "when it was made"),
        ("mode", Value::from("symmetric"), "how it is locked"),
        ("recipients", serde_json::json!([]), "who can open it"),
    ] {
        let mut index: Value = serde_json::from_slice(&old).unwrap();
        index["runs"][1][name] = value;
        let new = serde_json::to_vec(&index).unwrap();
        let mended = sums.replace(&sha256_hex(&old), &sha256_hex(&new));
        fs::write(&place, new).unwrap();
        fs::write(stage.at("all/chain/SHA256SUMS"), mended).unwrap();
        stage.good(&own[..2]);
        let said = stage.run(&own);
        assert_eq!(said.status.code(), Some(4), "{name}: {}", text(&said));
        let says = format!("damaged: chain.json: says otherwise than run 2 itself {says}");
        assert!(text(&said).contains(&says), "{}", text(&said));
        stage.good(&["prune", "all", "--keep-last", "2"]);
        assert_eq!(names(&stage), ["chain", "d00"]);
    }
}

#[test]
fn a_chain_is_as_old_as_its_newest_run_and_stays_or_goes_whole() {
    let stage = stage(3);
    let add = || {
        stage.backup_with("all/chain", &RUN);
    };
    add();
    stage.sql("local-1.0.0.sqlite", "UPDATE events SET modified = 5");
    add();
    // Made now, long after the others.
    let done = stage.json(&["prune", "all", "--json", "--keep-last", "2"]);
    assert_eq!(names(&stage), ["chain", "d00"], "{done}");
    assert_eq!(done["kept"][0]["timeFrom"], "envelope");
    let index = fs::read(stage.at("all/chain/chain.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    assert_eq!(done["kept"][0]["archiveId"], index["runs"][1]["archiveId"]);
    // A damaged run of it makes it a damaged backup.
    let whole = tree(&stage.at("all/chain"));
    let part = whole
        .keys()
        .find(|path| path.starts_with("increments/") && path.contains("/events/"));
    let part = stage.at("all/chain").join(part.unwrap());
    let sound = fs::read(&part).unwrap();
    flip(&part);
    let done = stage.run(&["prune", "all", "--keep-last", "1"]);
    assert_eq!(done.status.code(), Some(5), "{}", text(&done));
    assert_eq!(names(&stage), ["chain", "d00"]);
    fs::write(&part, sound).unwrap();
    // What a run left that died is no reason to keep it; a run at work is.
    fs::create_dir_all(stage.at("all/chain/increments/0003")).unwrap();
    fs::write(stage.at("all/chain/increments/0003/manifest.json"), "x").unwrap();
    copy(&stage.at("archive"), &stage.at("all/newer"));
    date(&stage.at("all/newer"), Some(now() + DAY / 2));
    // Nor is what a change of recipients left.
    for left in [
        ".SHA256SUMS.rekey",
        "increments/0002/.encryption.json.rekey",
    ] {
        fs::write(stage.at("all/chain").join(left), "x").unwrap();
    }
    let held = fs::File::open(stage.at("all/chain")).unwrap();
    held.lock().unwrap();
    stage.good(&["prune", "all", "--keep-last", "1"]);
    assert_eq!(names(&stage), ["chain", "newer"]);
    drop(held);
    stage.good(&["prune", "all", "--keep-last", "1"]);
    assert_eq!(names(&stage), ["newer"]);
}
