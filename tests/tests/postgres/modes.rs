//! Databases that hide rows, take no writes, or hold texts in no encoding.

use crate::{Case, SMALL};
use pryv_backup_tests::command::{run, text, tool};
use pryv_backup_tests::plain::Plain;
use pryv_backup_tests::postgres::Setup;
use std::fs;
use std::process::Command;

/// Restores what `archive` holds into a database, and what was said.
fn restore(case: &Case, settings: &[(&str, &str)], flags: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(tool());
    command
        .current_dir(case.folder.path())
        .env(
            "storages__engines__postgresql__port",
            case.server.port.to_string(),
        )
        .env("storages__engines__postgresql__database", &case.database)
        .env("storages__engines__postgresql__user", "postgres")
        .env("storages__engines__sqlite__path", "restored")
        .env("storages__platform__engine", "postgresql")
        .envs(settings.iter().copied())
        .args(["--restore", "archive", "--create-users-dir", "--quiet"])
        .args(flags);
    let done = run(&mut command);
    (done.status.code(), text(&done))
}

#[test]
fn hidden_rows_are_not_passed_over() {
    let Some(case) = Case::new(&Setup::default(), &SMALL) else {
        return;
    };
    let made = case.backup("archive", &[]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    case.server.sql(
        &case.database,
        "CREATE ROLE \"Some body\" LOGIN; GRANT pg_read_all_data, pg_write_all_data TO \"Some body\"; \
         ALTER TABLE events ENABLE ROW LEVEL SECURITY; ALTER TABLE alias_index ENABLE ROW LEVEL SECURITY; \
         CREATE POLICY few ON events USING (time < 0); \
         CREATE TABLE extra AS SELECT 1 AS a; ALTER TABLE extra ENABLE ROW LEVEL SECURITY",
    );
    let user = ("storages__engines__postgresql__user", "Some body");
    let (code, restored) = restore(&case, &[user], &[]);
    assert_eq!(code, Some(1), "{restored}");
    for said in [case.failure(&[user]), restored] {
        assert!(said.contains("alias_index, events"), "{said}");
        assert!(
            said.contains("ALTER ROLE \"Some body\" BYPASSRLS"),
            "{said}"
        );
    }
    // Of a table that nobody knows it is only told.
    case.server.sql(
        &case.database,
        "ALTER TABLE events DISABLE ROW LEVEL SECURITY; ALTER TABLE alias_index DISABLE ROW LEVEL SECURITY",
    );
    let made = case.backup("with extra", &[user]);
    let said = text(&made);
    assert_eq!(made.status.code(), Some(5), "{said}");
    assert!(
        said.contains("extra") && said.contains("may not read"),
        "{said}"
    );
    case.server.sql(&case.database, "ALTER ROLE \"Some body\" BYPASSRLS; DROP TABLE extra; ALTER TABLE events ENABLE ROW LEVEL SECURITY");
    let made = case.backup("all", &[user]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    let counted = |name: &str| {
        Plain::read(&case.folder.path().join(name)).json("manifest.json")["users"][0]["stats"]
            .clone()
    };
    assert_eq!(counted("all"), counted("archive"));
}

#[test]
fn a_server_that_takes_no_writes_is_backed_up_and_never_restored_into() {
    let Some(case) = Case::new(&Setup::default(), &SMALL) else {
        return;
    };
    let standby = case.server.standby();
    let port = standby.port.to_string();
    let port = ("storages__engines__postgresql__port", port.as_str());
    case.server.sql(
        &case.database,
        &format!(
            "ALTER DATABASE {} SET default_transaction_read_only = on",
            case.database
        ),
    );
    for (settings, says) in [
        (&[port][..], "into the one that it follows"),
        (&[][..], "default_transaction_read_only is on"),
    ] {
        let _ = fs::remove_dir_all(case.folder.path().join("archive"));
        let made = case.backup("archive", settings);
        assert_eq!(made.status.code(), Some(0), "{says}: {}", text(&made));
        for flags in [&[][..], &["--dry-run"], &["--overwrite"]] {
            let (code, said) = restore(&case, settings, flags);
            assert_eq!(code, Some(1), "{said}");
            assert!(
                said.contains("nothing was restored") && said.contains(says),
                "{said}"
            );
            let lines = said.lines().filter(|line| !line.contains("not encrypted"));
            assert_eq!(lines.count(), 1, "{said}");
            assert!(!case.folder.path().join("restored").exists());
        }
    }
}

/// A database of SQL_ASCII takes any bytes for text, and gives them back.
#[test]
fn text_in_no_encoding_costs_its_record() {
    let Some(case) = Case::new(&Setup::default(), &SMALL) else {
        return;
    };
    let dump = case
        .server
        .client("pg_dump")
        .arg(&case.database)
        .output()
        .unwrap();
    assert!(dump.status.success());
    case.server.sql(
        "postgres",
        "CREATE DATABASE bytes TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'",
    );
    case.server.feed("bytes", &dump.stdout);
    case.server.sql(
        "bytes",
        "INSERT INTO events (user_id, id, stream_ids, time, description) SELECT user_id, 'good', '[\"diary\"]', 1, E'caf\\xc3\\xa9' FROM users_index; \
         INSERT INTO events (user_id, id, stream_ids, time, description) SELECT user_id, 'bad', '[\"diary\"]', 1, E'caf\\xe9' FROM users_index; \
         INSERT INTO events (user_id, id, stream_ids, time, content) SELECT user_id, 'bad json', '[\"diary\"]', 1, E'{\"a\": \"caf\\xe9\"}' FROM users_index; \
         INSERT INTO account_fields SELECT user_id, 'bad', E'\"\\xff\"', 1, 'x' FROM users_index; \
         INSERT INTO series_data SELECT 'user.' || username, 'event.bad', 1, 1, E'{\"a\": \"\\xe9\"}' FROM users_index; \
         INSERT INTO platform_kv VALUES (E'user-core/caf\\xe9', 'x'), ('user-core/bad', E'\\xe9'); \
         INSERT INTO alias_index SELECT E'\\xe9', min(user_id) FROM users_index",
    );
    let made = case.backup(
        "archive",
        &[("storages__engines__postgresql__database", "bytes")],
    );
    let said = text(&made);
    assert_eq!(made.status.code(), Some(5), "{said}");
    for what in [
        "record \"bad\"",
        "record \"bad json\"",
        "account_fields (\"bad\")",
        "event.bad",
        "platform_kv",
        "user-core/bad",
        "alias_index",
    ] {
        let named = |line: &&str| line.contains(what) && line.contains("not UTF-8");
        assert!(said.lines().any(|line| named(&line)), "{what}: {said}");
    }
    let archive = Plain::read(&case.folder.path().join("archive"));
    let users = archive.json("manifest.json")["users"].clone();
    assert_eq!(users.as_array().unwrap().len(), 3);
    for user in users.as_array().unwrap() {
        let events = archive.records(&format!(
            "users/{}/events",
            user["userId"].as_str().unwrap()
        ));
        assert_eq!(events.len(), 21);
        assert!(events.iter().any(|event| event["description"] == "café"));
    }
}
