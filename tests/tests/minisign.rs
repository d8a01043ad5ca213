//! minisign itself (the package `minisign` of Debian) verifies what we sign, and we what it signs.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{fs, path::Path, process::Command};

use decryptor_wasm::{
    BackupType,
    signature::{SIGNATURE, Signer, Statement, Tried, try_signature},
};
use pryv_backup_tests::{
    command::{run, text},
    kit, need,
    sampled::Stage,
    sign,
};
use tempfile::TempDir;

/// The verdict of minisign on the manifest in a folder, for this public key.
fn minisign(folder: &Path, signer: &str) -> (bool, String) {
    let mut command = Command::new("minisign");
    let done = run(command
        .current_dir(folder)
        .args(["-Vm", "manifest.json", "-P", signer]));
    (done.status.success(), text(&done))
}

#[test]
fn minisign_verifies_the_archives_of_the_kit() {
    if !need::program("minisign") {
        return;
    }
    let kit = TempDir::new().unwrap();
    kit::make(env!("CARGO_BIN_EXE_testkit"), kit.path());
    let [host, mallory] = [sign::host(), sign::mallory()].map(|key| key.signer().as_str());
    for (archive, signer, holds) in [
        ("hybrid/archive", host, true),
        ("cleartext/archive", host, true),
        ("chain/archive", host, true),
        ("chain/archive/increments/0003", host, true),
        ("hybrid/archive", mallory, false),
        ("forged-archive/archive", mallory, true),
        ("forged-signature-broken/archive", host, false),
        ("forged-signature-restated/archive", host, false),
        ("forged-signature-of-another/archive", host, false),
        ("forged-signature-same-key-id/archive", host, false),
    ] {
        let (good, said) = minisign(&kit.path().join(archive), signer);
        assert_eq!(good, holds, "{archive}: {said}");
        assert_eq!(
            said.contains("pryv-backup-run-v1 id="),
            holds,
            "{archive}: {said}"
        );
    }
}

#[test]
fn minisign_verifies_a_backup_and_its_increments() {
    if !need::program("minisign") {
        return;
    }
    let stage = Stage::new();
    let kept = ["--incremental", "--state-dir", "state"];
    for (output, lock) in [
        ("sealed", &["--recipient-pubkey", "key.pub.pem"][..]),
        ("clear", &[]),
    ] {
        for _ in 0..2 {
            stage.backup_with(output, &[&kept, lock].concat());
        }
        let public = fs::read_to_string(stage.at("state/host.pub")).unwrap();
        let signer = Signer::parse(&public).unwrap();
        for folder in ["", "increments/0002"] {
            let folder = stage.at(output).join(folder);
            let (good, said) = minisign(&folder, signer.as_str());
            assert!(good, "{}: {said}", folder.display());
        }
    }
}

#[test]
fn what_minisign_signs_holds() {
    if !need::program("minisign") {
        return;
    }
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name);
    let minisign = |args: &[&str]| {
        let done = run(Command::new("minisign").current_dir(dir.path()).args(args));
        assert!(done.status.success(), "{}", text(&done));
    };
    minisign(&["-G", "-W", "-p", "own.pub", "-s", "own.key"]);
    fs::write(at("manifest.json"), "what lies there").unwrap();
    let statement = Statement {
        id: "a".repeat(64),
        base: "b".repeat(64),
        parent: Some("c".repeat(64)),
        run: 2,
        kind: BackupType::Incremental,
        created: 1,
        source: sign::SOURCE.to_owned(),
        losses: 3,
        files: "d".repeat(64),
        core: Some("eu-1".to_owned()),
    };
    let comment = statement.to_string();
    let signer = Signer::parse(&fs::read_to_string(at("own.pub")).unwrap()).unwrap();
    let tried = |more: &[&str]| {
        let args = [
            &["-Sm", "manifest.json", "-s", "own.key", "-t", &comment],
            more,
        ]
        .concat();
        minisign(&args);
        let minisig = fs::read(at(SIGNATURE)).unwrap();
        try_signature(&signer, b"what lies there", &minisig)
    };
    assert_eq!(tried(&[]), Tried::Holds(statement));
    // Of the whole file instead of its digest, as minisign did before 2019.
    assert_eq!(tried(&["-l"]), Tried::Broken);
}

/// A line by which minisign signs, with more options.
fn by_minisign(more: &str) -> String {
    format!(
        "minisign -S -s own.key -m \"$MANIFEST\" -t \"$TRUSTED_COMMENT\" -x \"$SIGNATURE\" {more}"
    )
}

#[test]
fn minisign_signs_for_us() {
    if !need::program("minisign") {
        return;
    }
    let stage = Stage::new();
    for name in ["own", "other"] {
        let (public, secret) = (format!("{name}.pub"), format!("{name}.key"));
        let done = run(Command::new("minisign")
            .current_dir(stage.at("."))
            .args(["-G", "-W", "-p", &public, "-s", &secret]));
        assert!(done.status.success(), "{}", text(&done));
    }
    let good = by_minisign("");
    let sign = |command: &'_ str| {
        ["--sign-command", command, "--sign-command-key", "own.pub"].map(str::to_owned)
    };
    let kept = ["--incremental", "--state-dir", "state"];
    let with = |output: &str, command: &str| {
        let sign = sign(command);
        let sign: Vec<&str> = sign.iter().map(String::as_str).collect();
        let place = ["--pryv-root", "platform", "--config", "platform/config.yml"];
        let how = [
            "--platform",
            "none",
            "--recipient-pubkey",
            "key.pub.pem",
            "--output",
            output,
        ];
        stage.run(&[&place[..], &how, &kept, &sign].concat())
    };
    for run in ["", "increments/0002"] {
        let done = with("chain", &good);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done));
        let public = fs::read_to_string(stage.at("own.pub")).unwrap();
        let signer = Signer::parse(&public).unwrap();
        let (good, said) = minisign(&stage.at("chain").join(run), signer.as_str());
        assert!(good, "{said}");
    }
    // This host knows its own backups again, whoever holds the key.
    let key = ["--private-key", "key.pem"];
    stage.good(&[&["verify", "chain", "--state-dir", "state"][..], &key].concat());
    stage.good(&[&["verify", "chain", "--signer", "own.pub"][..], &key].concat());

    for (command, why) in [
        ("false".to_owned(), "the signing command failed"),
        ("true".to_owned(), "wrote no signature"),
        (
            good.replace("own.key", "other.key"),
            "signed with another key",
        ),
        (
            good.replace("$TRUSTED_COMMENT", "mine"),
            "is no signature of",
        ),
        (by_minisign("-l"), "is no signature of"),
        (
            format!("echo >> \"$MANIFEST\"; {good}"),
            "is no signature of",
        ),
    ] {
        let done = with("never", &command);
        assert_eq!(done.status.code(), Some(1), "{command}: {}", text(&done));
        assert!(text(&done).contains(why), "{command}: {}", text(&done));
        assert!(!stage.at("never").exists(), "{command}");
    }
    let left = fs::read_dir(std::env::temp_dir()).unwrap().flatten();
    let left = left.filter(|one| {
        one.file_name()
            .to_string_lossy()
            .starts_with("pryv-backup-sign-")
    });
    assert_eq!(left.count(), 0);
}
