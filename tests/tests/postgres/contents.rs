//! What a backup holds: one instant, every user whole, nothing lost unnamed.

use crate::{Case, SMALL};
use pryv_backup_tests::command::{run, text};
use pryv_backup_tests::fill::Size;
use pryv_backup_tests::plain::Plain;
use pryv_backup_tests::postgres::Setup;
use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Two rows of one transaction, in two tables, always with the same number: whatever the instant, they agree.
#[test]
fn everything_is_of_one_instant() {
    let size = Size {
        users: 200,
        events: 300,
        ..SMALL
    };
    let Some(case) = Case::new(&Setup::default(), &size) else {
        return;
    };
    let database = &case.database;
    case.server.sql(
        database,
        "INSERT INTO profile SELECT user_id, 'count', '0' FROM users_index; \
         INSERT INTO streams (user_id, id, name, path) SELECT user_id, 'count', '0', 'count/' FROM users_index; \
         INSERT INTO events (user_id, id, content) SELECT user_id, 'count', '0' FROM users_index",
    );
    let done = AtomicBool::new(false);
    let counted = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut count = 0;
            while !done.load(Ordering::Relaxed) {
                count += 1;
                case.server.sql(
                    database,
                    &format!(
                        "BEGIN; UPDATE profile SET data = '{count}' WHERE id = 'count'; \
                         UPDATE streams SET name = '{count}' WHERE id = 'count'; \
                         UPDATE events SET content = '{count}' WHERE id = 'count'; COMMIT"
                    ),
                );
            }
            count
        });
        std::thread::sleep(Duration::from_millis(300));
        let made = case.backup("archive", &[]);
        done.store(true, Ordering::Relaxed);
        assert_eq!(made.status.code(), Some(0), "{}", text(&made));
        writer.join().unwrap()
    });
    assert!(counted > 3, "the writer was too slow to matter: {counted}");
    let archive = Plain::read(&case.folder.path().join("archive"));
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for user in archive.json("manifest.json")["users"].as_array().unwrap() {
        let user = user["userId"].as_str().unwrap();
        for (kind, member) in [
            ("profile", "data"),
            ("streams", "name"),
            ("events", "content"),
        ] {
            let records = archive.records(&format!("users/{user}/{kind}"));
            let record = records.iter().find(|r| r["id"] == "count").unwrap();
            let number = record[member].to_string().trim_matches('"').to_owned();
            *seen.entry(number).or_default() += 1;
        }
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen.into_values().next(), Some(600));
}

/// One user with most of the rows is read otherwise than the others; nothing is lost or doubled on the way.
#[test]
fn large_users_are_whole() {
    let Some(case) = Case::new(&Setup::default(), &SMALL) else {
        return;
    };
    case.enlarge();
    let made = case.backup("archive", &[]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    let archive = Plain::read(&case.folder.path().join("archive"));
    let mut total = 0;
    for user in archive.json("manifest.json")["users"].as_array().unwrap() {
        let id = user["userId"].as_str().unwrap();
        let events = archive.records(&format!("users/{id}/events"));
        assert_eq!(user["stats"]["events"], events.len());
        assert_eq!(archive.attachments(id).len(), 2);
        let ids: std::collections::BTreeSet<_> =
            events.iter().map(|e| e["id"].to_string()).collect();
        assert_eq!(ids.len(), events.len(), "doubled");
        total += events.len();
    }
    assert_eq!(total, 100_000 + 3 * 20);
}

/// By its name or by its id.
#[test]
fn one_user_comes_alone() {
    let Some(case) = Case::new(&Setup::default(), &SMALL) else {
        return;
    };
    let made = run(case.command("archive", &[]).args(["--user", "user000001"]));
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    let archive = Plain::read(&case.folder.path().join("archive"));
    let id = archive.json("manifest.json")["users"][0]["userId"].clone();
    let made = run(case
        .command("by-id", &[])
        .args(["--user", id.as_str().unwrap()]));
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    let by_id = Plain::read(&case.folder.path().join("by-id"));
    let events = format!("users/{}/events", id.as_str().unwrap());
    assert_eq!(by_id.records(&events), archive.records(&events));
    let manifest = archive.json("manifest.json");
    let users = manifest["users"].as_array().unwrap();
    assert_eq!(users.len(), 1);
    assert_eq!(users[0]["username"], "user000001");
    let stats = &users[0]["stats"];
    assert_eq!(
        (&stats["events"], &stats["streams"]),
        (&20.into(), &8.into())
    );
    assert_eq!(stats["attachments"], 2);
}

/// A series is kept under the current name, a former one that nobody took over, or the id; its times are exact.
#[test]
fn series_are_found_under_every_name() {
    let Some(case) = Case::new(&Setup::default(), &SMALL) else {
        return;
    };
    case.server.sql(
        &case.database,
        "INSERT INTO account_fields SELECT user_id, 'username', name, time, 'x' FROM users_index, (VALUES \
             ('\"former\"'::jsonb, 1), ('\"user000001\"', 2)) AS f(name, time) WHERE username = 'user000000'; \
         INSERT INTO series_data SELECT namespace, 'event.e', n, n, fields::jsonb FROM (VALUES \
             ('user.user000000', 4393911305278, '{\"value\": 1.50}'), ('user.user000000', -1, '{}'), \
             ('user.former', 1000000, '{\"text\": \"time\"}'), ('user.user000001', 5, '{\"value\": 2}'), \
             ('user.nobody', 6, '{}')) AS s(namespace, n, fields); \
         INSERT INTO series_data SELECT user_id, 'e', 7, 7, '{\"time\": 1}' FROM users_index WHERE username = 'user000002'",
    );
    let made = case.backup("archive", &[]);
    // The last point cannot be told from its time.
    assert_eq!(made.status.code(), Some(5), "{}", text(&made));
    let archive = case.folder.path().join("archive");
    let manifest = Plain::read(&archive).json("manifest.json");
    let lines = |name: &str| {
        let users = manifest["users"].as_array().unwrap();
        let user = users.iter().find(|user| user["username"] == name).unwrap();
        let id = user["userId"].as_str().unwrap();
        fs::read_to_string(archive.join(format!("users/{id}/series/series.jsonl"))).ok()
    };
    assert_eq!(
        lines("user000000").unwrap(),
        "{\"measurement\":\"event.e\",\"namespace\":\"user.former\",\"points\":[{\"time\":1,\"text\": \"time\"}]}\n\
         {\"measurement\":\"event.e\",\"namespace\":\"user.user000000\",\"points\":[{\"time\":-0.000001},{\"time\":4393911.305278,\"value\": 1.50}]}\n"
    );
    assert_eq!(
        lines("user000001").unwrap(),
        "{\"measurement\":\"event.e\",\"namespace\":\"user.user000001\",\"points\":[{\"time\":0.000005,\"value\": 2}]}\n"
    );
    assert_eq!(lines("user000002"), None);
}

/// A file that is missing is a loss, unless its event went away while the backup ran.
#[test]
fn missing_files_are_losses() {
    let Some(case) = Case::new(&Setup::default(), &SMALL) else {
        return;
    };
    case.server.sql(
        &case.database,
        "INSERT INTO events (user_id, id, time, attachments, deleted) SELECT min(user_id), 'gone', 1, '[{\"id\": \"gone\"}]', 2 \
             FROM users_index; \
         INSERT INTO events (user_id, id, time, attachments, head_id) SELECT min(user_id), 'old', 1, '[{\"id\": \"old\"}]', 'x' \
             FROM users_index; \
         INSERT INTO events (user_id, id, time, attachments) SELECT min(user_id), 'lost', 1, '[{\"id\": \"lost\"}, {\"id\": \"../x\"}]' \
             FROM users_index; \
         INSERT INTO events (user_id, id, time, attachments) SELECT min(user_id), 'odd', 1, '{\"id\": 5}' FROM users_index",
    );
    let made = case.backup("archive", &[]);
    let said = text(&made);
    assert_eq!(made.status.code(), Some(5), "{said}");
    let losses: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("LOST"))
        .collect();
    assert_eq!(losses.len(), 3, "{said}");
    for word in ["attachment lost of event lost", "../x", "odd"] {
        assert!(
            losses.iter().any(|line| line.contains(word)),
            "{word}: {said}"
        );
    }
}

/// Whatever its dates say, and whatever its numbers are.
#[test]
fn every_row_comes_along_to_the_last_digit() {
    let Some(case) = Case::new(&Setup::default(), &SMALL) else {
        return;
    };
    let content = r#"[123456789012345678901234567890, -0.10, 9007199254740993, 1e400]"#;
    case.server.sql(
        &case.database,
        &format!(
            "INSERT INTO events (user_id, id, time, modified, created, content) \
             SELECT user_id, 'tomorrow', 1e300, 99999999999, -1e-7, '{content}' FROM users_index"
        ),
    );
    let made = case.backup("archive", &[]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    let archive = case.folder.path().join("archive");
    let mut seen = 0;
    for user in fs::read_dir(archive.join("users")).unwrap() {
        let events = user.unwrap().path().join("events/events-0001.jsonl");
        let events = fs::read_to_string(events).unwrap();
        let line = events.lines().find(|line| line.contains("tomorrow"));
        let line = line.unwrap();
        // Digits as the database keeps them, doubles as JavaScript prints them.
        assert!(
            line.contains("[123456789012345678901234567890, -0.10, 9007199254740993, 1000"),
            "{line}"
        );
        for text in [
            "\"time\":1e+300",
            "\"modified\":99999999999",
            "\"created\":-1e-7",
        ] {
            assert!(line.contains(text), "{text}: {line}");
        }
        seen += 1;
    }
    assert_eq!(seen, 3);
}
