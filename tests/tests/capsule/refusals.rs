//! What is refused, in one line.

use super::{Host, one_line, saving};
use pryv_backup_tests::{
    command::{run, text, tool},
    stage::Stage,
};
use std::fs;
use std::process::Command;

#[test]
fn a_configuration_goes_into_encrypted_backups_of_all_only() {
    let Some(stage) = Stage::new() else { return };
    let host = Host::new(&stage, stage.sqlite_fixture());
    let clear = run(host
        .platform
        .command()
        .args(["--include-config", "--output", "clear"]));
    let said = one_line(&clear, 2);
    assert!(
        said.contains("encrypted backups only") && said.contains("--recipient-pubkey"),
        "{said}"
    );
    assert!(!stage.at("clear").exists());
    let of_one = run(&mut host.backing_up("one", &["--user", "alice"]));
    let said = one_line(&of_one, 2);
    assert!(said.contains("no backup of one user"), "{said}");
    assert!(!stage.at("one").exists());
    let with_restore =
        run(host
            .platform
            .command()
            .args(["--include-config", "--restore", "clear"]));
    assert_eq!(with_restore.status.code(), Some(2));
}

#[test]
fn a_backup_without_a_capsule_says_so() {
    let Some(stage) = Stage::new() else { return };
    let archive = stage.sqlite_fixture().backup("plain");
    let said = one_line(&saving(&stage, &archive, "saved", &[]), 2);
    assert!(
        said.contains("holds no capsule") && said.contains("--include-config"),
        "{said}"
    );
    assert!(!stage.at("saved").exists());
}

#[test]
fn a_wrong_key_and_damage_save_nothing() {
    let Some(stage) = Stage::new() else { return };
    let host = Host::new(&stage, stage.sqlite_fixture());
    let (archive, _) = host.backup("backup", &[]);
    let key = stage.at("other.pem");
    let made = run(Command::new(tool())
        .args(["keygen", "--bits", "2048", "--output"])
        .arg(&key));
    assert!(made.status.success());
    let wrong = ["--private-key", key.to_str().unwrap()];
    one_line(&saving(&stage, &archive, "saved", &wrong), 3);
    assert!(!stage.at("saved").exists());
    // A folder that holds something, one in the backup, and one below which there is nothing.
    let other = stage.at("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("mine"), "x").unwrap();
    let said = one_line(&saving(&stage, &archive, "other", &[]), 2);
    assert!(
        said.contains("is not empty") && !said.contains("--force"),
        "{said}"
    );
    assert_eq!(fs::read(other.join("mine")).unwrap(), b"x");
    one_line(&saving(&stage, &archive, "backup/saved", &[]), 2);
    let said = one_line(&saving(&stage, &archive, "no/such", &[]), 2);
    assert!(said.contains("--create-parents"), "{said}");
    let made = saving(&stage, &archive, "no/such", &["--create-parents"]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    // A file of it that is damaged, another one's damage, and one that is missing.
    let damage = |path: &str| {
        let path = archive.join(path);
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(path, bytes).unwrap();
    };
    damage("capsule/ca/ca.key");
    let said = one_line(&saving(&stage, &archive, "saved", &[]), 4);
    assert!(said.contains("capsule/ca/ca.key"), "{said}");
    assert!(!stage.at("saved").exists());
    damage("capsule/ca/ca.key");
    let of_user = fs::read_dir(archive.join("users")).unwrap().next().unwrap();
    let of_user = of_user.unwrap().file_name().into_string().unwrap();
    damage(&format!("users/{of_user}/account.jsonl.gz"));
    let made = saving(&stage, &archive, "saved", &[]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    fs::remove_file(archive.join("capsule/ca/ca.key")).unwrap();
    let said = one_line(&saving(&stage, &archive, "again", &[]), 4);
    assert!(said.contains("capsule/ca/ca.key"), "{said}");
    assert!(!stage.at("again").exists());
}
