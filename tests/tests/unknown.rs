//! Additions of a later Pryv.io: they travel where the format has a place for them, and are named where it has none.
#![allow(clippy::unwrap_used, clippy::panic)]

use pryv_backup_tests::{
    command::{report, run, text},
    plain::Plain,
    rich,
    rqlite::post,
    stage::{Platform, Stage},
};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, path::PathBuf};

/// Backs up with more flags; the folder and the report.
fn backup(
    stage: &Stage,
    source: &Platform<'_>,
    name: &str,
    flags: &[&str],
    code: i32,
) -> (PathBuf, Value) {
    let archive = stage.at(name);
    let made = run(source
        .command()
        .args(["--json", "--include-ephemeral", "--recipient-pubkey"])
        .arg(stage.fixtures.join("keys/recipient.pub.pem"))
        .arg("--output")
        .arg(&archive)
        .args(flags));
    assert_eq!(made.status.code(), Some(code), "{}", text(&made));
    (archive, report(&made))
}

/// Losses by their names.
fn named(said: &Value, list: &str) -> BTreeMap<String, String> {
    let losses = said[list].as_array().cloned().unwrap_or_default();
    let text = |loss: &Value, key: &str| loss[key].as_str().unwrap().to_owned();
    losses
        .iter()
        .map(|loss| (text(loss, "path"), text(loss, "what")))
        .collect()
}

fn names(said: &Value) -> Vec<String> {
    named(said, "losses").into_keys().collect()
}

/// Unknown data is no loss once it is accepted, and is still named.
fn accepts(stage: &Stage, source: &Platform<'_>, name: &str, lost: &[String]) {
    let flags: Vec<&str> = lost
        .iter()
        .flat_map(|name| ["--accept-loss", name.as_str()])
        .collect();
    let (archive, said) = backup(stage, source, name, &flags, 0);
    let accepted: Vec<String> = named(&said, "acceptedLosses").into_keys().collect();
    assert_eq!(accepted, lost);
    let manifest = Plain::read(&stage.open(&archive)).json("manifest.json");
    let accepted: Vec<String> = named(&manifest, "acceptedLosses").into_keys().collect();
    assert_eq!(accepted, lost);
    assert!(manifest.get("losses").is_none(), "{manifest}");
}

fn alice(source: &Platform<'_>) -> String {
    if source.database.is_some() {
        return source.sql("SELECT user_id FROM users_index WHERE username = 'alice'");
    }
    let index = Connection::open(source.users.join("user-index.db")).unwrap();
    let sql = "SELECT userId FROM id4name WHERE username = 'alice'";
    index.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// A column of records or of account items is in the archive under its own name.
fn travelled(stage: &Stage, archive: &std::path::Path, id: &str, what: &[(&str, &str)]) {
    let opened = Plain::read(&stage.open(archive));
    for (kind, value) in what {
        let records = opened.records(&format!("users/{id}/{kind}"));
        assert!(
            records
                .iter()
                .any(|record| record.to_string().contains(value)),
            "{kind}: no {value}"
        );
    }
}

#[test]
fn sqlite_files_of_a_later_version_are_noticed() {
    let Some(stage) = Stage::new() else { return };
    let source = stage.sqlite_fixture();
    let id = alice(&source);
    let folder = rich::folder(&source.users, &id);
    let alter = |file: &str, sql: &str| {
        let file = Connection::open(folder.join(file)).unwrap();
        file.execute_batch(sql).unwrap();
    };
    alter(
        "local-1.0.0.sqlite",
        "ALTER TABLE events ADD COLUMN newcol TEXT; UPDATE events SET newcol = 'important-1'",
    );
    alter(
        "account-1.0.0.sqlite",
        "ALTER TABLE passwords ADD COLUMN algo TEXT DEFAULT 'important-2'",
    );
    alter(
        "baseStorage-1.0.0.sqlite",
        "ALTER TABLE streams ADD COLUMN kind BLOB; UPDATE streams SET kind = x'0aff'; \
         CREATE TABLE newtable (id TEXT); INSERT INTO newtable VALUES ('a'), ('b'); CREATE TABLE empty (id TEXT)",
    );
    alter(
        "audit-1.0.0.sqlite",
        "ALTER TABLE events ADD COLUMN more REAL; UPDATE events SET more = 1.5",
    );
    let (archive, said) = backup(&stage, &source, "columns", &[], 5);
    let losses = named(&said, "losses");
    assert_eq!(
        names(&said),
        ["baseStorage-1.0.0.sqlite/newtable"],
        "{said}"
    );
    assert!(
        losses
            .values()
            .all(|what| what.contains("2 rows were left out")),
        "{said}"
    );
    travelled(
        &stage,
        &archive,
        &id,
        &[
            ("events", "\"newcol\":\"important-1\""),
            ("account", "\"algo\":\"important-2\""),
            ("streams", r#""kind":"\\x0aff""#),
            ("audit", "\"more\":1.5"),
        ],
    );
    accepts(&stage, &source, "columns-accepted", &names(&said));

    // A later version of a file; files and folders of no known kind; what is of nobody.
    fs::rename(
        folder.join("audit-1.0.0.sqlite"),
        folder.join("audit-1.1.0.sqlite"),
    )
    .unwrap();
    fs::write(folder.join("notes.txt"), "12345").unwrap();
    fs::create_dir_all(source.users.join("previews/x")).unwrap();
    fs::write(source.users.join("previews/x/y"), "").unwrap();
    fs::create_dir_all(source.users.join("empty")).unwrap();
    let gone = rich::folder(&source.users, "nobodyatall");
    fs::create_dir_all(gone.join("attachments/e")).unwrap();
    fs::write(gone.join("attachments/e/f"), "x").unwrap();
    fs::create_dir_all(rich::folder(&source.users, "user.emptied")).unwrap();
    let index = Connection::open(source.users.join("user-index.db")).unwrap();
    index
        .execute_batch("ALTER TABLE id4name ADD COLUMN tier TEXT; UPDATE id4name SET tier = 'gold' WHERE userId <> ''")
        .unwrap();
    let state = stage.at("state");
    let chain = ["--incremental", "--state-dir", state.to_str().unwrap()];
    let due = [
        "audit-1.1.0.sqlite",
        "baseStorage-1.0.0.sqlite/newtable",
        "notes.txt",
        "previews",
        "user-index.db/id4name.tier",
        "users/nobodyatall",
    ];
    for run in 1..=3 {
        let (_, said) = backup(&stage, &source, "chain", &chain, 5);
        assert_eq!(said["chain"]["run"], run);
        assert_eq!(names(&said), due, "{said}");
    }
    let (_, said) = backup(&stage, &source, "all", &[], 5);
    let losses = named(&said, "losses");
    assert!(losses["notes.txt"].contains("5 bytes"), "{said}");
    assert!(losses["previews"].contains("1 file was"), "{said}");
    assert!(losses["users/nobodyatall"].contains("1 file"), "{said}");
    accepts(&stage, &source, "all-accepted", &names(&said));
    // One user is asked for: what concerns others does not.
    let (_, said) = backup(&stage, &source, "bob", &["--user", "bob00"], 5);
    assert_eq!(names(&said), ["user-index.db/id4name.tier"]);
    let (_, said) = backup(&stage, &source, "alone", &["--user", "alice"], 5);
    assert_eq!(names(&said)[0], "audit-1.1.0.sqlite");
}

#[test]
fn a_later_schema_of_postgresql_is_noticed() {
    let Some(stage) = Stage::new() else { return };
    let Some(source) = stage.postgres_fixture() else {
        return;
    };
    let id = alice(&source);
    let (archive, said) = backup(&stage, &source, "plain", &[], 0);
    assert!(said.get("acceptedLosses").is_none());
    let manifest = Plain::read(&stage.open(&archive)).json("manifest.json");
    assert_eq!(manifest["platform"]["migration"], 3, "{manifest}");
    source.sql(
        "ALTER TABLE passwords ADD COLUMN algo text DEFAULT 'important-2'; \
         ALTER TABLE account_fields ADD COLUMN seen timestamptz; UPDATE account_fields SET seen = 'epoch'; \
         ALTER TABLE store_key_values ADD COLUMN nothing int; \
         ALTER TABLE users_index ADD COLUMN tier text; UPDATE users_index SET tier = 'gold' WHERE username = 'alice'; \
         ALTER TABLE series_data ADD COLUMN unit text; \
         ALTER TABLE streams ADD COLUMN kind text; UPDATE streams SET kind = 'important-3'; \
         CREATE TABLE series_by_id (id text); INSERT INTO series_by_id VALUES ('a'), ('b'), ('c'); CREATE TABLE empty (id text); \
         CREATE TABLE \"Odd \"\"one\"\"\" (a int); INSERT INTO \"Odd \"\"one\"\"\" VALUES (1); \
         INSERT INTO schema_migrations VALUES (5); \
         INSERT INTO events (user_id, id) VALUES ('stranger', 'a'), ('stranger', 'b'); INSERT INTO profile (user_id, id) VALUES ('stranger', 'x')",
    );
    let (archive, said) = backup(&stage, &source, "later", &[], 5);
    assert_eq!(
        names(&said),
        [
            "Odd \"one\"",
            "migration/5",
            "series_by_id",
            "users/stranger",
            "users_index.tier"
        ],
        "{said}"
    );
    let losses = named(&said, "losses");
    assert!(
        losses["series_by_id"].contains("3 rows were left out"),
        "{said}"
    );
    assert!(
        losses["users_index.tier"].contains("1 row was left out"),
        "{said}"
    );
    assert!(losses["users/stranger"].contains("3 rows"), "{said}");
    travelled(
        &stage,
        &archive,
        &id,
        &[
            ("account", "\"algo\":\"important-2\""),
            ("account", "\"seen\":\"1970-01-01T"),
            ("streams", "\"kind\":\"important-3\""),
        ],
    );
    accepts(&stage, &source, "later-accepted", &names(&said));
}

/// Tables beside that of the entries, and entries to which a damaged index does not lead.
#[test]
fn what_rqlite_holds_besides_is_noticed() {
    let Some(stage) = Stage::new() else { return };
    let source = stage.sqlite_fixture();
    let url = source.rqlite.as_ref().unwrap().url.clone();
    let execute = |statements: &[&str]| {
        let (status, answer) = post(&url, "/db/execute", &json!(statements));
        assert!(
            status == 200 && !answer.to_string().contains("error"),
            "{answer}"
        );
    };
    execute(&[
        "CREATE TABLE shards (id TEXT)",
        "INSERT INTO shards VALUES ('a'), ('b')",
        "CREATE TABLE none (id TEXT)",
        "ALTER TABLE keyValue ADD COLUMN version INTEGER",
        "UPDATE keyValue SET version = 1 WHERE key = 'core-info/single'",
    ]);
    let (_, said) = backup(&stage, &source, "tables", &[], 5);
    assert_eq!(
        names(&said),
        ["rqlite/keyValue.version", "rqlite/shards"],
        "{said}"
    );
    accepts(&stage, &source, "tables-accepted", &names(&said));

    let source = stage.sqlite_fixture();
    let server = source.rqlite.as_ref().unwrap().server.as_ref().unwrap();
    // The index of another table, which lacks some keys, in the place of its own.
    server.sql(
            "CREATE TABLE other (key TEXT PRIMARY KEY, value TEXT NOT NULL); \
             INSERT INTO other (rowid, key, value) SELECT rowid, key, value FROM keyValue WHERE key NOT LIKE 'user-indexed/language/%'; \
             PRAGMA writable_schema = ON; \
             UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_other_1') \
             WHERE name = 'sqlite_autoindex_keyValue_1'; \
             DELETE FROM sqlite_schema WHERE tbl_name = 'other'; PRAGMA writable_schema = RESET",
    );
    let (_, said) = backup(&stage, &source, "damaged", &[], 5);
    let losses = said["losses"].as_array().unwrap();
    assert_eq!(losses.len(), 1, "{said}");
    assert!(
        losses[0]["what"]
            .as_str()
            .unwrap()
            .contains("4 entries are not found"),
        "{said}"
    );
}

/// Data stores keep their data where nobody looks; the release is that of Pryv's folder.
#[test]
fn the_configuration_tells_of_data_stores_and_the_folder_of_the_release() {
    let Some(stage) = Stage::new() else { return };
    let source = stage.sqlite_fixture();
    let root = stage.at("pryv");
    fs::create_dir_all(root.join("config")).unwrap();
    fs::write(
        root.join("config/override-config.yml"),
        "custom:\n  dataStores:\n    - { id: sample, name: Sample, path: ./sample.js }\n",
    )
    .unwrap();
    fs::write(
        root.join("package.json"),
        r#"{"name": "open-pryv.io", "version": "2.0.0-rc.46"}"#,
    )
    .unwrap();
    let flags = ["--pryv-root", root.to_str().unwrap()];
    let (archive, said) = backup(&stage, &source, "stores", &flags, 5);
    assert_eq!(names(&said), ["dataStores/sample"], "{said}");
    let manifest = Plain::read(&stage.open(&archive)).json("manifest.json");
    assert_eq!(manifest["coreVersion"], "2.0.0-rc.46");
    let flags = [&flags[..], &["--accept-loss", "dataStores/sample"]].concat();
    backup(&stage, &source, "stores-accepted", &flags, 0);
}

/// The fixture platforms, of either engine.
fn sources(stage: &Stage) -> Vec<Platform<'_>> {
    std::iter::once(stage.sqlite_fixture())
        .chain(stage.postgres_fixture())
        .collect()
}

fn put(platform: &Platform<'_>, entries: &[(&str, &str)]) {
    match &platform.rqlite {
        Some(rqlite) => rqlite.fill(entries.iter().copied()),
        None => {
            for (key, value) in entries {
                let sql = format!("INSERT INTO platform_kv VALUES ('{key}', '{value}')");
                platform.sql(&sql);
            }
        }
    }
}

/// Refresh tokens of OAuth last for weeks: they travel, sealed. Codes of minutes do not.
#[test]
fn refresh_tokens_travel_and_codes_do_not() {
    let Some(stage) = Stage::new() else { return };
    let lasting = [
        ("access-state/oauth-refresh-used/single/d", "4"),
        ("access-state/oauth-refresh/single/c", "3"),
        ("access-state/oauth-rt-used/single/b", "2"),
        ("access-state/oauth-rt/single/a", "1"),
    ];
    for (at, source) in sources(&stage).iter().enumerate() {
        put(source, &lasting);
        put(source, &[("access-state/oauth-ac/e", "5")]);
        let archive = stage.at(&format!("tokens-{at}"));
        let made = run(source
            .command()
            .args(["--json", "--recipient-pubkey"])
            .arg(stage.fixtures.join("keys/recipient.pub.pem"))
            .arg("--output")
            .arg(&archive));
        assert_eq!(made.status.code(), Some(0), "{}", text(&made));
        let keys = Plain::read(&stage.open(&archive)).records("platform/keys");
        let keys: Vec<&str> = keys
            .iter()
            .map(|one| one["key"].as_str().unwrap())
            .collect();
        let states = keys.iter().filter(|key| key.starts_with("access-state/"));
        let mut states: Vec<&str> = states.copied().collect();
        states.sort_unstable();
        assert_eq!(states, lasting.map(|(key, _)| key));
        let target = match source.database {
            None => stage.sqlite(),
            Some(_) => stage.postgres().unwrap(),
        };
        let done = target.restore(&archive, &[]);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        let entries = target.entries();
        for (key, value) in lasting {
            assert!(
                entries.contains(&(key.to_owned(), value.to_owned())),
                "{key}"
            );
        }
        let open = stage.at(&format!("tokens-open-{at}"));
        let made = run(source.command().args(["--json", "--output"]).arg(&open));
        assert_eq!(made.status.code(), Some(0), "{}", text(&made));
        let opened = Plain::read(&open);
        assert!(
            !opened
                .0
                .values()
                .any(|bytes| String::from_utf8_lossy(bytes).contains("oauth-r"))
        );
    }
}

/// The audit trail that is kept of a user who was deleted lies beside the users, in full backups and in chains, and no reader makes
/// a user of it.
#[test]
fn the_audit_trail_of_a_deleted_user_is_kept() {
    let Some(stage) = Stage::new() else { return };
    for (at, source) in sources(&stage).iter().enumerate() {
        let bob = match source.database {
            None => {
                let index = Connection::open(source.users.join("user-index.db")).unwrap();
                let sql = "SELECT userId FROM id4name WHERE username = 'bob00'";
                index
                    .query_row(sql, [], |row| row.get::<_, String>(0))
                    .unwrap()
            }
            Some(_) => source.sql("SELECT user_id FROM users_index WHERE username = 'bob00'"),
        };
        let (before, _) = backup(&stage, source, &format!("kept-{at}-before"), &[], 0);
        let due = Plain::read(&stage.open(&before)).records(&format!("users/{bob}/audit"));
        assert!(due.len() > 50);
        // As Pryv.io deletes a user with `audit.onUserDelete: keep`.
        let folder = rich::folder(&source.users, &bob);
        fs::remove_dir_all(folder.join("attachments")).unwrap();
        let forget: Box<dyn Fn(usize)> = match source.database {
            None => {
                for name in ["account", "baseStorage", "local"] {
                    fs::remove_file(folder.join(format!("{name}-1.0.0.sqlite"))).unwrap();
                }
                fs::remove_dir_all(rich::folder(&source.users, "user.bob00")).unwrap();
                let index = Connection::open(source.users.join("user-index.db")).unwrap();
                index
                    .execute_batch(&format!("DELETE FROM id4name WHERE userId = '{bob}'; DELETE FROM alias4id WHERE userId = '{bob}'"))
                    .unwrap();
                let audit = folder.join("audit-1.0.0.sqlite");
                Box::new(move |rows| {
                    let audit = Connection::open(&audit).unwrap();
                    audit
                        .execute_batch(&format!("DELETE FROM events WHERE rowid IN (SELECT rowid FROM events LIMIT {rows})"))
                        .unwrap();
                })
            }
            Some(_) => {
                for table in [
                    "users_index",
                    "alias_index",
                    "streams",
                    "accesses",
                    "profile",
                    "webhooks",
                    "events",
                    "event_streams",
                    "passwords",
                    "store_key_values",
                    "account_fields",
                ] {
                    source.sql(&format!("DELETE FROM {table} WHERE user_id = '{bob}'"));
                }
                source.sql("DELETE FROM series_data WHERE user_id = 'user.bob00'");
                let bob = bob.clone();
                Box::new(move |rows| {
                    source.sql(&format!(
                        "DELETE FROM audit_events WHERE user_id = '{bob}' AND eventid IN \
                         (SELECT eventid FROM audit_events WHERE user_id = '{bob}' ORDER BY eventid LIMIT {rows})"
                    ));
                })
            }
        };
        let kept = format!("removed-users/{bob}/audit");
        let (archive, said) = backup(&stage, source, &format!("kept-{at}"), &["--verify"], 0);
        assert_eq!(said["platform"]["keptAudit"], due.len(), "{said}");
        let opened = stage.open(&archive);
        let all = Plain::read(&opened);
        assert_eq!(sorted(&all.records(&kept)), sorted(&due));
        assert!(
            !all.json("manifest.json")["users"]
                .to_string()
                .contains(&bob)
        );
        // The script writes the same tree.
        let out = stage.at(&format!("kept-{at}-script"));
        let script = run(std::process::Command::new("node")
            .arg(archive.join("decrypt-backup.mjs"))
            .arg(&archive)
            .args(["--gunzip", "--private-key"])
            .arg(stage.key())
            .arg("--out")
            .arg(&out));
        assert_eq!(script.status.code(), Some(0), "{}", text(&script));
        assert!(pryv_backup_tests::folder::tree(&out) == pryv_backup_tests::folder::tree(&opened));
        let target = match source.database {
            None => stage.sqlite(),
            Some(_) => stage.postgres().unwrap(),
        };
        let done = target.restore(&archive, &["--delete-on-success"]);
        assert_eq!(done.status.code(), Some(5), "{}", text(&done));
        let said = report(&done);
        assert!(
            said["platformLost"].to_string().contains("removed-users/"),
            "{said}"
        );
        assert!(archive.join("manifest.json").exists());
        assert!(
            target
                .rows()
                .values()
                .flatten()
                .all(|row| !row.contains(&bob) || row.contains("access-index/"))
        );

        // A chain brings it once, and what is gone of it is gone.
        let state = stage.at(&format!("kept-{at}-state"));
        let chain = ["--incremental", "--state-dir", state.to_str().unwrap()];
        let name = format!("kept-{at}-chain");
        let (root, _) = backup(&stage, source, &name, &chain, 0);
        let (_, said) = backup(&stage, source, &name, &chain, 0);
        assert!(said["platform"].get("keptAudit").is_none(), "{said}");
        forget(7);
        let (_, said) = backup(&stage, source, &name, &chain, 0);
        assert_eq!(said["chain"]["kind"], "incremental");
        let state = Plain::read(&stage.open(&root)).records(&kept);
        assert_eq!(state.len(), due.len() - 7);
        forget(1000);
        backup(&stage, source, &name, &chain, 0);
        assert!(Plain::read(&stage.open(&root)).records(&kept).is_empty());
    }
}

fn sorted(records: &[Value]) -> Vec<String> {
    let mut all: Vec<String> = records.iter().map(Value::to_string).collect();
    all.sort();
    all
}

/// Where a deleted stream was is in no record; it comes back all the same.
#[test]
fn deleted_streams_come_back_to_their_places() {
    let Some(stage) = Stage::new() else { return };
    for (at, source) in sources(&stage).iter().enumerate() {
        let id = alice(source);
        let sql = "INSERT INTO streams (id, deleted, data) VALUES ('was-here', 1700000000, '{\"path\":\"health/heart/was-here/\"}')";
        match &source.database {
            None => {
                let base = rich::folder(&source.users, &id).join("baseStorage-1.0.0.sqlite");
                Connection::open(base).unwrap().execute_batch(sql).unwrap();
            }
            Some(_) => {
                source.sql(&format!(
                    "INSERT INTO streams (user_id, id, path, deleted, single_activity, trashed) \
                     VALUES ('{id}', 'was-here', 'health/heart/was-here/', 1700000000, NULL, NULL)"
                ));
            }
        }
        let state = stage.at(&format!("paths-{at}-state"));
        let chain = ["--incremental", "--state-dir", state.to_str().unwrap()];
        let name = format!("paths-{at}");
        let (archive, _) = backup(&stage, source, &name, &chain, 0);
        // Something else changes: the second run does not tell of the stream.
        match &source.database {
            None => {
                let events = rich::folder(&source.users, &id).join("local-1.0.0.sqlite");
                let sql = "UPDATE events SET description = 'later' WHERE rowid = 1";
                Connection::open(events).unwrap().execute_batch(sql).unwrap();
            }
            Some(_) => drop(source.sql(&format!(
                "UPDATE events SET description = 'later' WHERE user_id = '{id}' AND id = (SELECT min(id) FROM events WHERE user_id = '{id}')"
            ))),
        }
        backup(&stage, source, &name, &chain, 0);
        let opened = Plain::read(&stage.open(&archive));
        let records = opened.records(&format!("users/{id}/streams"));
        let stream = records.iter().find(|one| one["id"] == "was-here").unwrap();
        assert!(stream.get("path").is_none(), "{stream}");
        for (sqlite, target) in [(true, Some(stage.sqlite())), (false, stage.postgres())] {
            let Some(target) = target else { continue };
            let done = target.restore(&archive, &["--user", "alice"]);
            assert!(matches!(done.status.code(), Some(0 | 5)), "{}", text(&done));
            let path = if sqlite {
                let base = rich::folder(&target.users, &id).join("baseStorage-1.0.0.sqlite");
                let sql = "SELECT data->>'path' FROM streams WHERE id = 'was-here'";
                Connection::open(base)
                    .unwrap()
                    .query_row(sql, [], |row| row.get::<_, String>(0))
                    .unwrap()
            } else {
                target.sql("SELECT path FROM streams WHERE id = 'was-here'")
            };
            assert_eq!(path, "health/heart/was-here/");
        }
    }
}

/// Times that Pryv's own tool makes fractions of nanoseconds of: the report says so once.
#[test]
fn times_that_hurt_pryvs_own_restore_are_noted() {
    let Some(stage) = Stage::new() else { return };
    for (at, source) in sources(&stage).iter().enumerate() {
        let (_, said) = backup(&stage, source, &format!("whole-{at}"), &[], 0);
        assert!(said.get("notes").is_none(), "{said}");
        let row = "'event.x', 4393911305278, 4393911305278, '{\"value\": 1}'";
        match &source.database {
            None => {
                let series = rich::folder(&source.users, "user.alice").join("series-1.0.0.sqlite");
                let sql = format!("INSERT INTO series_data VALUES ({row})");
                Connection::open(series)
                    .unwrap()
                    .execute_batch(&sql)
                    .unwrap();
            }
            Some(_) => drop(source.sql(&format!(
                "INSERT INTO series_data VALUES ('user.alice', {row})"
            ))),
        }
        let (_, said) = backup(&stage, source, &format!("parts-{at}"), &[], 0);
        let notes = said["notes"].as_array().unwrap();
        assert_eq!(notes.len(), 1, "{said}");
        assert!(
            notes[0].as_str().unwrap().contains("bin/backup.js"),
            "{said}"
        );
    }
}
