//! Chains as the other commands see them: verified, listed, compared, copied, given to others.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use pryv_backup_tests::{
    command::{run, text, tool},
    folder::{copy, tree},
    kit,
};
use serde_json::Value;
use tempfile::TempDir;

/// The chains of the test kit.
struct Kit(TempDir);

impl Kit {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        kit::make(env!("CARGO_BIN_EXE_testkit"), &dir.path().join("kit"));
        Kit(dir)
    }

    fn chain(&self, name: &str) -> PathBuf {
        self.0.path().join("kit").join(name).join("archive")
    }

    fn key(&self, name: &str) -> PathBuf {
        self.0.path().join("kit/keys").join(name)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A command with Alice's key.
    fn with_key(&self, args: &[&str], dir: &Path) -> Output {
        run(Command::new(tool())
            .args(args)
            .arg(dir)
            .arg("--private-key")
            .arg(self.key("alice.pem")))
    }

    fn json(&self, args: &[&str], dir: &Path) -> Value {
        let done = self.with_key(&[args, &["--json"]].concat(), dir);
        let said = String::from_utf8(done.stdout).unwrap();
        serde_json::from_str(said.lines().last().unwrap_or_default())
            .unwrap_or_else(|_| panic!("{said}{}", String::from_utf8_lossy(&done.stderr)))
    }

    /// The state at a run, decrypted.
    fn state(&self, chain: &Path, at: &str) -> std::collections::BTreeMap<String, Vec<u8>> {
        let out = TempDir::new_in(self.0.path()).unwrap();
        let done = self.with_key(
            &[
                "decrypt",
                "--gunzip",
                "--at",
                at,
                "--force",
                "--out",
                out.path().to_str().unwrap(),
            ],
            chain,
        );
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        tree(out.path())
    }
}

#[test]
fn verify_names_what_is_wrong_with_and_without_the_key() {
    let kit = Kit::new();
    // Exit code with the key and without it, and what either says.
    for (name, with, without, says) in [
        ("chain", 0, 0, "3 runs, "),
        ("chain-full-between", 0, 0, "3 runs, "),
        (
            "chain-cleartext",
            4,
            0,
            "this backup is not encrypted, though you gave a key",
        ),
        (
            "chain-uncommitted",
            0,
            0,
            "warning: increments/0004: left by a run that was not finished",
        ),
        (
            "chain-missing",
            4,
            4,
            "damaged: increments/0002: run 2 is listed in chain.json, but not there",
        ),
        ("chain-dropped", 4, 4, "a run between was removed"),
        (
            "chain-swapped",
            4,
            4,
            "damaged: increments/0003: run 2 lies where run 3 should be",
        ),
        (
            "chain-reordered",
            4,
            4,
            "damaged: chain.json: lists run 3 where run 2 should be",
        ),
        (
            "chain-replayed",
            4,
            4,
            "damaged: increments/0003: run 2 lies where run 3 should be",
        ),
        (
            "chain-replayed-quietly",
            4,
            4,
            "damaged: chain.json: lists one archive twice",
        ),
        (
            "chain-foreign",
            4,
            4,
            "damaged: increments/0003: manifest.json is not the one",
        ),
        (
            "chain-index-damaged",
            4,
            4,
            "chain.json: cannot be read as a list of runs",
        ),
        ("chain-index-lost", 4, 4, "chain.json is missing"),
        ("chain-index-and-runs-lost", 4, 4, "chain.json is missing"),
        ("chain-stale-record-file", 4, 4, "damaged: increments/0002"),
        (
            "chain-without-first",
            4,
            4,
            "damaged: users/u1/streams.jsonl.gz",
        ),
        // Whoever changes the index and the sums too is found out by the key alone.
        (
            "chain-dropped-quietly",
            4,
            0,
            "damaged: increments/0002: run 3 of this chain lies where run 2 should be",
        ),
        ("chain-foreign-quietly", 4, 0, "a run of another chain"),
        (
            "chain-of-another-copy",
            4,
            0,
            "damaged: increments/0003: run 3 follows an archive",
        ),
        ("chain-other-recipient", 3, 0, "run 3: "),
    ] {
        let chain = kit.chain(name);
        let keyed = kit.with_key(&["verify"], &chain);
        assert_eq!(keyed.status.code(), Some(with), "{name}: {}", text(&keyed));
        assert!(text(&keyed).contains(says), "{name}: {}", text(&keyed));
        let keyless = run(Command::new(tool()).arg("verify").arg(&chain));
        assert_eq!(
            keyless.status.code(),
            Some(without),
            "{name}: {}",
            text(&keyless)
        );
        if with == without {
            assert!(text(&keyless).contains(says), "{name}: {}", text(&keyless));
        }
    }
}

#[test]
fn the_first_run_does_not_pass_for_a_chain_whose_index_is_lost() {
    let kit = Kit::new();
    for name in ["chain-index-lost", "chain-index-and-runs-lost"] {
        let chain = kit.chain(name);
        let before = tree(&chain);
        let into = kit.at("into");
        let out = into.to_str().unwrap();
        let add = kit.key("mallory.pub.pem");
        for args in [
            &["decrypt", "--verify"][..],
            &["decrypt", "--out", out],
            &["list"],
            &["stats"],
            &["extract", "--user", "alice"],
            &["consolidate", "--into", out],
            &["rekey", "--add-recipient", add.to_str().unwrap()],
            &["--restore"],
            &["--verify-only", "--restore"],
            &["decrypt", "--at", "2", "--list"],
        ] {
            let done = kit.with_key(args, &chain);
            assert_eq!(done.status.code(), Some(4), "{args:?}: {}", text(&done));
            let says = "chain.json is missing, so the runs after the first cannot be read";
            assert!(text(&done).contains(says), "{args:?}: {}", text(&done));
            assert!(!into.exists(), "{args:?}");
        }
        assert!(tree(&chain) == before);
        let closed = run(Command::new(tool()).arg("list").arg(&chain));
        assert_eq!(closed.status.code(), Some(4), "{}", text(&closed));
        let listed = kit.with_key(&["decrypt", "--list", "--at", "1"], &chain);
        assert_eq!(listed.status.code(), Some(0), "{}", text(&listed));
    }
}

#[test]
fn a_missing_newest_run_is_what_the_id_is_for() {
    let kit = Kit::new();
    let (chain, short) = (kit.chain("chain"), kit.at("short"));
    copy(&chain, &short);
    let id = kit.json(&["verify"], &chain)["archiveId"]
        .as_str()
        .unwrap()
        .to_owned();
    let index = fs::read_to_string(short.join("chain.json")).unwrap();
    let mut index: Value = serde_json::from_str(&index).unwrap();
    index["runs"].as_array_mut().unwrap().pop();
    fs::write(short.join("chain.json"), index.to_string()).unwrap();
    fs::remove_dir_all(short.join("increments/0003")).unwrap();
    fs::remove_file(short.join("SHA256SUMS")).unwrap();
    for command in [
        &["decrypt", "--verify", "--expect-id", &id][..],
        &["verify", "--expect-id", &id],
    ] {
        let done = kit.with_key(command, &short);
        assert_eq!(done.status.code(), Some(4), "{}", text(&done));
        assert!(
            text(&done).contains("not the archive that you expect"),
            "{}",
            text(&done)
        );
        let whole = kit.with_key(command, &chain);
        assert_eq!(whole.status.code(), Some(0), "{}", text(&whole));
    }
}

#[test]
fn runs_are_listed_and_states_looked_into() {
    let kit = Kit::new();
    let chain = kit.chain("chain");
    let closed = run(Command::new(tool()).arg("list").arg(&chain));
    for said in [
        "run 1",
        "run 3",
        "incremental",
        "what is inside shows with its key",
    ] {
        assert!(text(&closed).contains(said), "{}", text(&closed));
    }
    let listed = kit.json(&["list"], &chain);
    let listed = &listed["archives"][0];
    assert_eq!(listed["runs"].as_array().unwrap().len(), 3);
    assert_eq!(listed["archiveId"], listed["runs"][2]["archiveId"]);
    let users = |at: &str| {
        let listed = kit.json(&["list", "--at", at], &chain);
        let users = listed["archives"][0]["users"].as_array().unwrap().clone();
        users
            .iter()
            .map(|u| u["username"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(users("1"), ["alice", "bob"]);
    assert_eq!(users("2"), ["alice", "bob", "carol"]);
    assert_eq!(users("3"), ["alice", "carol"]);

    let stats = kit.json(&["stats", "--at", "2"], &chain);
    assert_eq!(stats["collections"]["events"]["records"], 8);
    assert_eq!(stats["collections"]["platform/keys"]["records"], 1);
    assert_eq!(stats["collections"]["attachments"]["files"], 2);

    let printed = run(Command::new(tool())
        .arg("cat")
        .arg(&chain)
        .args(["users/u1/account.jsonl.gz", "--at", "2", "--private-key"])
        .arg(kit.key("alice.pem")));
    assert_eq!(
        text(&printed),
        "{\"passwords\":[{\"hash\":\"h\",\"time\":1}],\"accountFields\":[]}\n"
    );

    let ids = |at: &str| {
        let done = kit.with_key(&["extract", "--user", "alice", "--at", at], &chain);
        let mut ids: Vec<String> = text(&done)
            .lines()
            .map(|line| {
                serde_json::from_str::<Value>(line).unwrap()["id"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        ids.sort();
        ids
    };
    assert_eq!(ids("1"), ["e1", "e2", "e3", "e4", "v1"]);
    assert_eq!(ids("2"), ["e1", "e2", "e4", "e5", "v1", "v2"]);
    assert_eq!(ids("3"), ["e1", "e2", "e3", "e4"]);
}

#[test]
fn a_chain_that_was_handed_on_opens_with_the_keys_of_all() {
    let kit = Kit::new();
    let chain = kit.at("handed");
    copy(&kit.chain("chain-two-keys"), &chain);
    let (dir, first) = (chain.to_str().unwrap(), format!("{}@1", chain.display()));
    let (copied, mallory) = (kit.at("copied"), kit.key("mallory.pub.pem"));
    let (into, mallory) = (copied.to_str().unwrap(), mallory.to_str().unwrap());
    let (alice, bob) = (kit.key("alice.pem"), kit.key("bob.pem"));
    let keys = [
        "--private-key",
        alice.to_str().unwrap(),
        "--private-key",
        bob.to_str().unwrap(),
    ];
    for args in [
        &["verify", dir][..],
        &["decrypt", "--verify", dir],
        &["--verify-only", "--restore", dir],
        &["list", dir],
        &["stats", dir],
        &["extract", "--user", "alice", dir],
        &["cat", dir, "users/u1/account.jsonl"],
        &["diff", &first, dir],
        &["consolidate", dir, "--into", into],
        &["rekey", dir, "--add-recipient", mallory],
    ] {
        let done = run(Command::new(tool()).args(args).args(keys));
        assert_eq!(done.status.code(), Some(0), "{args:?}: {}", text(&done));
        if args[0] == "list" || args[0] == "rekey" {
            continue;
        }
        // One of them does not do, and it is said for which run.
        let _ = fs::remove_dir_all(&copied);
        let done = run(Command::new(tool()).args(args).args(&keys[2..]));
        assert_eq!(done.status.code(), Some(3), "{args:?}: {}", text(&done));
        let said = text(&done);
        assert!(
            said.contains("run 1: wrong private key"),
            "{args:?}: {said}"
        );
    }
    let opened = run(Command::new(tool())
        .args(["verify", dir, "--private-key"])
        .arg(kit.key("mallory.pem")));
    assert_eq!(opened.status.code(), Some(0), "{}", text(&opened));
}

#[test]
fn what_was_lost_and_is_found_is_no_longer_said_to_be_lost() {
    let kit = Kit::new();
    let chain = kit.chain("chain-loss-repaired");
    for (at, lost) in [("1", true), ("2", false), ("3", false)] {
        let listed = kit.with_key(&["decrypt", "--list", "--at", at], &chain);
        let said = text(&listed).contains("lost when the backup was made");
        assert_eq!(said, lost, "run {at}: {}", text(&listed));
        let listed = kit.json(&["list", "--at", at], &chain);
        let losses = listed["archives"][0]["losses"].as_array().unwrap().len();
        assert_eq!(losses, usize::from(lost), "run {at}");
    }
}

#[test]
fn states_are_compared() {
    let kit = Kit::new();
    let chain = kit.chain("chain");
    let at = |run: &str| format!("{}@{run}", chain.display());
    let diff = |old: &str, new: &str| -> Value {
        let done = run(Command::new(tool())
            .args(["diff", "--json", old, new, "--private-key"])
            .arg(kit.key("alice.pem")));
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        serde_json::from_slice(&done.stdout).unwrap()
    };
    let found = diff(&at("1"), &at("2"));
    let events = &found["users"]["u1"]["events"];
    assert_eq!(events["added"], 2, "{found}");
    assert_eq!(events["changed"], 1);
    assert_eq!(events["removed"], 1);
    assert_eq!(found["users"]["u1"]["attachments"]["added"], 1);
    assert_eq!(found["users"]["u1"]["attachments"]["removed"], 1);
    assert_eq!(found["users"]["u1"]["series"]["changed"], 1);
    assert_eq!(found["users"]["u1"]["series"]["removed"], 1);
    assert_eq!(found["users"][""]["platform/keys"]["removed"], 1);
    assert!(found["users"].get("u2").is_none(), "{found}");
    assert_eq!(diff(&at("3"), &chain.display().to_string())["same"], true);
}

#[test]
fn a_state_becomes_an_archive_of_its_own() {
    let kit = Kit::new();
    let chain = kit.chain("chain");
    for run_number in ["1", "2", "3"] {
        let into = kit.at(&format!("copy-{run_number}"));
        let made = kit.with_key(
            &[
                "consolidate",
                "--json",
                "--at",
                run_number,
                "--into",
                into.to_str().unwrap(),
            ],
            &chain,
        );
        assert_eq!(made.status.code(), Some(0), "{}", text(&made));
        let verified = kit.with_key(&["verify"], &into);
        assert_eq!(verified.status.code(), Some(0), "{}", text(&verified));
        assert!(!into.join("chain.json").exists() && !into.join("increments").exists());
        // The same files but for what the manifests say.
        let records = |mut files: std::collections::BTreeMap<String, Vec<u8>>| {
            // A collection without records need not have a file.
            files.retain(|path, bytes| !path.ends_with("manifest.json") && !bytes.is_empty());
            files
        };
        let due = records(kit.state(&chain, run_number));
        assert_eq!(records(kit.state(&into, "1")), due, "run {run_number}");
    }
    let increment = kit.with_key(
        &["consolidate", "--into", kit.at("none").to_str().unwrap()],
        &chain.join("increments/0002"),
    );
    assert_eq!(increment.status.code(), Some(4), "{}", text(&increment));
    assert!(
        text(&increment).contains("this is run 2 of a chain"),
        "{}",
        text(&increment)
    );
}

#[test]
fn rekey_gives_every_run_that_the_key_opens_to_others() {
    let kit = Kit::new();
    for (name, code, changed) in [("chain", 0, 3), ("chain-other-recipient", 5, 2)] {
        let chain = kit.at(&format!("rekeyed-{name}"));
        copy(&kit.chain(name), &chain);
        let before = kit.state(&chain, "2");
        let done = run(Command::new(tool())
            .arg("rekey")
            .arg(&chain)
            .arg("--json")
            .arg("--private-key")
            .arg(kit.key("alice.pem"))
            .arg("--add-recipient")
            .arg(kit.key("mallory.pub.pem")));
        assert_eq!(done.status.code(), Some(code), "{name}: {}", text(&done));
        let said: Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!(said["runs"], changed, "{said}");
        if code == 5 {
            let left = said["left"].as_array().unwrap();
            assert_eq!(left.len(), 1, "{said}");
            assert!(left[0].as_str().unwrap().starts_with("run 3: "), "{said}");
        }
        let verified = run(Command::new(tool()).arg("verify").arg(&chain));
        assert_eq!(
            verified.status.code(),
            Some(0),
            "{name}: {}",
            text(&verified)
        );
        assert!(
            !text(&verified).contains("warning"),
            "{name}: {}",
            text(&verified)
        );
        let out = kit.at(&format!("mallory-{name}"));
        let opened = run(Command::new(tool())
            .arg("decrypt")
            .arg(&chain)
            .args(["--gunzip", "--at", "2", "--private-key"])
            .arg(kit.key("mallory.pem"))
            .arg("--out")
            .arg(&out));
        assert_eq!(opened.status.code(), Some(0), "{name}: {}", text(&opened));
        assert_eq!(tree(&out), before, "{name}");
        let index: Value =
            serde_json::from_slice(&fs::read(chain.join("chain.json")).unwrap()).unwrap();
        assert_eq!(
            index["runs"][1]["recipients"].as_array().unwrap().len(),
            if code == 5 { 3 } else { 2 }
        );
    }
}
