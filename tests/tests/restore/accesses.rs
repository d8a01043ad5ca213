//! Which user an access is of: entries of renamed users, missing ones, and those that are hashed with another key.

use super::shared::{hashed, of_users, targets};
use pryv_backup_tests::{
    command::{report, run, text},
    rqlite::post,
    stage::{Platform, Stage},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::Path};

/// The entries about accesses, by access.
fn entries(platform: &Platform<'_>) -> BTreeMap<String, Value> {
    let all = platform.entries().into_iter();
    all.filter_map(|(key, value)| {
        let id = key.strip_prefix("access-index/")?;
        Some((id.to_owned(), serde_json::from_str(&value).unwrap()))
    })
    .collect()
}

fn of<'e>(entries: &'e BTreeMap<String, Value>, name: &str) -> Vec<&'e String> {
    let of = entries
        .iter()
        .filter(|(_, entry)| entry["username"] == name);
    of.map(|(id, _)| id).collect()
}

fn empty(stage: &Stage) -> Vec<Platform<'_>> {
    let all = targets(stage).into_iter();
    all.map(|target| stage.with_api_accounts(target)).collect()
}

/// An access is unchanged, except that it names its user by the present name.
fn assert_all(found: &BTreeMap<String, Value>, due: &BTreeMap<String, Value>) {
    for (id, entry) in due {
        let mut entry = entry.clone();
        if entry["username"] == "beat-one" {
            entry["username"] = "beat-two".into();
        }
        assert_eq!(found.get(id), Some(&entry), "{id}");
    }
    assert_eq!(found.len(), due.len());
}

#[test]
fn those_of_a_renamed_user_come_back() {
    let Some(stage) = Stage::new() else { return };
    let Some(source) = stage.api_fixture() else {
        return;
    };
    let due = entries(&source);
    assert_eq!(of(&due, "beat-one").len(), 8);
    let archive = source.backup("archive");
    for target in empty(&stage) {
        let done = target.restore(&archive, &[]);
        let said = report(&done);
        assert_eq!(done.status.code(), Some(0), "{said}");
        assert!(
            !said["platformLeftOut"].to_string().contains("access"),
            "{said}"
        );
        assert_all(&entries(&target), &due);
    }
    // Of one user alone, from the backup of all and from its own.
    let own = back_up_one(&stage, &source, "beat-two");
    for archive in [&archive, &own] {
        for target in empty(&stage) {
            let done = target.restore(archive, &["--user", "beat-two"]);
            assert_eq!(done.status.code(), Some(0), "{}", text(&done));
            let found = entries(&target);
            assert_eq!((found.len(), of(&found, "beat-two").len()), (9, 9));
        }
    }
    let opened = stage.open(&own).join("platform/keys.jsonl");
    let lines = std::fs::read_to_string(opened).unwrap();
    assert_eq!(lines.matches("access-index/").count(), 9, "{lines}");
}

fn back_up_one(stage: &Stage, source: &Platform<'_>, user: &str) -> std::path::PathBuf {
    let archive = stage.at("own");
    let made = run(source
        .command()
        .args(["--quiet", "--user", user, "--recipient-pubkey"])
        .arg(stage.fixtures.join("keys/recipient.pub.pem"))
        .arg("--output")
        .arg(&archive));
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    archive
}

#[test]
fn one_that_is_missing_comes_from_its_access() {
    let Some(stage) = Stage::new() else { return };
    let Some(source) = stage.api_fixture() else {
        return;
    };
    let due = entries(&source);
    let missing: Vec<&String> = due.keys().step_by(5).collect();
    let url = &source.rqlite.as_ref().unwrap().url;
    for id in &missing {
        let key = format!("access-index/{id}");
        let sql = json!([["DELETE FROM keyValue WHERE key = ?", key]]);
        post(url, "/db/execute", &sql);
    }
    assert_eq!(entries(&source).len(), due.len() - missing.len());
    let archive = source.backup("archive");
    for target in empty(&stage) {
        let done = target.restore(&archive, &[]);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        let found = entries(&target);
        for (id, entry) in &due {
            assert_eq!(found[id]["type"], entry["type"], "{id}");
            // When it was made and deleted, as the access knows it: a few milliseconds beside the entry.
            let seconds = |entry: &Value, name: &str| entry[name].as_f64().map(f64::round);
            let gone = seconds(entry, "deleted");
            assert_eq!(seconds(&found[id], "deleted"), gone, "{id}");
            if gone.is_none() {
                assert_eq!(found[id]["created"], entry["created"], "{id}");
            }
        }
        assert_eq!(found.len(), due.len());
    }
}

/// Of users who were deleted on the platform, and of accesses that nobody has.
#[test]
fn those_of_nobody() {
    let Some(stage) = Stage::new() else { return };
    let Some(source) = stage.api_fixture() else {
        return;
    };
    let deleted = json!({"accessId": "d", "type": "app", "expires": null, "created": 1, "lastModified": 2, "username": "gone", "userDeleted": 2});
    let stray = json!({"accessId": "s", "type": "app", "expires": null, "created": 1, "lastModified": 2, "username": "nobody"});
    let entries_of = [
        ("access-index/d", deleted.to_string()),
        ("access-index/s", stray.to_string()),
    ];
    let rqlite = source.rqlite.as_ref().unwrap();
    rqlite.fill(entries_of.iter().map(|(key, value)| (*key, value.as_str())));
    let archive = source.backup("archive");
    for target in empty(&stage) {
        let done = target.restore(&archive, &[]);
        let said = report(&done);
        assert_eq!(done.status.code(), Some(0), "{said}");
        let why = "of accesses that no user who was restored has";
        assert_eq!(said["platformLeftOut"][why], 1, "{said}");
        let found = entries(&target);
        assert_eq!(found["d"], deleted);
        assert!(!found.contains_key("s"));
    }
}

/// Names, other names and addresses are in the archive in the clear, whatever they were hashed with.
#[test]
fn what_was_hashed_with_another_key_comes_back() {
    let Some(stage) = Stage::new() else { return };
    let Some(source) = stage.api_fixture() else {
        return;
    };
    const ONE: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    const OTHER: &str = "CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=";
    let clear = source.backup("clear");
    for (n, one) in empty(&stage).into_iter().enumerate() {
        let one = hashed(one, ONE);
        assert_whole(&one, &clear);
        let archive = one.backup(&format!("hashed-{n}"));
        for (to, direct) in empty(&stage).into_iter().zip(empty(&stage)) {
            let (to, direct) = (hashed(to, OTHER), hashed(direct, OTHER));
            assert_whole(&to, &archive);
            assert_whole(&direct, &clear);
            assert_eq!(of_users(&to), of_users(&direct));
        }
        // And in the clear again.
        let plain = empty(&stage).remove(0);
        assert_whole(&plain, &archive);
        let has = |key: &str, value: &str| super::shared::has(&plain, key, value);
        assert!(has("user-unique/alias/beat-one", "beat-two"));
        assert!(has(
            "user-unique/email/second.beat-one@interop.example",
            "beat-two"
        ));
        assert_eq!(of(&entries(&plain), "beat-two").len(), 9);
    }
}

fn assert_whole(target: &Platform<'_>, archive: &Path) {
    let done = target.restore(archive, &[]);
    assert_eq!(done.status.code(), Some(0), "{}", report(&done));
}
