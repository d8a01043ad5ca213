//! Looking into archives: which one it is, what it holds, one file of it, and how two differ.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;

use pryv_backup_tests::{command::text, folder::tree, sampled::Stage};
use rusqlite::Connection;
use serde_json::{Value, json};

#[test]
fn an_archive_is_known_without_its_key_and_shown_with_it() {
    let stage = Stage::new();
    fs::create_dir(stage.at("all")).unwrap();
    stage.backup("all/one");
    stage.backup("all/two");
    let outside = stage.good(&["list", "all"]);
    assert!(outside.contains("encrypted to ") && outside.contains("--private-key"));
    assert!(!outside.contains("alice"), "{outside}");
    let inside = stage.json(&["list", "all", "--json", "--private-key", "key.pem"]);
    let archives = inside["archives"].as_array().unwrap();
    assert_eq!(archives.len(), 2);
    for (archive, name) in archives.iter().zip(["one", "two"]) {
        let stored = fs::read(stage.at("all").join(name).join("manifest.json")).unwrap();
        assert_eq!(
            archive["archiveId"],
            pryv_backup_engine::archive::sha256_hex(&stored)
        );
        assert!(outside.contains(archive["archiveId"].as_str().unwrap()));
        assert_eq!(archive["users"].as_array().unwrap().len(), 3);
        let sizes = tree(&stage.at("all").join(name));
        assert_eq!(archive["files"], sizes.len());
        let bytes: usize = sizes.values().map(Vec::len).sum();
        assert_eq!(archive["bytes"], bytes);
        assert!(archive["made"].as_str().unwrap().starts_with("20"));
    }
    let nothing = stage.run(&["list", "platform"]);
    assert_eq!(nothing.status.code(), Some(2), "{}", text(&nothing));

    // One that is damaged is named, the others are shown.
    let manifest = stage.at("all/two/manifest.json");
    let mut bytes = fs::read(&manifest).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&manifest, bytes).unwrap();
    let damaged = stage.run(&["list", "all", "--private-key", "key.pem"]);
    assert_eq!(damaged.status.code(), Some(4), "{}", text(&damaged));
    assert!(text(&damaged).contains("alice") && text(&damaged).contains("all/two"));
}

#[test]
fn a_file_that_nothing_lists_is_named() {
    let stage = Stage::new();
    stage.backup("archive");
    fs::write(stage.at("archive/package.json"), "{}").unwrap();
    for key in [&[][..], &["--private-key", "key.pem"]] {
        let says = "package.json: does not belong to the archive; it is left alone";
        let said = text(&stage.run(&[&["list", "archive"], key].concat()));
        assert!(said.contains(&format!("warning: {says}")), "{said}");
        let listed = stage.json(&[&["list", "archive", "--json"], key].concat());
        let warnings = &listed["archives"][0]["warnings"];
        assert_eq!(warnings, &serde_json::json!([says]), "{listed}");
    }
}

#[test]
fn the_counts_are_those_of_the_records() {
    let stage = Stage::new();
    stage.backup("archive");
    let stats = stage.json(&["stats", "archive", "--json", "--private-key", "key.pem"]);
    let (mut events, mut attachments) = (0, 0);
    for (path, _) in tree(&stage.at("archive")) {
        attachments += usize::from(path.contains("/attachments/"));
        if path.contains("/events/") {
            let lines = stage.good(&["cat", "archive", &path, "--private-key", "key.pem"]);
            events += lines.lines().count();
        }
    }
    assert!(events > 0 && attachments > 0);
    assert_eq!(stats["collections"]["events"]["records"], events);
    assert_eq!(stats["collections"]["attachments"]["files"], attachments);
    assert_eq!(stats["users"], 3);
    assert_eq!(stats["largest"].as_array().unwrap().len(), 3);
    let one = [
        "stats",
        "archive",
        "--json",
        "--user",
        "alice",
        "--private-key",
        "key.pem",
    ];
    assert_eq!(stage.json(&one)["users"], 1);
}

#[test]
fn one_file_comes_out_plain_and_whole() {
    let stage = Stage::new();
    stage.backup("archive");
    let key = ["--private-key", "key.pem"];
    stage.good(&[&["decrypt", "archive", "--out", "out"], &key[..]].concat());
    stage.good(
        &[
            &["decrypt", "archive", "--out", "plain", "--gunzip"],
            &key[..],
        ]
        .concat(),
    );
    for (path, bytes) in tree(&stage.at("out")) {
        let cat = |more: &[&str]| {
            let done = stage.run(&[&["cat", "archive", path.as_str()], more, &key].concat());
            assert_eq!(done.status.code(), Some(0), "{}", text(&done));
            done.stdout
        };
        assert!(cat(&["--raw"]) == bytes, "{path}");
        if path.ends_with(".gz") {
            let plain = path.trim_end_matches(".gz");
            assert!(cat(&[]) == fs::read(stage.at("plain").join(plain)).unwrap());
        }
    }
    let none = stage.run(&[&["cat", "archive", "users/../x"], &key[..]].concat());
    assert_eq!(none.status.code(), Some(2), "{}", text(&none));
    let cut = stage.file("/attachments/");
    let name = cut.file_name().unwrap().to_str().unwrap().to_owned();
    let stored = tree(&stage.at("archive"));
    let path = stored.keys().find(|path| path.ends_with(&name)).unwrap();
    fs::write(
        stage.at("archive").join(path),
        &stored[path][..stored[path].len() - 1],
    )
    .unwrap();
    let cut = stage.run(&[&["cat", "archive", path], &key[..]].concat());
    assert_eq!(cut.status.code(), Some(4), "{}", text(&cut));
}

#[test]
fn two_archives_differ_by_what_was_changed_between_them() {
    let stage = Stage::new();
    stage.backup("old");
    let key = ["--private-key", "key.pem"];
    let diff = |more: &[&str]| stage.good(&[&["diff", "old", "new"], more, &key[..]].concat());
    let sql = |file: &str, statements: &str| {
        let database = Connection::open(stage.file(file)).unwrap();
        database.execute_batch(statements).unwrap();
    };
    stage.backup("new");
    assert!(diff(&[]).contains("the same records"));
    fs::remove_dir_all(stage.at("new")).unwrap();

    sql(
        "alice/local-1.0.0.sqlite",
        "UPDATE events SET description = 'new' WHERE rowid = 2; DELETE FROM events WHERE rowid = 4; \
         INSERT INTO events (eventid, streamIds, type) VALUES ('added', '..', 'note/txt')",
    );
    sql(
        "alice/account-1.0.0.sqlite",
        "INSERT INTO account_fields VALUES ('language', '\"fr\"', 99, 'x')",
    );
    sql(
        "user.alice/series-1.0.0.sqlite",
        "UPDATE series_data SET fields = '{\"value\": -1}' WHERE rowid IN (SELECT min(rowid) FROM series_data)",
    );
    sql("alice/baseStorage-1.0.0.sqlite", "DELETE FROM profile");
    let attachment = stage.file("alice/attachments/event-files/file-letter");
    let mut bytes = fs::read(&attachment).unwrap();
    bytes[0] ^= 1;
    fs::write(&attachment, bytes).unwrap();
    stage.backup("new");
    let found: Value = serde_json::from_str(&diff(&["--json"])).unwrap();
    let users = found["users"].as_object().unwrap();
    assert_eq!(users.len(), 1, "{found}");
    let counts = |added: u64, changed: u64, removed: u64| json!({ "added": added, "changed": changed, "removed": removed });
    let profile = found["users"].as_object().unwrap().values().next().unwrap();
    assert_eq!(
        *profile,
        json!({
            "account": counts(1, 0, 0),
            "attachments": counts(0, 1, 0),
            "events": counts(1, 1, 1),
            "profile": counts(0, 0, 1),
            "series": counts(0, 1, 0),
        })
    );
    let named = diff(&["--verbose"]);
    for line in [
        "+ alice events added",
        "+ alice account accountFields/language/99",
    ] {
        assert!(named.contains(line), "{line}: {named}");
    }
    assert_eq!(
        named
            .lines()
            .filter(|l| l.starts_with(['+', '~', '-']))
            .count(),
        7
    );
    // The other way round.
    let back: Value =
        serde_json::from_str(&stage.good(&[&["diff", "new", "old", "--json"], &key[..]].concat()))
            .unwrap();
    let back = back["users"]
        .as_object()
        .unwrap()
        .values()
        .next()
        .unwrap()
        .clone();
    assert_eq!(back["account"], counts(0, 0, 1));
    assert_eq!(back["profile"], counts(1, 0, 0));
}

#[test]
fn what_cat_printed_is_said_as_json_beside_it() {
    let stage = Stage::new();
    stage.backup("archive");
    let path = tree(&stage.at("archive"))
        .into_keys()
        .find(|path| path.contains("/events/"))
        .unwrap();
    let key = ["--private-key", "key.pem"];
    let plain = stage.good(&[&["cat", "archive", &path], &key[..]].concat());
    let done = stage.run(&[&["cat", "archive", &path, "--json"], &key[..]].concat());
    assert_eq!(String::from_utf8_lossy(&done.stdout), plain);
    let said: Value = serde_json::from_slice(&done.stderr).unwrap();
    assert_eq!(said["path"], path);
    assert_eq!(said["bytes"], plain.len());
    assert_eq!(
        said["sha256"],
        pryv_backup_engine::archive::sha256_hex(plain.as_bytes())
    );
    // In words that fit one and many.
    stage.backup_with(
        "one",
        &["--recipient-pubkey", "key.pub.pem", "--user", "alice"],
    );
    let listed = stage.good(&[&["list", "one"], &key[..]].concat());
    assert!(listed.contains("  1 user, "), "{listed}");
}
