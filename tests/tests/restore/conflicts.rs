//! Who and what is in the way, found before anything is written.

use super::draft::Draft;
use super::shared::{put, targets};
use pryv_backup_tests::{
    command::{report, text},
    rich,
    stage::{Platform, Stage},
};
use serde_json::{Value, json};
use std::fs;
/// Runs a statement in the index of a SQLite platform, or in the database.
pub fn index(platform: &Platform<'_>, sqlite: &str, postgres: &str) {
    if platform.database.is_some() {
        platform.sql(postgres);
        return;
    }
    fs::create_dir_all(&platform.users).unwrap();
    let file = rusqlite::Connection::open(platform.users.join("user-index.db")).unwrap();
    file.execute_batch(
        "CREATE TABLE IF NOT EXISTS id4name (username TEXT PRIMARY KEY, userId TEXT NOT NULL); \
         CREATE TABLE IF NOT EXISTS alias4id (alias TEXT PRIMARY KEY, userId TEXT NOT NULL)",
    )
    .unwrap();
    file.execute_batch(sqlite).unwrap();
}

/// Somebody else has the name, the id, the alias, or a name that is the alias; each is found before anything is written.
#[test]
fn conflicts_are_found_before_anything_is_written() {
    let Some(stage) = Stage::new() else { return };
    let archive = stage.sqlite_fixture().backup("archive");
    let opened = stage.open(&archive);
    let manifest: Value =
        serde_json::from_slice(&fs::read(opened.join("manifest.json")).unwrap()).unwrap();
    let alice = manifest["users"][0]["userId"].as_str().unwrap();
    for (name, id, alias, says) in [
        ("alice", "someone-else", "", "another user called \"alice\""),
        ("alicia", alice, "", "belongs to \"alicia\""),
        (
            "mallory",
            "someone-else",
            "alias-1-of-it",
            "the alias \"alias-1-of-it\" of \"alice\"",
        ),
        (
            "alias-1-of-it",
            "someone-else",
            "",
            "the alias \"alias-1-of-it\" of \"alice\"",
        ),
        (
            "mallory",
            "someone-else",
            "alice",
            "\"alice\" is an alias of the user someone-else",
        ),
    ] {
        for target in targets(&stage) {
            let mut sqlite = format!("INSERT INTO id4name VALUES ('{name}', '{id}');");
            let mut postgres = format!("INSERT INTO users_index VALUES ('{name}', '{id}');");
            if !alias.is_empty() {
                sqlite += &format!("INSERT INTO alias4id VALUES ('{alias}', '{id}')");
                postgres += &format!("INSERT INTO alias_index VALUES ('{alias}', '{id}')");
            }
            index(&target, &sqlite, &postgres);
            let before = target.rows();
            for flags in [&[][..], &["--overwrite"]] {
                let refused = target.restore(&archive, flags);
                assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
                assert!(text(&refused).contains(says), "{}", text(&refused));
                assert!(target.rows() == before && target.is_left_clean());
            }
            let done = target.restore(&archive, &["--skip-conflicts"]);
            let said = report(&done);
            assert_eq!(done.status.code(), Some(5), "{said}");
            let users = said["users"].as_array().unwrap();
            assert_eq!(users[0]["outcome"], "skipped", "{said}");
            assert_eq!(
                users.iter().filter(|u| u["outcome"] == "restored").count(),
                3
            );
        }
    }
    // An address: the second user of the archive has it there.
    for target in targets(&stage) {
        put(&target, "user-unique/email/bob00@exa.example", "mallory");
        let before = target.rows();
        let refused = target.restore(&archive, &[]);
        assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
        assert!(
            text(&refused).contains("the email of \"bob00\""),
            "{}",
            text(&refused)
        );
        assert!(target.rows() == before);
    }
}

/// A database that Pryv's migrations have not reached takes a version of an access for a second access: who has some is refused
/// before anything is written.
#[test]
fn an_unmigrated_database_is_told_of_before_anything_is_written() {
    let Some(stage) = Stage::new() else { return };
    let Some(target) = stage.postgres() else {
        return;
    };
    let source = stage.sqlite();
    rich::fill(&stage, &source, 1, 31);
    let archive = source.backup("archive");
    target.sql(
        "DROP INDEX idx_access_token, idx_access_name_type_devicename, idx_access_head_id; DELETE FROM schema_migrations; \
         CREATE UNIQUE INDEX idx_access_token ON accesses (user_id, token) WHERE deleted IS NULL; DROP TABLE alias_index; \
         ALTER TABLE accesses DROP COLUMN alias; ALTER TABLE webhooks DROP COLUMN scopes",
    );
    let users = || target.count("SELECT count(*) FROM users_index");
    let refused = target.restore(&archive, &[]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    let said = text(&refused);
    assert!(
        said.contains("has versions of accesses") && said.contains("bin/migrate.js"),
        "{said}"
    );
    assert_eq!(users(), 0);
    let skipped = target.restore(&archive, &["--skip-conflicts"]);
    let said = report(&skipped);
    assert_eq!(said["users"][0]["outcome"], "skipped", "{said}");
    assert!(
        said["warnings"].to_string().contains("no table of aliases"),
        "{said}"
    );
    // Whoever has none comes in, and what has no column is named.
    let draft = Draft::new(&stage, "plain");
    let access =
        json!({"id": "x1", "token": "x1", "type": "shared", "name": "x1", "alias": "r-x1"});
    for user in 0..draft.users() {
        fs::write(draft.at(user, "accesses.jsonl"), format!("{access}\n")).unwrap();
    }
    let done = target.restore(&draft.root, &[]);
    let said = report(&done);
    assert_eq!(done.status.code(), Some(5), "{said}");
    assert_eq!(users(), draft.users());
    assert!(
        said["users"][0]["losses"]
            .to_string()
            .contains("key \\\"alias\\\""),
        "{said}"
    );
}
