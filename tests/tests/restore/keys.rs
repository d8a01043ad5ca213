//! Ways to give the secret that opens a backup, and the backup that is expected.

use pryv_backup_tests::{
    command::{report, text},
    stage::{Platform, Stage},
};
use serde_json::Value;
use std::{fs, path::Path, process::Command};

const PASSPHRASE: &str = "correct horse bättery 🔋 staple";

/// A restore of one user with nothing said of any key; what the tester's environment says of one is left out.
fn restoring(target: &Platform<'_>, archive: &Path) -> Command {
    let mut command = target.command();
    command
        .args(["--create-users-dir", "--restore"])
        .arg(archive)
        .args(["--json", "--overwrite", "--user", "bob00"])
        .env_remove("PRYV_BACKUP_PASSPHRASE")
        .env_remove("PRYV_BACKUP_PRIVATE_KEY_PASSPHRASE");
    command
}

/// It opens, and the user stands.
fn opens(target: &Platform<'_>, command: &mut Command) -> Value {
    let done = command.output().unwrap();
    let said = report(&done);
    assert_eq!(said["users"][0]["outcome"], "restored", "{said}");
    assert!(
        target
            .rows()
            .values()
            .flatten()
            .any(|row| row.contains("bob00"))
    );
    fs::remove_dir_all(&target.users).unwrap();
    said
}

fn refused(target: &Platform<'_>, command: &mut Command, code: i32, says: &str) {
    let done = command.output().unwrap();
    assert_eq!(done.status.code(), Some(code), "{}", text(&done));
    assert!(text(&done).contains(says), "{}", text(&done));
    assert!(!target.users.exists());
}

#[test]
fn a_private_key_and_its_passphrase() {
    let Some(stage) = Stage::new() else { return };
    let archive = stage.fixtures.join("archives/hybrid-pg");
    let target = stage.sqlite();
    for key in ["recipient.key.enc.pem", "recipient.key.enc-pkcs1.pem"] {
        let with_key = || {
            let mut command = restoring(&target, &archive);
            command
                .arg("--private-key")
                .arg(stage.fixtures.join("keys").join(key));
            command
        };
        opens(
            &target,
            with_key().args(["--private-key-passphrase", "peer-key-pass"]),
        );
        let variable = "PRYV_BACKUP_PRIVATE_KEY_PASSPHRASE";
        opens(&target, with_key().env(variable, "peer-key-pass"));
        // An option counts before a variable.
        let mut both = with_key();
        both.env(variable, "wrong");
        opens(
            &target,
            both.args(["--private-key-passphrase", "peer-key-pass"]),
        );
        refused(&target, with_key().env(variable, "wrong"), 3, "passphrase");
        refused(
            &target,
            with_key().args(["--private-key-passphrase", "wrong"]),
            3,
            "passphrase",
        );
        refused(&target, &mut with_key(), 3, "passphrase");
    }
    let mut wrong = restoring(&target, &archive);
    let key = stage.fixtures.join("keys/wrong.key.pem");
    refused(&target, wrong.arg("--private-key").arg(key), 3, "key");
    refused(
        &target,
        &mut restoring(&target, &archive),
        3,
        "--private-key",
    );
}

#[test]
fn a_passphrase() {
    let Some(stage) = Stage::new() else { return };
    let archive = stage.fixtures.join("archives/passphrase-pg");
    let target = stage.sqlite();
    let file = stage.at("passphrase");
    fs::write(&file, format!("{PASSPHRASE}\n")).unwrap();
    let command = || restoring(&target, &archive);
    let variable = "PRYV_BACKUP_PASSPHRASE";
    opens(&target, command().env(variable, PASSPHRASE));
    opens(
        &target,
        command().args(["--decrypt-passphrase", PASSPHRASE]),
    );
    opens(&target, command().arg("--passphrase-file").arg(&file));
    // The passphrase that encrypts also decrypts, as in Pryv's own tool.
    opens(
        &target,
        command().arg(format!("--encrypt-passphrase={PASSPHRASE}")),
    );
    let mut both = command();
    both.env(variable, "wrong");
    opens(&target, both.args(["--decrypt-passphrase", PASSPHRASE]));
    refused(&target, command().env(variable, "wrong"), 3, "passphrase");
    refused(
        &target,
        command().args(["--decrypt-passphrase", "wrong"]),
        3,
        "passphrase",
    );
    refused(&target, &mut command(), 3, "passphrase");
}

#[test]
fn the_backup_that_is_expected_and_no_other() {
    let Some(stage) = Stage::new() else { return };
    let archive = stage.fixtures.join("archives/small-plain");
    let target = stage.sqlite();
    let command = || restoring(&target, &archive);
    let id = opens(&target, &mut command())["archiveId"].clone();
    let id = id.as_str().unwrap();
    opens(&target, command().args(["--expect-id", id]));
    opens(&target, command().args(["--expect-id", &id.to_uppercase()]));
    let other: String = id.chars().rev().collect();
    refused(
        &target,
        command().args(["--expect-id", &other]),
        4,
        "not the archive that you expect",
    );
    refused(
        &target,
        command().args(["--expect-id", &id[..63]]),
        2,
        "--expect-id",
    );
}
