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
        .exactly(&["error: wrong private key: the archive was not made for the key 3f30b2f16be4831a3c5f4daaedd13222f03c15707b6f375ec0eca9ee4859383d (it opens with: 7847abc004765b698d14558a4c207708b06a1335fce1e18132f6f23bf03e6865)"]),
        case("public-key", "the file is said to be a public key")
            .args(&["--private-key", "{keys}/alice.pub.pem"])
            .exactly(&["error: this is a public key; give the private key that belongs to it"]),
        case("no-key", "a private key is asked for")
            .args(&[])
            .exactly(&["error: a private key is needed: give --private-key FILE"]),
        case("missing-key-file", "the file is named")
            .args(&["--private-key", "{keys}/nobody.pem"])
            .exactly(&["error: cannot read the private key {keys}/nobody.pem: there is no such file"]),
        case("key-locked", "the key's own passphrase is asked for")
            .args(&["--private-key", "{keys}/alice.enc.pem"])
            .exactly(&["error: the private key is protected by a passphrase: give --private-key-passphrase or set PRYV_BACKUP_PRIVATE_KEY_PASSPHRASE"]),
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
        .exactly(&["error: wrong passphrase for the private key (or the key file is damaged)"]),
        Case::good(
            "key-locked-right",
            "the key opens with its passphrase",
            &Draft::new(),
        )
        .args(&["--private-key", "{keys}/alice.enc.pem"])
        .env("PRYV_BACKUP_PRIVATE_KEY_PASSPHRASE", "key-pass"),
        case("passphrase-for-a-key", "a private key is asked for")
            .args(&["--passphrase", "x"])
            .exactly(&["error: this backup opens with a private key, not with a passphrase: give --private-key FILE"]),
        locked("wrong-passphrase", "the passphrase is said to be wrong")
            .args(&["--passphrase", "wrong"])
            .exactly(&["error: wrong passphrase for this archive: give it exactly as it was when the backup was made"]),
        locked("no-passphrase", "a passphrase is asked for").exactly(&["error: a passphrase is needed: give --passphrase-file FILE or set PRYV_BACKUP_PASSPHRASE"]),
        locked("key-for-a-passphrase", "a passphrase is asked for")
            .args(&["--private-key", "{keys}/alice.pem"])
            .exactly(&["error: this backup opens with a passphrase, not with a private key: give --passphrase-file or PRYV_BACKUP_PASSPHRASE"]),
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
            .exactly(&["error: no user \"nobody\" in this archive; --list shows its users"]),
        case("empty-folder", "it is not a backup")
            .damaged(
                |made| made.files.clear(),
                &[],
            )
            .exactly(&["error: {archive} is empty: give the folder of the backup"])
            .exit(2),
        case("not-an-archive", "it is not a backup")
            .damaged(
                |made| made.files = [("holiday.jpg".to_owned(), vec![1])].into(),
                &[],
            )
            .exactly(&["error: {archive} is not a backup (it has no manifest.json): give the folder of the backup"])
            .exit(2),
    ]
}
