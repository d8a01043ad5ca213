//! Platforms that name users by tokens, object stores, and places without backups.

use std::fs;

use super::*;

#[test]
fn users_are_found_where_the_platform_names_them_by_tokens() {
    const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    // The token of alice with that key.
    const ALICE: &str = "008f6a1da2ab7e27006bffce4da3eaa4280ea2499aa79d6bf026a56f70ddf86f";
    let Some(stage) = Stage::new() else { return };
    let mut fleet = Fleet::new(&stage);
    for core in fleet.cores.drain(..1).collect::<Vec<_>>() {
        forget(&core, "user-core/alice");
        for name in ["bob00", "0-edge--case-9"] {
            forget(&core, &format!("user-core/{name}"));
        }
        for (other, _) in &CORES[1..] {
            forget(&core, &format!("core-info/{other}"));
        }
        put(&core, &format!("user-core/{ALICE}"), "eu-1");
        put(&core, &format!("user-core/{}", "ab".repeat(32)), "eu-1");
        let core = core.with("platform__piiMode", "hashed");
        fleet.cores.push(core.with("platform__piiHmacKey", KEY));
    }
    fleet.cores.rotate_right(1);
    fleet.backup(0, "cores/eu-1", &[]);
    let seen = fleet.opened("cores", 5, &[]);
    assert_eq!(problems(&seen), ["names-unknown"], "{seen}");
    let config = stage.at("core.yml");
    fs::write(
        &config,
        format!("platform:\n  piiMode: hashed\n  piiHmacKey: {KEY}\n"),
    )
    .unwrap();
    let seen = fleet.opened("cores", 5, &["--config", config.to_str().unwrap()]);
    assert_eq!(problems(&seen), ["user-in-no-backup"], "{seen}");
    assert_eq!(seen["usersInNoBackup"][0]["name"], "ab".repeat(32));
}

#[test]
fn cores_in_an_object_store_are_seen_as_on_disk() {
    let Some(store) = ObjectStore::shared() else {
        return;
    };
    let Some(stage) = Stage::new() else { return };
    let mut fleet = Fleet::new(&stage);
    fleet.store = Some(store.port());
    for is_locked in [false, true] {
        let bucket = match is_locked {
            false => store.plain(),
            true => store.locked(),
        };
        for (name, _) in CORES {
            let _ = fs::remove_dir_all(stage.at(&format!("state-{name}")));
        }
        let _ = fs::remove_dir_all(stage.at("state-look"));
        let place = bucket.at("pryv");
        chains(&fleet, &place);
        all_is_there(&fleet, &place);
        // A run that only began, below a name of its own.
        bucket.put("pryv/ap-1/chain/claim-0001", b"");
        let seen = fleet.opened(&place, 5, &[]);
        assert_eq!(problems(&seen), ["no-good-run ap-1"], "{seen}");
        // Another platform's runs under a name that was seen.
        for object in bucket.list("pryv/us-1/") {
            bucket.delete(&object.key);
        }
        for object in bucket.list("pryv/eu-1/") {
            let key = object.key.replace("/eu-1/", "/us-1/");
            bucket.put(&key, &bucket.get(&object.key));
        }
        let seen = fleet.opened(&place, if is_locked { 5 } else { 4 }, &[]);
        if is_locked {
            // What was there first is read.
            assert_eq!(problems(&seen), ["no-good-run ap-1"], "{seen}");
            let note = seen["notes"][0].as_str().unwrap();
            assert!(note.starts_with("us-1: objects were overwritten"), "{note}");
        } else {
            assert!(problems(&seen).contains(&"source-changed us-1".to_owned()));
        }
    }
}

#[test]
fn a_place_without_backups_and_a_bad_name_are_refused() {
    let Some(stage) = Stage::new() else { return };
    let empty = stage.at("empty");
    fs::create_dir(&empty).unwrap();
    let command = |args: &[&str]| run(Command::new(tool()).args(args));
    let refused = command(&["fleet", empty.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    assert!(text(&refused).contains("holds no backups"));
    let refused = command(&["--output", "x", "--core", "eu/1"]);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    assert!(
        text(&refused).contains("a core has a name of"),
        "{}",
        text(&refused)
    );
    assert!(!Path::new("x").exists());
}
