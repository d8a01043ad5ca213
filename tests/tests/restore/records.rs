//! Records that are not what the format says: named, and never left out without a word.

use super::draft::Draft;
use super::hostile::{costs_one_user, untouched};
use super::shared::targets;
use pryv_backup_tests::{
    command::{report, text},
    stage::{Platform, Stage},
};
use serde_json::{Value, json};
use std::{
    fs,
    process::{Command, Stdio},
    time::Instant,
};

#[test]
fn lists_that_are_none() {
    let Some(stage) = Stage::new() else { return };
    for (n, (key, value)) in [
        ("passwords", json!({"time": 1, "hash": "h"})),
        ("storeKeyValues", json!("x")),
        ("accountFields", json!(7)),
    ]
    .into_iter()
    .enumerate()
    {
        let draft = Draft::new(&stage, &format!("account-{n}"));
        let path = draft.at(0, "account.jsonl");
        let mut account: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        account[key] = value;
        fs::write(path, format!("{account}\n")).unwrap();
        let says = if key == "accountFields" {
            "account: "
        } else {
            "is not a list"
        };
        costs_one_user(&stage, &draft.root, &draft.id(0), says);
    }
    for (n, ids) in [json!("diary"), json!({}), json!(["diary", 7])]
        .into_iter()
        .enumerate()
    {
        let draft = Draft::new(&stage, &format!("event-{n}"));
        let event = json!({"id": "odd-one", "streamIds": ids, "type": "note/txt", "time": 1, "content": "x",
            "created": 1, "createdBy": "x", "modified": 1, "modifiedBy": "x"});
        draft.append(0, "events/events-0001.jsonl", &event.to_string());
        costs_one_user(&stage, &draft.root, &draft.id(0), "\"odd-one\": streamIds");
    }
    untouched(&stage);
}

/// As versions before streams were several had it; no later one reads that.
#[test]
fn an_event_with_the_stream_of_old() {
    let Some(stage) = Stage::new() else { return };
    let draft = Draft::new(&stage, "archive");
    let event = json!({"id": "old-one", "streamId": "diary", "type": "note/txt", "time": 1, "content": "x",
        "created": 1, "createdBy": "x", "modified": 1, "modifiedBy": "x"});
    draft.append(0, "events/events-0001.jsonl", &event.to_string());
    for target in targets(&stage) {
        let done = target.restore(&draft.root, &[]);
        assert_eq!(done.status.code(), Some(5), "{}", text(&done));
        let losses = report(&done)["users"][0]["losses"].to_string();
        assert!(
            losses.contains("streamId") && losses.contains("in 1 records"),
            "{losses}"
        );
    }
}

/// A draft whose first user has a chain of streams, each in the one before.
fn chain(stage: &Stage, name: &str, ids: &[String]) -> Draft {
    let draft = Draft::new(stage, name);
    let mut parent = Value::Null;
    let mut lines = String::new();
    for id in ids {
        let stream = json!({"id": id, "name": id, "parentId": parent, "created": 1, "createdBy": "x", "modified": 1, "modifiedBy": "x"});
        // Children first.
        lines = format!("{stream}\n{lines}");
        parent = id.as_str().into();
    }
    let path = draft.at(0, "streams.jsonl");
    let there = fs::read_to_string(&path).unwrap();
    fs::write(path, lines + &there).unwrap();
    let event = json!({"id": "deep-one", "streamIds": [ids.last()], "type": "note/txt", "time": 1, "content": "x",
        "created": 1, "createdBy": "x", "modified": 1, "modifiedBy": "x"});
    draft.append(0, "events/events-0001.jsonl", &event.to_string());
    draft
}

/// The path of a stream.
fn path(target: &Platform<'_>, user: &str, id: &str) -> String {
    if target.database.is_some() {
        return target.sql(&format!(
            "SELECT path FROM streams WHERE user_id = '{user}' AND id = '{id}'"
        ));
    }
    let last: Vec<String> = user.chars().rev().take(3).map(String::from).collect();
    let file = target
        .users
        .join(last.join("/"))
        .join(user)
        .join("baseStorage-1.0.0.sqlite");
    let file = rusqlite::Connection::open(file).unwrap();
    file.query_row(
        "SELECT data->>'path' FROM streams WHERE id = ?",
        [id],
        |row| row.get(0),
    )
    .unwrap()
}

#[test]
fn streams_within_streams_within_streams() {
    let Some(stage) = Stage::new() else { return };
    let ids: Vec<String> = (0..4000).map(|n| format!("chain-{n}")).collect();
    let draft = chain(&stage, "long", &ids);
    let user = draft.id(0);
    let target = stage.sqlite();
    let started = Instant::now();
    let done = target.restore(&draft.root, &[]);
    assert_eq!(report(&done)["users"][0]["outcome"], "restored");
    let took = started.elapsed();
    println!("4,000 streams, each in the one before: {took:?}");
    assert!(took.as_secs() < 300, "{took:?}");
    let due: String = ids.iter().map(|id| format!("{id}/")).collect();
    assert_eq!(path(&target, &user, "chain-3999"), due);
    assert_eq!(path(&target, &user, "chain-1"), "chain-0/chain-1/");
    let Some(target) = stage.postgres() else {
        return;
    };
    let done = target.restore(&draft.root, &[]);
    let said = report(&done);
    assert_eq!(done.status.code(), Some(5), "{said}");
    let reason = said["users"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("lies too deep"), "{reason}");
    assert_eq!(said["users"][1]["outcome"], "restored");
    // Beyond what its index holds, and within it.
    let digits = |n: u32| {
        format!(
            "{:08x}{:08x}",
            n.wrapping_mul(2_654_435_761),
            n.wrapping_mul(2_246_822_519) ^ 0x5bd1_e995
        )
    };
    for (length, fits) in [(600, false), (100, true)] {
        let ids: Vec<String> = (1..=length).map(digits).collect();
        let draft = chain(&stage, &format!("chain-{length}"), &ids);
        let target = stage.postgres().unwrap();
        let done = target.restore(&draft.root, &[]);
        let said = report(&done);
        if fits {
            assert_eq!(said["users"][0]["outcome"], "restored", "{said}");
            let path = path(&target, &user, ids.last().unwrap());
            assert_eq!(
                path,
                ids.iter().map(|id| format!("{id}/")).collect::<String>()
            );
            let event = "SELECT stream_path FROM event_streams WHERE event_id = 'deep-one'";
            assert_eq!(target.sql(event), path);
        } else {
            let reason = said["users"][0]["reason"].as_str().unwrap();
            assert!(reason.contains("lies too deep"), "{reason}");
        }
    }
}

#[test]
fn a_chain_can_be_interrupted() {
    let Some(stage) = Stage::new() else { return };
    let ids: Vec<String> = (0..20_000).map(|n| format!("chain-{n}")).collect();
    let draft = chain(&stage, "long", &ids);
    let target = stage.sqlite();
    let mut child = target
        .restoring(&draft.root, &[])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let aside = target.users.join(".pryv-backup-restore");
    while !aside.join(format!("files-{}", draft.id(0))).exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended too early");
    }
    let started = Instant::now();
    let id = child.id().to_string();
    Command::new("kill").args(["-TERM", &id]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
    // The list of those who stand stays for the next run.
    let left = fs::read_dir(&aside).into_iter().flatten();
    for name in left.map(|entry| entry.unwrap().file_name()) {
        assert!(name.to_str().unwrap().starts_with("begun-"), "{name:?}");
    }
}

/// Members that no table has a place for: each is named, and so is how many records have it.
#[test]
fn further_members_of_accounts_and_audit_records_are_named() {
    let Some(stage) = Stage::new() else { return };
    let draft = Draft::new(&stage, "archive");
    let path = draft.at(0, "account.jsonl");
    let mut account: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    account["devices"] = json!([{"id": "d"}]);
    account["nothing"] = Value::Null;
    for (list, item) in [
        (
            "passwords",
            json!({"time": 1.5, "hash": "h", "createdBy": "x", "algorithm": "argon"}),
        ),
        (
            "storeKeyValues",
            json!({"storeId": "s", "key": "k", "value": 1, "ttl": 5}),
        ),
        (
            "accountFields",
            json!({"field": "f", "value": 1, "time": 1.5, "createdBy": "x", "proof": {}}),
        ),
        (
            "accountFields",
            json!({"field": "g", "value": 1, "time": 1.5, "createdBy": "x", "proof": 2}),
        ),
    ] {
        account[list].as_array_mut().unwrap().push(item);
    }
    fs::write(path, format!("{account}\n")).unwrap();
    let record = json!({"eventid": "odd-one", "streamIds": "..", "time": 1, "type": "audit-log/pryv-api", "created": 1, "createdBy": "x",
        "modified": 1, "modifiedBy": "x", "origin": "somewhere", "blank": null});
    draft.append(0, "audit/audit-0001.jsonl", &record.to_string());
    let mut all: Vec<Platform<'_>> = targets(&stage);
    let mixed = stage
        .postgres()
        .map(|one| one.with("storages__audit__engine", "sqlite"));
    all.extend(mixed);
    for target in all {
        let done = target.restore(&draft.root, &[]);
        let said = report(&done);
        assert_eq!(done.status.code(), Some(5), "{said}");
        assert_eq!(said["users"][0]["outcome"], "restored", "{said}");
        let losses: Vec<&str> = said["users"][0]["losses"]
            .as_array()
            .unwrap()
            .iter()
            .map(|loss| loss.as_str().unwrap())
            .filter(|loss| !loss.starts_with("events: "))
            .collect();
        for due in [
            "account: key \"devices\" in 1 records has no place on this platform",
            "account: key \"algorithm\" of passwords in 1 records has no place on this platform",
            "account: key \"ttl\" of storeKeyValues in 1 records has no place on this platform",
            "account: key \"proof\" of accountFields in 2 records has no place on this platform",
            "audit: key \"origin\" in 1 records has no place on this platform",
        ] {
            assert!(losses.contains(&due), "{due}: {losses:?}");
        }
        assert_eq!(losses.len(), 5, "{losses:?}");
    }
}

/// Accounts that were made by delegation: without a password, without an address.
#[test]
fn an_account_without_password_and_address_is_whole() {
    let Some(stage) = Stage::new() else { return };
    let sources = std::iter::once(stage.sqlite_fixture()).chain(stage.postgres_fixture());
    for (n, source) in sources.enumerate() {
        strip(&source);
        let archive = source.backup(&format!("archive-{n}"));
        let verified = pryv_backup_tests::command::run(
            Command::new(pryv_backup_tests::command::tool())
                .arg("verify")
                .arg(&archive)
                .arg("--private-key")
                .arg(stage.key()),
        );
        assert!(
            !text(&verified).contains("password") && !text(&verified).contains("email"),
            "{}",
            text(&verified)
        );
        for target in targets(&stage) {
            let done = target.restore(&archive, &["--verify-integrity"]);
            let said = report(&done);
            // The other engine has no place for the tags of an event.
            let tags = n == 1 && target.database.is_none();
            let due = if tags { 5 } else { 0 };
            assert_eq!(done.status.code(), Some(due), "{said}");
            assert_eq!(said["warnings"].to_string(), "[]");
            let owned = |(key, value): &(String, String)| {
                key.starts_with("user-unique/email/") && value == "alice"
            };
            assert!(
                !target.entries().iter().any(owned),
                "{:?}",
                target.entries()
            );
            let again = target.backup(&format!("again-{n}-{}", target.database.is_some()));
            let opened = stage.open(&again);
            let account = fs::read(
                opened
                    .join("users")
                    .join(id_of(&said, "alice"))
                    .join("account.jsonl"),
            );
            let account: Value = serde_json::from_slice(&account.unwrap()).unwrap();
            assert_eq!(account["passwords"], json!([]), "{account}");
            let fields = account["accountFields"].as_array().unwrap();
            assert!(!fields.is_empty() && fields.iter().all(|field| field["field"] != "email"));
        }
    }
}

fn id_of(said: &Value, name: &str) -> String {
    let mut users = said["users"].as_array().unwrap().iter();
    let user = users.find(|user| user["username"] == name).unwrap();
    user["userId"].as_str().unwrap().to_owned()
}

/// Takes passwords and addresses away from alice.
fn strip(source: &Platform<'_>) {
    let files = pryv_backup_tests::folder::tree(&source.users);
    match &source.rqlite {
        Some(rqlite) => {
            let sql = json!([[
                "DELETE FROM keyValue WHERE key LIKE 'user-unique/email/%' AND value = 'alice'"
            ]]);
            pryv_backup_tests::rqlite::post(&rqlite.url, "/db/execute", &sql);
            let index = rusqlite::Connection::open(source.users.join("user-index.db")).unwrap();
            let sql = "SELECT userId FROM id4name WHERE username = 'alice'";
            let id: String = index.query_row(sql, [], |row| row.get(0)).unwrap();
            let path = files
                .keys()
                .find(|path| path.contains(&id) && path.ends_with("account-1.0.0.sqlite"));
            let account = rusqlite::Connection::open(source.users.join(path.unwrap())).unwrap();
            account
                .execute_batch(
                    "DELETE FROM passwords; DELETE FROM account_fields WHERE field = 'email'",
                )
                .unwrap();
        }
        None => {
            source.sql(
                "DELETE FROM passwords p USING users_index u WHERE u.user_id = p.user_id AND username = 'alice'; \
                 DELETE FROM account_fields f USING users_index u WHERE u.user_id = f.user_id AND username = 'alice' AND field = 'email'; \
                 DELETE FROM platform_kv WHERE starts_with(key, 'user-unique/email/') AND value = 'alice'",
            );
        }
    }
}
