//! Checks the files that lie in the clear at the root of a chain: each run repeats the digests of the decryptors and documents there.

use std::collections::BTreeMap;

use super::run_of;
use crate::{
    Manifest,
    layout::{CHAIN, PathKind},
    plan::{Finding, NOT_OURS, Severity},
};

/// Holds the root of a chain against the `manifest` of the run whose state is asked for. `found`: the hex SHA-256 of each file there for
/// which [`is_companion`] holds; `paths`: all paths of the folder; `first_opened`: the first run is a part of the state, so that
/// its own plan names what does not belong to it.
pub fn root_findings<'p>(
    manifest: &Manifest,
    found: &BTreeMap<String, String>,
    paths: impl Iterator<Item = &'p str>,
    first_opened: bool,
) -> Vec<Finding> {
    let finding = |severity, code, path: &str, message: &str| Finding {
        severity,
        code,
        path: path.to_owned(),
        message: message.to_owned(),
    };
    let mut findings = Vec::new();
    let mut due: BTreeMap<String, String> = BTreeMap::new();
    if manifest.chain.is_some() {
        for file in &manifest.companions {
            due.insert(file.path.clone(), file.sha256.clone());
        }
    } else {
        let listed = manifest.inventory.iter().flat_map(|all| all.files.iter());
        for file in listed.filter(|file| is_companion(&file.path)) {
            due.insert(file.path.clone(), file.sha256.clone());
        }
    }
    for (path, sha256) in &due {
        match found.get(path) {
            None => findings.push(finding(
                Severity::Error,
                "missing",
                path,
                "listed in the manifest, but not there",
            )),
            Some(there) if there != sha256 => findings.push(finding(
                Severity::Error,
                "damaged",
                path,
                "is not the file that the inventory lists (its SHA-256 differs); it was changed or replaced",
            )),
            Some(_) => {}
        }
    }
    for path in found.keys().filter(|path| !due.contains_key(*path)) {
        findings.push(finding(
            Severity::Error,
            "foreign",
            path,
            "lies where the archive's own files lie, but the manifest does not list it; it was added and is left out",
        ));
    }
    let stray = |path: &&str| match run_of(path) {
        // Of runs that list themselves.
        None | Some((1, CHAIN)) => true,
        Some((1, within)) => !first_opened && PathKind::of(within) == PathKind::Stray,
        Some(_) => false,
    };
    findings.extend(
        paths
            .filter(stray)
            .map(|path| finding(Severity::Warning, "stray", path, NOT_OURS)),
    );
    findings
}

/// True for the path of a decryptor or a document at the root.
pub fn is_companion(path: &str) -> bool {
    PathKind::of(path) == PathKind::Companion
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_root_of_a_chain_is_what_its_runs_say() {
        let sha = |digit: &str| digit.repeat(64);
        let manifest: Manifest = serde_json::from_value(json!({
            "formatVersion": 1, "backupType": "incremental",
            "chain": {"run": 2, "parent": sha("1"), "base": sha("1"), "key": "AAAAAAAAAAAAAAAAAAAAAA=="},
            "companions": [{"path": "decrypt-backup.mjs", "sha256": sha("a")}, {"path": "FORMAT.md", "sha256": sha("b")}],
        }))
        .unwrap();
        let found = |files: &[(&str, &str)]| {
            let files = files
                .iter()
                .map(|(path, digit)| ((*path).to_owned(), sha(digit)));
            let paths = ["package.json", "increments/x", "users/u/streams.jsonl"];
            let findings = root_findings(&manifest, &files.collect(), paths.into_iter(), false);
            let said = findings
                .iter()
                .map(|one| format!("{} {}", one.code, one.path));
            said.collect::<Vec<_>>()
        };
        let strays = ["stray package.json", "stray increments/x"];
        assert_eq!(
            found(&[("decrypt-backup.mjs", "a"), ("FORMAT.md", "b")]),
            strays
        );
        assert_eq!(
            found(&[("decrypt-backup.mjs", "c"), ("decrypt-backup.html", "d")]),
            [
                "missing FORMAT.md",
                "damaged decrypt-backup.mjs",
                "foreign decrypt-backup.html",
                strays[0],
                strays[1]
            ]
        );
    }
}
