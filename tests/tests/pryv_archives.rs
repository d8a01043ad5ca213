//! Archives that Pryv.io's own tool made: every decryptor opens them, with every form of the key, to the same bytes; and the sealed
//! ones to the bytes of their plain twins.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use pryv_backup_tests::{
    command::{run, text, tool},
    folder::tree,
    need,
};
use tempfile::TempDir;

const DECRYPTORS: [&str; 3] = ["native", "host", "wasm"];
const PASSPHRASE: &str = "correct horse bättery 🔋 staple";
const KEY_PASSPHRASE: &str = "peer-key-pass";
const PLAIN: [&str; 7] = [
    "plain-pg",
    "nocompress-pg",
    "small-chunk",
    "single-user",
    "small-plain",
    "plain-sqlite",
    "series-pg",
];

fn decryptor(name: &str, archive: &Path) -> Command {
    let mut command = if name == "native" {
        let mut command = Command::new(tool());
        command.arg("decrypt");
        command
    } else {
        let mut command = Command::new("node");
        command
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../npm/dist/decrypt-backup.mjs"))
            .args(["--engine", name]);
        command
    };
    command.arg(archive);
    command
}

fn decrypted(name: &str, archive: &Path, args: &[&str]) -> BTreeMap<String, Vec<u8>> {
    let out = TempDir::new().unwrap();
    let folder = out.path().join("out");
    let mut command = decryptor(name, archive);
    command
        .args(args)
        .arg("--out")
        .arg(&folder)
        .env("PRYV_BACKUP_PRIVATE_KEY_PASSPHRASE", KEY_PASSPHRASE);
    let done = run(&mut command);
    assert!(
        done.status.success(),
        "{name} {}: {}",
        archive.display(),
        text(&done)
    );
    tree(&folder)
}

/// Opens the archive with each decryptor: all give the same.
fn opened(archive: &Path, args: &[&str]) -> BTreeMap<String, Vec<u8>> {
    let [first, others @ ..] = DECRYPTORS.map(|name| decrypted(name, archive, args));
    for other in others {
        assert!(
            first == other,
            "{}: the decryptors differ",
            archive.display()
        );
    }
    first
}

/// Compares with a plain archive of the same platform, byte for byte but for the manifests, which tell when it was made.
fn assert_twin(opened: &BTreeMap<String, Vec<u8>>, twin: &Path) {
    let twin = tree(twin);
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(opened), names(&twin));
    let manifests = |path: &str| path.ends_with("manifest.json");
    for (path, bytes) in &twin {
        assert!(
            manifests(path) || opened[path] == *bytes,
            "{path} differs from its plain twin"
        );
    }
}

#[test]
fn the_sealed_ones_open_to_their_plain_twins_with_every_form_of_the_key() {
    let Some(fixtures) = need::fixtures() else {
        return;
    };
    let archive = |name: &str| fixtures.join("archives").join(name);
    let key = |name: &str| -> PathBuf { fixtures.join("keys").join(name) };
    for form in [
        "key.pem",
        "key.pkcs1.pem",
        "key.enc.pem",
        "key.enc-pkcs1.pem",
    ] {
        let key = key(&format!("recipient.{form}"));
        let args = ["--private-key", key.to_str().unwrap()];
        assert_twin(&opened(&archive("hybrid-pg"), &args), &archive("plain-pg"));
    }
    let key = key("recipient.key.pem");
    let small = opened(
        &archive("small-hybrid-nocompress"),
        &["--private-key", key.to_str().unwrap()],
    );
    let plain = opened(&archive("small-plain"), &["--gunzip"]);
    for (path, bytes) in plain
        .iter()
        .filter(|(path, _)| !path.ends_with("manifest.json"))
    {
        assert!(small[path] == *bytes, "{path} differs from its plain twin");
    }
    assert_eq!(small.len(), plain.len());
    let args = ["--passphrase", PASSPHRASE];
    assert_twin(
        &opened(&archive("passphrase-pg"), &args),
        &archive("plain-pg"),
    );
}

#[test]
fn the_plain_ones_verify_and_inflate() {
    let Some(fixtures) = need::fixtures() else {
        return;
    };
    for name in PLAIN {
        let archive = fixtures.join("archives").join(name);
        let said = DECRYPTORS.map(|d| {
            let done = run(decryptor(d, &archive).arg("--verify"));
            assert!(done.status.success(), "{d} {name}: {}", text(&done));
            text(&done)
        });
        assert!(said.iter().all(|s| *s == said[0]), "{name}: {said:#?}");
        let inflated = opened(&archive, &["--gunzip"]);
        assert!(inflated.keys().all(|path| !path.ends_with(".gz")), "{name}");
    }
}
