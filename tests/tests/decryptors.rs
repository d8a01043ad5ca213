//! The script and the page: as archives carry them, as the tool knows and writes them, and as a release lists them.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{fs, path::Path, process::Command};

use pryv_backup_tests::{
    command::{run, text},
    need,
    sampled::Stage,
};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const FILES: [&str; 2] = ["decrypt-backup.mjs", "decrypt-backup.html"];

fn sha256(path: &Path) -> String {
    let digest = Sha256::digest(fs::read(path).unwrap());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

#[test]
fn they_are_known_by_the_hashes_that_archives_carry() {
    let stage = Stage::new();
    stage.backup("archive");
    let known = stage.good(&["decryptors", "--hashes"]);
    stage.good(&["decryptors", "--out", "own"]);
    for file in FILES {
        let hash = sha256(&stage.at("archive").join(file));
        let line = format!(
            "{}  {hash}  {file}  (this version)",
            env!("CARGO_PKG_VERSION")
        );
        assert!(known.lines().any(|known| known == line), "{known}");
        assert_eq!(sha256(&stage.at("own").join(file)), hash);
    }
}

#[test]
fn no_file_is_replaced() {
    let stage = Stage::new();
    fs::create_dir(stage.at("there")).unwrap();
    fs::write(stage.at("there").join(FILES[1]), "mine").unwrap();
    let done = stage.run(&["decryptors", "--out", "there"]);
    assert_eq!(done.status.code(), Some(1));
    let said = text(&done);
    assert!(
        said.contains("there/decrypt-backup.html is there already"),
        "{said}"
    );
    assert_eq!(fs::read(stage.at("there").join(FILES[1])).unwrap(), b"mine");
}

#[test]
fn a_release_lists_and_signs_them() {
    if !need::program("minisign") {
        return;
    }
    let scratch = TempDir::new().unwrap();
    let at = |name: &str| scratch.path().join(name);
    fs::copy(root().join("decryptors.txt"), at("list")).unwrap();
    // -W: without a password.
    let pair = run(Command::new("minisign")
        .args(["-G", "-W", "-p"])
        .arg(at("key.pub"))
        .arg("-s")
        .arg(at("key")));
    assert!(pair.status.success(), "{}", text(&pair));
    let release = || {
        run(Command::new(root().join("scripts/release.sh"))
            .env("SIGN_KEY", at("key"))
            .env("DECRYPTORS", at("list")))
    };
    let signed = || {
        run(Command::new("minisign")
            .arg("-Vm")
            .arg(at("list"))
            .arg("-p")
            .arg(at("key.pub")))
    };
    for _ in 0..2 {
        let done = release();
        assert!(done.status.success(), "{}", text(&done));
        assert!(signed().status.success(), "{}", text(&signed()));
        let list = fs::read_to_string(at("list")).unwrap();
        for built in [
            "npm/dist/decrypt-backup.mjs",
            "web/dist/decrypt-backup.html",
        ] {
            let built = root().join(built);
            let line = format!(
                "{}  {}",
                sha256(&built),
                built.file_name().unwrap().display()
            );
            assert_eq!(list.matches(&line).count(), 1, "{list}");
        }
    }
    // One version has one script.
    let list = fs::read_to_string(at("list")).unwrap();
    let other = list.replace(
        &sha256(&root().join("npm/dist/decrypt-backup.mjs")),
        &"0".repeat(64),
    );
    fs::write(at("list"), &other).unwrap();
    let done = release();
    assert_eq!(done.status.code(), Some(1), "{}", text(&done));
    assert_eq!(fs::read_to_string(at("list")).unwrap(), other);
    assert!(!signed().status.success());
}
