//! Archives that an earlier version of pryv-backup made, as files: they open for ever, and give what that version made of them.

use std::{collections::BTreeMap, fs};

use pryv_backup_tests::{
    earlier::{PASSPHRASE, folder},
    folder::tree,
};

use crate::{
    case::{Case, Digests},
    draft::Files,
};

/// Name of the case, of the archive, and the run whose state is wanted where it is not the newest.
const CASES: [(&str, &str, u32, &str); 11] = [
    (
        "earlier-recipients",
        "recipients",
        1,
        "sealed to two people",
    ),
    (
        "earlier-passphrase",
        "passphrase",
        1,
        "sealed with a passphrase",
    ),
    ("earlier-clear", "clear", 1, "not encrypted"),
    ("earlier-chain", "chain", 3, "three runs, the newest"),
    ("earlier-chain-at-1", "chain", 1, "three runs, the first"),
    (
        "earlier-chain-at-2",
        "chain",
        2,
        "three runs, the second, opened by the other recipient",
    ),
    (
        "earlier-clear-chain",
        "clear-chain",
        3,
        "three runs that are not encrypted, the newest",
    ),
    (
        "earlier-clear-chain-at-1",
        "clear-chain",
        1,
        "three runs that are not encrypted, the first",
    ),
    (
        "earlier-clear-chain-at-2",
        "clear-chain",
        2,
        "three runs that are not encrypted, the second",
    ),
    (
        "earlier-decrypted",
        "decrypted",
        1,
        "what was decrypted by the command",
    ),
    (
        "earlier-decrypted-chain",
        "decrypted-chain",
        1,
        "the state of three runs that was decrypted by the command",
    ),
];

pub fn cases() -> Vec<Case> {
    let all = CASES.iter().map(|(name, archive, run, line)| {
        let place = folder().join(archive);
        let case = Case::made(name, line, tree(&place.join("archive")), Files::new());
        let case = case
            .comes_out(decrypted(archive, *run))
            .says(match *archive {
                "decrypted-chain" => "no damage found, as far as it can be checked",
                _ => "all good",
            });
        let case = match *archive {
            "passphrase" => case.args(&["--passphrase", PASSPHRASE]),
            "recipients" | "chain" if *run == 2 => case.args(&["--private-key", "{keys}/bob.pem"]),
            "recipients" | "chain" => case,
            "decrypted-chain" => case.args(&[]).says("nothing tells whether one was changed"),
            _ => case.args(&[]).says("Not encrypted"),
        };
        let case = match *archive {
            "decrypted" | "decrypted-chain" => case,
            _ => case.says("signed by {signer}"),
        };
        match name.contains("-at-") {
            true => case.also(&["--at", &run.to_string()]),
            false => case,
        }
    });
    all.collect()
}

/// What the version that made an archive decrypted of it at a run: paths and digests.
fn decrypted(archive: &str, run: u32) -> Digests {
    let list = folder().join(archive).join(format!("decrypted-{run}"));
    let list = fs::read_to_string(list).unwrap();
    let files = list.lines().map(|line| line.split_once("  ").unwrap());
    let found: BTreeMap<String, String> = files
        .map(|(digest, path)| (path.to_owned(), digest.to_owned()))
        .collect();
    assert!(found.len() > 20, "{archive}: {found:?}");
    found
}
