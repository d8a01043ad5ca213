//! Chains: the state at each run, and runs that are missing, foreign, out of order or not finished.

use std::collections::{BTreeMap, BTreeSet};

use decryptor_wasm::{
    PublicKey, UserEntry,
    chain::{Index, state_manifest, state_user_manifest},
    layout::PathKind,
    manifest::Chunks,
};
use pryv_backup_tests::chain::{Draft, Files, Lock, Made, State, make};
use serde_json::{Value, json};

use crate::case::Case;

/// A user's files in the clear.
type Lines = &'static [&'static str];

pub fn to(names: &[&str]) -> Lock {
    let keys = names.iter().map(|name| super::keys::public(name));
    Lock::To(keys.map(|key| PublicKey::parse(key).unwrap()).collect())
}

fn state(users: &[(&str, &str)], files: &[(&str, Lines)], attachments: &[&str]) -> State {
    let mut content = Files::new();
    for (path, lines) in files {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        content.insert(format!("{path}.jsonl"), text.into_bytes());
    }
    for path in attachments {
        content.insert((*path).to_owned(), path.repeat(10).into_bytes());
    }
    let count = |id: &str, kind: &str| {
        let folder = format!("users/{id}/{kind}");
        let mine = files.iter().filter(|(path, _)| path.starts_with(&folder));
        mine.map(|(_, lines)| lines.len()).sum::<usize>()
    };
    let users = users.iter().map(|(id, name)| {
        json!({
            "userId": id, "username": name, "backupTimestamp": 1_700_000_000_000u64,
            "stats": {"streams": count(id, "streams"), "accesses": count(id, "accesses"), "profile": count(id, "profile"),
                "webhooks": count(id, "webhooks"), "events": count(id, "events"), "audit": count(id, "audit"),
                "series": count(id, "series"), "attachments": attachments.iter().filter(|a| a.contains(id)).count()},
        })
    });
    let manifest = json!({
        "formatVersion": 1, "coreVersion": "1.9.3", "config": {"engine": "sqlite", "domain": "test"},
        "backupType": "full", "backupTimestamp": 1_700_000_000_000u64, "users": users.collect::<Vec<_>>(),
    });
    State { manifest, content }
}

/// A little of everything that can become of records and users.
pub fn history() -> Vec<State> {
    const EMPTY: Lines = &[];
    let account: Lines = &[r#"{"passwords":[],"accountFields":[]}"#];
    let base = |id: &'static str, more: &[(&'static str, Lines)]| {
        let mut files: BTreeMap<String, Lines> = BTreeMap::new();
        for (name, lines) in [
            ("streams", &[r#"{"id":"diary"}"#][..]),
            ("accesses", &[r#"{"id":"a1","token":"t"}"#]),
            ("profile", EMPTY),
            ("webhooks", EMPTY),
            ("account", account),
            ("events/events-0001", EMPTY),
            ("audit/audit-0001", &[r#"{"eventid":"x1"}"#]),
        ] {
            files.insert(format!("users/{id}/{name}"), lines);
        }
        for (name, lines) in more {
            files.insert(format!("users/{id}/{name}"), lines);
        }
        files
    };
    let joined = |users: &[BTreeMap<String, Lines>],
                  platform: Lines,
                  names: &[(&str, &str)],
                  attachments: &[&str]| {
        let mut files: Vec<(&str, Lines)> = users
            .iter()
            .flatten()
            .map(|(path, lines)| (path.as_str(), *lines))
            .collect();
        files.push(("platform/keys", platform));
        state(names, &files, attachments)
    };
    let untouched = base(
        "u2",
        &[(
            "events/events-0001",
            &[r#"{"id":"e1","content":"of another"}"#],
        )],
    );
    let one = base(
        "u1",
        &[
            (
                "events/events-0001",
                &[
                    r#"{"id":"e1","content":"stays","attachments":[{"id":"f1"}]}"#,
                    r#"{"id":"e2","content":"will change"}"#,
                    r#"{"id":"e3","content":"will go","attachments":[{"id":"f2"}]}"#,
                    r#"{"id":"v1","headId":"e2","content":"a version"}"#,
                ],
            ),
            (
                "events/events-0002",
                &[r#"{"id":"e4","content":"of the second file"}"#],
            ),
            (
                "series/series",
                &[
                    r#"{"measurement":"event.e1","namespace":"user.alice","points":[{"time":0,"value":1},{"time":1.5,"value":2},{"time":3,"value":3}]}"#,
                ],
            ),
        ],
    );
    let two = base(
        "u1",
        &[
            ("webhooks", &[r#"{"id":"w1","state":"active"}"#]),
            (
                "account",
                &[r#"{"passwords":[{"hash":"h","time":1}],"accountFields":[]}"#],
            ),
            (
                "events/events-0001",
                &[
                    r#"{"id":"e1","content":"stays","attachments":[{"id":"f1"}]}"#,
                    r#"{"id":"e2","content":"changed"}"#,
                    r#"{"id":"v1","headId":"e2","content":"a version"}"#,
                    r#"{"id":"v2","headId":"e2","content":"will change"}"#,
                    r#"{"id":"e5","content":"new","attachments":[{"id":"f3"}]}"#,
                ],
            ),
            (
                "events/events-0002",
                &[r#"{"id":"e4","content":"of the second file"}"#],
            ),
            (
                "series/series",
                &[
                    r#"{"measurement":"event.e1","namespace":"user.alice","points":[{"time":0,"value":1},{"time":1.5,"value":7}]}"#,
                ],
            ),
        ],
    );
    let three = base(
        "u1",
        &[
            (
                "account",
                &[r#"{"passwords":[{"hash":"h","time":1}],"accountFields":[]}"#],
            ),
            (
                "events/events-0001",
                &[
                    r#"{"id":"e1","content":"stays","attachments":[{"id":"f1"}]}"#,
                    r#"{"id":"e2","content":"will change"}"#,
                    r#"{"id":"e3","content":"back","attachments":[{"id":"f2"}]}"#,
                ],
            ),
            (
                "events/events-0002",
                &[r#"{"id":"e4","content":"of the second file"}"#],
            ),
        ],
    );
    let new = base(
        "u3",
        &[(
            "events/events-0001",
            &[r#"{"id":"e1","content":"of a new user"}"#],
        )],
    );
    let f = [
        "users/u1/attachments/f1",
        "users/u1/attachments/f2",
        "users/u1/attachments/f3",
    ];
    let [alice, bob, carol] = [("u1", "alice"), ("u2", "bob"), ("u3", "carol")];
    vec![
        joined(
            &[one, untouched.clone()],
            &[r#"{"key":"a","value":"1"}"#, r#"{"key":"b","value":"1"}"#],
            &[alice, bob],
            &f[..2],
        ),
        joined(
            &[two, untouched, new.clone()],
            &[r#"{"key":"b","value":"2"}"#],
            &[alice, bob, carol],
            &[f[0], f[2]],
        ),
        joined(
            &[three, new],
            &[r#"{"key":"b","value":"2"}"#],
            &[alice, carol],
            &f[..2],
        ),
    ]
}

pub fn drafts(lock: &Lock) -> Vec<Draft> {
    let states = history().into_iter().enumerate();
    states
        .map(|(at, state)| Draft::new(state, lock.clone(), at == 0))
        .collect()
}

/// The expected state at a run: the lines of every file of the runs, without those of which a later run has another
/// version, or which are no longer there. Series are written by hand.
pub fn out(drafts: &[Draft], made: &Made, run: usize) -> Files {
    let first = (0..run).rev().find(|at| drafts[*at].full).unwrap();
    let last = &drafts[run - 1].state;
    let mut files = Files::new();
    let users: Vec<Value> = last.manifest["users"].as_array().unwrap().clone();
    let mut places: BTreeSet<String> = BTreeSet::new();
    for draft in &drafts[first..run] {
        places.extend(draft.state.content.keys().cloned());
    }
    // The order in which the users came.
    let mut order: Vec<String> = Vec::new();
    for draft in &drafts[first..run] {
        let there: Vec<String> = ids(&draft.state);
        order.retain(|id| there.contains(id));
        order.extend(
            there
                .into_iter()
                .filter(|id| !order.contains(id))
                .collect::<Vec<_>>(),
        );
    }
    let entry = |id: &String| users.iter().find(|u| u["userId"] == **id).unwrap();
    let entries = order
        .iter()
        .map(|id| -> UserEntry { serde_json::from_value(entry(id).clone()).unwrap() });
    let mut entries: Vec<UserEntry> = entries.collect();
    for user in &mut entries {
        let mut numbers = BTreeMap::new();
        for collection in [
            "streams", "accesses", "profile", "webhooks", "account", "events", "audit",
        ] {
            let numbered = matches!(collection, "events" | "audit");
            let of_user = |state: &State| -> Vec<(String, Vec<String>)> {
                let folder = format!("users/{}/{collection}", user.user_id);
                let mine = state
                    .content
                    .iter()
                    .filter(|(path, _)| path.starts_with(&folder));
                mine.map(|(path, bytes)| (path.clone(), lines(bytes)))
                    .collect()
            };
            let due: BTreeSet<String> = of_user(last)
                .into_iter()
                .flat_map(|(_, lines)| lines)
                .collect();
            // Its lines in each run, oldest first.
            let mut parts: Vec<Vec<String>> = Vec::new();
            let mut before: Option<BTreeSet<String>> = None;
            for draft in &drafts[first..run] {
                let own = of_user(&draft.state);
                if own.is_empty() {
                    continue;
                }
                let all: BTreeSet<String> =
                    own.iter().flat_map(|(_, lines)| lines.clone()).collect();
                match &before {
                    None => parts.extend(own.into_iter().map(|(_, lines)| lines)),
                    Some(before) => {
                        let new: Vec<String> =
                            by_number(all.difference(before).cloned().collect(), collection, first);
                        if !new.is_empty() {
                            parts.push(new);
                        }
                    }
                }
                before = Some(all);
            }
            let mut taken = BTreeSet::new();
            for part in parts.iter_mut().rev() {
                part.retain(|line| due.contains(line) && taken.insert(line.clone()));
            }
            if !numbered {
                parts = vec![parts.concat()];
            }
            for (at, part) in parts.iter().enumerate() {
                let name = match numbered {
                    true => format!("{collection}/{collection}-{:04}.jsonl", at + 1),
                    false => format!("{collection}.jsonl"),
                };
                let text: String = part.iter().map(|line| format!("{line}\n")).collect();
                files.insert(format!("users/{}/{name}", user.user_id), text.into_bytes());
            }
            numbers.insert(collection, parts.len());
        }
        let names = |kind: &str| {
            (1..=numbers[kind])
                .map(|n| format!("{kind}-{n:04}.jsonl"))
                .collect()
        };
        user.chunks = Chunks {
            events: names("events"),
            audit: Some(names("audit")),
        };
        let path = format!("users/{}/user-manifest.json", user.user_id);
        let said = |run: usize| made.manifests.get(&in_run(run, &path));
        let json = (first + 1..=run).rev().find_map(said).unwrap();
        files.insert(
            path,
            state_user_manifest(json, &user.chunks, &[], &BTreeMap::new()).unwrap(),
        );
    }
    for (path, bytes) in &last.content {
        if matches!(
            PathKind::of(path),
            PathKind::Attachment { .. } | PathKind::SharedRecords
        ) {
            files.insert(path.clone(), bytes.clone());
        }
    }
    let json = &made.manifests[&in_run(run, "manifest.json")];
    files.insert(
        "manifest.json".into(),
        state_manifest(json, &entries.iter().cloned().collect(), &[]).unwrap(),
    );
    files
}

/// A path of a run, from the root of the chain.
fn in_run(run: usize, path: &str) -> String {
    match Index::path(run as u32).as_str() {
        "" => path.to_owned(),
        folder => format!("{folder}/{path}"),
    }
}

/// The order of an increment's lines, which is that of their numbers.
fn by_number(lines: Vec<String>, collection: &str, first: usize) -> Vec<String> {
    let key = decryptor_wasm::chain::ChainKey::from_bytes([first as u8 + 1; 16]);
    let mut numbered: Vec<(u64, String)> = lines
        .into_iter()
        .map(|line| {
            let mut number = 0;
            decryptor_wasm::chain::numbers(&key, collection, line.as_bytes(), &mut |n| number = n)
                .unwrap();
            (number, line)
        })
        .collect();
    numbered.sort();
    numbered.into_iter().map(|(_, line)| line).collect()
}

fn ids(state: &State) -> Vec<String> {
    let users = state.manifest["users"].as_array().unwrap().iter();
    users
        .map(|u| u["userId"].as_str().unwrap().to_owned())
        .collect()
}

fn lines(bytes: &[u8]) -> Vec<String> {
    std::str::from_utf8(bytes)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

/// Whoever has only the first run of a chain is told so.
const LOST: &str = "chain.json is missing, so the runs after the first cannot be read: use another copy of the backup";
pub const SERIES: &str = "users/u1/series/series.jsonl";
const AT_1: &str = "{\"measurement\":\"event.e1\",\"namespace\":\"user.alice\",\"points\":[{\"time\":0,\"value\":1},{\"time\":1.5,\"value\":2},{\"time\":3,\"value\":3}]}\n";
/// One point stands, one was changed, one is gone.
const AT_2: &str = concat!(
    "{\"measurement\":\"event.e1\",\"namespace\":\"user.alice\",\"points\":[{\"time\":0,\"value\":1}]}\n",
    "{\"measurement\":\"event.e1\",\"namespace\":\"user.alice\",\"points\":[{\"time\":1.5,\"value\":7}]}\n"
);

pub fn good(name: &'static str, line: &'static str, drafts: &[Draft], run: usize) -> Case {
    let series = [AT_1, AT_2, ""][run - 1];
    let made = make(drafts);
    let out = out(drafts, &made, run);
    Case::made(name, line, made.files, out).with(SERIES, series.as_bytes())
}

/// A chain of which something is wrong, so that nothing comes out.
fn broken(
    name: &'static str,
    line: &'static str,
    change: impl FnOnce(&mut Made),
    says: &'static str,
) -> Case {
    let mut made = make(&drafts(&to(&["alice"])));
    change(&mut made);
    Case::made(name, line, made.files, Files::new())
        .nothing()
        .exit(4)
        .says(says)
}

pub fn cases() -> Vec<Case> {
    let alice = drafts(&to(&["alice"]));
    let open = drafts(&Lock::None);
    let mut full = alice.clone();
    full[1].full = true;
    let mut mixed = alice.clone();
    mixed[1].lock = to(&["bob", "alice"]);
    mixed[2].lock = to(&["bob"]);
    // An attachment that the first run could not read.
    let mut repaired = alice.clone();
    let lost = json!([{"userId": "u1", "collection": "attachments", "path": "users/u1/attachments/f1", "what": "it was gone"}]);
    repaired[0].state.content.remove("users/u1/attachments/f1");
    repaired[0].state.manifest["losses"] = lost.clone();
    repaired[0].state.manifest["users"][0]["losses"] = lost;
    // Alice, then Bob; one passphrase, then another; a passphrase, then Alice.
    let mut handed = alice.clone();
    handed[1].lock = to(&["bob"]);
    handed[2].lock = to(&["bob"]);
    let mut rephrased = drafts(&Lock::Passphrase("first"));
    rephrased[2].lock = Lock::Passphrase("second");
    let mut unphrased = alice.clone();
    unphrased[0].lock = Lock::Passphrase("first");
    let (alices, bobs) = (
        ["--private-key", "{keys}/alice.pem"],
        ["--private-key", "{keys}/bob.pem"],
    );
    let phrase = drafts(&Lock::Passphrase("pässphrase"));
    let other = || {
        let mut other = drafts(&to(&["alice"]));
        other[0].state.manifest["config"]["domain"] = json!("elsewhere");
        make(&other)
    };
    vec![
        good("chain", "the newest state comes out", &alice, 3)
            .says("run 3 of 3")
            .says("all good"),
        good("chain-at-2", "the state at an earlier run", &alice, 2)
            .also(&["--at", "2"])
            .says("run 2 of 3"),
        good("chain-at-1", "the first state", &alice, 1)
            .also(&["--at", "1"])
            .says("run 1 of 3"),
        good(
            "chain-gunzip",
            "records of a state are plain in any case",
            &alice,
            3,
        )
        .also(&["--gunzip"]),
        good("chain-cleartext", "a chain that is not encrypted", &open, 3)
            .args(&[])
            .says("Not encrypted"),
        good(
            "chain-passphrase",
            "every run has a salt of its own",
            &phrase,
            2,
        )
        .args(&["--passphrase", "pässphrase", "--at", "2"]),
        good(
            "chain-full-between",
            "a full run ends the walk: the first one is not read",
            &full,
            3,
        ),
        good(
            "chain-without-first",
            "a state after a full run stands without the runs before it",
            &full,
            3,
        )
        .change(|files| drop(files.remove("users/u1/streams.jsonl.gz")))
        .says("all good"),
        Case::made(
            "chain-list",
            "runs and users are shown",
            make(&alice).files,
            Files::new(),
        )
        .also(&["--list"])
        .nothing()
        .says("run 1")
        .says("run 3")
        .says("alice  u1")
        .says("carol  u3"),
        Case::made(
            "chain-verify",
            "every run is checked",
            make(&alice).files,
            Files::new(),
        )
        .also(&["--verify"])
        .nothing()
        .says("all good"),
        Case::made(
            "chain-no-such-run",
            "a run that there is not is none to choose",
            make(&alice).files,
            Files::new(),
        )
        .also(&["--at", "4"])
        .nothing()
        .exit(2)
        .says("there is no run 4 in this chain: it has the runs 1 to 3"),
        Case::made(
            "chain-other-recipient",
            "a key that opens some runs and not others: the run and whose it is are named",
            make(&mixed).files,
            Files::new(),
        )
        .nothing()
        .exit(3)
        .says("run 3"),
        good(
            "chain-other-recipient-at-2",
            "and what it opens, it opens",
            &mixed,
            2,
        )
        .also(&["--at", "2"]),
        good(
            "chain-two-keys",
            "runs to different people open with the keys of all",
            &handed,
            3,
        )
        .args(&[alices, bobs].concat())
        .says("all good"),
        good(
            "chain-two-passphrases",
            "runs with different passphrases open with all of them",
            &rephrased,
            3,
        )
        .args(&["--passphrase", "second", "--passphrase", "first"])
        .says("all good"),
        good(
            "chain-key-and-passphrase",
            "each run takes what it needs",
            &unphrased,
            3,
        )
        .args(&[alices, ["--passphrase", "first"]].concat())
        .says("all good"),
        Case::made(
            "chain-two-wrong-keys",
            "the run that none of them opens is named",
            make(&handed).files,
            Files::new(),
        )
        .args(&[bobs, ["--private-key", "{keys}/mallory.pem"]].concat())
        .nothing()
        .exit(3)
        .says("run 1: none of the 2 private keys opens it: wrong private key"),
        good(
            "chain-loss-repaired",
            "what a run lost and a later one brought is not lost",
            &repaired,
            3,
        )
        .says("all good"),
        Case::made(
            "chain-loss-at-1",
            "and is in the state before",
            make(&repaired).files,
            Files::new(),
        )
        .also(&["--at", "1", "--verify"])
        .nothing()
        .says("users/u1/attachments/f1: lost when the backup was made: it was gone"),
        broken(
            "chain-missing",
            "a run that is listed is not there",
            |made| {
                made.replace(2, Files::new());
                made.sum();
            },
            "increments/0002: run 2 is listed in chain.json, but not there; the state of run 3 needs run 2; use another copy of the backup, or --at 1 for the state before",
        ),
        good(
            "chain-missing-at-1",
            "states before a missing run open",
            &alice,
            1,
        )
        .also(&["--at", "1"])
        .change(|files| files.retain(|path, _| !path.starts_with("increments/0002/")))
        .says("warning: increments/0002: run 2 is listed in chain.json, but not there"),
        broken(
            "chain-dropped",
            "a run and its line in the index are gone",
            |made| {
                made.replace(2, made.run(3));
                made.replace(3, Files::new());
                let mut index = made.indexed();
                index.runs.remove(1);
                index.runs[1].run = 2;
                index.runs[1].path = "increments/0002".into();
                made.index(&index);
            },
            "a run between was removed",
        ),
        broken(
            "chain-dropped-quietly",
            "and the index says that nothing is missing",
            |made| {
                made.replace(2, made.run(3));
                made.replace(3, Files::new());
                let mut index = made.indexed();
                index.runs.remove(1);
                index.runs[1].run = 2;
                index.runs[1].path = "increments/0002".into();
                index.runs[1].parent = Some(made.ids[0].clone());
                made.index(&index);
            },
            "increments/0002: run 3 of this chain lies where run 2 should be",
        ),
        broken(
            "chain-swapped",
            "two runs lie in each other's place",
            |made| {
                let (two, three) = (made.run(2), made.run(3));
                made.replace(2, three);
                made.replace(3, two);
                made.sum();
            },
            "increments/0003: run 2 lies where run 3 should be; the folders were exchanged or copied",
        ),
        broken(
            "chain-reordered",
            "the index has them in another order",
            |made| {
                let mut index = made.indexed();
                index.runs.swap(1, 2);
                made.index(&index);
            },
            "chain.json: lists run 2 where run 3 should be; the runs are not in their order",
        ),
        broken(
            "chain-replayed",
            "an earlier run lies there again",
            |made| {
                made.replace(3, made.run(2));
                made.sum();
            },
            "increments/0003: run 2 lies where run 3 should be",
        ),
        broken(
            "chain-replayed-quietly",
            "and the index lists it again",
            |made| {
                made.replace(3, made.run(2));
                let mut index = made.indexed();
                index.runs[2].archive_id = index.runs[1].archive_id.clone();
                made.index(&index);
            },
            "chain.json: lists one archive twice, as run 2 and as run 3",
        ),
        broken(
            "chain-of-another-copy",
            "a run that was made from another copy of the chain",
            |made| {
                let mut fork = drafts(&to(&["alice"]));
                fork[1].state.manifest["config"]["domain"] = json!("fork");
                let fork = make(&fork);
                made.replace(3, fork.run(3));
                let mut index = made.indexed();
                index.runs[2] = fork.indexed().runs[2].clone();
                index.runs[2].parent = Some(made.ids[1].clone());
                made.index(&index);
            },
            "increments/0003: run 3 follows an archive",
        ),
        broken(
            "chain-foreign",
            "a run of another chain",
            |made| {
                let other = other();
                made.replace(3, other.run(3));
                made.sum();
            },
            "increments/0003: manifest.json is not the one that chain.json lists for run 3",
        ),
        broken(
            "chain-foreign-quietly",
            "and the index lists it",
            |made| {
                let other = other();
                made.replace(3, other.run(3));
                let mut index = made.indexed();
                index.runs[2] = other.indexed().runs[2].clone();
                index.runs[2].parent = Some(made.ids[1].clone());
                made.index(&index);
            },
            "increments/0003: what lies where run 3 should be is a run of another chain",
        ),
        good(
            "chain-uncommitted",
            "what a run that was not finished left is named and left alone",
            &alice,
            3,
        )
        .change(|files| {
            let left: Files = files
                .iter()
                .filter_map(|(path, bytes)| {
                    let rest = path.strip_prefix("increments/0003/")?;
                    Some((format!("increments/0004/{rest}"), bytes.clone()))
                })
                .collect();
            files.extend(left);
            files.insert("increments/0004/.unnamed".into(), Vec::new());
        })
        .says("warning: increments/0004: left by a run that was not finished"),
        broken(
            "chain-index-lost",
            "the index is gone, and the sums know nothing of it",
            |made| {
                made.files.remove("chain.json");
                made.sum();
            },
            LOST,
        ),
        broken(
            "chain-index-and-runs-lost",
            "the runs are gone too, and the sums still list them",
            |made| {
                made.files
                    .retain(|path, _| path != "chain.json" && !path.starts_with("increments/"));
            },
            LOST,
        ),
        Case::made(
            "chain-index-lost-at-1",
            "the first run opens when it is asked for",
            {
                let mut files = make(&alice).files;
                files.remove("chain.json");
                files
            },
            Files::new(),
        )
        .also(&["--at", "1", "--verify"])
        .nothing()
        .says("warning: chain.json is missing, so the runs after the first")
        .says("all good"),
        broken(
            "chain-index-damaged",
            "the index is none",
            |made| {
                made.files.insert("chain.json".into(), b"{\"v\":1".to_vec());
                made.sum();
            },
            "chain.json: cannot be read as a list of runs",
        ),
        broken(
            "chain-index-of-the-future",
            "an index of another version",
            |made| {
                made.files
                    .insert("chain.json".into(), b"{\"v\":2,\"runs\":[]}".to_vec());
                made.sum();
            },
            "chain.json: version 2 is not known to this version",
        )
        .exit(1),
        Case::made(
            "chain-increment-alone",
            "an increment by itself opens where it is asked for, and is said to be none of a state",
            make(&alice).run(3),
            Files::new(),
        )
        .also(&["--at", "3", "--verify"])
        .nothing()
        .says("this is run 3 of a chain, and holds only what changed since run 2"),
        good(
            "chain-stale-record-file",
            "a file of an increment that was changed",
            &alice,
            3,
        )
        .change(|files| {
            let bytes = files
                .get_mut("increments/0002/users/u1/events/events-0001.jsonl.gz")
                .unwrap();
            let at = bytes.len() - 20;
            bytes[at] ^= 1;
        })
        .exit(4)
        .without(&[
            "users/u1/events/events-0001.jsonl",
            "users/u1/events/events-0002.jsonl",
            "users/u1/events/events-0003.jsonl",
            "users/u1/events/events-0004.jsonl",
        ])
        .with(
            "users/u1/attachments/f3",
            &"users/u1/attachments/f3".repeat(10).into_bytes(),
        )
        .says("damaged: increments/0002/users/u1/events/events-0001.jsonl.gz"),
    ]
}
