//! What a restore refuses before it writes anything, and what is named instead of being taken.

use super::{at, dump, dumping, empty_like, one_line, restoring};
use pryv_backup_engine::archive::sha256_hex;
use pryv_backup_tests::{
    command::{report, run, text},
    stage::{Platform, Stage},
};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

/// The one line of a restore that is refused, and writes nothing.
fn refused(
    stage: &Stage,
    target: &Platform<'_>,
    archive: &std::path::Path,
    flags: &[&str],
    code: i32,
) -> String {
    let there = || {
        target
            .users
            .exists()
            .then(|| fs::read_dir(&target.users).unwrap().count())
    };
    let before = there();
    let said = one_line(&run(&mut restoring(stage, target, archive, flags)), code);
    assert_eq!(there(), before);
    said
}

#[test]
fn a_platform_that_is_not_empty_is_left_alone() {
    let Some(stage) = Stage::new() else { return };
    let Some(platform) = stage.postgres_fixture() else {
        return;
    };
    let (archive, _) = dump(&stage, &platform, "dump", &[]);
    let other = stage.postgres().unwrap();
    let said = refused(&stage, &other, &archive, &[], 1);
    assert!(
        said.contains("is not empty") && said.contains("createdb"),
        "{said}"
    );
    let target = empty_like(&stage, &platform, "target");
    fs::create_dir(&target.users).unwrap();
    fs::write(target.users.join("mine"), "x").unwrap();
    let said = refused(&stage, &target, &archive, &[], 1);
    assert!(said.contains("\"mine\""), "{said}");
    fs::remove_file(target.users.join("mine")).unwrap();
    let sqlite = stage.sqlite();
    let said = refused(&stage, &sqlite, &archive, &[], 1);
    assert!(
        said.contains("storages.base.engine is sqlite here"),
        "{said}"
    );
    let id = ["--expect-id", &"0".repeat(64)];
    refused(&stage, &target, &archive, &id, 4);
    // Another release than that of the dump: both tell theirs.
    let root = stage.at("root");
    fs::create_dir(&root).unwrap();
    let release = |version: &str| {
        let package = format!(r#"{{"name": "pryv", "version": "{version}"}}"#);
        fs::write(root.join("package.json"), package).unwrap();
    };
    release("2.0.0");
    let at = ["--pryv-root", root.to_str().unwrap()];
    let (of_release, _) = dump(&stage, &platform, "of-release", &at);
    release("2.0.1");
    let said = refused(&stage, &target, &of_release, &at, 1);
    assert!(said.contains("2.0.0") && said.contains("2.0.1"), "{said}");
    // Damage, wherever it is.
    let file = archive.join("raw/files.jsonl.gz");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
    let said = refused(&stage, &target, &archive, &[], 4);
    assert!(said.contains("damaged"), "{said}");
}

#[test]
fn a_dump_of_somebody_else_is_refused() {
    let Some(stage) = Stage::new() else { return };
    let platform = stage.sqlite_fixture();
    let state = stage.at("state");
    let (_, said) = dump(
        &stage,
        &platform,
        "dump",
        &["--state-dir", state.to_str().unwrap()],
    );
    let signer = said["signer"].as_str().unwrap();
    let (other, _) = dump(&stage, &platform, "other", &[]);
    let target = at(stage.sqlite(), stage.at("target"));
    refused(&stage, &target, &other, &["--signer", signer], 4);
    // A host that knows nobody takes no dump of whoever has the public key.
    let fresh = stage.at("fresh");
    let knows_nobody = ["--state-dir", fresh.to_str().unwrap()];
    let said = refused(&stage, &target, &other, &knows_nobody, 2);
    assert!(said.contains("not known who made this dump"), "{said}");
    assert!(!target.users.exists());
    let id = sha256_hex(&fs::read(other.join("manifest.json")).unwrap());
    let flags = [&knows_nobody[..], &["--expect-id", &id, "--dry-run"]].concat();
    let done = run(&mut restoring(&stage, &target, &other, &flags));
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
}

#[test]
fn links_and_names_that_not_every_system_has_are_named() {
    let Some(stage) = Stage::new() else { return };
    let platform = stage.sqlite_fixture();
    let secret = stage.at("secret");
    fs::write(&secret, "not of the platform").unwrap();
    symlink(&secret, platform.users.join("link")).unwrap();
    fs::write(platform.users.join("a:b"), "x").unwrap();
    fs::write(platform.users.join("run"), "x").unwrap();
    fs::set_permissions(
        platform.users.join("run"),
        fs::Permissions::from_mode(0o4755),
    )
    .unwrap();
    let output = stage.at("dump");
    let made = run(&mut dumping(&stage, &platform, &output, &[]));
    assert_eq!(made.status.code(), Some(5), "{}", text(&made));
    let losses = report(&made)["losses"].to_string();
    assert!(
        losses.contains("raw/users/link") && losses.contains("raw/users/a:b"),
        "{losses}"
    );
    let target = at(stage.sqlite(), stage.at("target"));
    let restored = run(&mut restoring(&stage, &target, &output, &[]));
    assert_eq!(restored.status.code(), Some(5), "{}", text(&restored));
    let said = report(&restored)["losses"].to_string();
    assert!(
        said.contains("link") && said.contains("special permissions"),
        "{said}"
    );
    assert!(fs::symlink_metadata(target.users.join("link")).is_err());
    let about = fs::metadata(target.users.join("run")).unwrap();
    assert_eq!(about.mode() & 0o7777, 0o755);
}

#[test]
fn a_dump_is_always_encrypted() {
    let Some(stage) = Stage::new() else { return };
    let platform = stage.sqlite_fixture();
    let plain = run(platform
        .command()
        .args(["raw", "--output"])
        .arg(stage.at("plain")));
    let said = one_line(&plain, 2);
    assert!(said.contains("--recipient-pubkey"), "{said}");
    assert!(!stage.at("plain").exists());
}
