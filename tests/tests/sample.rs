//! `verify --sample`: a part of the files, another one each time.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{fs, path::Path};

use pryv_backup_tests::{
    command::text,
    folder::{copy, tree},
    sampled::Stage,
};
use serde_json::Value;

const TO: [&str; 2] = ["--recipient-pubkey", "key.pub.pem"];
const CHAIN: [&str; 3] = ["--incremental", "--state-dir", "state"];
const KEY: [&str; 2] = ["--private-key", "key.pem"];
const TENTH: [&str; 5] = ["--sample", "10%", "--json", "--state-dir", "memory"];

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// The reports of ten samples.
fn ten(stage: &Stage, archive: &str, secret: &[&str]) -> Vec<Value> {
    let _ = fs::remove_dir_all(stage.at("memory"));
    let args = [&["verify", archive], &TENTH[..], secret].concat();
    let sample = |_| {
        let done = stage.run(&args);
        let report: Value = serde_json::from_str(
            text(&done)
                .lines()
                .find(|l| l.contains("archiveId"))
                .unwrap(),
        )
        .unwrap();
        let due = match report["verdict"].as_str().unwrap() {
            "no-damage-in-sample" => 0,
            "damaged" => 4,
            other => panic!("{other}"),
        };
        assert_eq!(done.status.code(), Some(due), "{report}");
        report
    };
    (0..10).map(sample).collect()
}

#[test]
fn ten_samples_of_a_tenth_read_all() {
    let stage = Stage::with_chains();
    for (archive, secret) in [
        ("files", &KEY[..]),
        ("files", &[]),
        ("volumes", &KEY),
        ("volumes", &[]),
    ] {
        let reports = ten(&stage, archive, secret);
        let (mut share, mut files) = (0.0, 0);
        for (number, report) in (1..).zip(&reports) {
            let sample = &report["sample"];
            let of_last = sample["percentOfLast"].as_f64().unwrap();
            assert!(
                of_last >= share && of_last >= f64::from(number) * 9.9,
                "{sample}"
            );
            share = of_last;
            files += sample["files"].as_u64().unwrap();
            assert!(
                sample["files"].as_u64() < sample["ofFiles"].as_u64(),
                "{sample}"
            );
        }
        assert!(share > 99.9 && files >= reports[0]["sample"]["ofFiles"].as_u64().unwrap());
    }
}

#[test]
fn damage_is_found_in_one_of_ten_samples() {
    let stage = Stage::with_chains();
    for archive in ["files", "volumes"] {
        let files = tree(&stage.at(archive));
        let files = files.keys().filter(|path| {
            let content = path.ends_with(".jsonl.gz") || path.contains("/attachments/");
            let content = content && !path.ends_with("file-empty");
            content || path.ends_with(".tar") || path.ends_with(".html")
        });
        for (number, path) in files.enumerate() {
            copy(&stage.at(archive), &stage.at("sick"));
            flip(&stage.at("sick").join(path));
            // The key decides which files are read.
            let secrets: &[&[&str]] = match archive {
                "files" if number % 3 > 0 => &[&KEY],
                "files" => &[&[]],
                _ => &[&KEY, &[]],
            };
            for secret in secrets {
                let reports = ten(&stage, "sick", secret);
                let first = reports
                    .iter()
                    .position(|report| report["verdict"] == "damaged");
                let first = first.unwrap_or_else(|| panic!("{path}"));
                // From then on it is read each time.
                for report in &reports[first..] {
                    assert_eq!(report["verdict"], "damaged", "{path}");
                }
            }
            fs::remove_dir_all(stage.at("sick")).unwrap();
        }
    }
}

#[test]
fn a_sample_says_what_it_has_read_and_no_more() {
    let stage = Stage::with_chains();
    let args = [
        "verify",
        "files",
        "--sample",
        "25%",
        "--state-dir",
        "memory",
    ];
    for secret in [&KEY[..], &[]] {
        for number in 1..=5 {
            let said = stage.good(&[&args[..], secret].concat());
            assert!(
                said.contains("sample: ") && said.contains("no damage in these"),
                "{said}"
            );
            for word in ["verified", "all good", "all are"] {
                assert!(!said.contains(word), "{said}");
            }
            let rest = match number {
                1 => "nothing is known of the others".to_owned(),
                5 => "samples have read 100 % of it".to_owned(),
                _ => "samples have read ".to_owned(),
            };
            assert!(said.contains(&rest), "{number}: {said}");
        }
        // Another kind of check begins anew; so does a new run.
    }
    let sampled = |archive: &str| {
        let args = [
            "verify",
            archive,
            "--sample-bytes",
            "20K",
            "--json",
            "--state-dir",
            "memory",
        ];
        stage.json(&[&args[..], &KEY].concat())["sample"]["last"].clone()
    };
    assert_eq!(sampled("volumes"), 1);
    assert_eq!(sampled("volumes"), 2);
    let before = sampled("files");
    assert_eq!(before, 1);
    assert_eq!(sampled("files"), 2);
    stage.backup_with("files", &[&TO[..], &CHAIN].concat());
    assert_eq!(sampled("files"), 1);
    assert_eq!(sampled("volumes"), 3);
    // Without a memory, each would read the same.
    let nowhere = stage.run(&["verify", "files", "--sample", "10%"]);
    assert_eq!(nowhere.status.code(), Some(2), "{}", text(&nowhere));
    assert!(
        text(&nowhere).contains("no place to remember"),
        "{}",
        text(&nowhere)
    );
    for bad in [
        &["--sample", "10"][..],
        &["--sample", "10%", "--sample-bytes", "1G"],
        &["--sample", "1%", "--repair-from", "volumes"],
    ] {
        let refused = stage.run(&[&["verify", "files"], bad].concat());
        assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    }
    // A wrong key is said, and nothing is remembered.
    stage.key("other.pem");
    let wrong = stage.run(&[
        "verify",
        "files",
        "--sample",
        "10%",
        "--state-dir",
        "memory",
        "--private-key",
        "other.pem",
    ]);
    assert_eq!(wrong.status.code(), Some(3), "{}", text(&wrong));
    assert_eq!(sampled("files"), 2);
}
