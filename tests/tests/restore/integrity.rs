//! A record that was changed on the way is caught, and told apart from one that never matched its hash.

use super::draft::Draft;
use super::shared::targets;
use decryptor_wasm::integrity::{Hashed, Verdict, attachment, check, digest};
use pryv_backup_tests::{
    command::{report, text},
    plain::lines,
    stage::Stage,
};
use serde_json::{Value, json};
use std::fs;

/// Changes the first record of a file that the test picks.
fn change(draft: &Draft, user: usize, file: &str, what: impl Fn(&mut Value) -> bool) {
    let path = draft.at(user, file);
    let mut all = lines("x.jsonl", &fs::read(&path).unwrap());
    assert!(all.iter_mut().any(what), "{file} holds no such record");
    let text: String = all.iter().map(|line| format!("{line}\n")).collect();
    fs::write(path, text).unwrap();
}

/// An archive all of whose hashes are those of their records.
fn sound(stage: &Stage, name: &str) -> Draft {
    let draft = Draft::new(stage, name);
    for user in 0..draft.users() {
        let path = draft.at(user, "events/events-0001.jsonl");
        let text = fs::read_to_string(&path).unwrap();
        let kept = text.lines().filter(|line| {
            let verdict = check(Hashed::Event, line.as_bytes()).unwrap();
            !matches!(verdict, Verdict::Mismatch { .. })
        });
        let kept: String = kept.map(|line| format!("{line}\n")).collect();
        assert!(kept.len() < text.len(), "the fixture has no stale hash");
        fs::write(path, kept).unwrap();
    }
    draft
}

fn live(record: &Value) -> bool {
    record["integrity"].is_string() && record["headId"].is_null() && record["deleted"].is_null()
}

/// The first of the archive's users who has attachments fails for this reason, on either engine; without the flag nobody looks.
fn caught(stage: &Stage, draft: &Draft, user: usize, says: &str) {
    for target in targets(stage) {
        let done = target.restore(&draft.root, &["--verify-integrity"]);
        let said = report(&done);
        assert_eq!(done.status.code(), Some(5), "{said}");
        let users = said["users"].as_array().unwrap();
        let one = users
            .iter()
            .find(|u| u["userId"] == draft.id(user))
            .unwrap();
        assert_eq!(one["outcome"], "failed", "{one}");
        let reason = one["reason"].as_str().unwrap();
        assert!(reason.contains(says), "{reason}");
        let rows = target.rows();
        let id = draft.id(user);
        assert!(!rows.values().flatten().any(|row| row.contains(&id)));
        let others = users.iter().filter(|u| u["userId"] != draft.id(user));
        assert!(others.clone().count() > 1);
        for other in others {
            assert_eq!(other["outcome"], "restored", "{other}");
        }
        let done = target.restore(&draft.root, &["--user", &id]);
        assert_eq!(report(&done)["users"][0]["outcome"], "restored");
    }
}

#[test]
fn a_tampered_event() {
    let Some(stage) = Stage::new() else { return };
    let draft = sound(&stage, "archive");
    change(&draft, 1, "events/events-0001.jsonl", |event| {
        let found = live(event) && event["type"] != "series:mass/kg";
        if found {
            event["content"] = "tampered".into();
        }
        found
    });
    caught(&stage, &draft, 1, "does not match its hash");
}

#[test]
fn a_tampered_access() {
    let Some(stage) = Stage::new() else { return };
    let draft = sound(&stage, "archive");
    change(&draft, 1, "accesses.jsonl", |access| {
        let found = live(access);
        if found {
            access["permissions"] = json!([{"streamId": "*", "level": "manage"}]);
        }
        found
    });
    caught(&stage, &draft, 1, "accesses: ");
}

#[test]
fn a_tampered_attachment() {
    let Some(stage) = Stage::new() else { return };
    let draft = sound(&stage, "archive");
    let folder = draft.at(1, "attachments");
    let file = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| fs::metadata(path).unwrap().len() > 10)
        .unwrap();
    let good = fs::read(&file).unwrap();
    let mut bytes = good.clone();
    bytes[3] ^= 1;
    fs::write(&file, bytes).unwrap();
    caught(&stage, &draft, 1, "attachments: ");
    fs::write(&file, &good[1..]).unwrap();
    caught(&stage, &draft, 1, "and its event says");
}

/// Real platforms hold records whose hash was stale when the backup was made. Where the inventory proves the archive intact that
/// is told and no more, unless `--integrity strict`; without an inventory nobody can tell it from tampering.
#[test]
fn what_never_matched_is_reported_where_that_is_proven() {
    let Some(stage) = Stage::new() else { return };
    let Some(source) = stage.postgres_fixture() else {
        return;
    };
    let archive = source.backup("archive");
    let pryvs = stage.fixtures.join("archives/plain-pg");
    for target in targets(&stage) {
        let done = target.restore(&archive, &["--verify-integrity"]);
        let said = report(&done);
        // The SQLite engine has no place for tags.
        let code = if target.database.is_some() { 0 } else { 5 };
        assert_eq!(done.status.code(), Some(code), "{said}");
        let (mut stale, mut unhashed) = (0, 0);
        for user in said["users"].as_array().unwrap() {
            stale += user["integrity"]["stale"].as_u64().unwrap();
            unhashed += user["integrity"]["unhashed"].as_u64().unwrap();
            let ids = user["integrity"]["staleIds"].as_array().unwrap();
            assert_eq!(ids.is_empty(), user["integrity"]["stale"] == 0);
        }
        assert!(stale > 0 && unhashed > 0, "{said}");
        let before = target.rows();
        for (archive, flags) in [(&archive, &["--integrity", "strict"][..]), (&pryvs, &[])] {
            let flags = [&["--overwrite", "--verify-integrity"], flags].concat();
            let done = target.restore(archive, &flags);
            let said = report(&done);
            assert_eq!(done.status.code(), Some(5), "{said}");
            let users = said["users"].as_array().unwrap();
            let failed = users.iter().filter(|u| u["outcome"] == "failed").count();
            assert!(failed > 0, "{said}");
            assert!(users.iter().filter(|u| u["outcome"] == "failed").all(|u| {
                u["reason"]
                    .as_str()
                    .unwrap()
                    .contains("does not match its hash")
            }));
            if archive != &pryvs {
                // Who fails is as before; who does not is the same again.
                assert!(target.rows() == before);
            }
        }
    }
}

/// Pryv hashes the duration that a client gave, and stores the end time: the last digits are lost in between.
#[test]
fn rounded_durations_are_tolerated_and_told() {
    let Some(stage) = Stage::new() else { return };
    let draft = Draft::new(&stage, "archive");
    // The hash of this event with its duration of 0.3 seconds, computed with the library that Pryv uses.
    let given = json!({"id": "e3", "streamIds": ["s"], "type": "activity/plain", "time": 1_000_000_000.1,
        "duration": 0.3, "created": 1, "createdBy": "a", "modified": 2, "modifiedBy": "a"});
    let hash = digest(Hashed::Event, given.to_string().as_bytes()).unwrap();
    let mut event = given;
    event.as_object_mut().unwrap().remove("duration");
    event["endTime"] = 1_000_000_000.4.into();
    event["integrity"] = format!("EVENT:0:{}", attachment(&hash)).into();
    let mut unhashed = event.clone();
    unhashed["id"] = "e4".into();
    unhashed.as_object_mut().unwrap().remove("integrity");
    fs::write(
        draft.at(1, "events/events-0001.jsonl"),
        format!("{event}\n{unhashed}\n"),
    )
    .unwrap();
    fs::remove_dir_all(draft.at(1, "attachments")).unwrap();
    for target in targets(&stage) {
        let id = draft.id(1);
        let done = target.restore(&draft.root, &["--verify-integrity", "--user", &id]);
        let said = report(&done);
        let integrity = &said["users"][0]["integrity"];
        assert_eq!(done.status.code(), Some(0), "{said}");
        assert_eq!(integrity["rounded"], 1, "{said}");
        assert!(integrity["unhashed"].as_u64() > Some(0), "{said}");
    }
}

/// A user's records are read back before the user is committed: here a trigger of the database changes them.
#[test]
fn what_the_platform_changes_is_caught() {
    let Some(stage) = Stage::new() else { return };
    let Some(target) = stage.postgres() else {
        return;
    };
    let archive = stage.sqlite_fixture().backup("archive");
    target.sql(
        "CREATE FUNCTION worse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.description := 'worse'; RETURN NEW; END $$; \
         CREATE TRIGGER worse BEFORE INSERT ON events FOR EACH ROW WHEN (NEW.trashed) EXECUTE FUNCTION worse()",
    );
    for flag in ["--verify-integrity", "--delete-on-success"] {
        let done = target.restore(&archive, &[flag]);
        let said = report(&done);
        assert_eq!(done.status.code(), Some(5), "{said}");
        assert!(
            said.to_string().contains("would give back other records"),
            "{said}"
        );
        assert_eq!(
            target.count("SELECT count(*) FROM events"),
            0,
            "{}",
            text(&done)
        );
        assert!(archive.join("manifest.json").exists());
    }
}
