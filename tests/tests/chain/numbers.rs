//! Numbers that JSON has none for: what cannot be said of a record is named, the rest of it is there, and it is not new every night.

use crate::chain::{Chain, assert_same};
use pryv_backup_tests::{
    command::{report, run, text},
    folder, rich,
    stage::{Platform, Stage},
};
use rusqlite::Connection;
use serde_json::Value;

/// The expected loss: its collection, and words of the message.
const LOST: [(&str, &[&str]); 6] = [
    ("events", &["\"odd\"", "its time is Infinity"]),
    ("events", &["\"odd\"", "its modified is -Infinity"]),
    (
        "events",
        &["\"endless\"", "deleted: it is Infinity", "it was left out"],
    ),
    (
        "streams",
        &["\"endless\"", "deleted: it is Infinity", "it was left out"],
    ),
    ("audit", &["\"odd\"", "its time is Infinity"]),
    (
        "account",
        &[
            "account_fields (\"odd\")",
            "time: it is Infinity",
            "it was left out",
        ],
    ),
];

/// The same, where the engine has its own.
const OF_SQLITE: [(&str, &[&str]); 4] = [
    ("series", &["\"event.odd\"", "time is beyond"]),
    ("sessions", &["expires: it is Infinity", "it was left out"]),
    ("sessions", &["expires is no number"]),
    ("password_resets", &["expires: it is Infinity"]),
];
const OF_POSTGRES: [(&str, &[&str]); 2] = [
    ("accesses", &["record", "its expires is NaN"]),
    ("streams", &["\"s0\"", "its created is NaN"]),
];

fn spoil(platform: &Platform<'_>) {
    if platform.database.is_some() {
        platform.sql(
            "INSERT INTO events (user_id, id, time, modified, type, stream_ids) SELECT user_id, 'odd', 'Infinity', '-Infinity', 'note/odd', '[\"s0\"]' FROM users_index; \
             INSERT INTO events (user_id, id, deleted) SELECT user_id, 'endless', 'Infinity' FROM users_index; \
             INSERT INTO streams (user_id, id, path, deleted) SELECT user_id, 'endless', 'endless/', 'Infinity' FROM users_index; \
             UPDATE streams SET created = 'NaN' WHERE id = 's0'; \
             UPDATE accesses SET expires = 'NaN' WHERE id IN (SELECT min(id) FROM accesses); \
             INSERT INTO audit_events (user_id, eventid, time, type) SELECT user_id, 'odd', 'Infinity', 'note/odd' FROM users_index; \
             INSERT INTO account_fields (user_id, field, value, time, created_by) SELECT user_id, 'odd', '1', 'Infinity', 'x' FROM users_index",
        );
        return;
    }
    for (file, statements) in [
        (
            "local-1.0.0.sqlite",
            "INSERT INTO events (eventid, time, modified, type, streamIds) VALUES ('odd', 9e999, -9e999, 'note/odd', 's0 ..'); \
             INSERT INTO events (eventid, deleted, streamIds) VALUES ('endless', 9e999, '..')",
        ),
        (
            "baseStorage-1.0.0.sqlite",
            "INSERT INTO streams (id, data, deleted) VALUES ('endless', '{}', 9e999)",
        ),
        (
            "audit-1.0.0.sqlite",
            "INSERT INTO events (eventid, time, type, streamIds) VALUES ('odd', 9e999, 'note/odd', '..')",
        ),
        (
            "account-1.0.0.sqlite",
            "INSERT INTO account_fields (field, value, time, createdBy) VALUES ('odd', '1', 9e999, 'x')",
        ),
        (
            "series-1.0.0.sqlite",
            "INSERT INTO series_data (event_id, point_time, delta_time, fields) VALUES ('event.odd', 1, 9e999, '{}'), \
             ('event.odd', 2, 1e300, '{}'), ('event.odd', 3, 1.4, '{\"here\": 1}')",
        ),
        (
            "_shared/baseStorage.sqlite",
            "INSERT INTO sessions VALUES ('odd', '{}', 9e999), ('text', '{}', 'soon'); \
             INSERT INTO password_resets VALUES ('endless', 'x', 9e999)",
        ),
    ] {
        for path in folder::files(&platform.users) {
            if path.ends_with(file)
                && (file.starts_with('_') || !path.starts_with(platform.users.join("_shared")))
            {
                let opened = Connection::open(path).unwrap();
                opened.execute_batch(statements).unwrap();
            }
        }
    }
}

fn assert_named(losses: &Value, due: &[(&str, &[&str])]) {
    let losses = losses.as_array().unwrap();
    for (collection, words) in due {
        let named = losses.iter().any(|loss| {
            let what = loss["what"].as_str().unwrap();
            loss["collection"] == *collection && words.iter().all(|word| what.contains(word))
        });
        assert!(named, "{collection} {words:?}: {losses:#?}");
    }
}

#[test]
fn numbers_that_json_has_none_for_are_named() {
    let Some(stage) = Stage::new() else { return };
    let platforms = [Some(stage.sqlite()), stage.postgres()];
    for platform in platforms.iter().flatten() {
        let sqlite = platform.database.is_none();
        rich::fill(&stage, platform, 2, 5);
        let chain = Chain::new(&stage, platform, &format!("chain {sqlite}"));
        chain.add();
        spoil(platform);
        let increment = || {
            let done = run(&mut chain.command());
            (done.status.code(), report(&done), text(&done))
        };
        let (code, said, all) = increment();
        assert_eq!(code, Some(5), "{all}");
        assert_named(&said["losses"], &LOST);
        assert_named(
            &said["losses"],
            if sqlite { &OF_SQLITE } else { &OF_POSTGRES },
        );
        // The next run names again what it reads again, and brings nothing.
        let (code, said, all) = increment();
        assert_eq!(code, Some(5), "{all}");
        assert_eq!(said["chain"]["kind"], "incremental", "{said}");
        assert_named(&said["losses"], &LOST[2..3]);
        assert_named(&said["losses"], &LOST[5..]);
        let states = chain.states(3);
        assert_same(&states[2], &states[1], "a night later");
        assert_same(&states[1], &states[2], "a night later");
        let brought = chain.open(3);
        let changed = |path: &&String| path.ends_with(".jsonl") && path.starts_with("users/");
        let changed: Vec<&String> = brought.0.keys().filter(changed).collect();
        assert!(changed.is_empty(), "{changed:?}");
        let of = |kind: &str| -> Vec<&String> {
            let found = states[2].records.iter().filter(|((_, of), _)| of == kind);
            found.flat_map(|(_, records)| records).collect()
        };
        let odd: Vec<Value> = of("events")
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .filter(|event: &Value| event["id"] == "odd")
            .collect();
        assert_eq!(odd.len(), 2);
        for event in odd {
            assert_eq!(event["type"], "note/odd");
            assert_eq!(event["streamIds"][0], "s0");
            assert!(event["time"].is_null() && event["modified"].is_null());
        }
        // Deleted records do not come back.
        for kind in ["events", "streams"] {
            assert!(
                of(kind).iter().all(|line| !line.contains("\"endless\"")),
                "{kind}"
            );
        }
        assert!(of("account").iter().all(|line| line.contains("\"hash\"")));
        if sqlite {
            assert!(
                of("series")
                    .iter()
                    .any(|line| line.contains("event.odd") && line.contains("0.000001"))
            );
        }
        // Where it is restored, the rest is there.
        let archive = stage.at(&format!("chain {sqlite}"));
        let empty = if sqlite {
            Some(stage.sqlite())
        } else {
            stage.postgres()
        };
        let done = empty.unwrap().restore(&archive, &[]);
        assert!(matches!(done.status.code(), Some(0 | 5)), "{}", text(&done));
        platform.wait_until_alone();
    }
}

/// A text in the place of a number is what it is, on the way there and back.
#[test]
fn a_text_in_the_place_of_a_number_travels() {
    let Some(stage) = Stage::new() else { return };
    let platform = stage.sqlite();
    rich::fill(&stage, &platform, 1, 5);
    let local = || {
        let files = folder::files(&platform.users).into_iter();
        files
            .filter(|path| path.ends_with("local-1.0.0.sqlite"))
            .collect::<Vec<_>>()
    };
    for path in local() {
        let opened = Connection::open(path).unwrap();
        let statement = "INSERT INTO events (eventid, time, created, streamIds, type) VALUES ('odd', 'noon', 'NaN', 's0 ..', 't')";
        opened.execute_batch(statement).unwrap();
    }
    let archive = platform.backup("archive");
    let empty = stage.sqlite();
    let done = empty.restore(&archive, &["--skip-platform"]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    let path = folder::files(&empty.users)
        .into_iter()
        .find(|path| path.ends_with("local-1.0.0.sqlite"));
    let opened = Connection::open(path.unwrap()).unwrap();
    let sql = "SELECT time, created FROM events WHERE eventid = 'odd'";
    let row = opened.query_row(sql, [], |row| {
        Ok::<(String, String), _>((row.get(0)?, row.get(1)?))
    });
    assert_eq!(row.unwrap(), ("noon".to_owned(), "NaN".to_owned()));
}
