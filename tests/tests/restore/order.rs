//! Versions of events come before the events: Pryv's own tool puts an attachment to the last event that lists it.

use pryv_backup_tests::{
    command::{run, text},
    folder,
    stage::{Platform, Stage},
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Adds a run to a chain, which is returned opened, every run by itself.
fn back_up(stage: &Stage, platform: &Platform<'_>) {
    let made = run(platform
        .command()
        .args(["--quiet", "--incremental", "--no-compress", "--jobs", "4"])
        .args(["--max-chunk-size", "1", "--platform", "none"])
        .arg("--state-dir")
        .arg(stage.at("state"))
        .arg("--output")
        .arg(stage.at("archive")));
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
}

/// Looks at the events of a folder of users, as Pryv's tool does, and counts events and versions.
fn look(users: &Path) -> (usize, usize) {
    let (mut heads, mut versions) = (0, 0);
    for user in fs::read_dir(users).unwrap().map(|entry| entry.unwrap()) {
        let events = folder::tree(&user.path());
        // By name, as they come.
        let files: BTreeMap<_, _> = events
            .iter()
            .filter(|(path, _)| path.starts_with("events/"))
            .collect();
        let mut seen = BTreeSet::new();
        let mut last = BTreeMap::new();
        for line in files
            .values()
            .flat_map(|bytes| bytes.split(|b| *b == b'\n'))
        {
            if line.is_empty() {
                continue;
            }
            let event: Value = serde_json::from_slice(line).unwrap();
            match event["headId"].as_str() {
                Some(head) => {
                    versions += 1;
                    assert!(!seen.contains(head), "a version of {head} comes after it");
                }
                None => {
                    heads += 1;
                    seen.insert(event["id"].as_str().unwrap().to_owned());
                }
            }
            for file in event["attachments"].as_array().into_iter().flatten() {
                let version = event["headId"].is_string();
                last.insert(file["id"].as_str().unwrap().to_owned(), version);
            }
        }
        let known = |id: &String| events.contains_key(&format!("attachments/{id}"));
        let lost: Vec<_> = last.iter().filter(|(id, v)| known(id) && **v).collect();
        assert!(lost.is_empty(), "{lost:?}");
    }
    (heads, versions)
}

#[test]
fn of_sqlite() {
    let Some(stage) = Stage::new() else { return };
    let platform = stage.sqlite_fixture();
    back_up(&stage, &platform);
    let (heads, versions) = look(&stage.at("archive/users"));
    assert!(heads > 4000 && versions > 50, "{heads} {versions}");
    // An event changes: its version is new, and so is the event.
    for (path, _) in folder::tree(&platform.users) {
        if path.ends_with("local-1.0.0.sqlite") {
            let file = rusqlite::Connection::open(platform.users.join(path)).unwrap();
            file.execute_batch(
                "INSERT INTO events (eventid, headId, streamIds, time, endTime, type, content, attachments, created, createdBy, modified, modifiedBy) \
                 SELECT 'v' || eventid, eventid, streamIds, time, endTime, type, content, attachments, created, createdBy, modified, modifiedBy \
                 FROM events WHERE headId IS NULL AND deleted IS NULL AND attachments IS NOT NULL; \
                 UPDATE events SET description = 'changed', modified = modified + 1 WHERE 'v' || eventid IN (SELECT eventid FROM events)",
            )
            .unwrap();
        }
    }
    increment(&stage, &platform);
}

/// The run that is added, and the state that the runs come to.
fn increment(stage: &Stage, platform: &Platform<'_>) {
    back_up(stage, platform);
    let second = fs::read_dir(stage.at("archive/increments")).unwrap().next();
    let (heads, versions) = look(&second.unwrap().unwrap().path().join("users"));
    assert!(versions > 0 && heads >= versions, "{heads} {versions}");
    let opened = stage.open(&stage.at("archive"));
    let (heads, versions) = look(&opened.join("users"));
    assert!(heads > 4000 && versions > 50, "{heads} {versions}");
}

/// Of one user who has a large part of the table, of others who have several tasks' worth, and of some who have little.
#[test]
fn of_postgresql() {
    let Some(stage) = Stage::new() else { return };
    let Some(platform) = stage.postgres_fixture() else {
        return;
    };
    let columns = "user_id, stream_ids, time, end_time, type, content, created, created_by, modified, modified_by";
    let text = "to_jsonb(repeat(md5(n::text), 12))";
    for (user, many) in [("alice", 60_000), ("bob00", 9_000)] {
        for version in [false, true] {
            let (id, head) = match version {
                true => ("'w' || n", "'e' || n"),
                false => ("'e' || n", "NULL"),
            };
            platform.sql(&format!(
                "INSERT INTO events (id, head_id, {columns}) SELECT {id}, {head}, user_id, '[\"root\"]', n, n, 'note/txt', {text}, n, 'x', n, 'x' \
                 FROM users_index, generate_series(1, {many}) n WHERE username = '{user}'"
            ));
        }
    }
    platform.sql("ANALYZE events");
    back_up(&stage, &platform);
    let (heads, versions) = look(&stage.at("archive/users"));
    assert!(heads > 70_000 && versions > 69_000, "{heads} {versions}");
    platform.sql(&format!(
        "INSERT INTO events (id, head_id, attachments, {columns}) SELECT 'v' || id, id, attachments, {columns} FROM events \
         WHERE head_id IS NULL AND deleted IS NULL AND attachments IS NOT NULL; \
         UPDATE events SET description = 'changed' WHERE id IN (SELECT head_id FROM events WHERE starts_with(id, 'v'))"
    ));
    increment(&stage, &platform);
}
