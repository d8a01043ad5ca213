//! Several cores of a platform, each with a database of its own: their backups, on disk and in an object store, as one command sees them.
#![allow(clippy::unwrap_used, clippy::panic)]

mod alarms;
mod missing;
mod places;

use std::{
    path::Path,
    process::{Command, Output},
};

use pryv_backup_tests::{
    command::{run, text, tool},
    folder,
    object_store::{ObjectStore, reach},
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
    /// The port of the store, if there is one.
    store: Option<u16>,
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
        if let Some(port) = self.store {
            reach(command, port);
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
