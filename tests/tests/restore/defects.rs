//! Observed defects of the restore of Pryv's own tool, line by line of their list, and the right behaviour.
//!
//! | seen in Pryv's tool | here |
//! |---|---|
//! | high-frequency series are not in the backup, and would go where nobody looks | `series_go_where_the_platform_looks_for_them` |
//! | an attachment goes to a version of its event; the live event answers 404 | `attachments_belong_to_the_live_event_and_to_every_event` |
//! | each attachment of each version: a false warning | `attachments_belong_to_the_live_event_and_to_every_event` |
//! | numbers beyond doubles are rounded | `round_trips::*` (values compared as exact decimals) |
//! | aliases, sessions, password resets, `user-core` are not restored | `round_trips::*`, `postgres::a_platform_comes_back_row_by_row`, `shared::*` |
//! | a unique value is cut at a slash | `shared::values_that_the_archive_lacks_or_has_cut_come_from_the_account` |
//! | paths of streams are computed wrongly; NULLs become false or 0 | `postgres::a_platform_comes_back_row_by_row`, `children_may_come_before_their_parents` |
//! | `event_streams` has rows for versions | `postgres::archives_from_elsewhere_come_back_too`, `postgres::a_platform_comes_back_row_by_row` |
//! | SQLite to SQLite always fails: who set a password is not in the backup | `sqlite::archives_of_pryv_come_back_too` |
//! | SQLite to PostgreSQL loses columns of the audit trail; store values become strings | `postgres::archives_from_elsewhere_come_back_too` |
//! | PostgreSQL to SQLite loses the audit trail | `sqlite::archives_of_pryv_come_back_too` |
//! | `--user NAME` is not found | `sqlite::one_user_comes_alone` |
//! | `--user` restores no entries of the platform | `sqlite::one_user_comes_alone`, `shared::values_that_the_archive_lacks_or_has_cut_come_from_the_account` |
//! | one hash that was stale at the source empties the whole user, exit 0 | `integrity::what_never_matched_is_reported_where_that_is_proven` |
//! | `--config`, or an unknown flag: no restore, exit 0 | `an_unknown_flag_is_no_success` |
//! | a second restore, or one after a failed one: duplicate key | `postgres::a_platform_comes_back_row_by_row`, `sqlite::…`, `kills::*` |
//! | wrong keys and passphrases: words of the library | `keys_that_do_not_fit_are_named` |
//! | a flipped byte: the users before it are restored, the damaged one half | `sqlite::a_damaged_backup_is_not_restored_at_all` |
//! | files cut, swapped, removed, added: not noticed | `what_is_cut_swapped_removed_or_added_is_noticed` |
//! | ids that lead elsewhere: written there | `hostile::*` |
#![allow(clippy::doc_markdown)]

use super::draft::Draft;
use super::shared::targets;
use pryv_backup_tests::{
    command::{report, run, text},
    folder,
    stage::{Platform, Stage},
};
use serde_json::json;
use std::{collections::BTreeMap, fs, path::Path};

/// Every point, wherever the platform keeps it: namespace, measurement, nanoseconds.
pub fn points(target: &Platform<'_>) -> Vec<(String, String, i64)> {
    if target.database.is_some() {
        let rows = target.sql(
            "SELECT json_build_array(user_id, event_id, delta_time) FROM series_data ORDER BY 1::text",
        );
        let rows = rows.lines().filter(|row| !row.is_empty());
        return rows.map(|row| serde_json::from_str(row).unwrap()).collect();
    }
    let mut all = Vec::new();
    for path in folder::tree(&target.users).into_keys() {
        let Some(owner) = path.strip_suffix("/series-1.0.0.sqlite") else {
            continue;
        };
        let owner = owner.rsplit('/').next().unwrap();
        let file = rusqlite::Connection::open(target.users.join(&path)).unwrap();
        let mut statement = file
            .prepare("SELECT event_id, delta_time FROM series_data")
            .unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        for row in rows.unwrap() {
            let (measurement, time) = row.unwrap();
            all.push((owner.to_owned(), measurement, time));
        }
    }
    all.sort();
    all
}

/// Milliseconds and ISO times, to the nanosecond; under the name that the platform asks for.
#[test]
fn series_go_where_the_platform_looks_for_them() {
    let Some(stage) = Stage::new() else { return };
    let draft = Draft::new(&stage, "archive");
    let folder = draft.at(0, "series");
    fs::create_dir_all(&folder).unwrap();
    let lines = [
        r#"{"measurement":"event.e1","points":[{"time":1500,"value":2},{"time":4393911.305278,"value":1.5},{"time":0,"value":0}]}"#,
        r#"{"measurement":"event.e2","points":[{"time":"1970-01-01T00:00:01.500Z","value":2,"other":null},{"time":"1970-01-01T00:00:02.123456789Z","value":"x"}]}"#,
        r#"{"measurement":"old","points":[{"time":1,"value":2}]}"#,
    ];
    fs::write(folder.join("series.jsonl"), lines.join("\n") + "\n").unwrap();
    let id = draft.id(0);
    for target in targets(&stage) {
        let done = target.restore(&draft.root, &["--user", &id]);
        let said = report(&done);
        assert_eq!(said["users"][0]["outcome"], "restored", "{said}");
        let due = [
            (id.as_str(), "old", 1_000_000),
            ("user.alice", "event.e1", 0),
            ("user.alice", "event.e1", 1_500_000_000),
            ("user.alice", "event.e1", 4_393_911_305_278),
            ("user.alice", "event.e2", 1_500_000_000),
            ("user.alice", "event.e2", 2_123_456_789),
        ];
        let mut due: Vec<_> = due
            .iter()
            .map(|(a, b, c)| ((*a).to_owned(), (*b).to_owned(), *c))
            .collect();
        let mut found = points(&target);
        due.sort();
        found.sort();
        assert_eq!(found, due);
        let rows = target.rows();
        let fields = rows
            .values()
            .flatten()
            .filter(|row| row.contains("event.e2"));
        assert!(fields.clone().count() == 2 && fields.clone().all(|row| !row.contains("other")));
    }
    // A value that is no time fails its user, not the others.
    let bad = r#"{"measurement":"event.e1","points":[{"time":"yesterday","value":2}]}"#;
    fs::write(folder.join("series.jsonl"), format!("{bad}\n")).unwrap();
    let target = stage.sqlite();
    let done = target.restore(&draft.root, &[]);
    let said = report(&done);
    assert_eq!(said["users"][0]["outcome"], "failed", "{said}");
    assert!(
        said["users"][0]["reason"].to_string().contains("yesterday"),
        "{said}"
    );
}

/// The files of a version lie under the event that it is a version of, whichever comes first; a file that two events list
/// comes to both.
#[test]
fn attachments_belong_to_the_live_event_and_to_every_event() {
    let Some(stage) = Stage::new() else { return };
    let draft = Draft::new(&stage, "archive");
    let listed = |id: &str| json!([{"id": id, "fileName": "x", "type": "text/plain", "size": 5}]);
    let event = |id: &str, file: &str| json!({"id": id, "streamIds": ["x"], "time": 1, "endTime": 1, "type": "x/y", "attachments": listed(file)});
    let mut version = event("version", "one");
    version["headId"] = "live".into();
    let lines = [
        event("first", "both"),
        version.clone(),
        event("live", "one"),
        event("second", "both"),
        version.clone(),
    ];
    let mut last = lines[4].clone();
    last["id"] = "version-2".into();
    let lines: String = lines[..4]
        .iter()
        .chain([&last])
        .map(|l| format!("{l}\n"))
        .collect();
    fs::write(draft.at(0, "events/events-0001.jsonl"), lines).unwrap();
    let folder = draft.at(0, "attachments");
    fs::remove_dir_all(&folder).unwrap();
    fs::create_dir(&folder).unwrap();
    for name in ["one", "both", "nobodys"] {
        fs::write(folder.join(name), format!("{name:5}")).unwrap();
    }
    let id = draft.id(0);
    for target in targets(&stage) {
        let done = target.restore(&draft.root, &["--user", &id]);
        let said = report(&done);
        // A file that no event lists is left out, and named.
        assert_eq!(done.status.code(), Some(5), "{said}");
        let losses = said["users"][0]["losses"].to_string();
        assert!(
            losses.contains("nobodys") && !losses.contains("version"),
            "{losses}"
        );
        let files: BTreeMap<String, Vec<u8>> = folder::tree(&target.users)
            .into_iter()
            .filter_map(|(path, bytes)| {
                Some((path.split_once("/attachments/")?.1.to_owned(), bytes))
            })
            .collect();
        let names: Vec<&str> = files.keys().map(String::as_str).collect();
        assert_eq!(names, ["first/both", "live/one", "second/both"]);
        assert_eq!(files["second/both"], b"both ");
    }
}

#[test]
fn children_may_come_before_their_parents() {
    let Some(stage) = Stage::new() else { return };
    let draft = Draft::new(&stage, "archive");
    let lines = [
        r#"{"id":"c","name":"C","parentId":"b"}"#,
        r#"{"id":"b","name":"B","parentId":"a"}"#,
        r#"{"id":"orphan","name":"O","parentId":"nobody"}"#,
        r#"{"id":"loop","name":"L","parentId":"loop"}"#,
        r#"{"id":"a","name":"A","parentId":null}"#,
    ];
    fs::write(draft.at(0, "streams.jsonl"), lines.join("\n") + "\n").unwrap();
    let Some(target) = stage.postgres() else {
        return;
    };
    let done = target.restore(&draft.root, &["--user", &draft.id(0)]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    let paths = target.sql("SELECT id || ' ' || path FROM streams ORDER BY id");
    assert_eq!(paths, "a a/\nb a/b/\nc a/b/c/\nloop loop/\norphan orphan/");
}

#[test]
fn an_unknown_flag_is_no_success() {
    let Some(stage) = Stage::new() else { return };
    let archive = stage.fixtures.join("archives/small-plain");
    let target = stage.sqlite();
    for flags in [
        &["--sinse", "1"][..],
        &["--delete-on-success", "--move-on-success", "x"],
    ] {
        let done = target.restore(&archive, flags);
        assert_eq!(done.status.code(), Some(2), "{}", text(&done));
        assert!(!target.users.exists());
    }
    // That of Pryv's guide is there.
    let config = stage.at("config.yml");
    fs::write(
        &config,
        format!(
            "storages: {{engines: {{sqlite: {{path: {}}}}}}}",
            stage.at("elsewhere").display()
        ),
    )
    .unwrap();
    let mut command = target.restoring(
        &archive,
        &["--dry-run", "--config", config.to_str().unwrap()],
    );
    let done = run(&mut command);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
}

#[test]
fn keys_that_do_not_fit_are_named() {
    let Some(stage) = Stage::new() else { return };
    let keys = stage.fixtures.join("keys");
    let target = stage.sqlite();
    let hybrid = stage.fixtures.join("archives/small-hybrid-nocompress");
    let sealed = stage.fixtures.join("archives/passphrase-pg");
    let restore = |archive: &Path, flags: &[&str]| {
        run(target
            .command()
            .args(["--create-users-dir", "--restore"])
            .arg(archive)
            .args(flags)
            .env_remove("PRYV_BACKUP_PRIVATE_KEY_PASSPHRASE"))
    };
    let wrong: Vec<String> = fs::read_dir(&keys)
        .unwrap()
        .map(|entry| entry.unwrap().path().display().to_string())
        .filter(|path| path.contains("wrong") || path.ends_with(".pub.pem"))
        .collect();
    assert!(wrong.len() > 1);
    for key in &wrong {
        let done = restore(&hybrid, &["--private-key", key]);
        assert_eq!(done.status.code(), Some(3), "{key}: {}", text(&done));
    }
    for flags in [&[][..], &["--decrypt-passphrase", "wrong"]] {
        let done = restore(&sealed, flags);
        assert_eq!(done.status.code(), Some(3), "{}", text(&done));
        assert_eq!(text(&done).trim().lines().count(), 1, "{}", text(&done));
    }
    assert!(!target.users.exists());
    let right = keys.join("recipient.key.pem").display().to_string();
    let done = restore(&hybrid, &["--private-key", &right, "--dry-run"]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    let passphrase = "correct horse b\u{e4}ttery \u{1f50b} staple";
    let done = restore(&sealed, &["--decrypt-passphrase", passphrase, "--dry-run"]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
}

/// In an archive of ours all of it; in one of Pryv's tool what can be noticed without an inventory.
#[test]
fn what_is_cut_swapped_removed_or_added_is_noticed() {
    let Some(stage) = Stage::new() else { return };
    let ours = stage.sqlite_fixture().backup("archive");
    let target = stage.sqlite();
    let files = folder::tree(&ours);
    let ending =
        |end: &str| -> Vec<&String> { files.keys().filter(|p| p.ends_with(end)).collect() };
    let (accounts, events) = (ending("account.jsonl.gz"), ending("events-0001.jsonl.gz"));
    let attachment = files
        .keys()
        .find(|p| p.contains("/attachments/") && files[*p].len() > 70_000)
        .unwrap();
    let streams = ending("streams.jsonl.gz")[0];
    let platform = ending("platform/platform.jsonl.gz")[0];
    type Change<'a> = (&'a str, Box<dyn Fn(&Path) + 'a>);
    let changes: Vec<Change<'_>> = vec![
        (
            "cut at a frame",
            Box::new(|root| {
                let path = root.join(attachment);
                let bytes = fs::read(&path).unwrap();
                let header = 12 + u32::from_be_bytes(bytes[8..12].try_into().unwrap()) as usize;
                fs::write(path, &bytes[..header + 4 + 65536 + 16]).unwrap();
            }),
        ),
        (
            "accounts swapped",
            Box::new(|root| {
                for (to, from) in [(0, 1), (1, 0)] {
                    fs::write(root.join(accounts[to]), &files[accounts[from]]).unwrap();
                }
            }),
        ),
        (
            "events swapped",
            Box::new(|root| {
                for (to, from) in [(0, 1), (1, 0)] {
                    fs::write(root.join(events[to]), &files[events[from]]).unwrap();
                }
            }),
        ),
        (
            "streams removed",
            Box::new(|root| fs::remove_file(root.join(streams)).unwrap()),
        ),
        (
            "platform removed",
            Box::new(|root| fs::remove_file(root.join(platform)).unwrap()),
        ),
        (
            "a user removed",
            Box::new(|root| {
                fs::remove_dir_all(root.join(streams).parent().unwrap()).unwrap();
            }),
        ),
        (
            "an attachment added",
            Box::new(|root| {
                let folder = root.join(attachment);
                fs::write(folder.with_file_name("added"), &files[attachment]).unwrap();
            }),
        ),
    ];
    for (what, change) in &changes {
        let root = stage.at("changed");
        folder::copy(&ours, &root);
        change(&root);
        let done = target.restore(&root, &[]);
        assert_eq!(done.status.code(), Some(4), "{what}: {}", text(&done));
        assert!(!target.users.exists(), "{what}");
        fs::remove_dir_all(&root).unwrap();
    }
    let pryvs = stage.fixtures.join("archives/plain-sqlite");
    for end in [
        "streams.jsonl.gz",
        "account.jsonl.gz",
        "user-manifest.json",
        "events-0001.jsonl.gz",
        "manifest.json",
    ] {
        let root = stage.at("changed");
        folder::copy(&pryvs, &root);
        let victim = folder::tree(&root)
            .into_keys()
            .find(|p| p.ends_with(end))
            .unwrap();
        fs::remove_file(root.join(&victim)).unwrap();
        let done = target.restore(&root, &[]);
        assert!(
            matches!(done.status.code(), Some(2 | 4)),
            "{end}: {}",
            text(&done)
        );
        assert!(!target.users.exists(), "{end}");
        fs::remove_dir_all(&root).unwrap();
    }
}
