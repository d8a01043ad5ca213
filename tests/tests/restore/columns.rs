//! Tables whose columns are not, or not only, those of Pryv.io: what they can hold comes in, and what they cannot is told.

use pryv_backup_tests::{
    command::report,
    stage::{Platform, Stage},
};
use serde_json::Value;

/// A column of a table as text, all users, in one order.
fn values(platform: &Platform<'_>, table: &str, column: &str) -> String {
    platform.sql(&format!(
        "SELECT md5(string_agg(coalesce(user_id || id || {column}::text, 'NULL'), ',' ORDER BY user_id, id)) FROM {table}"
    ))
}

const TYPES: &str = "CREATE TYPE mood AS ENUM ('sad', 'so \"so\"'); CREATE DOMAIN label AS text; CREATE DOMAIN document AS jsonb; \
    ALTER TABLE events ADD a uuid, ADD b mood, ADD c char(8), ADD d text[], ADD e inet, ADD f numeric, ADD g timestamptz, ADD h bytea, \
    ADD i json, ADD j int[], ADD k label, ADD l document, ADD m varchar(20), ADD n name, ADD o boolean[], ADD p jsonb[], ADD q smallint, \
    ADD r interval, ADD s int4range";

#[test]
fn texts_go_in_as_they_are_whatever_the_type_of_the_column() {
    let Some(stage) = Stage::new() else { return };
    let Some(source) = stage.postgres_fixture() else {
        return;
    };
    source.sql(TYPES);
    source.sql(
        "UPDATE events SET a = md5(id)::uuid, b = 'so \"so\"', c = 'ab', d = ARRAY['a\"b\\c', NULL, '', 'NULL', '{,}', 'é'], e = '10.0.0.1/8', \
         f = 12345678901234567890.0123456789, g = '2026-11-26 12:00:00.123456+00', h = '\\x00ff5c'::bytea, i = '{\"a\" : \"x\"}', \
         j = '{{1,2},{3,NULL}}', k = 'la\\bel', l = '\"a text\"', m = 'x\ty', n = 'a name', o = '{t,f}', p = ARRAY['{\"a\":\"b\\\"\"}'::jsonb, '\"x\"'], \
         q = -3, r = '1 day 2 hours', s = '[1,5)' WHERE head_id IS NULL",
    );
    let archive = source.backup("archive");
    let target = stage.postgres().unwrap();
    target.sql(TYPES);
    target.sql(
        "ALTER TABLE events ALTER type TYPE varchar(255), ALTER integrity TYPE name; ALTER TABLE accesses ALTER token TYPE varchar(255), \
         ALTER name TYPE label; ALTER TABLE streams ALTER name TYPE bytea USING NULL; ALTER TABLE webhooks ALTER url TYPE varchar",
    );
    let done = target.restore(&archive, &["--verify-integrity"]);
    let said = report(&done);
    assert_eq!(done.status.code(), Some(0), "{said}");
    for column in "abcdefghijklmnopqrs".chars() {
        let column = column.to_string();
        let cast = if column == "i" { "i::jsonb" } else { &column };
        assert_eq!(
            values(&source, "events", cast),
            values(&target, "events", cast),
            "{column}"
        );
    }
    for (table, column) in [
        ("events", "type"),
        ("events", "integrity"),
        ("accesses", "token"),
        ("accesses", "name"),
        ("webhooks", "url"),
    ] {
        let due = values(&source, table, column);
        assert_eq!(due, values(&target, table, column), "{table}.{column}");
    }
    assert_eq!(
        values(&source, "streams", "name"),
        values(&target, "streams", "convert_from(name, 'UTF8')")
    );
    // Of bytes the server tells the hexadecimal form; the rest comes back as it was.
    target.sql("ALTER TABLE streams ALTER name TYPE text USING convert_from(name, 'UTF8')");
    let found = stage.diff(&archive, &target.backup("again"));
    assert_eq!(found["same"], true, "{found}");
}

#[test]
fn what_a_type_cannot_take_is_told_with_table_column_and_type() {
    let Some(stage) = Stage::new() else { return };
    let Some(source) = stage.postgres_fixture() else {
        return;
    };
    let archive = source.backup("archive");
    let secret = source.sql("SELECT token FROM accesses WHERE type = 'personal' LIMIT 1");
    for (change, says) in [
        (
            "ALTER TABLE accesses ALTER token TYPE uuid USING NULL",
            "column token of table accesses, of type uuid",
        ),
        (
            "ALTER TABLE events ALTER type TYPE varchar(3)",
            "column type of table events, of type character varying(3)",
        ),
        (
            "ALTER TABLE events ALTER content TYPE inet USING NULL",
            "column content of table events, of type inet",
        ),
        (
            "ALTER TABLE streams ADD CONSTRAINT short CHECK (length(name) < 2)",
            "constraint short of table streams",
        ),
    ] {
        let target = stage.postgres().unwrap();
        target.sql(change);
        let before = target.rows();
        let done = target.restore(&archive, &[]);
        let said = report(&done);
        assert_eq!(done.status.code(), Some(5), "{said}");
        for user in said["users"].as_array().unwrap() {
            assert_eq!(user["outcome"], "failed", "{said}");
            let reason = user["reason"].as_str().unwrap();
            assert!(reason.contains(says), "{reason}");
            assert!(!reason.contains("twice"), "{reason}");
        }
        assert!(!said.to_string().contains(&secret));
        assert!(target.rows() == before);
    }
}

#[test]
fn columns_that_the_backup_does_not_know_get_their_defaults() {
    let Some(stage) = Stage::new() else { return };
    let Some(source) = stage.postgres_fixture() else {
        return;
    };
    let archive = source.backup("archive");
    let kinds = [
        ("boolean DEFAULT true", "fresh"),
        ("timestamptz DEFAULT now()", "fresh IS NOT NULL"),
        ("text NOT NULL DEFAULT 'x'", "fresh = 'x'"),
        ("bigint GENERATED ALWAYS AS IDENTITY", "fresh > 0"),
        ("bigint GENERATED BY DEFAULT AS IDENTITY", "fresh > 0"),
        ("bigserial", "fresh > 0"),
        (
            "text GENERATED ALWAYS AS (split_part(type, '/', 1)) STORED",
            "fresh IS NOT DISTINCT FROM split_part(type, '/', 1)",
        ),
        ("text", "fresh IS NULL"),
    ];
    for (n, (column, holds)) in kinds.into_iter().enumerate() {
        let target = stage.postgres().unwrap();
        target.sql(&format!("ALTER TABLE events ADD fresh {column}"));
        let done = target.restore(&archive, &[]);
        let said = report(&done);
        assert_eq!(done.status.code(), Some(0), "{column}: {said}");
        let all = source.count("SELECT count(*) FROM events");
        let right = target.count(&format!("SELECT count(*) FROM events WHERE {holds}"));
        assert_eq!(right, all, "{column}");
        // The present values come back with a backup, except those that the server numbers by itself.
        let second = target.backup(&format!("second-{n}"));
        let again = stage.copy(&target);
        let done = again.restore(&second, &["--overwrite"]);
        let said = report(&done);
        match column.contains("IDENTITY") {
            true => {
                assert_eq!(done.status.code(), Some(5), "{said}");
                let losses = said["users"][0]["losses"].to_string();
                assert!(losses.contains("key \\\"fresh\\\""), "{said}");
            }
            false => assert_eq!(done.status.code(), Some(0), "{column}: {said}"),
        }
        if !column.contains("IDENTITY") {
            let due = values(&target, "events", "fresh");
            assert_eq!(due, values(&again, "events", "fresh"), "{column}");
        }
        target.remove();
        again.remove();
    }
}

/// Before anything is written, and only where it matters.
#[test]
fn a_column_that_must_have_a_value_is_an_obstacle() {
    let Some(stage) = Stage::new() else { return };
    let Some(source) = stage.postgres_fixture() else {
        return;
    };
    let archive = source.backup("archive");
    for table in [
        "events",
        "streams",
        "passwords",
        "users_index",
        "platform_kv",
        "event_streams",
    ] {
        let target = stage.postgres().unwrap();
        target.sql(&format!(
            "TRUNCATE {table}; ALTER TABLE {table} ADD fresh text NOT NULL"
        ));
        let before = target.rows();
        for flags in [&[][..], &["--dry-run"]] {
            let done = target.restore(&archive, flags);
            assert_eq!(done.status.code(), Some(1), "{}", report(&done));
            let said = String::from_utf8(done.stderr).unwrap();
            let says =
                format!("the column fresh of table {table}, of type text, must have a value");
            assert!(
                said.contains("nothing was restored") && said.contains(&says),
                "{said}"
            );
        }
        assert!(target.rows() == before);
        target.remove();
    }
    // Nothing is to come there; and where the backup has it, it is no obstacle.
    let target = stage.postgres().unwrap();
    source.sql("ALTER TABLE events ADD fresh text; UPDATE events SET fresh = id");
    let with = source.backup("with");
    target.sql("ALTER TABLE events ADD fresh text NOT NULL");
    let done = target.restore(&with, &[]);
    assert_eq!(done.status.code(), Some(0), "{}", report(&done));
}

/// Columns that Pryv.io leaves at their default and that no record has.
#[test]
fn what_goes_without_saying_has_its_default() {
    let Some(stage) = Stage::new() else { return };
    let Some(source) = stage.postgres_fixture() else {
        return;
    };
    let target = stage.postgres().unwrap();
    let done = target.restore(&source.backup("archive"), &[]);
    assert_eq!(done.status.code(), Some(0), "{}", report(&done));
    for column in ["single_activity", "trashed"] {
        let due = values(&source, "streams", column);
        assert_eq!(due, values(&target, "streams", column), "{column}");
    }
    let gone = "SELECT count(*) FROM streams WHERE deleted IS NOT NULL AND single_activity = false AND trashed IS NULL";
    assert!(target.count(gone) > 0);
    // An audit record that says nothing of it, in either engine.
    let draft = super::draft::Draft::new(&stage, "draft");
    let line = r#"{"eventid":"odd","streamIds":"..","time":1,"type":"audit-log/pryv-api","created":1,"createdBy":"x","modified":1,"modifiedBy":"x"}"#;
    draft.append(0, "audit/audit-0001.jsonl", line);
    let user = draft.id(0);
    let target = stage.postgres().unwrap();
    for engine in ["postgresql", "sqlite"] {
        let target = stage.copy(&target).with("storages__audit__engine", engine);
        let done = target.restore(&draft.root, &[]);
        assert!(
            matches!(done.status.code(), Some(0 | 5)),
            "{}",
            report(&done)
        );
        if engine == "postgresql" {
            let sql = "SELECT count(*) FROM audit_events WHERE eventid = 'odd' AND trashed = false";
            assert_eq!(target.count(sql), 1);
        } else {
            let last: Vec<String> = user.chars().rev().take(3).map(String::from).collect();
            let folder = target.users.join(last.join("/")).join(&user);
            let file = rusqlite::Connection::open(folder.join("audit-1.0.0.sqlite")).unwrap();
            let sql = "SELECT trashed FROM events WHERE eventid = 'odd'";
            let trashed: Option<i64> = file.query_row(sql, [], |row| row.get(0)).unwrap();
            assert_eq!(trashed, Some(0));
        }
    }
}

/// Aliases that a trigger or a rule keeps out are no aliases: they are named, and the backup stays.
#[test]
fn aliases_that_are_kept_out_are_lost() {
    let Some(stage) = Stage::new() else { return };
    let Some(source) = stage.postgres_fixture() else {
        return;
    };
    let archive = source.backup("archive");
    assert!(source.count("SELECT count(*) FROM alias_index") > 0);
    let flags = ["--delete-on-success"];
    for keeper in [
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; \
         CREATE TRIGGER keeper BEFORE INSERT ON alias_index FOR EACH ROW EXECUTE FUNCTION f()",
        "CREATE RULE keeper AS ON INSERT TO alias_index DO INSTEAD NOTHING",
    ] {
        let target = stage.postgres().unwrap();
        target.sql(keeper);
        let done = target.restore(&archive, &flags);
        let said = report(&done);
        assert_eq!(done.status.code(), Some(5), "{said}");
        assert!(
            said.to_string().contains("the database did not keep it"),
            "{said}"
        );
        assert!(archive.join("manifest.json").exists(), "{said}");
    }
    let target = stage.sqlite();
    let done = target.restore(&archive, &["--user", "bob00"]);
    assert!(
        matches!(done.status.code(), Some(0 | 5)),
        "{}",
        report(&done)
    );
    let file = rusqlite::Connection::open(target.users.join("user-index.db")).unwrap();
    file.execute_batch(
        "DELETE FROM alias4id; CREATE TRIGGER keeper BEFORE INSERT ON alias4id BEGIN SELECT RAISE(IGNORE); END",
    )
    .unwrap();
    let done = target.restore(&archive, &["--overwrite", "--delete-on-success"]);
    let said = report(&done);
    assert_eq!(done.status.code(), Some(5), "{said}");
    assert!(
        said.to_string().contains("the database did not keep it"),
        "{said}"
    );
    assert!(archive.join("manifest.json").exists(), "{said}");
}

/// Rows that the server does not take are not there: a user who misses some fails, and the others stand.
#[test]
fn rows_that_a_trigger_keeps_out_fail_their_user() {
    let Some(stage) = Stage::new() else { return };
    let Some(source) = stage.postgres_fixture() else {
        return;
    };
    let archive = source.backup("archive");
    let alice = source.sql("SELECT user_id FROM users_index WHERE username = 'alice'");
    for (table, rest) in [
        ("events", "new.type LIKE 'note%' AND "),
        ("account_fields", ""),
    ] {
        let target = stage.postgres().unwrap();
        target.sql(&format!(
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {rest} new.user_id = '{alice}' THEN RETURN NULL; END IF; \
             RETURN new; END $$; CREATE TRIGGER keeper BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION f()"
        ));
        let dry = target.restore(&archive, &["--dry-run"]);
        let named = format!("trigger keeper of table {table}");
        assert!(
            report(&dry)["warnings"].to_string().contains(&named),
            "{}",
            report(&dry)
        );
        let done = target.restore(&archive, &[]);
        let said = report(&done);
        assert_eq!(done.status.code(), Some(5), "{said}");
        for user in said["users"].as_array().unwrap() {
            let is_alice = user["userId"] == alice.as_str();
            assert_eq!(
                user["outcome"],
                if is_alice { "failed" } else { "restored" },
                "{said}"
            );
            let reason = user["reason"].as_str().unwrap_or_default();
            assert_eq!(
                reason.contains(&format!("the table {table} took ")),
                is_alice,
                "{reason}"
            );
        }
        let left = format!("SELECT count(*) FROM events WHERE user_id = '{alice}'");
        assert_eq!(target.count(&left), 0);
        target.remove();
    }
}

#[test]
fn entries_of_the_platform_that_a_rule_keeps_out_are_told() {
    let Some(stage) = Stage::new() else { return };
    let Some(source) = stage.postgres_fixture() else {
        return;
    };
    let archive = source.backup("archive");
    for table in ["platform_kv", "sessions"] {
        let target = stage.postgres().unwrap();
        target.sql(&format!(
            "CREATE RULE keeper AS ON INSERT TO {table} WHERE new.{} LIKE '%a%' DO INSTEAD NOTHING",
            if table == "sessions" { "id" } else { "key" }
        ));
        let done = target.restore(&archive, &[]);
        let said = report(&done);
        assert_eq!(done.status.code(), Some(5), "{said}");
        let failed = said["platformFailed"].as_str().unwrap();
        assert!(
            failed.contains("a trigger or rule keeps the others out"),
            "{failed}"
        );
        let named = format!("rule keeper of table {table}");
        assert!(said["warnings"].to_string().contains(&named), "{said}");
        let outcomes = said["users"].as_array().unwrap().iter();
        assert!(
            outcomes
                .map(|user| &user["outcome"])
                .all(|o: &Value| o == "restored")
        );
        target.remove();
    }
}
