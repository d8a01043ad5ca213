//! Entries of the platform that concern several users: owners of unique values, cores of users, other names.

use super::draft::Draft;
use pryv_backup_tests::{
    command::{report, text},
    stage::{Platform, Stage},
};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

pub fn targets(stage: &Stage) -> Vec<Platform<'_>> {
    std::iter::once(stage.sqlite())
        .chain(stage.postgres())
        .collect()
}

pub fn put(platform: &Platform<'_>, key: &str, value: &str) {
    match &platform.rqlite {
        Some(rqlite) => rqlite.fill([(key, value)]),
        None => {
            platform.sql(&format!(
                "INSERT INTO platform_kv VALUES ('{key}', '{value}')"
            ));
        }
    }
}

pub fn has(platform: &Platform<'_>, key: &str, value: &str) -> bool {
    let entry = (key.to_owned(), value.to_owned());
    platform.entries().contains(&entry)
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

pub fn hashed<'s>(platform: Platform<'s>, key: &str) -> Platform<'s> {
    platform
        .with("platform__piiMode", "hashed")
        .with("platform__piiHmacKey", key)
}

/// The entries of users; where the platform is at home is another matter.
pub fn of_users(platform: &Platform<'_>) -> BTreeSet<(String, String)> {
    let all = platform.entries().into_iter();
    all.filter(|(key, _)| key.starts_with("user-") || key.starts_with("access-index/"))
        .map(|(key, value)| {
            // In whatever order its members are.
            let members = serde_json::from_str::<BTreeMap<String, Value>>(&value);
            let sorted = members
                .ok()
                .map(|members| serde_json::to_string(&members).unwrap());
            (key, sorted.unwrap_or(value))
        })
        .collect()
}

/// Hashes of names and values are made with the key of the platform that is restored into.
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
            // Names, aliases and addresses are in the archive in the clear.
            assert_eq!(of_users(&to), of_users(&direct));
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

/// The unique values of a replaced user do not stay: they would block others, or lead to the user.
#[test]
fn values_and_aliases_of_who_was_replaced_are_gone() {
    let Some(stage) = Stage::new() else { return };
    let archive = stage.sqlite_fixture().backup("archive");
    for target in targets(&stage) {
        let done = target.restore(&archive, &[]);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        let (entries, rows) = (target.entries(), target.rows());
        let others = [
            ("user-unique/email/bob@r.example", "bob00"),
            ("user-indexed/former/bob00", "alice"),
        ];
        for (key, value) in [
            ("user-unique/email/former@r.example", "alice"),
            ("user-indexed/former/alice", "bob00"),
            others[0],
            others[1],
        ] {
            put(&target, key, value);
        }
        let alice = report(&done)["users"]
            .as_array()
            .unwrap()
            .iter()
            .find_map(|u| {
                (u["username"] == "alice").then(|| u["userId"].as_str().unwrap().to_owned())
            });
        add_alias(&target, "former-alias", &alice.unwrap());
        assert!(target.rows() != rows);
        let again = target.restore(&archive, &["--overwrite", "--user", "alice"]);
        assert_eq!(again.status.code(), Some(0), "{}", text(&again));
        let mut due = entries.clone();
        due.extend(others.map(|(key, value)| (key.to_owned(), value.to_owned())));
        let after = target.entries();
        assert!(
            after == due,
            "{:?}",
            after.symmetric_difference(&due).collect::<Vec<_>>()
        );
        let (before, after) = (aliases(&rows), aliases(&target.rows()));
        assert_eq!(before, after);
    }
}

fn add_alias(target: &Platform<'_>, alias: &str, user_id: &str) {
    let index = target.users.join("user-index.db");
    if index.exists() {
        let sql = "INSERT INTO alias4id (alias, userId) VALUES (?, ?)";
        let index = Connection::open(index).unwrap();
        index.execute(sql, [alias, user_id]).unwrap();
    } else {
        target.sql(&format!(
            "INSERT INTO alias_index (alias, user_id) VALUES ('{alias}', '{user_id}')"
        ));
    }
}

fn aliases(rows: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let place = |place: &str| place.ends_with("alias4id") || place == "alias_index";
    let lists = rows.iter().filter(|(of, _)| place(of));
    lists.flat_map(|(_, rows)| rows.clone()).collect()
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
