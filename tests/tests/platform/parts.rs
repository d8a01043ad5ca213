//! Parts of a platform that are missing or that nobody knows, in a backup that has no run before it, or that is of one user.

use std::path::Path;

use crate::{file, losses};
use pryv_backup_tests::{
    command::run,
    stage::{Platform, Stage},
};
use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

/// The losses of a backup, in words.
fn lost(stage: &Stage, source: &Platform<'_>, flags: &[&str]) -> String {
    let made = TempDir::new_in(stage.at("")).unwrap();
    let mut command = source.command();
    command.arg("--json").args(flags).arg("--output");
    let done = run(command.arg(made.path().join("archive")));
    Value::from(losses(&done)).to_string()
}

fn sql(file: &Path, statements: &str) {
    let file = Connection::open(file).unwrap();
    file.execute_batch(statements).unwrap();
}

#[test]
fn what_is_unknown_is_named_whatever_is_asked_for() {
    let Some(stage) = Stage::new() else { return };
    let source = stage.sqlite_fixture();
    sql(
        &source.users.join("user-index.db"),
        "CREATE TABLE zz (x); INSERT INTO zz VALUES (1); ALTER TABLE id4name ADD COLUMN tier TEXT DEFAULT 'gold'",
    );
    for flags in [
        &["--platform", "none"][..],
        &["--platform", "pryv"],
        &["--user", "alice"],
    ] {
        let lost = self::lost(&stage, &source, flags);
        assert!(
            lost.contains("user-index.db/zz") && lost.contains("id4name.tier"),
            "{lost}"
        );
    }
    let Some(source) = stage.postgres_fixture() else {
        return;
    };
    source.sql(
        "ALTER TABLE users_index ADD COLUMN tier text DEFAULT 'gold'; ALTER TABLE series_data ADD COLUMN q int DEFAULT 1; \
         CREATE TABLE series_by_id (user_id text, n int); INSERT INTO series_by_id VALUES ('x', 1)",
    );
    let lost = self::lost(&stage, &source, &["--user", "alice"]);
    for name in ["users_index.tier", "series_data.q", "series_by_id"] {
        assert!(lost.contains(name), "{name}: {lost}");
    }
}

#[test]
fn tables_that_must_be_there_are_missed_by_a_first_run_too() {
    let Some(stage) = Stage::new() else { return };
    let source = stage.sqlite_fixture();
    sql(
        &file(&source, "baseStorage-1.0.0.sqlite"),
        "DROP TABLE streams; DROP TABLE accesses",
    );
    let lost = self::lost(&stage, &source, &[]);
    for name in ["streams", "accesses"] {
        assert!(
            lost.contains(&format!(
                "there is no table {name}, although the user has events"
            )),
            "{lost}"
        );
    }
    let Some(source) = stage.postgres_fixture() else {
        return;
    };
    source.sql("DROP TABLE alias_index");
    let gone = self::lost(&stage, &source, &[]);
    assert!(gone.contains("there is no table alias_index"), "{gone}");
}
