//! Backups that were replaced, changed or removed since the last look.

use std::{fs, process::Command};

use super::*;

#[test]
fn backups_that_were_replaced_changed_or_removed_are_an_alarm() {
    let Some(stage) = Stage::new() else { return };
    let fleet = Fleet::new(&stage);
    chains(&fleet, "cores");
    let seen = fleet.opened("cores", 0, &[]);
    let first = core(&seen, "eu-2")["newest"]["made"].clone();
    let at = |name: &str| stage.at("cores").join(name);

    // Another platform's backups take the place: named at every look, until it is accepted.
    fs::rename(at("us-1"), stage.at("aside")).unwrap();
    folder::copy(&at("eu-1"), &at("us-1"));
    for _ in 0..2 {
        let seen = fleet.opened("cores", 4, &[]);
        let found = problems(&seen);
        assert_eq!(
            found[..2],
            ["source-changed us-1", "same-backup us-1"],
            "{seen}"
        );
        let message = seen["problems"][0]["message"].as_str().unwrap();
        assert!(message.contains("--accept-change"), "{message}");
        assert_eq!(
            problems(&fleet.signed("cores", 4))[0],
            "source-changed us-1"
        );
    }
    let seen = fleet.opened("cores", 5, &["--accept-change", "us-1"]);
    assert_eq!(problems(&seen)[0], "same-backup us-1");
    fleet.opened("cores", 5, &[]);
    let key = stage.key();
    let key = ["--private-key", key.to_str().unwrap()];
    let unknown = fleet.look("cores", &[&key[..], &["--accept-change", "us-9"]].concat());
    assert_eq!(unknown.status.code(), Some(2), "{}", text(&unknown));
    fs::remove_dir_all(at("us-1")).unwrap();
    let seen = fleet.opened("cores", 5, &[]);
    assert!(problems(&seen).contains(&"gone us-1".to_owned()), "{seen}");
    fs::rename(stage.at("aside"), at("us-1")).unwrap();
    fleet.opened("cores", 0, &["--accept-change", "us-1"]);

    // A newer run that is damaged is named, and the one before it is the newest that is good.
    fleet.backup(1, "cores/eu-2/chain", &["--incremental"]);
    fleet.opened("cores", 0, &[]);
    let manifest = at("eu-2/chain/increments/0002/manifest.json");
    let good = fs::read(&manifest).unwrap();
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    fs::write(&manifest, bad).unwrap();
    let seen = fleet.opened("cores", 4, &[]);
    assert_eq!(
        problems(&seen)[..2],
        ["damaged eu-2", "rolled-back eu-2"],
        "{seen}"
    );
    assert_eq!(core(&seen, "eu-2")["newest"]["run"], 1);
    assert_eq!(core(&seen, "eu-2")["newest"]["made"], first);
    let seen = fleet.signed("cores", 4);
    assert_eq!(
        problems(&seen)[..2],
        ["damaged eu-2", "rolled-back eu-2"],
        "{seen}"
    );
    assert_eq!(core(&seen, "eu-2")["newest"]["run"], 1);
    fs::write(&manifest, good).unwrap();
    fleet.opened("cores", 0, &[]);

    // Of several archives the newest counts, wherever it lies; one that is gone was seen.
    fleet.backup(0, "cores/eu-1/a-later", &[]);
    let seen = fleet.opened("cores", 0, &[]);
    let place = core(&seen, "eu-1")["newest"]["place"].clone();
    assert!(place.as_str().unwrap().ends_with("a-later"), "{seen}");
    assert_eq!(core(&seen, "eu-1")["archives"], 2);
    fs::rename(at("eu-1/a-later"), stage.at("later")).unwrap();
    let seen = fleet.opened("cores", 4, &[]);
    assert_eq!(problems(&seen), ["rolled-back eu-1"], "{seen}");

    // Nobody signed what was decrypted: it does not count.
    let opened = stage.open(&stage.at("later"));
    fs::rename(opened, at("eu-1/decrypted")).unwrap();
    let seen = fleet.opened("cores", 4, &["--allow-plaintext"]);
    assert_eq!(
        problems(&seen),
        ["unsigned eu-1", "rolled-back eu-1"],
        "{seen}"
    );
    assert_eq!(problems(&fleet.signed("cores", 4))[0], "unsigned eu-1");
    fs::remove_dir_all(at("eu-1/decrypted")).unwrap();
    fs::rename(stage.at("later"), at("eu-1/a-later")).unwrap();
    fleet.opened("cores", 0, &[]);

    // Another key opens nothing; who signed is known all the same.
    let other = stage.at("other.pem");
    let made = run(Command::new(tool())
        .args(["keygen", "--bits", "2048", "-o"])
        .arg(&other));
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    let seen = fleet.look(
        "cores",
        &["--json", "--private-key", other.to_str().unwrap()],
    );
    let seen = answer(&seen, 5);
    assert_eq!(
        problems(&seen)[..2],
        ["closed eu-1", "closed eu-1"],
        "{seen}"
    );
}
