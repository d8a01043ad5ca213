//! Archives that somebody forged, or put in the place of others. What the forger held is said of each; what makes them takes nothing else.

mod asked;
mod beside;
mod chains;
mod clear;
mod runs;
mod signed;

use pryv_backup_tests::sign;

use crate::{
    case::Case,
    draft::{Draft, Files, Lock},
};

/// Keeps or carries the archive: sees and changes what is stored, and has no key of it; a signing key of his own he can make.
const STORAGE: &str = "whoever stores it: what is stored, and no key";
/// The same with the public key, to which he can seal what he likes.
const SENDER: &str = "whoever stores it and has the public key";
/// Somebody to whom it was sealed, who stores it too.
const RECIPIENT: &str = "a recipient: the private key";
/// A host that works wrongly, or a thief of its key.
const HOST: &str = "the host's own key";

const UNPINNED: &str =
    "no expected signer was given: compare it with what was noted when the backup was made";
const BY_HOST: &str = "signed by {signer}; no expected signer was given";
const BY_MALLORY: &str = "signed by {mallory}; no expected signer was given";
const NOT_HOLDS: &str = "manifest.json.minisig is not the signature of manifest.json";
const NOT_HOLDS_FOR: &str = "manifest.json.minisig is not the signature of";
const OTHER_KEY: &str =
    "manifest.json.minisig was made by another key than the signer that manifest.json names";
const NOT_ENCRYPTED: &str =
    "this backup is not encrypted, though you gave a key: it may have been replaced";
const NOT_EXPECTED: &str = "which is not the signer that you expect: it may have been replaced";
const PIN: [&str; 2] = ["--signer", "{keys}/host.pub"];
const COMPANIONS: &[(&str, &str)] = &[
    ("FORMAT.md", "# The format\n"),
    ("RESTORE-README.md", "# What to do\n"),
    ("decrypt-backup.html", "<title>Decrypt</title>\n"),
    ("decrypt-backup.mjs", "console.log('decrypt');\n"),
];

/// The archive as the host made it.
fn real() -> Draft {
    Draft {
        companions: COMPANIONS,
        ..Draft::new()
    }
}

/// An archive of somebody else, in the clear, with what he wants to be restored.
fn in_the_clear() -> Draft {
    Draft {
        lock: Lock::None,
        signer: sign::mallory(),
        ..forgery()
    }
}

/// The same, sealed to the public key.
fn forgery() -> Draft {
    let mut draft = Draft::new();
    let token = b"{\"id\":\"a1\",\"token\":\"forged\"}\n".to_vec();
    draft
        .content
        .insert("users/u1/accesses.jsonl".into(), token);
    Draft {
        signer: sign::mallory(),
        ..draft
    }
}

/// The archive that the host made, and the forgery that somebody makes of it.
fn changed(name: &'static str, line: &'static str, change: impl FnOnce(&mut Files)) -> Case {
    Case::good(name, line, &real())
        .change(change)
        .forged_by(STORAGE)
}

/// The same, so that nothing comes out.
fn refused(
    name: &'static str,
    line: &'static str,
    change: impl FnOnce(&mut Files),
    says: &'static str,
) -> Case {
    changed(name, line, change).nothing().exit(4).says(says)
}

pub fn cases() -> Vec<Case> {
    [
        clear::cases(),
        signed::cases(),
        beside::cases(),
        asked::cases(),
        runs::cases(),
    ]
    .concat()
}
