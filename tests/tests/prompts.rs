//! Secrets are asked for on the terminal, and are shown neither there nor in an error.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::process::Command;

use pryv_backup_tests::{
    command::{run, text, tool},
    terminal::on_terminal,
};
use tempfile::TempDir;

const SECRET: &str = "s3cret 🔑 phrase";

#[test]
fn passphrases_are_asked_for_and_never_shown() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let sample = run(Command::new(tool()).args(["sample", &at("platform")]));
    assert!(sample.status.success(), "{}", text(&sample));
    let (root, config, archive) = (at("platform"), at("platform/config.yml"), at("archive"));
    let backup = [
        "--pryv-root",
        &root,
        "--config",
        &config,
        "--platform",
        "none",
        "--output",
        &archive,
        "--encrypt-passphrase",
    ];
    let typed = format!("{SECRET}\n");

    let Some((shown, code)) = on_terminal(&tool(), &backup, &[&typed, "another\n"]) else {
        return;
    };
    assert_eq!(code, 2, "{shown}");
    assert!(shown.contains("the two passphrases differ"), "{shown}");
    assert!(!shown.contains(SECRET), "{shown}");

    let (shown, code) = on_terminal(&tool(), &backup, &[&typed, &typed]).unwrap();
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains(SECRET), "{shown}");

    let verify = ["decrypt", archive.as_str(), "--verify"];
    let (shown, code) = on_terminal(&tool(), &verify, &[&typed]).unwrap();
    assert_eq!(code, 0, "{shown}");
    assert!(
        shown.contains("Passphrase of the backup: ") && !shown.contains(SECRET),
        "{shown}"
    );
    let (shown, code) = on_terminal(&tool(), &verify, &["wrong one\n"]).unwrap();
    assert_eq!(code, 3, "{shown}");
    assert!(
        shown.contains("wrong passphrase") && !shown.contains("wrong one"),
        "{shown}"
    );
    let (shown, code) = on_terminal(&tool(), &verify, &["\u{3}"]).unwrap();
    assert!(code == 130 || code == -2, "{code}: {shown}");
}

#[test]
fn a_key_is_made_and_used_with_a_passphrase_that_is_asked_for() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (key, public, root, config, archive) = (
        at("key.pem"),
        at("key.pub.pem"),
        at("platform"),
        at("platform/config.yml"),
        at("archive"),
    );
    let typed = format!("{SECRET}\n");
    let keygen = [
        "keygen",
        "--bits",
        "2048",
        "--output",
        key.as_str(),
        "--passphrase",
    ];
    let Some((shown, code)) = on_terminal(&tool(), &keygen, &[&typed, &typed]) else {
        return;
    };
    assert_eq!(code, 0, "{shown}");
    assert!(
        std::fs::read_to_string(&key)
            .unwrap()
            .contains("BEGIN ENCRYPTED PRIVATE KEY")
    );
    assert!(
        run(Command::new(tool()).args(["sample", &root]))
            .status
            .success()
    );
    let backup = [
        "--pryv-root",
        &root,
        "--config",
        &config,
        "--platform",
        "none",
        "--recipient-pubkey",
        &public,
        "--output",
        &archive,
    ];
    let made = run(Command::new(tool()).args(backup));
    assert!(made.status.success(), "{}", text(&made));
    let verify = [
        "decrypt",
        archive.as_str(),
        "--private-key",
        key.as_str(),
        "--verify",
    ];
    let (shown, code) = on_terminal(&tool(), &verify, &[&typed]).unwrap();
    assert_eq!(code, 0, "{shown}");
    assert!(
        shown.contains("Passphrase of the private key: ") && !shown.contains(SECRET),
        "{shown}"
    );
}

#[test]
fn no_error_repeats_a_secret() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name);
    assert!(
        run(Command::new(tool()).arg("sample").arg(at("platform")))
            .status
            .success()
    );
    let backup = |output: &str| {
        let mut command = Command::new(tool());
        command
            .arg("--pryv-root")
            .arg(at("platform"))
            .arg("--config")
            .arg(at("platform/config.yml"))
            .args(["--platform", "none", "--output"])
            .arg(at(output));
        command
    };
    std::fs::write(at("secret"), format!("{SECRET}\n")).unwrap();
    assert!(
        run(backup("a").arg("--passphrase-file").arg(at("secret")))
            .status
            .success()
    );
    let cases = [
        run(backup("a").env("PRYV_BACKUP_PASSPHRASE", SECRET)),
        run(backup("b").args(["--encrypt-passphrase", SECRET, "--nope"])),
        run(Command::new(tool()).arg("decrypt").arg(at("a")).args([
            "--verify",
            "--expect-id",
            "x",
            "--passphrase",
            SECRET,
        ])),
        run(Command::new(tool())
            .arg("decrypt")
            .arg(at("platform"))
            .args(["--verify", "--passphrase", SECRET])),
    ];
    for output in cases {
        assert!(!output.status.success());
        assert!(!text(&output).contains(SECRET), "{}", text(&output));
    }
}
