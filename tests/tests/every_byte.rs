//! No byte of an archive can change unnoticed.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../testkit/case.rs"]
#[allow(dead_code)]
mod case;
#[path = "../testkit/draft.rs"]
#[allow(dead_code)]
mod draft;
#[path = "../testkit/keys.rs"]
#[allow(dead_code)]
mod keys;

use std::{fs, path::Path, process::Command};

use decryptor_wasm::{
    DataKey, Error, ErrorKind, open::Request, plan::Severity, signature::SIGNATURE,
};
use draft::Draft;
use pryv_backup_engine::archive::{
    read::{Archive, Folder},
    sha256_hex,
};
use pryv_backup_tests::{
    command::{run, text},
    kit,
};
use tempfile::TempDir;

/// Without a tag of their own: the first is guarded by its key check, both by SHA256SUMS, whose own change shows in itself.
const NOT_SEALED: [&str; 2] = ["encryption.json", "SHA256SUMS"];

/// Opens the archive with the key given, and reads everything.
fn read(folder: &Path, key: &DataKey) -> Result<(), Error> {
    let archive = Archive::open(Folder::new(folder), Request::default(), |_| Ok(key.clone()))?;
    if let Some(finding) = archive
        .plan
        .findings
        .iter()
        .find(|f| f.severity == Severity::Error)
    {
        return Err(Error::damaged(finding.message.clone()));
    }
    for file in archive.files().iter() {
        archive.stream::<decryptor_wasm::Error>(&file, true, false, &mut |_| Ok(()))?;
    }
    Ok(())
}

#[test]
fn every_byte_changed_and_every_cut_is_noticed() {
    let mut draft = Draft::new();
    draft
        .content
        .retain(|path, _| !path.contains("/frame") && !path.contains("/events/"));
    draft.content.insert(
        "users/u1/attachments/small".into(),
        b"twenty bytes of data".to_vec(),
    );
    let made = draft.make();
    let key = made.key.clone().unwrap();
    let dir = TempDir::new().unwrap();
    for (path, bytes) in &made.files {
        let place = dir.path().join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, bytes).unwrap();
    }
    read(dir.path(), &key).unwrap();
    let mut tried = 0;
    for (path, bytes) in made
        .files
        .iter()
        .filter(|(p, _)| !NOT_SEALED.contains(&p.as_str()))
    {
        let place = dir.path().join(path);
        let mut notice = |changed: &[u8], what: String| {
            fs::write(&place, changed).unwrap();
            match read(dir.path(), &key) {
                Ok(()) => panic!("{path}: {what} is not noticed"),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Damaged, "{path}: {what}: {error}")
                }
            }
            tried += 1;
        };
        // Nobody signs the first line of a signature, and it need not be ended.
        let (from, to) = match path.as_str() {
            SIGNATURE => (bytes.iter().position(|b| *b == b'\n').unwrap(), 1),
            _ => (0, 0),
        };
        for at in from..bytes.len() - to {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            notice(&changed, format!("byte {at} changed"));
            notice(&bytes[..at], format!("cut at {at}"));
        }
        fs::write(&place, bytes).unwrap();
    }
    println!("{tried} changes");
    assert!(tried > 10_000, "only {tried} changes");
}

#[test]
fn the_sums_cover_what_carries_no_tag() {
    let made = Draft::new().make();
    let sums = String::from_utf8(made.files["SHA256SUMS"].clone()).unwrap();
    for (path, bytes) in made.files.iter().filter(|(p, _)| *p != "SHA256SUMS") {
        assert!(
            sums.contains(&format!("{}  {path}\n", sha256_hex(bytes))),
            "{path}"
        );
    }
}

#[test]
fn changes_are_noticed_by_web_assembly_too() {
    let kit = TempDir::new().unwrap();
    kit::make(env!("CARGO_BIN_EXE_testkit"), kit.path());
    for engine in ["wasm", "host"] {
        let output = run(Command::new("node")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("wasm/flips.mjs"))
            .arg(kit.path().join("hybrid/archive"))
            .arg(kit.path().join("keys/alice.pem"))
            .arg(engine));
        assert!(output.status.success(), "{}", text(&output));
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(told["missed"], serde_json::json!([]), "{engine}");
        assert!(told["tried"].as_u64().unwrap() > 300, "{engine}: {told}");
    }
}
