//! The content of a backup: one instant, every user whole, every loss named.

use crate::{Case, SMALL};
use pryv_backup_tests::command::{run, text};
use pryv_backup_tests::fill::Size;
use pryv_backup_tests::plain::Plain;
use pryv_backup_tests::postgres::Setup;
use pryv_backup_tests::session::Session;
use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Whatever the instant: what was written in one transaction, in all tables, is there together or not at all, and what was
/// committed before `snapshotBefore` is there. One user is read over several connections.
#[test]
fn everything_is_of_one_instant() {
    let size = Size {
        users: 50,
        events: 100,
        ..SMALL
    };
    let Some(case) = Case::new(&Setup::default(), &size) else {
        return;
    };
    case.enlarge();
    let database = &case.database;
    case.server.sql(
        database,
        "INSERT INTO profile SELECT user_id, 'count', '0' FROM users_index; \
         INSERT INTO webhooks (user_id, id, url) SELECT user_id, 'count', '0' FROM users_index; \
         INSERT INTO accesses (user_id, id, token, name) SELECT user_id, 'count', 'count', '0' FROM users_index; \
         INSERT INTO account_fields SELECT user_id, 'count', '0', 1, 'x' FROM users_index; \
         INSERT INTO series_data SELECT 'user.' || username, 'event.count', 1, 1, '{\"n\": 0}' FROM users_index; \
         INSERT INTO audit_events (user_id, eventid, content) SELECT user_id, 'count', '0' FROM users_index",
    );
    let done = AtomicBool::new(false);
    let committed = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut committed = Vec::new();
            while !done.load(Ordering::Relaxed) {
                let n = committed.len() + 1;
                case.server.sql(
                    database,
                    &format!(
                        "BEGIN; UPDATE profile SET data = '{n}' WHERE id = 'count'; \
                         UPDATE webhooks SET url = '{n}' WHERE id = 'count'; \
                         UPDATE accesses SET name = '{n}' WHERE id = 'count'; \
                         UPDATE account_fields SET value = '{n}' WHERE field = 'count'; \
                         UPDATE series_data SET fields = '{{\"n\": {n}}}' WHERE event_id = 'event.count'; \
                         UPDATE audit_events SET content = '{n}' WHERE eventid = 'count'; \
                         INSERT INTO streams (user_id, id, name, path) SELECT user_id, 's{n}', 's{n}', 's{n}/' FROM users_index; \
                         INSERT INTO events (user_id, id, stream_ids) SELECT user_id, 'e{n}', '[\"s{n}\"]' FROM users_index; COMMIT"
                    ),
                );
                committed.push(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64());
            }
            committed
        });
        let mut watch = Session::new(&case.server, &case.database);
        while watch.sql("SELECT count(*) > 0 FROM streams WHERE id ~ '^s[0-9]+$'") != "t" {}
        let made = case.backup("archive", &[("storages__audit__engine", "postgresql")]);
        done.store(true, Ordering::Relaxed);
        assert_eq!(made.status.code(), Some(0), "{}", text(&made));
        writer.join().unwrap()
    });
    let archive = Plain::read(&case.folder.path().join("archive"));
    let manifest = archive.json("manifest.json");
    let instant = manifest["snapshotBefore"].as_f64().unwrap();
    assert_eq!(
        manifest["backupTimestamp"],
        (instant * 1000.0).round() as u64
    );
    let before = committed.iter().filter(|time| **time < instant).count();
    let mut seen = BTreeSet::new();
    for user in manifest["users"].as_array().unwrap() {
        assert_eq!(user["backupTimestamp"], manifest["backupTimestamp"]);
        let user = user["userId"].as_str().unwrap();
        let records = |kind: &str| archive.records(&format!("users/{user}/{kind}"));
        let counted = |kind: &str, id: &str, member: &str| {
            let records = records(kind);
            let record = records.iter().find(|r| r[id] == "count").unwrap();
            record[member].to_string().trim_matches('"').to_owned()
        };
        seen.insert(counted("profile", "id", "data"));
        seen.insert(counted("webhooks", "id", "url"));
        seen.insert(counted("accesses", "id", "name"));
        seen.insert(counted("audit", "eventid", "content"));
        seen.insert(records("series")[0]["points"][0]["n"].to_string());
        let fields = &records("account")[0]["accountFields"];
        let field = fields
            .as_array()
            .unwrap()
            .iter()
            .find(|f| f["field"] == "count");
        seen.insert(field.unwrap()["value"].to_string());
        let numbered = |kind: &str, letter: char| {
            let records = records(kind);
            let ids = records
                .iter()
                .filter_map(|r| r["id"].as_str()?.strip_prefix(letter));
            ids.filter_map(|n| n.parse::<usize>().ok())
                .collect::<BTreeSet<_>>()
        };
        let (streams, events) = (numbered("streams", 's'), numbered("events", 'e'));
        assert_eq!(streams, events);
        assert_eq!(streams.last().copied().unwrap_or(0), streams.len());
        seen.insert(streams.len().to_string());
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
    let seen: usize = seen.first().unwrap().parse().unwrap();
    assert!(
        before > 0 && seen >= before && seen < committed.len(),
        "{before} committed before, {seen} seen, {} in all",
        committed.len()
    );
}

/// However wide its points are, a line of a series stays one that a reader can hold.
#[test]
fn lines_of_series_are_bounded() {
    let Some(case) = Case::new(&Setup::default(), &SMALL) else {
        return;
    };
    case.server.sql(
        &case.database,
        "INSERT INTO series_data SELECT 'user.user000000', 'event.wide', n, n, jsonb_build_object('text', repeat('x', 100000)) \
         FROM generate_series(1, 200) n",
    );
    let made = case.backup("archive", &[]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    let archive = case.folder.path().join("archive");
    let lines: Vec<String> = pryv_backup_tests::folder::files(&archive)
        .into_iter()
        .filter(|path| path.ends_with("series.jsonl"))
        .flat_map(|path| {
            fs::read_to_string(path)
                .unwrap()
                .lines()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(lines.len() > 3 && lines.iter().all(|line| line.len() < 6 << 20));
    let points: usize = lines
        .iter()
        .map(|line| line.matches("\"time\":").count())
        .sum();
    assert_eq!(points, 200);
}

/// A session without end, and rows that are none.
#[test]
fn sessions_may_last_forever() {
    let Some(case) = Case::new(&Setup::default(), &SMALL) else {
        return;
    };
    case.server.sql(
        &case.database,
        "INSERT INTO sessions VALUES ('forever', '{\"username\": \"user000000\"}', 'infinity'), \
            ('past', '{\"username\": \"user000000\"}', '-infinity'), ('bare', NULL, now()), ('endless', '{}', NULL)",
    );
    let mut command = case.command("archive", &[]);
    let made = run(command.args(["--include-ephemeral", "--encrypt-passphrase", "secret"]));
    let said = text(&made);
    assert_eq!(made.status.code(), Some(5), "{said}");
    assert!(
        said.contains("sessions 2") && said.contains("2 rows without data or expires"),
        "{said}"
    );
    let shown = run(
        std::process::Command::new(pryv_backup_tests::command::tool())
            .arg("cat")
            .arg(case.folder.path().join("archive"))
            .args(["platform/sessions.jsonl", "--passphrase", "secret"]),
    );
    let shown = text(&shown);
    assert!(
        shown.contains("\"expires\":8640000000000000") && shown.contains("\"expires\":0"),
        "{shown}"
    );
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

/// A series is kept under the current name, a former one, or the id; its times are exact. Where several users bore a name, the
/// event tells whose the series is.
#[test]
fn series_are_found_under_every_name() {
    let Some(case) = Case::new(&Setup::default(), &SMALL) else {
        return;
    };
    case.server.sql(
        &case.database,
        "INSERT INTO account_fields SELECT user_id, 'username', to_jsonb(f.name), row_number() OVER (), 'x' FROM users_index, (VALUES \
             ('user000000', 'alone'), ('user000000', 'both'), ('user000002', 'both'), ('user000000', 'user000001')) AS f(of, name) \
             WHERE username = f.of; \
         INSERT INTO events (user_id, id, time) SELECT user_id, e.id, 1 FROM users_index, (VALUES \
             ('user000000', 'e0'), ('user000001', 'e1'), ('user000002', 'e2')) AS e(of, id) WHERE username = e.of; \
         INSERT INTO series_data SELECT 'user.' || namespace, 'event.' || id, n, n, fields::jsonb FROM (VALUES \
             ('user000000', 'e0', 4393911305278, '{\"value\": 1.50}'), ('user000000', 'e0', -1, '{}'), \
             ('alone', 'gone', 1000000, '{\"text\": \"time\"}'), ('both', 'e0', 2, '{}'), ('both', 'e2', 3, '{}'), ('both', 'nowhere', 4, '{}'), \
             ('user000001', 'e0', 5, '{}'), ('user000001', 'e1', 6, '{}'), ('user000001', 'other', 7, '{}'), \
             ('nobody', 'e0', 8, '{}')) AS s(namespace, id, n, fields); \
         INSERT INTO series_data SELECT user_id, 'e', 7, 7, '{\"time\": 1}' FROM users_index WHERE username = 'user000002'",
    );
    let made = case.backup("archive", &[]);
    // A point that cannot be told from its time, a series that is nobody's, and a name that is.
    let said = text(&made);
    assert_eq!(made.status.code(), Some(5), "{said}");
    assert_eq!(said.matches("LOST").count(), 3, "{said}");
    assert!(said.contains("series/user.nobody"), "{said}");
    assert!(
        said.contains("\"event.nowhere\" is kept under a name that several users bore"),
        "{said}"
    );
    let archive = case.folder.path().join("archive");
    let manifest = Plain::read(&archive).json("manifest.json");
    let lines = |name: &str| {
        let users = manifest["users"].as_array().unwrap();
        let user = users.iter().find(|user| user["username"] == name).unwrap();
        let id = user["userId"].as_str().unwrap();
        fs::read_to_string(archive.join(format!("users/{id}/series/series.jsonl"))).unwrap()
    };
    let line = |namespace: &str, id: &str, points: &str| {
        format!(
            "{{\"measurement\":\"event.{id}\",\"namespace\":\"user.{namespace}\",\"points\":[{points}]}}\n"
        )
    };
    assert_eq!(
        lines("user000000"),
        [
            line("alone", "gone", "{\"time\":1,\"text\": \"time\"}"),
            line("both", "e0", "{\"time\":0.000002}"),
            line(
                "user000000",
                "e0",
                "{\"time\":-0.000001},{\"time\":4393911.305278,\"value\": 1.50}"
            ),
            line("user000001", "e0", "{\"time\":0.000005}"),
        ]
        .concat()
    );
    // Series of an unknown event belong to the user who has the name now.
    assert_eq!(
        lines("user000001"),
        line("user000001", "e1", "{\"time\":0.000006}")
            + &line("user000001", "other", "{\"time\":0.000007}")
    );
    assert_eq!(
        lines("user000002"),
        line("both", "e2", "{\"time\":0.000003}")
    );
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
