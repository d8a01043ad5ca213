//! A run that is killed at any moment: the next one finds every user old or new, never mixed, and a rerun finishes.

use super::moments::{MOMENTS, Pace, Watch};
use pryv_backup_tests::{
    command::text,
    folder, rich, rounds,
    rqlite::post,
    stage::{BESIDE, Platform, Rows, Stage, of_user},
};
use rusqlite::Connection;
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// How many kills for each engine, at night fifty and more: always some at each of the moments.
fn of_sqlite() -> u32 {
    rounds(12, 26)
}

fn of_postgres() -> u32 {
    rounds(8, 18)
}

const USERS: usize = 6;

/// Makes everything that a platform holds recognisably other than what an archive brings.
pub fn age(platform: &Platform<'_>) {
    for path in folder::tree(&platform.users).into_keys() {
        let place = platform.users.join(&path);
        if path.contains("/attachments/") {
            fs::write(&place, "old").unwrap();
        }
        let statement = match path.rsplit('/').next().unwrap() {
            "local-1.0.0.sqlite" | "audit-1.0.0.sqlite" => "UPDATE events SET description = 'old'",
            "account-1.0.0.sqlite" => "UPDATE account_fields SET createdBy = 'old'",
            "series-1.0.0.sqlite" => "UPDATE series_data SET fields = '{\"old\":1}'",
            _ => continue,
        };
        let file = Connection::open(place).unwrap();
        file.execute_batch(statement).unwrap();
    }
    if platform.database.is_some() {
        platform.sql(
            "UPDATE events SET description = 'old'; UPDATE account_fields SET created_by = 'old'; \
             UPDATE series_data SET fields = '{\"old\":1}'; UPDATE audit_events SET description = 'old'; \
             UPDATE attachment_files SET data = 'old'",
        );
    }
    let entries = "value = 'old' WHERE key LIKE 'user-indexed/language/%'";
    match &platform.rqlite {
        Some(rqlite) => {
            let statement = json!([format!("UPDATE keyValue SET {entries}")]);
            post(&rqlite.url, "/db/execute", &statement);
        }
        None => {
            platform.sql(&format!("UPDATE platform_kv SET {entries}"));
        }
    }
}

/// The users of an archive: ids and names.
pub fn users(archive: &Path, stage: &Stage) -> Vec<[String; 2]> {
    let manifest = fs::read(stage.open(archive).join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let users = manifest["users"].as_array().unwrap().iter();
    users
        .map(|u| ["userId", "username"].map(|key| u[key].as_str().unwrap().to_owned()))
        .collect()
}

/// Restores into copies of `before`, kills each at another moment, and looks at what the next run makes of it.
fn survive(stage: &Stage, archive: &Path, before: &Platform<'_>, flags: &[&str], seeds: u32) {
    let whole = stage.copy(before);
    let pace = pace(stage, archive, &whole, flags);
    let (old, new) = (before.rows(), whole.rows());
    let users = users(archive, stage);
    let mut seen = [0; 2];
    for seed in 0..seeds {
        let target = stage.copy(before);
        let mut watch = Watch::new(stage, &target);
        let mut child = quietly(&mut target.restoring(archive, flags));
        // The moments themselves, then between them.
        let (round, moment) = (seed / 4, MOMENTS[seed as usize % 4]);
        let part = f64::from(round * 37 % seeds) / f64::from(seeds);
        pace.wait(&mut watch, moment, part, &mut child);
        drop(watch);
        let _ = child.kill();
        child.wait().unwrap();
        target.wait_until_alone();
        if !flags.is_empty() {
            // A run without the flag settles what it finds, and then leaves everybody as they are.
            let next = target.restore(archive, &[]);
            assert!(matches!(next.status.code(), Some(0 | 5)), "{}", text(&next));
            let now = target.rows();
            for user in &users {
                let user = [user[0].as_str(), user[1].as_str()];
                let of = |rows: &Rows| of_user(rows, user);
                let is_new = of(&now) == of(&new);
                assert!(
                    is_new || of(&now) == of(&old),
                    "seed {seed}: {} is neither old nor new: {:#?}",
                    user[1],
                    differences(&of(&now), &of(&new)),
                );
                seen[usize::from(is_new)] += 1;
            }
        }
        // The same again finishes.
        let again = target.restore(archive, flags);
        assert!(
            matches!(again.status.code(), Some(0 | 5)),
            "{}",
            text(&again)
        );
        let now = target.rows();
        assert!(now == new, "seed {seed}: {:#?}", differences(&now, &new));
        assert!(target.is_left_clean(), "seed {seed}");
        target.remove();
    }
    println!("old or new after {seeds} kills: {seen:?}");
    assert!(
        flags.is_empty() || seen.iter().all(|n| *n > 0),
        "all kills came before a user stood, or none did: {seen:?}"
    );
}

fn quietly(command: &mut Command) -> Child {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Restores, and looks how that goes.
pub fn pace(stage: &Stage, archive: &Path, target: &Platform<'_>, flags: &[&str]) -> Pace {
    let mut watch = Watch::new(stage, target);
    let mut child = quietly(&mut target.restoring(archive, flags));
    let pace = Pace::of(&mut watch, &mut child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    pace
}

/// The first of what two platforms do not share.
pub fn differences(now: &Rows, due: &Rows) -> Vec<String> {
    let places = now.keys().chain(due.keys());
    let mut all = Vec::new();
    for place in places {
        let [now, due] = [now, due].map(|rows| rows.get(place).cloned().unwrap_or_default());
        let lacking = due.difference(&now).map(|row| format!("- {place}: {row}"));
        let added = now.difference(&due).map(|row| format!("+ {place}: {row}"));
        all.extend(lacking.chain(added).take(3));
    }
    all.truncate(12);
    all
}

/// A made-up platform of each engine, and its archive.
pub fn sqlite(stage: &Stage) -> (Platform<'_>, PathBuf) {
    let source = stage.sqlite();
    rich::fill(stage, &source, USERS, 5);
    let archive = source.backup("archive");
    (source, archive)
}

pub fn postgres(stage: &Stage) -> Option<(Platform<'_>, PathBuf)> {
    let source = stage.postgres()?;
    rich::fill(stage, &source, USERS, 6);
    let archive = source.backup("archive");
    Some((source, archive))
}

#[test]
fn into_empty_sqlite() {
    let Some(stage) = Stage::new() else { return };
    let (_, archive) = sqlite(&stage);
    survive(&stage, &archive, &stage.sqlite(), &[], of_sqlite());
}

#[test]
fn over_what_sqlite_holds() {
    let Some(stage) = Stage::new() else { return };
    let (source, archive) = sqlite(&stage);
    age(&source);
    survive(&stage, &archive, &source, &["--overwrite"], of_sqlite());
}

#[test]
fn into_empty_postgres() {
    let Some(stage) = Stage::new() else { return };
    let Some((_, archive)) = postgres(&stage) else {
        return;
    };
    let Some(empty) = stage.postgres() else {
        return;
    };
    survive(&stage, &archive, &empty, &[], of_postgres());
}

/// Everything in the database, so that no journal lies beside it.
#[test]
fn into_empty_postgres_without_files() {
    let Some(stage) = Stage::new() else { return };
    let Some((_, archive)) = postgres(&stage) else {
        return;
    };
    let Some(empty) = stage.postgres() else {
        return;
    };
    let empty = empty.with("storages__file__engine", "postgresql");
    survive(&stage, &archive, &empty, &[], of_postgres());
}

/// As Pryv.io is shipped: the audit trail in files, beside the database.
#[test]
fn over_what_postgres_holds() {
    let Some(stage) = Stage::new() else { return };
    let Some((_, archive)) = postgres(&stage) else {
        return;
    };
    let Some(old) = stage.postgres() else {
        return;
    };
    let old = old.with("storages__audit__engine", "sqlite");
    let first = old.restore(&archive, &[]);
    assert_eq!(first.status.code(), Some(0), "{}", text(&first));
    age(&old);
    survive(&stage, &archive, &old, &["--overwrite"], of_postgres());
}

/// The base in files, the audit trail and the attachments in a database beside it: the transaction there decides for both.
#[test]
fn into_empty_sqlite_beside_postgres() {
    let Some(stage) = Stage::new() else { return };
    let Some((_, archive)) = postgres(&stage) else {
        return;
    };
    let Some(empty) = stage.mixed(BESIDE) else {
        return;
    };
    survive(&stage, &archive, &empty, &[], of_postgres());
}

#[test]
fn over_what_sqlite_beside_postgres_holds() {
    let Some(stage) = Stage::new() else { return };
    let Some((_, archive)) = postgres(&stage) else {
        return;
    };
    let Some(old) = stage.mixed(BESIDE) else {
        return;
    };
    let first = old.restore(&archive, &[]);
    assert_eq!(first.status.code(), Some(0), "{}", text(&first));
    age(&old);
    survive(&stage, &archive, &old, &["--overwrite"], of_postgres());
}
