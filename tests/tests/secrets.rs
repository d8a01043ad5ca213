//! Secrets as they are given: passphrases that cannot be used, keys in other forms, keys from a pipe, and flags in the wrong place.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt,
    process::{Command, Output},
};

use pryv_backup_tests::{
    command::{text, tool},
    sampled::Stage,
    terminal::on_terminal,
};

const PLACE: [&str; 6] = [
    "--pryv-root",
    "platform",
    "--config",
    "platform/config.yml",
    "--platform",
    "none",
];
const VARIABLE: &str = "PRYV_BACKUP_PASSPHRASE";
const LONG: &str = "a passphrase that is long enough";
const BAD: &[u8] = b"caf\xe9 au lait et croissants";

/// A backup with nothing in the environment.
fn backup(stage: &Stage, name: &str, more: &[&str]) -> Command {
    let mut command = stage.command(&[&PLACE[..], &["--output", name], more].concat());
    command.env_remove(VARIABLE);
    command
}

fn script(stage: &Stage, name: &str, more: &[&str]) -> Command {
    let mut command = Command::new("node");
    command
        .arg(stage.at(name).join("decrypt-backup.mjs"))
        .arg(stage.at(name))
        .args(more)
        .current_dir(stage.at(""))
        .env_remove(VARIABLE);
    command
}

fn ends(command: &mut Command, code: i32, says: &str) -> Output {
    let done = command.output().unwrap();
    let said = text(&done);
    assert_eq!(done.status.code(), Some(code), "{command:?}: {said}");
    assert!(said.contains(says), "{command:?}: not {says:?}, but {said}");
    done
}

#[test]
fn a_backup_is_not_made_with_a_passphrase_that_cannot_be_used() {
    let stage = Stage::new();
    fs::write(stage.at("empty"), "\r\nsecond line\n").unwrap();
    fs::write(stage.at("latin"), BAD).unwrap();
    let refused = |command: &mut Command, says: &str| {
        ends(command, 2, says);
        assert!(!stage.at("out").exists(), "{command:?}");
    };
    let empty = "the passphrase is empty";
    refused(
        &mut backup(&stage, "out", &["--encrypt-passphrase", ""]),
        empty,
    );
    refused(
        &mut backup(&stage, "out", &["--encrypt-passphrase="]),
        empty,
    );
    refused(
        &mut backup(&stage, "out", &["--passphrase-file", "empty"]),
        empty,
    );
    refused(
        &mut backup(&stage, "out", &["--passphrase-file", "latin"]),
        "not text",
    );
    for how in [
        &[][..],
        &["--dry-run"],
        &["--incremental", "--state-dir", "state"],
    ] {
        let with = |value: &[u8]| {
            let mut command = backup(&stage, "out", how);
            command.env(VARIABLE, OsStr::from_bytes(value));
            command
        };
        refused(&mut with(b""), "PRYV_BACKUP_PASSPHRASE is set, but empty");
        refused(
            &mut with(BAD),
            "PRYV_BACKUP_PASSPHRASE is set, but not UTF-8 text",
        );
    }
    // To a recipient, it is not looked at.
    let mut to_recipient = backup(&stage, "out", &["--recipient-pubkey", "key.pub.pem"]);
    ends(to_recipient.env(VARIABLE, ""), 0, "encryption: recipients");
}

#[test]
fn nothing_is_opened_with_a_passphrase_that_cannot_be_used() {
    let stage = Stage::new();
    stage.backup_with("out", &["--encrypt-passphrase", LONG]);
    fs::write(stage.at("empty"), "").unwrap();
    let empty = "the passphrase is empty";
    for command in ["list", "stats", "verify"] {
        ends(
            &mut stage.command(&[command, "out", "--passphrase", ""]),
            2,
            empty,
        );
        ends(
            &mut stage.command(&[command, "out", "--passphrase-file", "empty"]),
            2,
            empty,
        );
        let mut of_variable = stage.command(&[command, "out"]);
        ends(of_variable.env(VARIABLE, ""), 2, "is set, but empty");
        ends(
            of_variable.env(VARIABLE, OsStr::from_bytes(BAD)),
            2,
            "not UTF-8",
        );
    }
    let mut consolidate = stage.command(&["consolidate", "out", "--into", "new"]);
    ends(
        consolidate.args(["--passphrase", LONG, "--encrypt-passphrase", ""]),
        2,
        empty,
    );
    assert!(!stage.at("new").exists());
    ends(
        &mut script(&stage, "out", &["--list", "--passphrase="]),
        2,
        "needs a value",
    );
    ends(
        &mut script(&stage, "out", &["--list", "--passphrase-file", "empty"]),
        2,
        empty,
    );
    let mut of_variable = script(&stage, "out", &["--list"]);
    ends(of_variable.env(VARIABLE, ""), 2, "is set, but empty");
    ends(
        of_variable.env(VARIABLE, OsStr::from_bytes(BAD)),
        2,
        "not UTF-8",
    );
    ends(of_variable.env(VARIABLE, LONG), 0, "alice");
    let restore = |more: &[&str]| {
        let place = [&PLACE[..4], &["--restore", "out", "--verify-only"], more].concat();
        let mut command = stage.command(&place);
        command.env_remove(VARIABLE);
        command
    };
    ends(&mut restore(&["--decrypt-passphrase", ""]), 2, empty);
    ends(restore(&[]).env(VARIABLE, ""), 2, "is set, but empty");
    ends(restore(&[]).env(VARIABLE, LONG), 0, "");
}

#[test]
fn a_short_passphrase_gets_a_warning_and_is_refused_where_it_is_asked_for() {
    let stage = Stage::new();
    let warning = "warning: the passphrase has fewer than 12 characters";
    ends(
        &mut backup(&stage, "a", &["--encrypt-passphrase", "elf letters"]),
        0,
        warning,
    );
    ends(
        backup(&stage, "b", &[]).env(VARIABLE, "elf letters"),
        0,
        warning,
    );
    let long = ends(
        &mut backup(&stage, "c", &["--encrypt-passphrase", "zwölf Zeiche"]),
        0,
        "",
    );
    let quiet = ends(
        &mut backup(&stage, "d", &["--encrypt-passphrase", "x", "-q"]),
        0,
        "",
    );
    for silent in [long, quiet] {
        assert!(
            !text(&silent).contains("12 characters"),
            "{}",
            text(&silent)
        );
    }
    let at = |name: &str| stage.at(name).to_str().unwrap().to_owned();
    let (platform, config, out) = (at("platform"), at("platform/config.yml"), at("e"));
    let args = [
        "--pryv-root",
        &platform,
        "--config",
        &config,
        "--output",
        &out,
    ];
    let args = [&args[..], &["--platform", "none", "--encrypt-passphrase"]].concat();
    let Some((shown, code)) = on_terminal(&tool(), &args, &["elf letters\n"]) else {
        return;
    };
    assert_eq!(code, 2, "{shown}");
    assert!(shown.contains("take 12 characters or more"), "{shown}");
    assert!(!stage.at("e").exists());
}

#[test]
fn a_backup_in_the_clear_says_so_first() {
    let stage = Stage::new();
    let first = |output: &[u8]| {
        let said = String::from_utf8_lossy(output).into_owned();
        said.lines().next().unwrap_or_default().to_owned()
    };
    let loud = ends(&mut backup(&stage, "a", &[]), 0, "");
    assert!(
        first(&loud.stdout).starts_with("NOT ENCRYPTED"),
        "{}",
        text(&loud)
    );
    let quiet = ends(&mut backup(&stage, "b", &["-q"]), 0, "");
    assert!(
        first(&quiet.stderr).starts_with("NOT ENCRYPTED"),
        "{}",
        text(&quiet)
    );
    let sealed = ends(
        &mut backup(&stage, "c", &["--recipient-pubkey", "key.pub.pem", "-q"]),
        0,
        "",
    );
    assert_eq!(text(&sealed), "");
}

#[test]
fn flags_of_a_restore_make_no_backup() {
    let stage = Stage::new();
    for flags in [
        &["--private-key", "key.pem"][..],
        &["--private-key-passphrase", "x"],
        &["--decrypt-passphrase", "x"],
        &["--overwrite"],
        &["--skip-conflicts"],
        &["--verify-integrity"],
        &["--integrity", "strict"],
        &["--delete-on-success"],
        &["--move-on-success", "elsewhere"],
        &["--verify-only"],
        &["--remap-user", "a=b"],
        &["--skip-platform"],
        &["--force"],
        &["--create-users-dir"],
        &["--at", "1"],
        &["--expect-id", &"0".repeat(64)],
    ] {
        for more in [
            &[][..],
            &["--recipient-pubkey", "key.pub.pem"],
            &["--dry-run"],
        ] {
            ends(
                &mut backup(&stage, "out", &[flags, more].concat()),
                2,
                flags[0],
            );
            assert!(!stage.at("out").exists(), "{flags:?}");
        }
    }
    // As Pryv's own tool wants them.
    let chain = [
        "--incremental",
        "--state-dir",
        "state",
        "--recipient-pubkey",
        "key.pub.pem",
    ];
    for secrets in [
        &["--private-key", "key.pem", "--private-key-passphrase", "x"][..],
        &["--decrypt-passphrase", "x"],
    ] {
        ends(
            &mut backup(&stage, "chain", &[&chain[..], secrets].concat()),
            0,
            "",
        );
        let more = [&chain[..], secrets, &["--delete-on-success"]].concat();
        ends(
            &mut backup(&stage, "chain", &more),
            2,
            "--delete-on-success",
        );
    }
}

#[test]
fn a_key_may_come_from_a_pipe() {
    let stage = Stage::new();
    stage.backup("a");
    stage.backup("b");
    let tool = tool();
    let tool = tool.to_str().unwrap();
    let key = "--private-key <(cat key.pem)";
    let node = "node a/decrypt-backup.mjs";
    for line in [
        format!("{tool} diff a b {key}"),
        format!("{tool} list a {key}"),
        format!("{tool} list . {key}"),
        format!("{tool} stats a {key}"),
        format!("{tool} verify a {key}"),
        format!("{tool} cat a manifest.json {key}"),
        format!("{tool} extract a --user alice {key}"),
        format!("{tool} decrypt a --out out {key}"),
        format!("{tool} --restore a --verify-only --pryv-root platform {key}"),
        format!("{tool} consolidate a --into new {key}"),
        format!("{tool} rekey new --add-recipient <(cat trio.pub.pem) {key}"),
        format!("{node} a --verify {key}"),
        format!("{node} a --verify --jobs 2 {key}"),
        format!("cat key.pem | {node} a --list --private-key /dev/stdin"),
        format!("cat key.pem | {tool} diff a b --private-key /dev/stdin"),
    ] {
        fs::copy(kit("trio.pub.pem"), stage.at("trio.pub.pem")).unwrap();
        let mut command = Command::new("bash");
        command.args(["-c", &line]).current_dir(stage.at(""));
        ends(&mut command, 0, "");
    }
}

/// A key of the test kit.
fn kit(name: &str) -> String {
    format!("{}/testkit/keys/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_public_key_of_a_certificate_is_taken_and_that_is_said() {
    let stage = Stage::new();
    let certificate = kit("alice.crt.pem");
    let to_certificate = ["--recipient-pubkey", &certificate];
    let note = "is a certificate; the public key in it was taken, whose fingerprint is 7847abc0";
    ends(&mut backup(&stage, "a", &to_certificate), 0, note);
    let key = kit("alice.pem");
    ends(
        &mut stage.command(&["verify", "a", "--private-key", &key]),
        0,
        "",
    );
    let other = [
        "rekey",
        "a",
        "--private-key",
        &key,
        "--add-recipient",
        "key.pub.pem",
    ];
    ends(&mut stage.command(&other), 0, "");
    ends(
        &mut stage.command(&["verify", "a", "--private-key", "key.pem"]),
        0,
        "",
    );
}

#[test]
fn a_public_key_that_no_reader_opens_is_taken_by_no_command() {
    let stage = Stage::new();
    stage.backup("a");
    // SEQUENCE of a modulus of 16,384 bits and 65537.
    let modulus = [&[0x02, 0x82, 0x08, 0x01, 0x00][..], &[0xff; 2048]].concat();
    let exponent = [0x02, 0x03, 0x01, 0x00, 0x01];
    let length = (modulus.len() + exponent.len()) as u16;
    let der = [
        &[0x30, 0x82][..],
        &length.to_be_bytes(),
        &modulus,
        &exponent,
    ]
    .concat();
    fs::write(stage.at("large.der"), der).unwrap();
    let says = "large.der: an RSA key of 16384 bits is not accepted";
    ends(
        &mut backup(&stage, "b", &["--recipient-pubkey", "large.der"]),
        3,
        says,
    );
    let with_key = ["--private-key", "key.pem"];
    let rekey = ["rekey", "a", "--add-recipient", "large.der"];
    ends(
        &mut stage.command(&[&rekey[..], &with_key].concat()),
        3,
        says,
    );
    let consolidate = [
        "consolidate",
        "a",
        "--into",
        "b",
        "--recipient-pubkey",
        "large.der",
    ];
    ends(
        &mut stage.command(&[&consolidate[..], &with_key].concat()),
        3,
        says,
    );
    assert!(!stage.at("b").exists());
}
