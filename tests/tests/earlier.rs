//! What is written of a platform is what an earlier version wrote of it: byte for byte in the clear, and after decryption where it is
//! sealed. The test kit has what that version wrote, and every reader opens it there.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{collections::BTreeMap, fs, path::Path};

use pryv_backup_engine::archive::sha256_hex;
use pryv_backup_tests::{
    command::tool,
    earlier::{ARCHIVES, Maker, folder},
    folder::tree,
};
use serde_json::Value;
use tempfile::TempDir;

/// Members of manifests that tell when, where and by which version a backup was made, and what comes of the chance in what is sealed.
const OF_ITS_RUN: [&str; 9] = [
    "createdAt",
    "backupTimestamp",
    "snapshotBefore",
    "source",
    "archiveId",
    "chain",
    "producer",
    "salt",
    "sha256",
];

fn is_manifest(path: &str) -> bool {
    path.ends_with("manifest.json")
}

/// A manifest as far as another run of the same platform writes the same.
fn lasting(json: &[u8]) -> String {
    let mut value: Value = serde_json::from_slice(json).unwrap();
    forget(&mut value);
    serde_json::to_string_pretty(&value).unwrap()
}

fn forget(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|name, _| !OF_ITS_RUN.contains(&name.as_str()));
            let listed = members.get("path").and_then(Value::as_str);
            // Manifests are compared themselves; what travels in the clear at the root is that of each version.
            if listed.is_some_and(|path| is_manifest(path) || !path.contains('/')) {
                members.retain(|name, _| name == "path");
            }
            members.values_mut().for_each(forget);
        }
        Value::Array(items) => items.iter_mut().for_each(forget),
        _ => {}
    }
}

/// The lines of a list of digests but for manifests.
fn listed(list: &Path) -> BTreeMap<String, String> {
    let list = fs::read_to_string(list).unwrap();
    let files = list.lines().map(|line| line.split_once("  ").unwrap());
    let files = files.filter(|(_, path)| !is_manifest(path));
    files
        .map(|(digest, path)| (path.to_owned(), digest.to_owned()))
        .collect()
}

#[test]
fn the_same_platform_becomes_the_same_archive() {
    let scratch = TempDir::new().unwrap();
    let maker = Maker {
        tool: &tool(),
        scratch: scratch.path(),
    };
    for (name, runs) in ARCHIVES {
        let [out, decrypted] = ["archive", "out"].map(|kind| {
            let kind = format!("{kind}-{name}");
            scratch.path().join(kind)
        });
        maker.make(name, runs, &out, &decrypted);
        for run in 1..=runs {
            let due = listed(&folder().join(name).join(format!("decrypted-{run}")));
            let mut found = tree(&decrypted.join(run.to_string()));
            found.retain(|path, _| !is_manifest(path));
            assert_eq!(found.len(), due.len(), "{name}, run {run}");
            for (path, bytes) in &found {
                assert_eq!(due[path], sha256_hex(bytes), "{name}, run {run}: {path}");
            }
        }
        if matches!(name, "clear" | "decrypted" | "decrypted-chain") {
            in_the_clear(name, &out);
        }
    }
}

/// Compares an archive that is not encrypted with the one in the test kit.
fn in_the_clear(name: &str, archive: &Path) {
    let (due, found) = (tree(&folder().join(name).join("archive")), tree(archive));
    let paths = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(paths(&found), paths(&due), "{name}");
    for (path, bytes) in &found {
        match path.as_str() {
            // They are of the bytes of manifests.
            "SHA256SUMS" | "manifest.json.minisig" => {}
            path if is_manifest(path) => {
                assert_eq!(lasting(bytes), lasting(&due[path]), "{name}: {path}");
            }
            path => assert!(*bytes == due[path], "{name}: {path} is not the same"),
        }
    }
}
