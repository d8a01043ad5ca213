//! Ownership: no user gets another's data, no user loses data without a word, and a user who is not asked for is left alone.

use super::draft::Draft;
use super::shared::{has, put, targets};
use pryv_backup_tests::{
    command::{report, text},
    folder,
    rqlite::post,
    stage::{Platform, Stage},
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs, path::Path, process::Output};

const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
/// Pryv's own token of alice for that key.
const ALICE: &str = "008f6a1da2ab7e27006bffce4da3eaa4280ea2499aa79d6bf026a56f70ddf86f";

fn code(done: &Output, due: i32) -> Value {
    assert_eq!(done.status.code(), Some(due), "{}", text(done));
    report(done)
}

/// The same of an archive of Pryv's own tool, records of which have keys that PostgreSQL has no column for.
fn pryvs(done: &Output) -> Value {
    assert!(matches!(done.status.code(), Some(0 | 5)), "{}", text(done));
    let said = report(done);
    let losses = |one: &Value| one["losses"].as_array().unwrap().clone();
    for loss in said["users"].as_array().unwrap().iter().flat_map(losses) {
        assert!(loss.as_str().unwrap().contains("tags"), "{said}");
    }
    said
}

fn user<'r>(report: &'r Value, name: &str) -> &'r Value {
    let mut users = report["users"].as_array().unwrap().iter();
    users.find(|one| one["username"] == name).unwrap()
}

/// Lines of a file of the platform in an archive that anybody can change.
fn keys(draft: &Draft, entries: &[(&str, &str)]) {
    let lines: String = entries
        .iter()
        .map(|(key, value)| format!("{}\n", json!({"key": key, "value": value})))
        .collect();
    fs::create_dir_all(draft.root.join("platform")).unwrap();
    fs::write(draft.root.join("platform/keys.jsonl"), lines).unwrap();
}

fn aliases(target: &Platform<'_>) -> BTreeSet<String> {
    let of = |place: &str| place.ends_with("alias4id") || place == "alias_index";
    let rows = target.rows();
    let lists = rows.iter().filter(|(place, _)| of(place));
    lists.flat_map(|(_, rows)| rows.clone()).collect()
}

/// Without the key of the tokens nothing of the platform's own database could be written.
#[test]
fn a_missing_key_of_the_tokens_is_found_first() {
    let Some(stage) = Stage::new() else { return };
    let archive = stage.sqlite_fixture().backup("archive");
    let target = stage.sqlite().with("platform__piiMode", "hashed");
    let before = target.rows();
    let done = target.restore(&archive, &["--delete-on-success"]);
    assert_eq!(done.status.code(), Some(2), "{}", text(&done));
    assert!(text(&done).contains("piiHmacKey"), "{}", text(&done));
    assert!(target.rows() == before && archive.join("manifest.json").exists());
    code(&target.restore(&archive, &["--skip-platform"]), 0);
}

/// Values that are hashed with another key, and that no account tells, are lost: the archive stays, and the exit code says so.
#[test]
fn what_another_key_hides_keeps_the_archive() {
    let Some(stage) = Stage::new() else { return };
    let hashed = stage
        .sqlite()
        .with("platform__piiMode", "hashed")
        .with("platform__piiHmacKey", KEY);
    let clear = stage.sqlite_fixture().backup("clear");
    code(&hashed.restore(&clear, &[]), 0);
    // An address that is neither in the account nor in the list of them.
    put(
        &hashed,
        &format!("user-unique/email/{}", "5a".repeat(32)),
        ALICE,
    );
    let archive = hashed.backup("hashed");
    let target = stage.sqlite();
    let said = code(&target.restore(&archive, &["--delete-on-success"]), 5);
    let lost = said["platformLost"].as_object().unwrap();
    assert_eq!(lost.len(), 1, "{said}");
    assert!(
        lost.iter()
            .all(|(why, count)| why.contains("email") && *count == 1),
        "{said}"
    );
    assert!(archive.join("manifest.json").exists());
}

/// Pryv's archives tell addresses in the accounts only, or cut them; whose they are is looked up all the same.
#[test]
fn addresses_of_others_stay_theirs() {
    let Some(stage) = Stage::new() else { return };
    for (archive, key) in [
        ("single-user", "user-unique/email/alice@exa.example"),
        ("plain-pg", "user-unique/email/weird+tag%/slash@exa.example"),
    ] {
        let archive = stage.fixtures.join("archives").join(archive);
        for target in targets(&stage) {
            put(&target, key, "mallory");
            let before = target.rows();
            let done = target.restore(&archive, &["--overwrite"]);
            assert_eq!(done.status.code(), Some(1), "{}", text(&done));
            assert!(
                text(&done).contains("belongs to another user"),
                "{}",
                text(&done)
            );
            assert!(target.rows() == before);
            let _ = target.restore(&archive, &["--overwrite", "--skip-conflicts"]);
            assert!(has(&target, key, "mallory"));
        }
    }
}

/// An address that went from one user to another, both of whom the archive has, goes back.
#[test]
fn replaced_users_give_back_what_they_took() {
    let Some(stage) = Stage::new() else { return };
    let archive = stage.sqlite_fixture().backup("archive");
    let key = "user-unique/email/alice@exa.example";
    for target in targets(&stage) {
        code(&target.restore(&archive, &[]), 0);
        let entries = target.entries();
        match &target.rqlite {
            Some(rqlite) => {
                let sql = "UPDATE keyValue SET value = 'bob00' WHERE key = ?";
                post(&rqlite.url, "/db/execute", &json!([[sql, key]]));
            }
            None => {
                target.sql(&format!(
                    "UPDATE platform_kv SET value = 'bob00' WHERE key = '{key}'"
                ));
            }
        }
        code(&target.restore(&archive, &["--overwrite"]), 0);
        assert!(target.entries() == entries);
    }
}

#[test]
fn aliases_outlive_a_restore_without_the_platform() {
    let Some(stage) = Stage::new() else { return };
    let archive = stage.sqlite_fixture().backup("archive");
    for target in targets(&stage) {
        code(&target.restore(&archive, &[]), 0);
        let before = (aliases(&target), target.entries());
        assert!(!before.0.is_empty());
        code(
            &target.restore(&archive, &["--overwrite", "--skip-platform"]),
            0,
        );
        assert!((aliases(&target), target.entries()) == before);
    }
    // And they come without it.
    for target in targets(&stage) {
        let before = target.entries();
        code(&target.restore(&archive, &["--skip-platform"]), 0);
        assert!(!aliases(&target).is_empty() && target.entries() == before);
    }
}

/// Of an earlier run that was stopped: only those whom this run tells of are told of, and nobody takes its word for the rest.
#[test]
fn users_of_a_stopped_run_are_not_forgotten() {
    let Some(stage) = Stage::new() else { return };
    let archive = stage.sqlite_fixture().backup("archive");
    let target = stage.sqlite();
    code(&target.restore(&archive, &["--skip-platform"]), 0);
    // As a run leaves it that was killed before it told of anybody.
    let said = report(&target.restore(&archive, &["--dry-run"]));
    let list: String = said["users"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| format!("{}\n", json!({"userId": one["userId"]})))
        .collect();
    let id: String = said["archiveId"]
        .as_str()
        .unwrap()
        .chars()
        .take(32)
        .collect();
    let staging = target.users.join(".pryv-backup-restore");
    fs::create_dir_all(&staging).unwrap();
    fs::write(staging.join(format!("{id}.begun")), list).unwrap();

    let one = target.restore(&archive, &["--user", "bob00"]);
    assert!(
        user(&code(&one, 5), "bob00")["reason"]
            .as_str()
            .unwrap()
            .contains("restored by an earlier run")
    );
    assert!(has(&target, "user-core/bob00", "single"));
    assert!(!has(&target, "user-core/alice", "single"));
    let all = code(&target.restore(&archive, &["--delete-on-success"]), 5);
    assert!(has(&target, "user-core/alice", "single"), "{all}");
    assert_eq!(user(&all, "bob00")["outcome"], "skipped");
    assert!(
        archive.join("manifest.json").exists(),
        "nobody knows whether all is there"
    );
    assert!(target.is_left_clean());
}

/// One user was asked for: what is the whole platform's stays. And a run that restores nobody changes nothing.
#[test]
fn the_platform_stays_when_nobody_or_one_is_restored() {
    let Some(stage) = Stage::new() else { return };
    let draft = Draft::new(&stage, "archive");
    keys(
        &draft,
        &[
            ("invitation/old", "archived"),
            ("invitation/new", "archived"),
        ],
    );
    for target in targets(&stage) {
        put(&target, "invitation/old", "newer");
        pryvs(&target.restore(&draft.root, &["--user", "alice"]));
        let said = pryvs(&target.restore(&draft.root, &["--user", "alice", "--overwrite"]));
        assert!(
            said["platformLeftOut"].to_string().contains("one user"),
            "{said}"
        );
        assert!(has(&target, "invitation/old", "newer"));
        assert!(!has(&target, "invitation/new", "archived"));
        let rows = target.rows();
        code(&target.restore(&draft.root, &["--user", "alice"]), 5);
        assert!(target.rows() == rows);
    }
    for target in targets(&stage) {
        pryvs(&target.restore(&draft.root, &[]));
        assert!(has(&target, "invitation/new", "archived"));
        let gone = match &target.rqlite {
            Some(_) => continue,
            None => {
                target.sql("DELETE FROM platform_kv WHERE key = 'invitation/new' RETURNING key")
            }
        };
        assert_eq!(gone, "invitation/new");
        code(&target.restore(&draft.root, &[]), 5);
        assert!(!has(&target, "invitation/new", "archived"));
    }
}

#[test]
fn a_name_that_is_anothers_id_is_no_answer() {
    let Some(stage) = Stage::new() else { return };
    let mut draft = Draft::new(&stage, "archive");
    let bob = draft.id(1);
    draft.manifest["users"][0]["username"] = bob.as_str().into();
    draft.seal();
    for target in targets(&stage) {
        let before = target.rows();
        let done = target.restore(&draft.root, &["--user", &bob]);
        assert_eq!(done.status.code(), Some(2), "{}", text(&done));
        assert!(target.rows() == before);
    }
}

/// Series of others are kept under `user.NAME`: no user id may be one.
#[test]
fn a_user_id_is_no_namespace_of_others() {
    let Some(stage) = Stage::new() else { return };
    let mut draft = Draft::new(&stage, "archive");
    let old = draft.at(0, "");
    draft.manifest["users"][0]["userId"] = "user.bob00".into();
    fs::rename(old, draft.root.join("users/user.bob00")).unwrap();
    draft.seal();
    for target in targets(&stage) {
        let before = target.rows();
        let done = target.restore(&draft.root, &[]);
        assert_eq!(done.status.code(), Some(4), "{}", text(&done));
        assert!(target.rows() == before);
    }
}

/// Entries of users have a file of their own; what stands elsewhere cannot give one user's address to another.
#[test]
fn entries_of_users_are_taken_from_their_own_file_only() {
    let Some(stage) = Stage::new() else { return };
    let draft = Draft::new(&stage, "archive");
    let bob = "user-unique/email/bob@exa.example";
    keys(
        &draft,
        &[
            (bob, "alice"),
            ("user-indexed/language/bob00", "xx"),
            ("invitation/a", "b"),
        ],
    );
    for target in targets(&stage) {
        pryvs(&target.restore(&draft.root, &["--overwrite"]));
        assert!(!has(&target, bob, "alice"));
        assert!(!has(&target, "user-indexed/language/bob00", "xx"));
        assert!(has(&target, "invitation/a", "b"));
    }
}

/// One entry that the store cannot hold costs that entry.
#[test]
fn an_entry_that_cannot_be_held_costs_itself_only() {
    let Some(stage) = Stage::new() else { return };
    let draft = Draft::new(&stage, "archive");
    keys(
        &draft,
        &[("invitation/nul", "a\u{0}b"), ("invitation/a", "b")],
    );
    let Some(target) = stage.postgres() else {
        return;
    };
    let said = code(&target.restore(&draft.root, &[]), 5);
    assert!(
        said["platformLost"].to_string().contains("U+0000"),
        "{said}"
    );
    assert!(has(&target, "invitation/a", "b") && has(&target, "user-core/alice", "single"));
}

/// An access names an alias that leads to somebody else: it stays theirs, and the user is told to have lost it.
#[test]
fn aliases_of_others_stay_theirs() {
    let Some(stage) = Stage::new() else { return };
    let draft = Draft::new(&stage, "archive");
    let access =
        json!({"id": "x1", "token": "x1", "type": "shared", "name": "x1", "alias": "r-mine"});
    draft.append(0, "accesses.jsonl", &access.to_string());
    for target in targets(&stage) {
        super::conflicts::index(
            &target,
            "INSERT INTO alias4id VALUES ('r-mine', 'mallory')",
            "INSERT INTO alias_index VALUES ('r-mine', 'mallory')",
        );
        let said = code(&target.restore(&draft.root, &[]), 5);
        let losses = user(&said, "alice")["losses"].to_string();
        assert!(losses.contains("r-mine"), "{said}");
        let rows = aliases(&target);
        assert_eq!(rows.iter().filter(|row| row.contains("r-mine")).count(), 1);
        assert!(rows.iter().any(|row| row.contains("mallory")));
    }
    // A new name that leads to another user of the same archive.
    let archive = stage.sqlite_fixture().backup("ours");
    for target in targets(&stage) {
        let done = target.restore(&archive, &["--remap-user", "bob00=alias-1-of-it"]);
        assert_eq!(done.status.code(), Some(1), "{}", text(&done));
        assert!(
            text(&done).contains("is an alias of \"alice\""),
            "{}",
            text(&done)
        );
        for name in ["../../x", "ALICE X", "a\tb", "-a"] {
            let done = target.restore(&archive, &["--remap-user", &format!("alice={name}")]);
            assert_eq!(done.status.code(), Some(2), "{}", text(&done));
        }
    }
}

/// Which user an access is of: under the name, or the token, that the user has here; from the accesses where no entry tells.
#[test]
fn accesses_are_found_under_the_names_of_this_platform() {
    let Some(stage) = Stage::new() else { return };
    let source = stage.sqlite_fixture();
    let of_accesses = |platform: &Platform<'_>| -> Vec<(String, Value)> {
        let all = platform.entries().into_iter();
        let own = all.filter(|(key, _)| key.starts_with("access-index/"));
        own.map(|(key, value)| (key, serde_json::from_str(&value).unwrap()))
            .collect()
    };
    let before = of_accesses(&source);
    assert_eq!(before.len(), 20);
    let ours = source.backup("ours");
    let theirs = stage.fixtures.join("archives/small-plain");
    for target in targets(&stage) {
        code(&target.restore(&ours, &["--remap-user", "alice=alicia"]), 0);
        let mut due = before.clone();
        for (_, value) in &mut due {
            if value["username"] == "alice" {
                value["username"] = "alicia".into();
            }
        }
        assert_eq!(of_accesses(&target), due);
    }
    for target in targets(&stage) {
        let target = target
            .with("platform__piiMode", "hashed")
            .with("platform__piiHmacKey", KEY);
        code(&target.restore(&ours, &[]), 0);
        let found = of_accesses(&target);
        assert_eq!(found.len(), before.len());
        assert!(found.iter().all(|(_, value)| value["username"].is_null()));
        assert!(
            found
                .iter()
                .any(|(_, value)| value["usernameToken"] == ALICE)
        );
    }
    for target in targets(&stage) {
        pryvs(&target.restore(&theirs, &[]));
        let found = of_accesses(&target);
        assert!(found.len() > 10, "{found:?}");
        for (key, value) in found {
            assert_eq!(
                key,
                format!("access-index/{}", value["accessId"].as_str().unwrap())
            );
            let names = ["alice", "bob00", "0-edge--case-9"];
            let name = value["username"].as_str().unwrap();
            assert!(
                names.contains(&name) || name.starts_with("chloe"),
                "{value}"
            );
            let deleted = value
                .get("deleted")
                .is_none_or(|at| *at == value["lastModified"]);
            assert!(
                deleted && value["created"].is_number() && value["type"].is_string(),
                "{value}"
            );
        }
    }
}

/// Pryv's archive of one user knows nothing of the platform: what the user has there stays.
#[test]
fn an_archive_that_does_not_tell_takes_nothing_away() {
    let Some(stage) = Stage::new() else { return };
    let all = stage.fixtures.join("archives/small-plain");
    let one = stage.fixtures.join("archives/single-user");
    for target in targets(&stage) {
        let said = pryvs(&target.restore(&all, &["--skip-platform"]));
        let id = user(&said, "alice")["userId"].as_str().unwrap();
        super::conflicts::index(
            &target,
            &format!("INSERT INTO alias4id VALUES ('r-hers', '{id}')"),
            &format!("INSERT INTO alias_index VALUES ('r-hers', '{id}')"),
        );
        put(&target, "user-unique/email/second.0@exa.example", "alice");
        put(&target, "user-indexed/insurancenumber/alice", "123");
        let before = aliases(&target);
        pryvs(&target.restore(&one, &["--overwrite"]));
        assert!(has(
            &target,
            "user-unique/email/second.0@exa.example",
            "alice"
        ));
        assert!(has(&target, "user-indexed/insurancenumber/alice", "123"));
        assert!(!before.is_empty() && before.is_subset(&aliases(&target)));
    }
}

/// A dry run says "would restore"; a user who was only checked is reported as such.
#[test]
fn what_was_not_done_is_not_told_as_done() {
    let Some(stage) = Stage::new() else { return };
    let archive = stage.sqlite_fixture().backup("archive");
    let target = stage.sqlite();
    let told = |flags: &[&str]| {
        let mut command = target.command();
        command
            .args(["--create-users-dir", "--restore"])
            .arg(&archive)
            .arg("--private-key")
            .arg(stage.key())
            .args(flags);
        text(&pryv_backup_tests::command::run(&mut command))
    };
    assert!(told(&["--dry-run"]).contains("4 of 4 users would be restored"));
    let said = told(&["--verify-only"]);
    assert!(
        said.contains("the backup is good") && !said.contains("restored"),
        "{said}"
    );
    put(&target, "user-unique/email/alice@exa.example", "mallory");
    let said = told(&["--dry-run"]);
    assert!(said.contains("0 of 4 users would be restored"), "{said}");
    for flags in [
        &["--verify-only", "--verify-integrity"][..],
        &["--verify-only", "--delete-on-success"],
    ] {
        assert!(told(flags).contains("--verify-only restores nothing"));
    }
    assert!(!Path::new(&target.users).exists() || folder::tree(&target.users).is_empty());
}
