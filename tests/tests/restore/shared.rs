//! What belongs to no user alone: who owns which value, on which core users are, other names, who is in the way; and what
//! becomes of the archive.

use super::draft::Draft;
use pryv_backup_tests::{
    command::{report, run, text},
    disk::SmallDisk,
    folder, rich,
    stage::{Platform, Stage},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    net::TcpListener,
    process::{Command, Stdio},
};

fn targets(stage: &Stage) -> Vec<Platform<'_>> {
    std::iter::once(stage.sqlite())
        .chain(stage.postgres())
        .collect()
}

fn put(platform: &Platform<'_>, key: &str, value: &str) {
    match &platform.rqlite {
        Some(rqlite) => rqlite.fill([(key, value)]),
        None => {
            platform.sql(&format!(
                "INSERT INTO platform_kv VALUES ('{key}', '{value}')"
            ));
        }
    }
}

fn has(platform: &Platform<'_>, key: &str, value: &str) -> bool {
    let entry = (key.to_owned(), value.to_owned());
    platform.entries().contains(&entry)
}

/// Runs a statement in the index of a SQLite platform, or in the database.
fn index(platform: &Platform<'_>, sqlite: &str, postgres: &str) {
    if platform.database.is_some() {
        platform.sql(postgres);
        return;
    }
    fs::create_dir_all(&platform.users).unwrap();
    let file = rusqlite::Connection::open(platform.users.join("user-index.db")).unwrap();
    file.execute_batch(
        "CREATE TABLE IF NOT EXISTS id4name (username TEXT PRIMARY KEY, userId TEXT NOT NULL); \
         CREATE TABLE IF NOT EXISTS alias4id (alias TEXT PRIMARY KEY, userId TEXT NOT NULL)",
    )
    .unwrap();
    file.execute_batch(sqlite).unwrap();
}

/// An archive as the exporter of version 1 of Pryv.io makes them: raw entries, servers, accounts without fields.
fn version_1(stage: &Stage) -> Draft {
    let draft = Draft::new(stage, "version-1");
    fs::remove_dir_all(draft.root.join("platform")).unwrap();
    for folder in ["platform", "register"] {
        fs::create_dir_all(draft.root.join(folder)).unwrap();
    }
    let lines = |lines: &[Value]| -> String { lines.iter().map(|l| format!("{l}\n")).collect() };
    let entries = lines(&[
        json!({"key": "user-unique/email/alice/of@v1.example", "value": "alice"}),
        json!({"key": "user-indexed/language/alice", "value": "de/CH"}),
        json!({"key": "user-unique/email/gone@v1.example", "value": "somebody-else"}),
        json!({"key": "user-other/x/y", "value": "z"}),
    ]);
    fs::write(draft.root.join("platform/platform.jsonl"), entries).unwrap();
    let servers = lines(&[
        json!({"username": "alice", "server": "co1.v1.example"}),
        json!({"username": "bob00", "server": "co2.v1.example"}),
        json!({"username": "somebody-else", "server": "co1.v1.example"}),
    ]);
    fs::write(draft.root.join("register/servers.jsonl"), servers).unwrap();
    for user in 0..draft.users() {
        let account = fs::read(draft.at(user, "account.jsonl")).unwrap();
        let mut account: Value = serde_json::from_slice(&account).unwrap();
        account.as_object_mut().unwrap().remove("accountFields");
        fs::write(draft.at(user, "account.jsonl"), format!("{account}\n")).unwrap();
    }
    draft
}

#[test]
fn archives_of_version_1_bring_entries_servers_and_the_usual_fields() {
    let Some(stage) = Stage::new() else { return };
    let draft = version_1(&stage);
    for target in targets(&stage) {
        let done = target.restore(&draft.root, &[]);
        let said = report(&done);
        assert!(matches!(done.status.code(), Some(0 | 5)), "{said}");
        for (key, value) in [
            ("user-unique/email/alice/of@v1.example", "alice"),
            ("user-indexed/language/alice", "de/CH"),
            ("user-indexed/language/bob00", "en"),
            ("user-indexed/invitationToken/alice", "no-token"),
            ("user-core/alice", "single"),
            ("user-core/bob00", "single"),
        ] {
            assert!(has(&target, key, value), "{key}: {:?}", target.entries());
        }
        let entries = target.entries();
        assert!(
            entries
                .iter()
                .all(|(k, v)| !k.contains("somebody-else") && v != "somebody-else")
        );
        assert!(
            said["platformLeftOut"].as_object().unwrap().len() >= 2,
            "{said}"
        );
        let rows = target.rows();
        let fields: BTreeSet<&String> = rows
            .iter()
            .filter(|(place, _)| place.ends_with("account_fields"))
            .flat_map(|(_, rows)| rows)
            .collect();
        for field in [
            "language",
            "appId",
            "invitationToken",
            "dbDocuments",
            "attachedFiles",
        ] {
            let of = fields
                .iter()
                .filter(|row| row.contains(field) && row.contains("restore"));
            assert_eq!(of.count(), draft.users(), "{field}");
        }
    }
}

#[test]
fn users_are_on_the_core_that_is_restored_into() {
    let Some(stage) = Stage::new() else { return };
    let archive = stage.sqlite_fixture().backup("archive");
    for target in targets(&stage) {
        put(
            &target,
            "core-info/other",
            r#"{"id":"other","available":true}"#,
        );
        put(
            &target,
            "core-info/here",
            r#"{"id":"here","available":true}"#,
        );
        let target = target.with("core__id", "here");
        let done = target.restore(&archive, &[]);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        assert!(has(&target, "user-core/alice", "here"));
        assert!(
            has(&target, "user-core/alias-1-of-it", "here"),
            "{:?}",
            target.entries()
        );
    }
    // An unknown core among several: nobody can tell, and that is said.
    let target = stage.sqlite().with("core__id", "unknown");
    put(
        &target,
        "core-info/other",
        r#"{"id":"other","available":true}"#,
    );
    let done = target.restore(&archive, &[]);
    let said = report(&done);
    assert!(
        said["platformLeftOut"].to_string().contains("core.id"),
        "{said}"
    );
    assert!(
        !target
            .entries()
            .iter()
            .any(|(key, _)| key.starts_with("user-core/"))
    );
    // The only one that is available.
    let target = stage.sqlite().with("core__id", "unknown");
    put(
        &target,
        "core-info/other",
        r#"{"id":"other","available":false}"#,
    );
    let done = target.restore(&archive, &[]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    assert!(has(&target, "user-core/alice", "single"));
}

fn hashed<'s>(platform: Platform<'s>, key: &str) -> Platform<'s> {
    platform
        .with("platform__piiMode", "hashed")
        .with("platform__piiHmacKey", key)
}

/// The entries of users; where the platform is at home is another matter.
fn of_users(platform: &Platform<'_>) -> BTreeSet<(String, String)> {
    let all = platform.entries().into_iter();
    all.filter(|(key, _)| key.starts_with("user-")).collect()
}

/// What stands for names and values there is made with the key of the platform that is restored into.
#[test]
fn hashed_values_are_hashed_for_the_platform_at_hand() {
    let Some(stage) = Stage::new() else { return };
    const ONE: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    const OTHER: &str = "CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=";
    // Pryv's own token of alice for the first key.
    const ALICE: &str = "008f6a1da2ab7e27006bffce4da3eaa4280ea2499aa79d6bf026a56f70ddf86f";
    let clear = stage.sqlite_fixture().backup("archive");
    for (n, target) in targets(&stage).into_iter().enumerate() {
        let one = hashed(target, ONE);
        let done = one.restore(&clear, &[]);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        assert!(has(&one, &format!("user-core/{ALICE}"), "single"));
        let entries = of_users(&one);
        assert!(
            entries
                .iter()
                .any(|(key, value)| key.starts_with("user-unique/email/") && value == ALICE)
        );
        assert!(
            entries.iter().all(|(key, _)| !key.contains("alice")),
            "{entries:?}"
        );

        // The other way round: a platform that hashes with another key, and one that does not hash.
        let archive = one.backup(&format!("hashed-{n}"));
        for to in targets(&stage) {
            let (to, direct) = (hashed(to, OTHER), hashed(stage.sqlite(), OTHER));
            for (target, archive) in [(&to, &archive), (&direct, &clear)] {
                let done = target.restore(archive, &[]);
                assert_eq!(done.status.code(), Some(0), "{}", text(&done));
            }
            let (rebuilt, due) = (of_users(&to), of_users(&direct));
            assert!(rebuilt.is_subset(&due), "{rebuilt:?}");
            // All but second addresses, of which nothing but their token was left.
            let lacking: Vec<_> = due.difference(&rebuilt).collect();
            assert!(
                lacking.len() == 4
                    && lacking
                        .iter()
                        .all(|(key, _)| key.starts_with("user-unique/email/")),
                "{lacking:?}"
            );
        }
        let plain = stage.sqlite();
        let done = plain.restore(&archive, &[]);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        assert!(has(&plain, "user-unique/email/alice@exa.example", "alice"));
        assert!(has(&plain, "user-core/alice", "single"));
    }
}

/// Pryv's archives of one user have no entries of the platform, and in the others values are cut at a slash.
#[test]
fn values_that_the_archive_lacks_or_has_cut_come_from_the_account() {
    let Some(stage) = Stage::new() else { return };
    for target in targets(&stage) {
        let archive = stage.fixtures.join("archives/single-user");
        let done = target.restore(&archive, &[]);
        let said = report(&done);
        let name = said["users"][0]["username"].as_str().unwrap().to_owned();
        let owns = |key: &str, value: &str| key.starts_with("user-unique/email/") && value == name;
        assert!(target.entries().iter().any(|(k, v)| owns(k, v)), "{said}");
        assert!(has(
            &target,
            &format!("user-indexed/appId/{name}"),
            "peer-seed"
        ));
    }
    for target in targets(&stage) {
        let archive = stage.fixtures.join("archives/plain-pg");
        let done = target.restore(&archive, &[]);
        assert!(matches!(done.status.code(), Some(0 | 5)), "{}", text(&done));
        let whole = "user-unique/email/weird+tag%/slash@exa.example";
        assert!(
            has(&target, whole, "0-edge--case-9"),
            "{:?}",
            target.entries()
        );
        assert!(
            !target
                .entries()
                .iter()
                .any(|(key, _)| key == "user-unique/email/weird+tag%")
        );
    }
}

/// Accesses name aliases even where the archive has no list of them.
#[test]
fn aliases_come_from_the_accesses_too() {
    let Some(stage) = Stage::new() else { return };
    for target in targets(&stage) {
        let draft = Draft::new(&stage, "archive");
        for (id, alias, more) in [
            ("x1", "r-live", json!({})),
            ("x2", "r-deleted", json!({"deleted": 5})),
            ("x3", "r-version", json!({"headId": "x1"})),
        ] {
            let mut access =
                json!({"id": id, "token": id, "type": "shared", "name": id, "alias": alias});
            access
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            draft.append(0, "accesses.jsonl", &access.to_string());
        }
        let done = target.restore(&draft.root, &[]);
        assert!(matches!(done.status.code(), Some(0 | 5)), "{}", text(&done));
        let rows = target.rows();
        let place = |place: &&String| place.ends_with("alias4id") || *place == "alias_index";
        let places: Vec<&String> = rows.keys().filter(place).collect();
        let aliases: Vec<&String> = places.iter().flat_map(|p| &rows[*p]).collect();
        assert_eq!(aliases.len(), 1, "{aliases:?}");
        assert!(aliases[0].contains("r-live") && aliases[0].contains(&draft.id(0)));
        fs::remove_dir_all(&draft.root).unwrap();
    }
}

/// Somebody else has the name, the id, the alias, or a name that is the alias; each is found before anything is written.
#[test]
fn conflicts_are_found_before_anything_is_written() {
    let Some(stage) = Stage::new() else { return };
    let archive = stage.sqlite_fixture().backup("archive");
    let opened = stage.open(&archive);
    let manifest: Value =
        serde_json::from_slice(&fs::read(opened.join("manifest.json")).unwrap()).unwrap();
    let alice = manifest["users"][0]["userId"].as_str().unwrap();
    for (name, id, alias, says) in [
        ("alice", "someone-else", "", "another user called \"alice\""),
        ("alicia", alice, "", "belongs to \"alicia\""),
        (
            "mallory",
            "someone-else",
            "alias-1-of-it",
            "the alias \"alias-1-of-it\" of \"alice\"",
        ),
        (
            "alias-1-of-it",
            "someone-else",
            "",
            "the alias \"alias-1-of-it\" of \"alice\"",
        ),
        (
            "mallory",
            "someone-else",
            "alice",
            "\"alice\" is an alias of the user someone-else",
        ),
    ] {
        for target in targets(&stage) {
            let mut sqlite = format!("INSERT INTO id4name VALUES ('{name}', '{id}');");
            let mut postgres = format!("INSERT INTO users_index VALUES ('{name}', '{id}');");
            if !alias.is_empty() {
                sqlite += &format!("INSERT INTO alias4id VALUES ('{alias}', '{id}')");
                postgres += &format!("INSERT INTO alias_index VALUES ('{alias}', '{id}')");
            }
            index(&target, &sqlite, &postgres);
            let before = target.rows();
            for flags in [&[][..], &["--overwrite"]] {
                let refused = target.restore(&archive, flags);
                assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
                assert!(text(&refused).contains(says), "{}", text(&refused));
                assert!(target.rows() == before && target.is_left_clean());
            }
            let done = target.restore(&archive, &["--skip-conflicts"]);
            let said = report(&done);
            assert_eq!(done.status.code(), Some(5), "{said}");
            let users = said["users"].as_array().unwrap();
            assert_eq!(users[0]["outcome"], "skipped", "{said}");
            assert_eq!(
                users.iter().filter(|u| u["outcome"] == "restored").count(),
                3
            );
        }
    }
    // An address: the second user of the archive has it there.
    for target in targets(&stage) {
        put(&target, "user-unique/email/bob00@exa.example", "mallory");
        let before = target.rows();
        let refused = target.restore(&archive, &[]);
        assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
        assert!(
            text(&refused).contains("the email of \"bob00\""),
            "{}",
            text(&refused)
        );
        assert!(target.rows() == before);
    }
}

#[test]
fn a_dry_run_leaves_nothing_and_tells_all() {
    let Some(stage) = Stage::new() else { return };
    let archive = stage.sqlite_fixture().backup("archive");
    for target in targets(&stage) {
        let before = target.entries();
        let dry = target.restore(&archive, &["--dry-run"]);
        let said = report(&dry);
        assert_eq!(dry.status.code(), Some(0), "{said}");
        assert!(!target.users.exists());
        assert!(target.entries() == before);
        let done = target.restore(&archive, &[]);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        let rows = target.rows();
        let files = folder::tree(&target.users);
        let users = |said: &Value, outcome: &str| -> Vec<Value> {
            let users = said["users"].as_array().unwrap().iter();
            users
                .map(|u| {
                    assert_eq!(u["outcome"], outcome);
                    u["records"]["events"].clone()
                })
                .collect()
        };
        assert_eq!(
            users(&said, "wouldBeRestored"),
            users(&report(&done), "restored")
        );
        for flags in [&["--dry-run"][..], &["--dry-run", "--overwrite"]] {
            let dry = target.restore(&archive, flags);
            let code = if flags.len() == 1 { 5 } else { 0 };
            assert_eq!(dry.status.code(), Some(code), "{}", text(&dry));
            assert!(target.rows() == rows);
            assert!(folder::tree(&target.users) == files, "a file was touched");
        }
    }
}

#[test]
fn two_restores_do_not_meet() {
    let Some(stage) = Stage::new() else { return };
    let archive = stage.sqlite_fixture().backup("archive");
    let target = stage.sqlite();
    let mut first = target
        .restoring(&archive, &[])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while !target.users.join(".pryv-backup-restore/lock").exists() {
        assert!(first.try_wait().unwrap().is_none(), "it ended too early");
    }
    let second = target.restore(&archive, &["--overwrite"]);
    let still = first.try_wait().unwrap().is_none();
    if still {
        assert_eq!(second.status.code(), Some(1), "{}", text(&second));
        assert!(
            text(&second).contains("another restore is at work"),
            "{}",
            text(&second)
        );
    }
    assert!(first.wait().unwrap().success());
    assert!(target.is_left_clean());
}

/// Who uses the files, the database, or answers where a core would.
#[test]
fn a_running_core_is_warned_about() {
    let Some(stage) = Stage::new() else { return };
    let archive = stage.sqlite_fixture().backup("archive");
    let warnings = |target: &Platform<'_>| {
        let dry = target.restore(&archive, &["--dry-run"]);
        report(&dry)["warnings"].to_string()
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = listener.local_addr().unwrap().port().to_string();
    let free = {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        other.local_addr().unwrap().port().to_string()
    };
    let target = stage.sqlite().with("http__port", &free);
    index(&target, "", "");
    assert_eq!(warnings(&target), "[]");
    // The run itself is nobody to be warned about.
    let done = target.restore(&archive, &["--user", "alice"]);
    assert_eq!(report(&done)["warnings"].to_string(), "[]");
    let held = fs::File::open(target.users.join("user-index.db")).unwrap();
    assert!(warnings(&target).contains("has files of this platform open"));
    drop(held);
    assert_eq!(warnings(&target), "[]");
    let target = target.with("http__port", &busy);
    assert!(warnings(&target).contains("something answers at 127.0.0.1"));
    if let Some(target) = stage.postgres() {
        let target = target.with("http__port", &free);
        assert_eq!(warnings(&target), "[]");
        let server = stage.server().unwrap();
        let mut other = server
            .client("psql")
            .args(["-c", "SELECT pg_sleep(600)"])
            .arg(target.database.as_ref().unwrap())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        while target
            .count("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(600)%'")
            == 0
        {}
        assert!(warnings(&target).contains("other connections are open"));
        other.kill().unwrap();
        other.wait().unwrap();
    }
}

/// To another file system: copied, compared, and only then removed.
#[test]
fn a_backup_is_moved_across_file_systems() {
    let Some(stage) = Stage::new() else { return };
    let archive = stage.sqlite_fixture().backup("archive");
    let before = folder::tree(&archive);
    // Too small: the backup stays, and that is said.
    let Some(small) = SmallDisk::mount(stage.at("small"), "size=64k") else {
        return;
    };
    let target = stage.sqlite();
    let to = small.0.join("deep/moved");
    let failed = target.restore(&archive, &["--move-on-success", to.to_str().unwrap()]);
    assert_eq!(failed.status.code(), Some(1), "{}", text(&failed));
    assert!(
        text(&failed).contains("could not be moved"),
        "{}",
        text(&failed)
    );
    assert!(folder::tree(&archive) == before && !to.exists());
    let disk = SmallDisk::mount(stage.at("large"), "size=200m").unwrap();
    let to = disk.0.join("deep/moved");
    let flags = ["--overwrite", "--move-on-success", to.to_str().unwrap()];
    let done = target.restore(&archive, &flags);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    assert!(folder::tree(&to) == before && !archive.exists());
    assert_eq!(report(&done)["archive"], to.to_str().unwrap());
    // There is something there already.
    let again = target.restore(
        &to,
        &["--overwrite", "--move-on-success", to.to_str().unwrap()],
    );
    assert_eq!(again.status.code(), Some(1), "{}", text(&again));
    assert!(folder::tree(&to) == before);
}

/// A database that Pryv's migrations have not reached takes a version of an access for a second access: who has some is refused
/// before anything is written.
#[test]
fn an_unmigrated_database_is_told_of_before_anything_is_written() {
    let Some(stage) = Stage::new() else { return };
    let Some(target) = stage.postgres() else {
        return;
    };
    let source = stage.sqlite();
    rich::fill(&stage, &source, 1, 31);
    let archive = source.backup("archive");
    target.sql(
        "DROP INDEX idx_access_token, idx_access_name_type_devicename, idx_access_head_id; DELETE FROM schema_migrations; \
         CREATE UNIQUE INDEX idx_access_token ON accesses (user_id, token) WHERE deleted IS NULL; DROP TABLE alias_index; \
         ALTER TABLE accesses DROP COLUMN alias; ALTER TABLE webhooks DROP COLUMN scopes",
    );
    let users = || target.count("SELECT count(*) FROM users_index");
    let refused = target.restore(&archive, &[]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    let said = text(&refused);
    assert!(
        said.contains("has versions of accesses") && said.contains("bin/migrate.js"),
        "{said}"
    );
    assert_eq!(users(), 0);
    let skipped = target.restore(&archive, &["--skip-conflicts"]);
    let said = report(&skipped);
    assert_eq!(said["users"][0]["outcome"], "skipped", "{said}");
    assert!(
        said["warnings"].to_string().contains("no table of aliases"),
        "{said}"
    );
    // Whoever has none comes in, and what has no column is named.
    let draft = Draft::new(&stage, "plain");
    let access =
        json!({"id": "x1", "token": "x1", "type": "shared", "name": "x1", "alias": "r-x1"});
    for user in 0..draft.users() {
        fs::write(draft.at(user, "accesses.jsonl"), format!("{access}\n")).unwrap();
    }
    let done = target.restore(&draft.root, &[]);
    let said = report(&done);
    assert_eq!(done.status.code(), Some(5), "{said}");
    assert_eq!(users(), draft.users());
    assert!(
        said["users"][0]["losses"]
            .to_string()
            .contains("key \\\"alias\\\""),
        "{said}"
    );
}

#[test]
fn the_help_names_every_flag_of_pryvs_guide() {
    let help = run(Command::new(pryv_backup_tests::command::tool()).arg("--help"));
    let help = text(&help);
    for flag in [
        "--restore",
        "--user",
        "--overwrite",
        "--skip-conflicts",
        "--verify-integrity",
        "--delete-on-success",
        "--move-on-success",
        "--private-key",
        "--private-key-passphrase",
        "--decrypt-passphrase",
    ] {
        assert!(help.contains(flag), "{flag}");
    }
}
