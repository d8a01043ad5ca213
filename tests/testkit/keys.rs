//! The keys of the kit, and what happens with the wrong ones.

use std::{fs, path::Path};

use decryptor_wasm::Kdf;

use crate::{
    case::Case,
    draft::{Draft, Lock},
};

const FILES: [(&str, &[u8]); 7] = [
    ("alice.pem", include_bytes!("keys/alice.pem")),
    ("alice.enc.pem", include_bytes!("keys/alice.enc.pem")),
    ("alice.pub.pem", include_bytes!("keys/alice.pub.pem")),
    ("bob.pem", include_bytes!("keys/bob.pem")),
    ("bob.pub.pem", include_bytes!("keys/bob.pub.pem")),
    ("mallory.pem", include_bytes!("keys/mallory.pem")),
    ("mallory.pub.pem", include_bytes!("keys/mallory.pub.pem")),
];

/// The public key of a person.
pub fn public(name: &str) -> &'static [u8] {
    let file = format!("{name}.pub.pem");
    FILES.iter().find(|(n, _)| *n == file).unwrap().1
}

/// Writes the keys where the cases expect them.
pub fn write(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    for (name, bytes) in FILES {
        fs::write(folder.join(name), bytes).unwrap();
    }
}

pub fn cases() -> Vec<Case> {
    let case = |name, line| Case::good(name, line, &Draft::new()).exit(3).nothing();
    let locked = |name, line| {
        let draft = Draft {
            lock: Lock::Passphrase(Kdf::Scrypt, "right"),
            ..Draft::new()
        };
        Case::good(name, line, &draft).exit(3).nothing().args(&[])
    };
    vec![
        case(
            "wrong-key",
            "the key is said to be wrong, and whose the archive is",
        )
        .args(&["--private-key", "{keys}/mallory.pem"])
        .says("wrong private key"),
        case("public-key", "the file is said to be a public key")
            .args(&["--private-key", "{keys}/alice.pub.pem"])
            .says("this is a public key"),
        case("no-key", "a private key is asked for")
            .args(&[])
            .says("a private key is needed: give --private-key FILE"),
        case("missing-key-file", "the file is named")
            .args(&["--private-key", "{keys}/nobody.pem"])
            .says("cannot read the private key"),
        case("key-locked", "the key's own passphrase is asked for")
            .args(&["--private-key", "{keys}/alice.enc.pem"])
            .says("the private key is protected by a passphrase"),
        case(
            "key-locked-wrong",
            "the key's passphrase is said to be wrong",
        )
        .args(&[
            "--private-key",
            "{keys}/alice.enc.pem",
            "--private-key-passphrase",
            "no",
        ])
        .says("wrong passphrase for the private key"),
        Case::good(
            "key-locked-right",
            "the key opens with its passphrase",
            &Draft::new(),
        )
        .args(&["--private-key", "{keys}/alice.enc.pem"])
        .env("PRYV_BACKUP_PRIVATE_KEY_PASSPHRASE", "key-pass"),
        case("passphrase-for-a-key", "a private key is asked for")
            .args(&["--passphrase", "x"])
            .says("opens with a private key, not with a passphrase"),
        locked("wrong-passphrase", "the passphrase is said to be wrong")
            .args(&["--passphrase", "wrong"])
            .says("wrong passphrase for this archive"),
        locked("no-passphrase", "a passphrase is asked for").says("a passphrase is needed"),
        locked("key-for-a-passphrase", "a passphrase is asked for")
            .args(&["--private-key", "{keys}/alice.pem"])
            .says("opens with a passphrase, not with a private key"),
        Case::good(
            "expect-another",
            "another archive than the one that is expected",
            &Draft::new(),
        )
        .damaged(|_| {}, &["this is not the archive that you expect"])
        .also(&[
            "--expect-id",
            "0000000000000000000000000000000000000000000000000000000000000000",
        ])
        .nothing(),
        case("unknown-user", "the user is not in the archive")
            .also(&["--user", "nobody"])
            .exit(2)
            .says("no user \"nobody\" in this archive"),
        case("empty-folder", "it is not a backup")
            .damaged(
                |made| made.files.clear(),
                &["is empty: give the folder of the backup"],
            )
            .exit(2),
        case("not-an-archive", "it is not a backup")
            .damaged(
                |made| made.files = [("holiday.jpg".to_owned(), vec![1])].into(),
                &["is not a backup (it has no manifest.json)"],
            )
            .exit(2),
    ]
}
