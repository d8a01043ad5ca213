//! A base in files with the audit trail and the attachments in a database beside it: what increments bring of both, and what is nobody's or missing.

use crate::chain::{Chain, assert_same};
use pryv_backup_tests::{
    command::{report, run, text},
    folder, need,
    rich::folder as folder_of,
    stage::{BESIDE, Platform, Stage},
};
use rusqlite::Connection;
use std::path::PathBuf;

/// The fixture platform in this mix.
fn filled(stage: &Stage) -> Option<Platform<'_>> {
    let platform = stage.mixed(BESIDE)?;
    let first = stage.sqlite_fixture().backup("first");
    let done = platform.restore(&first, &[]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    assert!(platform.count("SELECT count(*) FROM audit_events") > 1000);
    assert!(platform.count("SELECT count(*) FROM attachment_files") > 10);
    let beside =
        |path: &PathBuf| path.ends_with("attachments") || path.ends_with("audit-1.0.0.sqlite");
    assert!(!folder::files(&platform.users).iter().any(beside));
    Some(platform)
}

/// User, event and file of some attachments.
fn attachments(platform: &Platform<'_>) -> Vec<Vec<String>> {
    let sql = "SELECT DISTINCT user_id || ' ' || event_id || ' ' || file_id FROM attachment_files ORDER BY 1";
    let found = platform.sql(sql);
    let words = |line: &str| line.split(' ').map(str::to_owned).collect();
    found.lines().map(words).collect()
}

/// The events of a user.
fn events(platform: &Platform<'_>, user: &str) -> Connection {
    Connection::open(folder_of(&platform.users, user).join("local-1.0.0.sqlite")).unwrap()
}

#[test]
fn a_run_brings_what_has_changed_in_files_and_in_the_database() {
    let Some(stage) = Stage::new() else { return };
    let Some(platform) = filled(&stage) else {
        return;
    };
    let chain = Chain::new(&stage, &platform, "chain");
    let whole = chain.add();
    let same = chain.add_increment();
    let bytes = |said: &serde_json::Value| said["bytes"].as_u64().unwrap();
    assert!(bytes(&same) * 10 < bytes(&whole), "{same}");
    let [user, event, file] = attachments(&platform)[0].clone().try_into().unwrap();
    events(&platform, &user)
        .execute(
            "UPDATE events SET description = 'changed', attachments = json_insert(attachments, '$[#]', json('{\"id\":\"new\",\"size\":5}')) \
             WHERE eventid = ?",
            [&event],
        )
        .unwrap();
    platform.sql(&format!(
        "INSERT INTO attachment_files VALUES ('{user}', '{event}', 'new', 0, 'bytes'); \
         DELETE FROM audit_events WHERE (user_id, eventid) = (SELECT user_id, min(eventid) FROM audit_events WHERE user_id = '{user}' GROUP BY 1); \
         UPDATE audit_events SET description = 'changed' WHERE (user_id, eventid) = \
             (SELECT user_id, max(eventid) FROM audit_events WHERE user_id = '{user}' GROUP BY 1)"
    ));
    let said = chain.add_increment();
    assert!(bytes(&said) * 10 < bytes(&whole), "{said}");
    let state = &chain.states(3)[2];
    let brought = format!("users/{user}/attachments/new");
    assert!(state.attachments.contains_key(&brought));
    assert!(
        state
            .attachments
            .contains_key(&format!("users/{user}/attachments/{file}"))
    );
    assert_same(state, &chain.now("now"), "changes in both");
}

#[test]
fn what_is_missing_is_a_loss_and_what_is_nobodys_is_named() {
    let Some(stage) = Stage::new() else { return };
    let Some(platform) = filled(&stage) else {
        return;
    };
    let mut all = attachments(&platform);
    all.dedup_by(|one, other| one[..2] == other[..2]);
    let [gone, holed, deleted] = [0, 1, 2].map(|n| all[n].clone());
    let key = |of: &[String]| {
        format!(
            "(user_id, event_id, file_id) = ('{}', '{}', '{}')",
            of[0], of[1], of[2]
        )
    };
    platform.sql(&format!(
        "DELETE FROM attachment_files WHERE {} OR {}; UPDATE attachment_files SET seq = 1 WHERE {}; \
         INSERT INTO audit_events SELECT 'cstranger', eventid, head_id FROM audit_events ORDER BY eventid LIMIT 3; \
         INSERT INTO attachment_files VALUES ('cstranger', 'e', 'f', 0, 'x')",
        key(&gone),
        key(&deleted),
        key(&holed)
    ));
    // Its event went with it.
    events(&platform, &deleted[0])
        .execute(
            "UPDATE events SET deleted = 1 WHERE eventid = ?",
            [&deleted[1]],
        )
        .unwrap();
    let archive = stage.at("lossy");
    let made = run(platform
        .command()
        .args(["--json", "--output"])
        .arg(&archive));
    assert_eq!(made.status.code(), Some(5), "{}", text(&made));
    let said = report(&made)["losses"].to_string();
    assert_eq!(
        report(&made)["losses"].as_array().unwrap().len(),
        3,
        "{said}"
    );
    assert!(
        said.contains(&format!(
            "attachment {} of event {} is not in attachment_files",
            gone[2], gone[1]
        )),
        "{said}"
    );
    assert!(
        said.contains("piece 0 is missing in attachment_files"),
        "{said}"
    );
    assert!(
        said.contains("cstranger") && !said.contains(&deleted[2]),
        "{said}"
    );
    // The audit trail of a user who is no more is in the backup.
    let opened = folder::tree(&stage.open(&archive));
    let kept: Vec<&String> = opened
        .keys()
        .filter(|path| path.contains("cstranger"))
        .collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    let lines = opened[kept[0]]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count();
    assert_eq!(lines, 3);
}

#[test]
fn a_journal_whose_database_is_named_no_more_is_told() {
    let Some(stage) = Stage::new() else { return };
    if !need::strace() {
        return;
    }
    let Some(target) = stage.mixed(BESIDE) else {
        return;
    };
    let first = stage.sqlite_fixture().backup("first");
    // Journals lie there, and no file is in its place.
    let mut command = target.restoring(&first, &["--jobs", "1"]);
    let journals = || {
        let entries = std::fs::read_dir(target.users.join(".pryv-backup-restore"));
        let mut names = entries
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name());
        names.any(|name| name.to_string_lossy().starts_with("journal-"))
    };
    let mut found = false;
    for nth in 1..60 {
        assert!(pryv_backup_tests::command::killed_at(
            &command, "rename", nth
        ));
        target.wait_until_alone();
        if journals() {
            found = true;
            break;
        }
        command = target.restoring(&first, &["--jobs", "1"]);
    }
    assert!(found);
    let without = target
        .with("storages__audit__engine", "sqlite")
        .with("storages__file__engine", "filesystem");
    let refused = without.restore(&first, &[]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert!(
        text(&refused).contains("set it as it was for one more restore"),
        "{}",
        text(&refused)
    );
    let as_it_was = without
        .with("storages__audit__engine", "postgresql")
        .with("storages__file__engine", "postgresql");
    let done = as_it_was.restore(&first, &[]);
    assert!(matches!(done.status.code(), Some(0 | 5)), "{}", text(&done));
    assert!(as_it_was.is_left_clean());
}
