//! A new archive of what another one holds.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;

use pryv_backup_tests::{
    command::{STEPS, killed_at, text},
    folder::{copy, tree},
    need,
    sampled::Stage,
};
use serde_json::Value;

const OWN: [&str; 2] = ["--private-key", "key.pem"];

fn json_of(file: &std::path::Path) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

/// The content of an archive, decrypted and inflated, without the values that say how it is stored.
fn content(
    stage: &Stage,
    archive: &str,
    opened_with: &[&str],
) -> std::collections::BTreeMap<String, Vec<u8>> {
    let out = format!("{archive}-opened");
    stage.good(
        &[
            &["decrypt", archive, "--gunzip", "--out", &out],
            opened_with,
        ]
        .concat(),
    );
    let mut files = tree(&stage.at(&out));
    fs::remove_dir_all(stage.at(&out)).unwrap();
    files.retain(|path, _| !path.ends_with("manifest.json"));
    files
}

#[test]
fn the_same_records_under_the_same_lock() {
    let stage = Stage::new();
    stage.backup("old");
    let done = stage.json(&[&["consolidate", "old", "--into", "new", "--json"], &OWN[..]].concat());
    assert_eq!(done["verified"]["verdict"], "good");
    assert_eq!(done["verified"]["pinned"], true);
    assert_ne!(done["archiveId"], done["from"]);
    assert!(content(&stage, "old", &OWN) == content(&stage, "new", &OWN));
    let (old, new) = (
        json_of(&stage.at("old/encryption.json")),
        json_of(&stage.at("new/encryption.json")),
    );
    let who = |envelope: &Value| envelope["recipients"][0]["fingerprint"].clone();
    assert_eq!(who(&old), who(&new));
    // Under another data key.
    assert_ne!(old["keyCheck"], new["keyCheck"]);
    // Every sealed file is sealed anew.
    let (before, after) = (tree(&stage.at("old")), tree(&stage.at("new")));
    assert_eq!(
        before.keys().collect::<Vec<_>>(),
        after.keys().collect::<Vec<_>>()
    );
    for (path, bytes) in before.iter().filter(|(path, _)| path.starts_with("users/")) {
        assert!(after[path] != *bytes, "{path}");
    }
    // It is as old as what is in it.
    let cat = |archive: &str| -> Value {
        serde_json::from_str(&stage.good(&[&["cat", archive, "manifest.json"], &OWN[..]].concat()))
            .unwrap()
    };
    let (old, new_manifest) = (cat("old"), cat("new"));
    assert_eq!(new["createdAt"], old["backupTimestamp"]);
    for name in [
        "backupTimestamp",
        "snapshotBefore",
        "users",
        "config",
        "platform",
        "backupType",
    ] {
        assert_eq!(old[name], new_manifest[name], "{name}");
    }
    assert_eq!(new_manifest["consolidatedFrom"], done["from"]);
    stage.good(&["verify", "new"]);
}

#[test]
fn for_other_people_or_with_a_passphrase() {
    let stage = Stage::new();
    stage.key("second.pem");
    stage.backup("old");
    let source = content(&stage, "old", &OWN);
    stage.good(
        &[
            &[
                "consolidate",
                "old",
                "--into",
                "second",
                "--recipient-pubkey",
                "second.pub.pem",
            ],
            &OWN[..],
        ]
        .concat(),
    );
    stage.ends(&[&["verify", "second"], &OWN[..]].concat(), 3);
    assert!(content(&stage, "second", &["--private-key", "second.pem"]) == source);
    fs::write(stage.at("secret"), "a new one\n").unwrap();
    let args = [
        "consolidate",
        "second",
        "--into",
        "third",
        "--private-key",
        "second.pem",
        "--encrypt-passphrase-file",
        "secret",
    ];
    stage.good(&args);
    assert!(content(&stage, "third", &["--passphrase-file", "secret"]) == source);
    // The passphrase stays when nothing else is asked for.
    stage.good(&[
        "consolidate",
        "third",
        "--into",
        "fourth",
        "--passphrase-file",
        "secret",
    ]);
    assert!(content(&stage, "fourth", &["--passphrase-file", "secret"]) == source);
    // A clear archive stays clear, or is encrypted.
    stage.backup_with("open", &[]);
    let open = content(&stage, "open", &[]);
    stage.good(&["consolidate", "open", "--into", "open2"]);
    assert!(content(&stage, "open2", &[]) == open);
    stage.good(&[
        "consolidate",
        "open2",
        "--into",
        "closed",
        "--recipient-pubkey",
        "key.pub.pem",
    ]);
    assert!(content(&stage, "closed", &OWN) == open);
    assert!(stage.at("closed/decrypt-backup.mjs").exists());
}

#[test]
fn the_copy_is_closed_to_who_was_removed_and_kept_the_old_envelope() {
    let stage = Stage::new();
    let second = stage.key("second.pem");
    stage.backup_with(
        "old",
        &[
            "--recipient-pubkey",
            "key.pub.pem",
            "--recipient-pubkey",
            "second.pub.pem",
        ],
    );
    let kept = fs::read(stage.at("old/encryption.json")).unwrap();
    // For both: nobody knows the second's public key here.
    let consolidate = ["consolidate", "old", "--into", "new"];
    let refused = stage.run(&[&consolidate[..], &OWN].concat());
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    assert!(text(&refused).contains("--recipient-pubkey PEM"));
    assert!(text(&refused).contains(&second), "{}", text(&refused));
    assert!(!stage.at("new").exists());
    // With the private keys of both it is known.
    let both = ["--private-key", "second.pem"];
    stage.good(&[&["consolidate", "old", "--into", "both"], &OWN[..], &both].concat());
    assert!(content(&stage, "both", &both) == content(&stage, "old", &OWN));
    assert!(content(&stage, "both", &OWN) == content(&stage, "old", &OWN));

    stage.good(&[&["rekey", "old", "--remove-recipient", &second], &OWN[..]].concat());
    stage.good(&[&consolidate[..], &OWN].concat());
    stage.good(&[&["verify", "new"], &OWN[..]].concat());
    stage.ends(&["verify", "new", "--private-key", "second.pem"], 3);
    fs::write(stage.at("new/encryption.json"), &kept).unwrap();
    stage.ends(&["verify", "new", "--private-key", "second.pem"], 4);
    // Whereas the old one opens to them, as `rekey` says.
    fs::write(stage.at("old/encryption.json"), &kept).unwrap();
    let still = ["decrypt", "old", "--list", "--private-key", "second.pem"];
    stage.good(&still);
}

#[test]
fn a_passphrase_stays_and_its_key_does_not() {
    let stage = Stage::new();
    for kdf in ["scrypt", "pbkdf2"] {
        let (old, new) = (format!("old-{kdf}"), format!("new-{kdf}"));
        stage.backup_with(&old, &["--encrypt-passphrase", "p", "--kdf", kdf]);
        let phrase = ["--passphrase", "p"];
        stage.good(&[&["consolidate", &old, "--into", &new], &phrase[..]].concat());
        let envelope = |name: &str| json_of(&stage.at(name).join("encryption.json"));
        let (before, after) = (envelope(&old), envelope(&new));
        assert_eq!(before["mode"], after["mode"]);
        assert_ne!(before["salt"], after["salt"]);
        assert_ne!(before["keyCheck"], after["keyCheck"]);
        assert!(content(&stage, &old, &phrase) == content(&stage, &new, &phrase));
    }
}

#[test]
fn another_archive_than_the_expected_one_is_not_touched() {
    let stage = Stage::new();
    stage.backup("old");
    let id = stage.json(&["list", "old", "--json"])["archives"][0]["archiveId"].clone();
    let id = id.as_str().unwrap();
    for (expected, code) in [("0".repeat(64), 4), (id.to_owned(), 0)] {
        let expected = ["--expect-id", &expected];
        for command in [
            &["consolidate", "old", "--into", "new"][..],
            &["list", "old"],
            &["stats", "old"],
            &["extract", "old", "--user", "alice"],
            &["cat", "old", "manifest.json"],
            &["diff", "old", "old"],
        ] {
            let done = stage.run(&[command, &expected, &OWN].concat());
            assert_eq!(done.status.code(), Some(code), "{}", text(&done));
            let says = text(&done).contains("not the archive that you expect");
            assert_eq!(says, code == 4, "{command:?}: {}", text(&done));
        }
        // Without the key too.
        stage.ends(&[&["list", "old"][..], &expected].concat(), code);
        let older = ["--expect-old-id", expected[1]];
        stage.ends(&[&["diff", "old", "old"][..], &older, &OWN].concat(), code);
        assert_eq!(stage.at("new").exists(), code == 0);
    }
}

#[test]
fn who_signs_the_copy_and_of_what_it_is_is_said() {
    let stage = Stage::new();
    stage.backup("old");
    let into = |new: &str, state: &str| {
        let how = ["consolidate", "old", "--into", new, "--state-dir", state];
        stage.run(&[&how, &OWN[..]].concat())
    };
    let manifest = stage.good(&[&["cat", "old", "manifest.json"], &OWN[..]].concat());
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let source = format!("source {}\n", manifest["source"].as_str().unwrap());
    let said = text(&into("new", "nowhere"));
    let unkept = "the copy is signed by a key that is not kept";
    assert!(said.contains(unkept) && said.contains(&source), "{said}");
    assert!(!said.contains("not checked"), "{said}");
    let full = into("new", "nowhere");
    assert_eq!(full.status.code(), Some(2), "{}", text(&full));
    assert!(!text(&full).contains("--output"), "{}", text(&full));
}

#[test]
fn an_archive_of_pryv_gets_what_it_lacks() {
    let Some(fixtures) = need::fixtures() else {
        return;
    };
    let stage = Stage::new();
    copy(&fixtures.join("keys"), &stage.at("keys"));
    let pryv = ["--private-key", "keys/recipient.key.pem"];
    for (number, (name, pryv)) in [
        ("small-hybrid-nocompress", &pryv[..]),
        ("hybrid-pg", &pryv[..]),
        ("plain-sqlite", &[]),
    ]
    .into_iter()
    .enumerate()
    {
        let old = format!("old{number}");
        let new = format!("new{number}");
        copy(&fixtures.join("archives").join(name), &stage.at(&old));
        stage.good(&[&["consolidate", &old, "--into", &new], pryv].concat());
        let found = stage.json(&[&["verify", &new, "--json"], pryv].concat());
        assert_eq!(found["compared"], true);
        assert!(
            content(&stage, &old, pryv) == content(&stage, &new, pryv),
            "{name}"
        );
        let outside = stage.json(&["verify", &new, "--json"]);
        assert_eq!(outside["compared"], true);
    }
}

#[test]
fn of_a_damaged_archive_nothing_is_made() {
    let stage = Stage::new();
    stage.backup("old");
    let files = tree(&stage.at("old"));
    let args = [&["consolidate", "old", "--into", "new"], &OWN[..]].concat();
    for (path, bytes) in files
        .iter()
        .filter(|(path, _)| path.starts_with("users/") && path.contains("alice"))
    {
        let place = stage.at("old").join(path);
        let mut changed = bytes.clone();
        changed[bytes.len() / 2] ^= 1;
        fs::write(&place, changed).unwrap();
        let done = stage.run(&args);
        assert_eq!(done.status.code(), Some(4), "{path}: {}", text(&done));
        assert!(!stage.at("new").exists(), "{path}");
        fs::write(&place, bytes).unwrap();
    }
    let inside = stage.run(&[&["consolidate", "old", "--into", "old/new"], &OWN[..]].concat());
    assert_eq!(inside.status.code(), Some(2), "{}", text(&inside));
    fs::create_dir(stage.at("full")).unwrap();
    fs::write(stage.at("full/x"), "x").unwrap();
    let full = stage.run(&[&["consolidate", "old", "--into", "full"], &OWN[..]].concat());
    assert_eq!(full.status.code(), Some(2), "{}", text(&full));
    assert!(tree(&stage.at("old")) == files);
}

#[test]
fn a_killed_run_is_no_archive_and_the_next_one_starts_clean() {
    if !need::strace() {
        return;
    }
    let stage = Stage::new();
    stage.backup("old");
    let files = tree(&stage.at("old"));
    let args = [
        &["consolidate", "old", "--into", "new"],
        &OWN[..],
        &["--jobs", "1"],
    ]
    .concat();
    let mut steps = 0;
    // Some of its steps, one of which makes each file safe on the disk.
    for nth in (1..).step_by(5) {
        if !killed_at(&stage.command(&args), STEPS, nth) {
            break;
        }
        steps += 1;
        assert!(tree(&stage.at("old")) == files);
        if stage.at("new/manifest.json").exists() {
            stage.good(&["verify", "new"]);
            stage.good(&[&["verify", "new"], &OWN[..]].concat());
            fs::remove_dir_all(stage.at("new")).unwrap();
        }
    }
    assert!(steps > 4, "{steps}");
    if !stage.at("new/manifest.json").exists() {
        stage.good(&args);
    }
    stage.good(&[&["verify", "new"], &OWN[..]].concat());
    assert!(!stage.at("new/.pryv-backup-partial").exists());
}
