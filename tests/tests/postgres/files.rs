//! Attachments: files beside the database or in it, and what becomes of those that are missing, broken or doubled.

use crate::{Case, SMALL};
use pryv_backup_tests::command::{run, text};
use pryv_backup_tests::plain::Plain;
use pryv_backup_tests::postgres::Setup;
use pryv_backup_tests::session::Session;
use std::fs;

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
    // The backup has fixed its instant, and waits for this table.
    let mut somebody = Session::new(&case.server, &case.database);
    somebody.lock("webhooks");
    let mut child = case.command("archive", &[]).spawn().unwrap();
    somebody.wait_for_waiting(&mut child);
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
    drop(somebody);
    let ended = child.wait_with_output().unwrap();
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
