//! Several cores of a platform, each with a database of its own: their backups, on disk and in an object store, as one command sees them.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use pryv_backup_tests::{
    command::{run, text, tool},
    folder,
    object_store::ObjectStore,
    rqlite::post,
    stage::{Platform, Stage},
};
use serde_json::{Value, json};

/// The cores, and who is there.
const CORES: [(&str, &str); 3] = [
    ("eu-1", "alice"),
    ("eu-2", "bob00"),
    ("us-1", "0-edge--case-9"),
];

/// Three cores, the last one of PostgreSQL where that is installed, and what they need.
struct Fleet<'s> {
    stage: &'s Stage,
    cores: Vec<Platform<'s>>,
    /// Reaches the store, if there is one.
    store: Option<&'s ObjectStore>,
}

impl<'s> Fleet<'s> {
    fn new(stage: &'s Stage) -> Self {
        let archive = stage.sqlite_fixture().backup("everybody");
        let mut cores = Vec::new();
        for (name, user) in CORES {
            let core = match name {
                "us-1" => stage.postgres().unwrap_or_else(|| stage.sqlite()),
                _ => stage.sqlite(),
            };
            let core = core.with("core__id", name);
            forget(&core, "core-info/single");
            for (other, _) in CORES {
                put(&core, &format!("core-info/{other}"), "{}");
            }
            let done = core.restore(&archive, &["--user", user]);
            assert_eq!(done.status.code(), Some(0), "{}", text(&done));
            // All cores see the same.
            for (other, user) in CORES.iter().filter(|(other, _)| *other != name) {
                put(&core, &format!("user-core/{user}"), other);
            }
            cores.push(core);
        }
        Fleet {
            stage,
            cores,
            store: None,
        }
    }

    /// A command with a state folder of its own.
    fn with_state<'c>(&self, command: &'c mut Command, state: &str) -> &'c mut Command {
        if let Some(store) = self.store {
            store.reach(command, store.port);
        }
        command.env("PRYV_BACKUP_STATE_DIR", self.stage.at(state))
    }

    /// Backs up a core, as a host of its own.
    fn backup(&self, core: usize, place: &str, more: &[&str]) -> String {
        let name = CORES[core].0;
        let mut command = self.cores[core].command();
        self.with_state(&mut command, &format!("state-{name}"));
        let key = self.stage.fixtures.join("keys/recipient.pub.pem");
        command
            .args(["--create-parents", "--output", place])
            .args(more);
        let done = run(command.arg("--recipient-pubkey").arg(key));
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        text(&done)
    }

    /// Looks at the backups below a place.
    fn look(&self, place: &str, more: &[&str]) -> Output {
        let mut command = Command::new(tool());
        command.current_dir(self.stage.at(".")).arg("fleet");
        let command = self.with_state(&mut command, "state-look");
        run(command.arg(place).args(more))
    }

    /// The same with the key; what it says as JSON.
    fn opened(&self, place: &str, code: i32, more: &[&str]) -> Value {
        let key = self.stage.key();
        let args = [&["--json", "--private-key", key.to_str().unwrap()], more].concat();
        answer(&self.look(place, &args), code)
    }

    /// The same without the key, all signers expected.
    fn signed(&self, place: &str, code: i32) -> Value {
        let signers = CORES.map(|(name, _)| {
            let public = self.stage.at(&format!("state-{name}/host.pub"));
            format!("--signer={}", public.display())
        });
        let [one, two, three] = &signers;
        answer(&self.look(place, &["--json", one, two, three]), code)
    }
}

fn answer(done: &Output, code: i32) -> Value {
    assert_eq!(done.status.code(), Some(code), "{}", text(done));
    serde_json::from_slice(&done.stdout).unwrap()
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

fn forget(platform: &Platform<'_>, key: &str) {
    match &platform.rqlite {
        Some(rqlite) => {
            let delete = json!([["DELETE FROM keyValue WHERE key = ?", key]]);
            assert_eq!(post(&rqlite.url, "/db/execute", &delete).0, 200);
        }
        None => {
            platform.sql(&format!("DELETE FROM platform_kv WHERE key = '{key}'"));
        }
    }
}

/// The kinds of all problems, with the prefix that each is about, if it is about one.
fn problems(fleet: &Value) -> Vec<String> {
    let problems = fleet["problems"].as_array().unwrap();
    let name = |problem: &Value| {
        let kind = problem["kind"].as_str().unwrap();
        match problem["core"].as_str() {
            Some(core) => format!("{kind} {core}"),
            None => kind.to_owned(),
        }
    };
    problems.iter().map(name).collect()
}

fn core<'f>(fleet: &'f Value, prefix: &str) -> &'f Value {
    let cores = fleet["cores"].as_array().unwrap();
    let found = cores.iter().find(|core| core["prefix"] == prefix);
    found.unwrap_or_else(|| panic!("{prefix}: {fleet}"))
}

/// A chain of every core below a place.
fn chains(fleet: &Fleet<'_>, place: &str) {
    for (number, (name, _)) in CORES.iter().enumerate() {
        let said = fleet.backup(number, &format!("{place}/{name}/chain"), &["--incremental"]);
        assert!(said.contains(&format!("core: {name}\n")), "{said}");
    }
}

/// Every core has a backup, with its users, and nothing is missing; without the key, ages and names.
fn all_is_there(fleet: &Fleet<'_>, place: &str) {
    let seen = fleet.opened(place, 0, &["--max-age", "1h"]);
    for (name, _) in CORES {
        let core = core(&seen, name);
        assert_eq!(core["core"], name);
        assert_eq!(core["newest"]["users"], 1, "{seen}");
        // In a store the first run is no chain yet.
        let run = &core["newest"]["run"];
        assert!(*run == 1 || (run.is_null() && place.starts_with("s3:")));
        assert!(core["newest"]["bytes"].as_u64().unwrap() > 1000);
        assert!(core["newest"]["ageSeconds"].as_u64().unwrap() < 3600);
        assert_eq!(core["newest"]["pinned"], false);
    }
    assert_eq!(seen["platform"]["prefix"], "us-1", "the newest");
    assert_eq!(seen["platform"]["cores"].as_array().unwrap().len(), 3);
    assert!(
        problems(&seen).is_empty() && seen["notes"] == json!([]),
        "{seen}"
    );
    let seen = fleet.signed(place, 0);
    for (name, _) in CORES {
        let core = core(&seen, name);
        assert_eq!(core["core"], name);
        assert_eq!(core["newest"]["pinned"], true);
        assert_eq!(core["newest"]["users"], Value::Null);
    }
    assert!(
        seen["notes"][0].as_str().unwrap().contains("--private-key"),
        "{seen}"
    );
    let refused = fleet.look(place, &[]);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    assert!(
        text(&refused).contains("--signer KEY"),
        "{}",
        text(&refused)
    );
}

#[test]
fn backups_that_are_missing_old_or_doubled_are_named() {
    let Some(stage) = Stage::new() else { return };
    let fleet = Fleet::new(&stage);
    chains(&fleet, "cores");
    all_is_there(&fleet, "cores");
    let list = fleet.look("cores", &["--private-key", stage.key().to_str().unwrap()]);
    let said = text(&list);
    assert!(
        said.contains("eu-1\n  newest good run ") && said.contains(" ago, "),
        "{said}"
    );
    assert!(
        said.contains("3 cores, 3 with a good run, 0 problems"),
        "{said}"
    );

    // All of them are too old, and so nobody is in a backup that is new enough.
    let seen = fleet.opened("cores", 5, &["--max-age", "0m"]);
    let found = problems(&seen);
    assert_eq!(found[..3], ["too-old eu-1", "too-old eu-2", "too-old us-1"]);
    assert!(
        found[3..].iter().all(|one| one == "user-in-no-backup"),
        "{seen}"
    );
    for (name, user) in CORES {
        let missing = json!({ "name": user, "core": name });
        let all = seen["usersInNoBackup"].as_array().unwrap();
        assert!(all.contains(&missing), "{seen}");
    }

    // A core without a backup, and a user whom the platform sends to it.
    let last = &fleet.cores[2];
    put(last, "user-core/dora", "ap-1");
    put(last, "core-info/ap-1", "{}");
    put(last, "core-info/ap-2", "{}");
    fs::create_dir(stage.at("cores/ap-1")).unwrap();
    fleet.backup(2, "cores/us-1/chain", &["--incremental"]);
    let seen = fleet.opened("cores", 5, &["--max-age", "1h"]);
    let due = ["no-good-run ap-1", "core-missing", "user-in-no-backup"];
    assert_eq!(problems(&seen), due, "{seen}");
    assert_eq!(
        seen["usersInNoBackup"],
        json!([{ "name": "dora", "core": "ap-1" }])
    );
    assert_eq!(core(&seen, "us-1")["newest"]["run"], 2);
    fs::remove_dir(stage.at("cores/ap-1")).unwrap();

    // A user on two cores.
    let more = fleet.cores[1].restore(&stage.at("everybody"), &["--user", "alice", "--overwrite"]);
    assert_eq!(more.status.code(), Some(0), "{}", text(&more));
    fleet.backup(1, "cores/eu-2/chain", &["--incremental"]);
    let seen = fleet.opened("cores", 5, &[]);
    assert_eq!(problems(&seen), ["user-on-two-cores"], "{seen}");
    let user = &seen["usersOnTwoCores"][0];
    assert_eq!(user["username"], "alice");
    assert_eq!(user["cores"], json!(["eu-1", "eu-2"]));

    // The same backup under a second name: one core, not two.
    folder::copy(&stage.at("cores/eu-2"), &stage.at("cores/zz-2"));
    let seen = fleet.opened("cores", 5, &[]);
    assert_eq!(
        problems(&seen),
        ["same-backup zz-2", "user-on-two-cores"],
        "{seen}"
    );
    assert_eq!(seen["usersOnTwoCores"][0]["cores"], json!(["eu-1", "eu-2"]));
    let message = seen["problems"][0]["message"].as_str().unwrap();
    assert!(message.contains("the same core twice"), "{message}");
}

#[test]
fn backups_that_were_replaced_changed_or_removed_are_an_alarm() {
    let Some(stage) = Stage::new() else { return };
    let fleet = Fleet::new(&stage);
    chains(&fleet, "cores");
    let seen = fleet.opened("cores", 0, &[]);
    let first = core(&seen, "eu-2")["newest"]["made"].clone();
    let at = |name: &str| stage.at("cores").join(name);

    // Another platform's backups take the place: named at every look, until it is accepted.
    fs::rename(at("us-1"), stage.at("aside")).unwrap();
    folder::copy(&at("eu-1"), &at("us-1"));
    for _ in 0..2 {
        let seen = fleet.opened("cores", 4, &[]);
        let found = problems(&seen);
        assert_eq!(
            found[..2],
            ["source-changed us-1", "same-backup us-1"],
            "{seen}"
        );
        let message = seen["problems"][0]["message"].as_str().unwrap();
        assert!(message.contains("--accept-change"), "{message}");
        assert_eq!(
            problems(&fleet.signed("cores", 4))[0],
            "source-changed us-1"
        );
    }
    let seen = fleet.opened("cores", 5, &["--accept-change", "us-1"]);
    assert_eq!(problems(&seen)[0], "same-backup us-1");
    fleet.opened("cores", 5, &[]);
    let key = stage.key();
    let key = ["--private-key", key.to_str().unwrap()];
    let unknown = fleet.look("cores", &[&key[..], &["--accept-change", "us-9"]].concat());
    assert_eq!(unknown.status.code(), Some(2), "{}", text(&unknown));
    fs::remove_dir_all(at("us-1")).unwrap();
    let seen = fleet.opened("cores", 5, &[]);
    assert!(problems(&seen).contains(&"gone us-1".to_owned()), "{seen}");
    fs::rename(stage.at("aside"), at("us-1")).unwrap();
    fleet.opened("cores", 0, &["--accept-change", "us-1"]);

    // A newer run that is damaged is named, and the one before it is the newest that is good.
    fleet.backup(1, "cores/eu-2/chain", &["--incremental"]);
    fleet.opened("cores", 0, &[]);
    let manifest = at("eu-2/chain/increments/0002/manifest.json");
    let good = fs::read(&manifest).unwrap();
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    fs::write(&manifest, bad).unwrap();
    let seen = fleet.opened("cores", 4, &[]);
    assert_eq!(
        problems(&seen)[..2],
        ["damaged eu-2", "rolled-back eu-2"],
        "{seen}"
    );
    assert_eq!(core(&seen, "eu-2")["newest"]["run"], 1);
    assert_eq!(core(&seen, "eu-2")["newest"]["made"], first);
    let seen = fleet.signed("cores", 4);
    assert_eq!(
        problems(&seen)[..2],
        ["damaged eu-2", "rolled-back eu-2"],
        "{seen}"
    );
    assert_eq!(core(&seen, "eu-2")["newest"]["run"], 1);
    fs::write(&manifest, good).unwrap();
    fleet.opened("cores", 0, &[]);

    // Of several archives the newest counts, wherever it lies; one that is gone was seen.
    fleet.backup(0, "cores/eu-1/a-later", &[]);
    let seen = fleet.opened("cores", 0, &[]);
    let place = core(&seen, "eu-1")["newest"]["place"].clone();
    assert!(place.as_str().unwrap().ends_with("a-later"), "{seen}");
    assert_eq!(core(&seen, "eu-1")["archives"], 2);
    fs::rename(at("eu-1/a-later"), stage.at("later")).unwrap();
    let seen = fleet.opened("cores", 4, &[]);
    assert_eq!(problems(&seen), ["rolled-back eu-1"], "{seen}");

    // Nobody signed what was decrypted: it does not count.
    let opened = stage.open(&stage.at("later"));
    fs::rename(opened, at("eu-1/decrypted")).unwrap();
    let seen = fleet.opened("cores", 4, &["--allow-plaintext"]);
    assert_eq!(
        problems(&seen),
        ["unsigned eu-1", "rolled-back eu-1"],
        "{seen}"
    );
    assert_eq!(problems(&fleet.signed("cores", 4))[0], "unsigned eu-1");
    fs::remove_dir_all(at("eu-1/decrypted")).unwrap();
    fs::rename(stage.at("later"), at("eu-1/a-later")).unwrap();
    fleet.opened("cores", 0, &[]);

    // Another key opens nothing; who signed is known all the same.
    let other = stage.at("other.pem");
    let made = run(Command::new(tool())
        .args(["keygen", "--bits", "2048", "-o"])
        .arg(&other));
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    let seen = fleet.look(
        "cores",
        &["--json", "--private-key", other.to_str().unwrap()],
    );
    let seen = answer(&seen, 5);
    assert_eq!(
        problems(&seen)[..2],
        ["closed eu-1", "closed eu-1"],
        "{seen}"
    );
}

#[test]
fn users_are_found_where_the_platform_names_them_by_tokens() {
    const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    // The token of alice with that key.
    const ALICE: &str = "008f6a1da2ab7e27006bffce4da3eaa4280ea2499aa79d6bf026a56f70ddf86f";
    let Some(stage) = Stage::new() else { return };
    let mut fleet = Fleet::new(&stage);
    for core in fleet.cores.drain(..1).collect::<Vec<_>>() {
        forget(&core, "user-core/alice");
        for name in ["bob00", "0-edge--case-9"] {
            forget(&core, &format!("user-core/{name}"));
        }
        for (other, _) in &CORES[1..] {
            forget(&core, &format!("core-info/{other}"));
        }
        put(&core, &format!("user-core/{ALICE}"), "eu-1");
        put(&core, &format!("user-core/{}", "ab".repeat(32)), "eu-1");
        let core = core.with("platform__piiMode", "hashed");
        fleet.cores.push(core.with("platform__piiHmacKey", KEY));
    }
    fleet.cores.rotate_right(1);
    fleet.backup(0, "cores/eu-1", &[]);
    let seen = fleet.opened("cores", 5, &[]);
    assert_eq!(problems(&seen), ["names-unknown"], "{seen}");
    let config = stage.at("core.yml");
    fs::write(
        &config,
        format!("platform:\n  piiMode: hashed\n  piiHmacKey: {KEY}\n"),
    )
    .unwrap();
    let seen = fleet.opened("cores", 5, &["--config", config.to_str().unwrap()]);
    assert_eq!(problems(&seen), ["user-in-no-backup"], "{seen}");
    assert_eq!(seen["usersInNoBackup"][0]["name"], "ab".repeat(32));
}

#[test]
fn cores_in_an_object_store_are_seen_as_on_disk() {
    let Some(store) = ObjectStore::start() else {
        return;
    };
    let Some(stage) = Stage::new() else { return };
    let mut fleet = Fleet::new(&stage);
    fleet.store = Some(&store);
    store.bucket("plain");
    store.locked_bucket("locked");
    for bucket in ["plain", "locked"] {
        for (name, _) in CORES {
            let _ = fs::remove_dir_all(stage.at(&format!("state-{name}")));
        }
        let _ = fs::remove_dir_all(stage.at("state-look"));
        let place = format!("s3://{bucket}/pryv");
        chains(&fleet, &place);
        all_is_there(&fleet, &place);
        // A run that only began, below a name of its own.
        store.put(bucket, "pryv/ap-1/chain/claim-0001", b"");
        let seen = fleet.opened(&place, 5, &[]);
        assert_eq!(problems(&seen), ["no-good-run ap-1"], "{seen}");
        // Another platform's runs under a name that was seen.
        for object in store.list(bucket, "pryv/us-1/") {
            store.delete(bucket, &object.key);
        }
        for object in store.list(bucket, "pryv/eu-1/") {
            let key = object.key.replace("/eu-1/", "/us-1/");
            store.put(bucket, &key, &store.get(bucket, &object.key));
        }
        let seen = fleet.opened(&place, if bucket == "plain" { 4 } else { 5 }, &[]);
        match bucket {
            "plain" => assert!(problems(&seen).contains(&"source-changed us-1".to_owned())),
            // What was there first is read.
            _ => assert_eq!(problems(&seen), ["no-good-run ap-1"], "{seen}"),
        }
    }
}

#[test]
fn a_place_without_backups_and_a_bad_name_are_refused() {
    let Some(stage) = Stage::new() else { return };
    let empty = stage.at("empty");
    fs::create_dir(&empty).unwrap();
    let command = |args: &[&str]| run(Command::new(tool()).args(args));
    let refused = command(&["fleet", empty.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    assert!(text(&refused).contains("holds no backups"));
    let refused = command(&["--output", "x", "--core", "eu/1"]);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    assert!(
        text(&refused).contains("a core has a name of"),
        "{}",
        text(&refused)
    );
    assert!(!Path::new("x").exists());
}
