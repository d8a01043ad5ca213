//! What a backup holds: one instant, every user whole, nothing lost unnamed.

use crate::{Case, SMALL};
use pryv_backup_tests::command::{run, text};
use pryv_backup_tests::fill::Size;
use pryv_backup_tests::plain::Plain;
use pryv_backup_tests::postgres::Setup;
use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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
        std::thread::sleep(Duration::from_millis(300));
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

/// The event is in the snapshot, its file went away with it meanwhile: no loss. Where the event is still there, it is one.
#[test]
fn a_file_that_is_deleted_meanwhile_is_no_loss() {
    let Some(case) = Case::new(&Setup::default(), &SMALL) else {
        return;
    };
    let files = "SELECT user_id || ' ' || id || ' ' || (attachments -> 0 ->> 'id') FROM events \
        WHERE attachments <> '[]' ORDER BY user_id, id LIMIT 2";
    let found = case.server.sql(&case.database, files);
    let found: Vec<Vec<&str>> = found.lines().map(|l| l.split(' ').collect()).collect();
    let [gone, lost] = found.as_slice() else {
        panic!("{found:?}")
    };
    let ended = std::thread::scope(|scope| {
        // The backup has fixed its instant, and waits for this table.
        let lock = "BEGIN; LOCK TABLE webhooks; SELECT pg_sleep(3); COMMIT";
        scope.spawn(|| {
            let psql = case
                .server
                .client("psql")
                .args(["-c", lock, &case.database])
                .output();
            assert!(psql.unwrap().status.success());
        });
        std::thread::sleep(Duration::from_millis(500));
        let child = case.command("archive", &[]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(1200));
        for file in [gone, lost] {
            let path = pryv_backup_tests::folder::files(&case.folder.path().join("users"))
                .into_iter()
                .find(|path| {
                    path.ends_with(format!("{}/attachments/{}/{}", file[0], file[1], file[2]))
                });
            fs::remove_file(path.unwrap()).unwrap();
        }
        let delete = format!(
            "UPDATE events SET deleted = 1, attachments = NULL WHERE user_id = '{}' AND id = '{}'",
            gone[0], gone[1]
        );
        case.server.sql(&case.database, &delete);
        child.wait_with_output().unwrap()
    });
    let said = text(&ended);
    assert_eq!(ended.status.code(), Some(5), "{said}");
    let losses: Vec<&str> = said.lines().filter(|l| l.starts_with("LOST")).collect();
    assert_eq!(losses.len(), 1, "{said}");
    assert!(losses[0].contains(lost[2]), "{said}");
    // The event itself is of the instant before.
    let archive = Plain::read(&case.folder.path().join("archive"));
    let events = archive.records(&format!("users/{}/events", gone[0]));
    let event = events.iter().find(|event| event["id"] == gone[1]).unwrap();
    assert_eq!(event["attachments"][0]["id"], gone[2]);
}

/// The format has one place for a file id. The same content twice is fine; other content is not lost without a word.
#[test]
fn one_id_with_two_contents_is_a_loss() {
    let Some(case) = Case::new(&Setup::default(), &SMALL) else {
        return;
    };
    let user = case
        .server
        .sql(&case.database, "SELECT min(user_id) FROM users_index");
    let folder: Vec<String> = user.chars().rev().take(3).map(String::from).collect();
    let folder = case
        .folder
        .path()
        .join("users")
        .join(folder.join("/"))
        .join(&user)
        .join("attachments");
    for (event, file, content) in [
        ("a", "same", "1"),
        ("b", "same", "1"),
        ("a", "other", "2"),
        ("b", "other", "3"),
    ] {
        fs::create_dir_all(folder.join(event)).unwrap();
        fs::write(folder.join(event).join(file), content).unwrap();
    }
    case.server.sql(
        &case.database,
        "INSERT INTO events (user_id, id, time, attachments) SELECT min(user_id), id, 1, '[{\"id\": \"same\"}, {\"id\": \"other\"}]' \
         FROM users_index, (VALUES ('a'), ('b')) AS e(id) GROUP BY id",
    );
    for (name, secret) in [("open", None), ("sealed", Some("secret"))] {
        let mut command = case.command(name, &[]);
        if let Some(secret) = secret {
            command.args(["--encrypt-passphrase", secret]);
        }
        let made = run(&mut command);
        let said = text(&made);
        assert_eq!(made.status.code(), Some(5), "{said}");
        let losses: Vec<&str> = said.lines().filter(|l| l.starts_with("LOST")).collect();
        assert_eq!(losses.len(), 1, "{said}");
        assert!(
            losses[0].contains("attachments/other") && losses[0].contains("other content"),
            "{said}"
        );
    }
    let archive = Plain::read(&case.folder.path().join("open"));
    assert_eq!(archive.attachments(&user)["same"], b"1");
}

/// Attachments in the database: whole ones, large ones, empty ones; a piece or a file that is missing is a loss.
#[test]
fn files_in_the_database_come_in_pieces() {
    let Some(case) = Case::new(&Setup::default(), &SMALL) else {
        return;
    };
    case.server.sql(
        &case.database,
        "UPDATE events SET attachments = NULL; \
         INSERT INTO events (user_id, id, time, attachments) SELECT min(user_id), 'e', 1, \
            '[{\"id\": \"empty\"}, {\"id\": \"small\"}, {\"id\": \"large\"}, {\"id\": \"exact\"}, {\"id\": \"holed\"}, {\"id\": \"none\"}]' \
            FROM users_index; \
         INSERT INTO events (user_id, id, time, attachments, head_id) SELECT min(user_id), 'old', 1, '[{\"id\": \"former\"}]', 'e' FROM users_index; \
         INSERT INTO events (user_id, id, time, attachments, deleted) SELECT min(user_id), 'gone', 1, '[{\"id\": \"gone\"}]', 1 FROM users_index; \
         INSERT INTO events (user_id, id, time, attachments) SELECT min(user_id), 'odd', 1, '{\"id\": 5}' FROM users_index; \
         INSERT INTO attachment_files SELECT (SELECT min(user_id) FROM users_index), 'e', f.id, f.seq, decode(repeat(f.byte, f.size), 'hex') FROM (VALUES \
            ('empty', 0, '00', 0), ('small', 0, '01', 5), ('large', 0, '02', 1048576), ('large', 1, '03', 1048576), ('large', 2, '04', 1048576), \
            ('large', 3, '05', 7), ('exact', 0, '06', 1048576), ('exact', 1, '07', 1048576), ('holed', 0, '08', 1048576), ('holed', 2, '09', 3), \
            ('unlisted', 0, '0a', 9)) AS f(id, seq, byte, size)",
    );
    let made = case.backup("archive", &[("storages__file__engine", "postgresql")]);
    let said = text(&made);
    assert_eq!(made.status.code(), Some(5), "{said}");
    let losses: Vec<&str> = said.lines().filter(|l| l.starts_with("LOST")).collect();
    assert_eq!(losses.len(), 3, "{said}");
    for words in [
        "piece 1 is missing",
        "attachment none of event e",
        "event \"odd\" cannot be listed",
    ] {
        assert!(losses.iter().any(|l| l.contains(words)), "{words}: {said}");
    }
    let archive = Plain::read(&case.folder.path().join("archive"));
    let user = case
        .server
        .sql(&case.database, "SELECT min(user_id) FROM users_index");
    let found = archive.attachments(&user);
    let names: Vec<&&str> = found.keys().collect();
    assert_eq!(names, [&"empty", &"exact", &"large", &"small"]);
    assert!(found["empty"].is_empty());
    assert_eq!(found["small"], [1; 5]);
    let pieces = |pieces: &[(u8, usize)]| -> Vec<u8> {
        pieces
            .iter()
            .flat_map(|(byte, size)| vec![*byte; *size])
            .collect()
    };
    const MB: usize = 1 << 20;
    assert!(found["large"] == pieces(&[(2, MB), (3, MB), (4, MB), (5, 7)]));
    assert!(found["exact"] == pieces(&[(6, MB), (7, MB)]));
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

/// Where everything is missing, it is counted, so that neither memory nor reports grow without end.
#[test]
fn countless_losses_are_counted() {
    let Some(case) = Case::new(&Setup::default(), &SMALL) else {
        return;
    };
    case.server.sql(
        &case.database,
        "INSERT INTO events (user_id, id, time, attachments) SELECT (SELECT min(user_id) FROM users_index), 'm' || n, 1, \
         '[{\"id\": \"missing\"}]' FROM generate_series(1, 1500) n",
    );
    let made = case.backup("archive", &[]);
    let said = text(&made);
    assert_eq!(made.status.code(), Some(5), "{said}");
    assert_eq!(said.matches("LOST").count(), 1001);
    assert!(said.contains("500 more losses"), "{said}");
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
    // A point that cannot be told from its time, and a series that is nobody's.
    let said = text(&made);
    assert_eq!(made.status.code(), Some(5), "{said}");
    assert_eq!(said.matches("LOST").count(), 2, "{said}");
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
    // What is of no event that is known is of who bears the name now.
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

/// Whoever comes first, and however it ends: a file that cannot be read does not take one of the same id with it.
#[test]
fn a_broken_file_leaves_its_place_to_a_whole_one() {
    let Some(case) = Case::new(&Setup::default(), &SMALL) else {
        return;
    };
    case.server.sql(
        &case.database,
        "UPDATE events SET attachments = NULL; \
         INSERT INTO users_index VALUES ('odd', 'a/b'); \
         INSERT INTO events (user_id, id, time, attachments) SELECT min(user_id), id, 1, '[{\"id\": \"same\"}]' \
            FROM users_index, (VALUES ('a'), ('b'), ('c'), ('d')) AS e(id) WHERE user_id <> 'a/b' GROUP BY id; \
         INSERT INTO attachment_files SELECT (SELECT min(user_id) FROM users_index WHERE user_id <> 'a/b'), f.id, 'same', n, \
            decode(repeat('07', 1048576), 'hex') FROM (VALUES ('a', 12), ('b', 0), ('c', 0), ('d', 0)) AS f(id, last), \
            generate_series(0, f.last) n WHERE n <> 10",
    );
    let mut command = case.command("archive", &[("storages__file__engine", "postgresql")]);
    let made = run(command.args(["--jobs", "4"]));
    let said = text(&made);
    assert_eq!(made.status.code(), Some(5), "{said}");
    let losses: Vec<&str> = said.lines().filter(|l| l.starts_with("LOST")).collect();
    assert_eq!(losses.len(), 2, "{said}");
    assert!(
        losses
            .iter()
            .any(|l| l.contains("for event a: piece 10 is missing")),
        "{said}"
    );
    // Beside the file: a user for whom there can be no folder.
    assert!(
        losses
            .iter()
            .any(|l| l.contains("\"a/b\" cannot be the name of a folder")),
        "{said}"
    );
    let archive = Plain::read(&case.folder.path().join("archive"));
    let user = archive.json("manifest.json")["users"][0]["userId"].clone();
    let users: Vec<_> = archive.json("manifest.json")["users"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(users.len(), 3);
    let found: usize = users
        .iter()
        .map(|user| {
            archive
                .attachments(user["userId"].as_str().unwrap())
                .get("same")
                .map_or(0, |f| f.len())
        })
        .sum();
    assert_eq!(found, 1 << 20, "{user}");
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
