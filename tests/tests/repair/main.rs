//! `verify --repair-from`: archives that are healed by a copy.
#![allow(clippy::unwrap_used, clippy::panic)]

mod hostile;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use pryv_backup_tests::{
    command::{STEPS, killed_at, text},
    folder::{copy, tree},
    need,
    sampled::Stage,
};
use serde_json::Value;

const TO: [&str; 2] = ["--recipient-pubkey", "key.pub.pem"];
const KEY: [&str; 2] = ["--private-key", "key.pem"];

/// The signer of this stage.
fn signer(stage: &Stage) -> String {
    let public = fs::read_to_string(stage.at("state/host.pub")).unwrap();
    public.lines().nth(1).unwrap().to_owned()
}

fn again(stage: &Stage, from: &str) {
    let _ = fs::remove_dir_all(stage.at("sick"));
    copy(&stage.at(from), &stage.at("sick"));
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = at % bytes.len();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// The paths of files that end so.
fn paths(stage: &Stage, from: &str, end: &str) -> Vec<PathBuf> {
    let files = tree(&stage.at(from));
    let found = files.keys().filter(|path| path.ends_with(end));
    found.map(|path| stage.at("sick").join(path)).collect()
}

/// Repairs `sick` and expects that nothing is wrong any more; the lines of what was replaced.
fn heals(stage: &Stage, other: &str, secret: &[&str]) -> Vec<String> {
    let args = ["verify", "sick", "--repair-from", other, "--json"];
    let report = stage.json(&[&args[..], secret].concat());
    assert_eq!(report["verdict"], "good", "{report}");
    let replaced = report["replaced"].as_array().unwrap();
    let replaced: Vec<String> = replaced
        .iter()
        .map(|line| line.as_str().unwrap().to_owned())
        .collect();
    for secret in [&KEY[..], &[]] {
        let said = text(&stage.run(&[&["verify", "sick"], secret].concat()));
        assert!(!said.contains("warning"), "{said}");
    }
    replaced
}

#[test]
fn damaged_and_missing_files_are_replaced() {
    let stage = Stage::with_chains();
    for (from, other) in [("files", "files"), ("files", "volumes")] {
        copy(&stage.at(other), &stage.at("other"));
        let due = tree(&stage.at(from));
        for secret in [&KEY[..], &[]] {
            again(&stage, from);
            let records = paths(&stage, from, ".jsonl.gz");
            flip(&records[0], 300);
            fs::write(&records[1], b"").unwrap();
            fs::remove_file(records.last().unwrap()).unwrap();
            fs::remove_file(stage.at("sick/FORMAT.md")).unwrap();
            let manifests = paths(&stage, from, "user-manifest.json");
            flip(&manifests[0], 200);
            let replaced = heals(&stage, "other", secret);
            assert_eq!(replaced.len(), 5, "{replaced:?}");
            assert!(
                replaced
                    .iter()
                    .all(|line| line.ends_with(": replaced by that of other"))
            );
            assert!(tree(&stage.at("sick")) == due, "{from} {other} {secret:?}");
            // A whole run is lost, but for its files in the clear.
            fs::remove_dir_all(stage.at("sick/increments/0002/users")).unwrap();
            heals(&stage, "other", secret);
            assert!(tree(&stage.at("sick")) == due);
        }
        fs::remove_dir_all(stage.at("other")).unwrap();
    }
}

#[test]
fn what_lies_in_the_clear_is_repaired() {
    let stage = Stage::with_chains();
    let signer = signer(&stage);
    let pinned = ["--signer", signer.as_str()];
    let with_key = [&KEY[..], &pinned].concat();
    for from in ["files", "volumes"] {
        let due = tree(&stage.at(from));
        let heads: &[(&str, &[&[&str]])] = &[
            ("manifest.json", &[&KEY, &[], &pinned]),
            ("manifest.json.minisig", &[&KEY, &pinned]),
            ("increments/0002/manifest.json", &[&KEY, &[], &pinned]),
            ("increments/0002/manifest.json.minisig", &[&KEY, &pinned]),
            ("SHA256SUMS", &[&KEY, &[]]),
            ("chain.json", &[&KEY, &[]]),
            ("encryption.json", &[&KEY]),
            ("increments/0002/encryption.json", &[&KEY]),
            ("decrypt-backup.mjs", &[&KEY, &[]]),
        ];
        for (file, secrets) in heads {
            for secret in *secrets {
                for damage in 0..3 {
                    again(&stage, from);
                    let place = stage.at("sick").join(file);
                    match damage {
                        0 => flip(&place, 40),
                        1 => fs::remove_file(&place).unwrap(),
                        _ => fs::write(&place, b"").unwrap(),
                    }
                    let replaced = heals(&stage, "files", secret);
                    assert_eq!(replaced.len(), 1, "{from} {file}: {replaced:?}");
                    assert!(replaced[0].starts_with(*file), "{replaced:?}");
                    assert!(tree(&stage.at("sick")) == due, "{from} {file} {secret:?}");
                }
            }
        }
        // Both of them at once: the archive's own list names the manifest.
        again(&stage, from);
        flip(&stage.at("sick/manifest.json"), 99);
        fs::remove_file(stage.at("sick/manifest.json.minisig")).unwrap();
        let args = ["verify", "sick", "--repair-from", "files"];
        let refused = stage.run(&args);
        assert_eq!(refused.status.code(), Some(4), "{}", text(&refused));
        let _ = heals(&stage, "files", &with_key);
        assert!(tree(&stage.at("sick")) == due);
        // No envelope without a key.
        flip(&stage.at("sick/encryption.json"), 40);
        let before = tree(&stage.at("sick"));
        let refused = stage.run(&args);
        assert_eq!(refused.status.code(), Some(4), "{}", text(&refused));
        assert!(
            text(&refused).contains("only with a key that opens it"),
            "{}",
            text(&refused)
        );
        assert!(tree(&stage.at("sick")) == before);
    }
}

#[test]
fn volumes_are_written_anew() {
    let stage = Stage::with_chains();
    let due = tree(&stage.at("volumes"));
    let volumes: Vec<&String> = due.keys().filter(|path| path.ends_with(".tar")).collect();
    assert!(volumes.len() > 2, "{volumes:?}");
    for other in ["files", "volumes"] {
        for secret in [&KEY[..], &[]] {
            // Wherever a volume is damaged, it becomes what it was.
            for path in &volumes {
                for at in [
                    10,
                    600,
                    due[*path].len() / 2,
                    due[*path].len() - 1500,
                    due[*path].len() - 2,
                ] {
                    again(&stage, "volumes");
                    flip(&stage.at("sick").join(path), at);
                    let replaced = heals(&stage, other, secret);
                    assert!(!replaced.is_empty(), "{path} {at}");
                    let found = tree(&stage.at("sick"));
                    assert!(found[*path] == due[*path], "{path} {at} {replaced:?}");
                }
            }
            // Cut, gone, both, all.
            for doom in [&volumes[..1], &volumes[1..], &volumes[..]] {
                again(&stage, "volumes");
                for path in doom {
                    fs::remove_file(stage.at("sick").join(path)).unwrap();
                }
                heals(&stage, other, secret);
                again(&stage, "volumes");
                for path in doom {
                    let half = &due[*path][..due[*path].len() / 2];
                    fs::write(stage.at("sick").join(path), half).unwrap();
                }
                fs::remove_file(stage.at("sick/volumes.json")).unwrap();
                heals(&stage, other, secret);
            }
        }
    }
    // Both are damaged, at another place: the lists say which volume is whole.
    again(&stage, "volumes");
    copy(&stage.at("volumes"), &stage.at("other"));
    flip(&stage.at("sick").join(volumes[0]), 600);
    flip(&stage.at("other").join(volumes.last().unwrap()), 600);
    heals(&stage, "other", &KEY);
    assert!(tree(&stage.at("sick")) == due);
}

/// The report of a repair that leaves something damaged.
fn fails(stage: &Stage, other: &str, secret: &[&str]) -> Value {
    let args = ["verify", "sick", "--repair-from", other, "--json"];
    stage.json_of(&[&args[..], secret].concat(), 4)
}

#[test]
fn whatever_can_be_replaced_is_although_something_cannot() {
    let stage = Stage::with_chains();
    copy(&stage.at("files"), &stage.at("other"));
    let records: Vec<String> = tree(&stage.at("files"))
        .into_keys()
        .filter(|path| path.starts_with("users") && path.ends_with(".jsonl.gz"))
        .collect();
    flip(&stage.at("other").join(&records[0]), 99);
    for secret in [&KEY[..], &[]] {
        for (from, wrong) in [("files", &records[..2]), ("volumes", &records[..2])] {
            again(&stage, from);
            if from == "files" {
                for path in wrong {
                    flip(&stage.at("sick").join(path), 300);
                }
            } else {
                // Where each of the two lies.
                let volume = fs::read(stage.at("sick/volume-0001.tar")).unwrap();
                let mut bad = volume.clone();
                for path in wrong {
                    let content = fs::read(stage.at("files").join(path)).unwrap();
                    let at = volume.windows(content.len()).position(|at| at == content);
                    bad[at.unwrap() + 100] ^= 1;
                }
                fs::write(stage.at("sick/volume-0001.tar"), bad).unwrap();
            }
            let report = fails(&stage, "other", secret);
            if from == "volumes" && secret.is_empty() {
                // The digest of no file is known.
                continue;
            }
            let replaced = report["replaced"].as_array().unwrap();
            assert_eq!(replaced.len(), 1, "{report}");
            assert!(
                replaced[0].as_str().unwrap().starts_with(&records[1]),
                "{report}"
            );
            assert!(
                report["notReplaced"].to_string().contains(&records[0]),
                "{report}"
            );
        }
    }
}

#[test]
fn a_repair_that_is_killed_makes_nothing_worse() {
    if !need::strace() {
        return;
    }
    let stage = Stage::with_chains();
    let due: BTreeMap<_, _> = [
        ("files", tree(&stage.at("files"))),
        ("volumes", tree(&stage.at("volumes"))),
    ]
    .into();
    for (from, other) in [("files", "volumes"), ("volumes", "files")] {
        let mut killed = 0;
        for nth in 1.. {
            again(&stage, from);
            for (at, path) in due[from].keys().enumerate() {
                let place = stage.at("sick").join(path);
                match at % 3 {
                    0 if path.ends_with(".gz") || path.ends_with(".md") => {
                        fs::remove_file(place).unwrap()
                    }
                    1 if path.ends_with(".gz") || path.ends_with(".tar") => flip(&place, 700),
                    _ => {}
                }
            }
            flip(&stage.at("sick/SHA256SUMS"), 10);
            let sick = tree(&stage.at("sick"));
            let args = [
                &["verify", "sick", "--repair-from", other, "--quiet"],
                &KEY[..],
            ]
            .concat();
            let ended = !killed_at(&stage.command(&args), STEPS, nth);
            for (path, bytes) in tree(&stage.at("sick")) {
                // A file is as it was, or good.
                let aside = path.starts_with(".pryv-backup-partial/");
                let good = due[from].get(&path) == Some(&bytes) || sick.get(&path) == Some(&bytes);
                assert!(aside || good, "{nth} {path}");
            }
            heals(&stage, other, &KEY);
            assert!(tree(&stage.at("sick")) == due[from], "{from} {nth}");
            if ended {
                break;
            }
            killed += 1;
        }
        assert!(killed > 5, "{killed}");
    }
}
