//! Into platforms of the PostgreSQL engine: one transaction for each user.

use pryv_backup_tests::{
    command::{report, text},
    folder,
    stage::{Rows, Stage, TABLES},
};
use serde_json::Value;
use std::{fs, process::Command};

#[test]
fn a_platform_comes_back_row_by_row() {
    let Some(stage) = Stage::new() else { return };
    let Some(source) = stage.postgres_fixture() else {
        return;
    };
    let first = source.backup("first");
    let Some(target) = stage.postgres() else {
        return;
    };
    let done = target.restore(&first, &["--verify-integrity"]);
    let said = report(&done);
    assert_eq!(done.status.code(), Some(0), "{said}");
    assert_eq!(said["users"].as_array().unwrap().len(), 4);

    let (before, after) = (source.rows(), target.rows());
    for table in TABLES.into_iter().chain(["attachments"]) {
        let lacking: Vec<_> = before[table].difference(&after[table]).collect();
        let added: Vec<_> = after[table].difference(&before[table]).collect();
        // Of a deleted stream no record tells where it was.
        let explained = |row: &&&String| table == "streams" && !row.contains("\"deleted\": null");
        assert!(
            lacking.iter().all(|row| explained(&row)) && lacking.len() == added.len(),
            "{table}: {lacking:#?} {added:#?}"
        );
    }
    let second = target.backup("second");
    let found = stage.diff(&first, &second);
    assert_eq!(found["same"], true, "{found}");

    // Again: nothing without being told to, and the same with it.
    let again = target.restore(&first, &[]);
    assert_eq!(again.status.code(), Some(5), "{}", text(&again));
    assert!(target.rows() == after);
    let again = target.restore(&first, &["--overwrite"]);
    assert_eq!(again.status.code(), Some(0), "{}", text(&again));
    assert!(target.rows() == after);
    assert!(target.is_left_clean());
}

/// The stock platform keeps the audit trail in SQLite files; here attachments and series are elsewhere too.
#[test]
fn stores_may_be_mixed() {
    let Some(stage) = Stage::new() else { return };
    let Some(source) = stage.postgres_fixture() else {
        return;
    };
    let first = source.backup("first");
    let Some(target) = stage.postgres() else {
        return;
    };
    let target = target
        .with("storages__audit__engine", "sqlite")
        .with("storages__file__engine", "postgresql")
        .with("storages__series__engine", "sqlite");
    let done = target.restore(&first, &["--verify-integrity"]);
    assert_eq!(done.status.code(), Some(0), "{}", report(&done));
    assert!(target.count("SELECT count(*) FROM attachment_files") > 10);
    assert_eq!(target.count("SELECT count(*) FROM audit_events"), 0);
    assert_eq!(target.count("SELECT count(*) FROM series_data"), 0);
    let files: Vec<String> = folder::tree(&target.users).into_keys().collect();
    let count = |ending: &str| files.iter().filter(|f| f.ends_with(ending)).count();
    assert_eq!(count("/audit-1.0.0.sqlite"), 4);
    assert_eq!(count("/series-1.0.0.sqlite"), 4);
    assert!(!files.iter().any(|f| f.contains("/attachments/")));
    let found = stage.diff(&first, &target.backup("second"));
    // The audit trail of the two engines has other names for the same columns.
    for (user, collections) in found["users"].as_object().unwrap() {
        let names: Vec<&String> = collections.as_object().unwrap().keys().collect();
        assert_eq!(names, ["audit"], "{user}: {collections}");
        assert_eq!(collections["audit"]["added"], 0);
        assert_eq!(collections["audit"]["removed"], 0);
    }
}

/// Archives of Pryv's own tool, and of a platform of the other engine.
#[test]
fn archives_from_elsewhere_come_back_too() {
    let Some(stage) = Stage::new() else { return };
    for archive in ["plain-pg", "plain-sqlite"] {
        let Some(target) = stage.postgres() else {
            return;
        };
        let archive = stage.fixtures.join("archives").join(archive);
        let done = target.restore(&archive, &[]);
        let said = report(&done);
        assert!(matches!(done.status.code(), Some(0 | 5)), "{said}");
        for user in said["users"].as_array().unwrap() {
            assert_eq!(user["outcome"], "restored", "{user}");
        }
        let count = |sql: &str| target.count(sql);
        assert_eq!(count("SELECT count(*) FROM passwords"), 12);
        assert!(count("SELECT count(*) FROM audit_events") > 2000);
        assert_eq!(
            count(
                "SELECT count(*) FROM audit_events WHERE stream_ids IS NULL OR created_by IS NULL OR end_time IS NULL"
            ),
            0
        );
        assert!(
            count("SELECT count(*) FROM audit_events WHERE jsonb_typeof(content) = 'object'")
                > 2000
        );
        assert_eq!(
            count("SELECT count(*) FROM store_key_values WHERE key = 'k2' AND value = '\"str\"'"),
            4
        );
        assert_eq!(
            count(
                "SELECT count(*) FROM store_key_values WHERE key = 'k1' AND jsonb_typeof(value) = 'object'"
            ),
            4
        );
        // Every live event is found by its streams, and no version is.
        assert_eq!(
            count(
                "SELECT count(*) FROM events e CROSS JOIN LATERAL jsonb_array_elements_text(e.stream_ids) s(id) \
                 LEFT JOIN event_streams x ON x.user_id = e.user_id AND x.event_id = e.id AND x.stream_id = s.id \
                 WHERE e.head_id IS NULL AND e.deleted IS NULL AND x.event_id IS NULL"
            ),
            0
        );
        assert_eq!(
            count(
                "SELECT count(*) FROM event_streams x JOIN events e ON e.user_id = x.user_id AND e.id = x.event_id WHERE e.head_id IS NOT NULL"
            ),
            0
        );
        assert_eq!(
            count(
                "SELECT count(*) FROM streams c JOIN streams p ON p.user_id = c.user_id AND p.id = c.parent_id WHERE c.path <> p.path || c.id || '/'"
            ),
            0
        );
    }
}

/// An error in one user fails that user alone.
#[test]
fn a_user_that_fails_is_as_before_and_the_others_stand() {
    let Some(stage) = Stage::new() else { return };
    // A plain archive, so that it can be tampered with as whoever has no inventory can.
    folder::copy(
        &stage.fixtures.join("archives/plain-pg"),
        &stage.at("archive"),
    );
    let manifest = fs::read(stage.at("archive/manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let victim = manifest["users"][1]["userId"].as_str().unwrap();
    let events = stage
        .at("archive")
        .join(format!("users/{victim}/events/events-0001.jsonl.gz"));
    let plain = pryv_backup_tests::plain::lines("x.jsonl.gz", &fs::read(&events).unwrap());
    let rewrite = |lines: &[Value]| {
        let text: String = lines.iter().map(|l| format!("{l}\n")).collect();
        let file = events.with_extension("");
        fs::write(&file, text).unwrap();
        let done = Command::new("gzip")
            .args(["--force", "--no-name"])
            .arg(&file)
            .status();
        assert!(done.unwrap().success());
    };
    // The platform held something else of this user before.
    let Some(target) = stage.postgres() else {
        return;
    };
    let archive = stage.at("archive");
    let first = target.restore(&archive, &["--user", victim]);
    assert!(
        matches!(first.status.code(), Some(0 | 5)),
        "{}",
        text(&first)
    );
    target.sql("UPDATE events SET description = 'old'");
    let before = target.rows();

    let mut tampered = plain.clone();
    let hashed = tampered
        .iter_mut()
        .find(|e| e["integrity"].is_string() && e["headId"].is_null());
    hashed.unwrap()["content"] = "tampered".into();
    let doubled = [plain.clone(), vec![plain[0].clone()]].concat();
    let mut sql = plain.clone();
    sql[0]["\"; DROP TABLE events; --"] = 1.into();
    for (lines, flags, says) in [
        (
            &tampered,
            &["--verify-integrity"][..],
            "does not match its hash",
        ),
        (&doubled, &[], "there twice"),
    ] {
        rewrite(lines);
        let flags = [&["--overwrite", "--skip-platform"], flags].concat();
        let done = target.restore(&archive, &flags);
        let said = report(&done);
        assert_eq!(done.status.code(), Some(5), "{said}");
        for user in said["users"].as_array().unwrap() {
            if user["userId"] == victim {
                assert_eq!(user["outcome"], "failed", "{said}");
                assert!(user["reason"].as_str().unwrap().contains(says), "{said}");
            } else {
                assert_ne!(user["outcome"], "skipped", "{user}");
            }
        }
        let after = target.rows();
        for table in [
            "events",
            "streams",
            "accesses",
            "event_streams",
            "passwords",
        ] {
            let of = |rows: &Rows| -> Vec<String> {
                let rows = rows[table].iter();
                rows.filter(|row| row.contains(victim)).cloned().collect()
            };
            assert!(of(&before) == of(&after), "{table}");
        }
    }
    rewrite(&sql);
    let done = target.restore(&archive, &["--overwrite", "--skip-platform"]);
    let said = report(&done).to_string();
    assert_eq!(done.status.code(), Some(5), "{said}");
    assert!(
        said.contains("DROP TABLE") && said.contains("has no place"),
        "{said}"
    );
}

/// A role that may only read says so, and what it lacks.
#[test]
fn a_role_that_may_not_write() {
    let Some(stage) = Stage::new() else { return };
    let Some(source) = stage.postgres_fixture() else {
        return;
    };
    let archive = source.backup("archive");
    let target = stage.postgres().unwrap();
    target.sql("CREATE ROLE reader LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader");
    let before = target.rows();
    let target = target.with("storages__engines__postgresql__user", "reader");
    let done = target.restore(&archive, &[]);
    let said = report(&done);
    assert_eq!(done.status.code(), Some(5), "{said}");
    for user in said["users"].as_array().unwrap() {
        let reason = user["reason"].as_str().unwrap();
        assert!(reason.contains("to write them for a restore"), "{reason}");
    }
    assert!(target.rows() == before && target.is_left_clean());
    // Every role may ask for the value that tells servers apart.
    let asked = "SELECT has_function_privilege('reader', 'pg_control_system()', 'EXECUTE')";
    assert_eq!(target.sql(asked), "t");
}
