//! Files in the clear that should be sealed.

use decryptor_wasm::signature::SIGNATURE;
use pryv_backup_tests::{
    chain::{Lock, Made},
    sign,
};
use serde_json::json;

use super::{
    BY_MALLORY, NOT_ENCRYPTED, NOT_EXPECTED, PIN, STORAGE,
    chains::{alice, next, real, refused as chain_refused},
    in_the_clear, refused,
};
use crate::{case::Case, draft::Draft};

fn archives() -> Vec<Case> {
    let clear = |name, line| {
        Case::good(name, line, &in_the_clear())
            .forged_by(STORAGE)
            .nothing()
            .exit(4)
    };
    vec![
        clear("forged-clear-archive", "an archive in the clear lies where a sealed one was, and a key was given")
            .says(NOT_ENCRYPTED),
        clear("forged-clear-archive-passphrase", "and a passphrase was given")
            .args(&["--passphrase", "p"])
            .says(NOT_ENCRYPTED),
        clear("forged-clear-archive-required", "no secret is given, and a sealed archive is required")
            .args(&["--require-encrypted"])
            .says("this backup is not encrypted, and an encrypted one is required: it may have been replaced"),
        clear("forged-clear-archive-required-by-the-host", "the same, said by the environment")
            .args(&[])
            .env("PRYV_BACKUP_REQUIRE_ENCRYPTED", "1")
            .says("and an encrypted one is required"),
        clear("forged-clear-archive-unsigned", "without an inventory, as Pryv's own tool makes them")
            .change(|files| *files = Draft { ours: false, ..in_the_clear() }.make().files)
            .says(NOT_ENCRYPTED),
        clear("forged-clear-archive-opened", "it says that it was decrypted before, so that nobody signs it")
            .change(|files| {
                let opened = Draft { manifest: |m| m["encrypted"] = json!(true), ..in_the_clear() };
                *files = opened.make().files;
                files.remove(SIGNATURE);
            })
            .args(&PIN)
            .says("nobody signed this backup, and a signer is expected"),
        Case::good("forged-clear-archive-allowed", "it opens where that is asked for, and is said to be somebody's", &in_the_clear())
            .forged_by(STORAGE)
            .also(&["--allow-plaintext"])
            .says(BY_MALLORY),
        clear("forged-clear-archive-pinned", "and not where a signer is pinned")
            .also(&["--allow-plaintext"])
            .also(&PIN)
            .says(NOT_EXPECTED),
        refused("forged-clear-manifest", "the manifest of a sealed archive is replaced by one in the clear", |files| {
            files.insert("manifest.json".into(), in_the_clear().make().files["manifest.json"].clone());
        }, "manifest.json"),
        refused("forged-clear-manifest-signed", "and signed by whoever did it", |files| {
            let made = in_the_clear().make();
            for name in ["manifest.json", SIGNATURE] {
                files.insert(name.into(), made.files[name].clone());
            }
        }, "manifest.json"),
    ]
}

/// A run in the clear behind sealed ones.
fn continued(name: &'static str, line: &'static str, full: bool, change: fn(&mut Made)) -> Case {
    let mut made = real(&alice(), 1);
    let run = next(&made, Lock::None, full, sign::mallory(), |_| {});
    made.add(run);
    change(&mut made);
    chain_refused(
        name,
        line,
        made,
        "increments/0002 is not encrypted, though other runs are",
    )
}

fn clear_runs() -> Vec<Case> {
    let passphrase = {
        let mut made = real(&Lock::Passphrase("p"), 1);
        let run = next(&made, Lock::None, false, sign::mallory(), |_| {});
        made.add(run);
        made
    };
    let root = {
        let mut made = real(&alice(), 2);
        let first = real(&Lock::None, 1);
        made.files
            .retain(|path, _| path.starts_with("increments/") || path == "chain.json");
        let first = first
            .files
            .into_iter()
            .filter(|(path, _)| path != "chain.json");
        made.files.extend(first);
        made.sum();
        made
    };
    let manifest = {
        let mut made = real(&alice(), 2);
        let parent = real(&alice(), 1);
        let run = next(&parent, Lock::None, false, sign::mallory(), |_| {});
        for name in ["manifest.json", SIGNATURE] {
            let bytes = run.files[name].clone();
            made.files.insert(format!("increments/0002/{name}"), bytes);
        }
        let mut index = made.indexed();
        index.runs[1] = run.entry;
        made.index(&index);
        made
    };
    let envelope = {
        let mut made = real(&alice(), 3);
        made.files.remove("increments/0003/encryption.json");
        made.sum();
        made
    };
    vec![
        continued(
            "forged-clear-increment",
            "an increment in the clear continues a sealed backup",
            false,
            |_| {},
        ),
        chain_refused(
            "forged-clear-increment-passphrase",
            "the same where a passphrase opens it",
            passphrase,
            "increments/0002 is not encrypted, though other runs are",
        )
        .args(&["--passphrase", "p"]),
        continued(
            "forged-clear-full",
            "a full run in the clear continues a sealed backup",
            true,
            |_| {},
        ),
        continued(
            "forged-clear-increment-unlisted",
            "chain.json does not list it",
            false,
            |made| {
                let mut index = made.indexed();
                index.runs.pop();
                made.index(&index);
            },
        ),
        continued(
            "forged-clear-increment-without-index",
            "there is no chain.json",
            false,
            |made| {
                made.files.remove("chain.json");
                made.sum();
            },
        ),
        continued(
            "forged-clear-increment-at-1",
            "the state before is asked for: nothing of such a folder is read",
            false,
            |_| {},
        )
        .also(&["--at", "1"]),
        continued(
            "forged-clear-increment-allowed",
            "--allow-plaintext is for what is in the clear as a whole",
            false,
            |_| {},
        )
        .also(&["--allow-plaintext"]),
        chain_refused(
            "forged-clear-first",
            "the first run is replaced by one in the clear, below sealed increments",
            root,
            "the first run is not encrypted, though a later one is",
        ),
        chain_refused(
            "forged-clear-manifest-of-a-run",
            "the manifest of an increment is replaced by one in the clear",
            manifest,
            "increments/0002",
        ),
        chain_refused(
            "forged-envelope-removed",
            "the envelope of a run was removed",
            envelope,
            "increments/0003 is not encrypted, though other runs are",
        ),
        chain_refused(
            "forged-clear-chain",
            "a chain in the clear in the place of a sealed one",
            real(&Lock::None, 3),
            "this backup is not encrypted, though you gave a key: it may have been replaced",
        ),
    ]
}

pub fn cases() -> Vec<Case> {
    [archives(), clear_runs()].concat()
}
