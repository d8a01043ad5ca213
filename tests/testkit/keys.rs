//! The keys of the kit, and what happens with the wrong ones.

use std::{fs, path::Path};

use decryptor_wasm::Kdf;

use crate::{
    case::Case,
    draft::{Draft, Lock},
};

const FILES: [(&str, &[u8]); 13] = [
    ("alice.pem", include_bytes!("keys/alice.pem")),
    ("alice.enc.pem", include_bytes!("keys/alice.enc.pem")),
    ("alice.pub.pem", include_bytes!("keys/alice.pub.pem")),
    ("alice.crt.pem", include_bytes!("keys/alice.crt.pem")),
    // PBES2 with HMAC-SHA1.
    ("alice.sha1.pem", include_bytes!("keys/alice.sha1.pem")),
    ("bob.pem", include_bytes!("keys/bob.pem")),
    ("bob.pub.pem", include_bytes!("keys/bob.pub.pem")),
    // A key of three primes.
    ("trio.pem", include_bytes!("keys/trio.pem")),
    ("trio.pub.pem", include_bytes!("keys/trio.pub.pem")),
    ("mallory.pem", include_bytes!("keys/mallory.pem")),
    ("mallory.pub.pem", include_bytes!("keys/mallory.pub.pem")),
    ("host.pub", include_bytes!("keys/host.pub")),
    ("mallory.pub", include_bytes!("keys/mallory.pub")),
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
    for (name, bytes) in forms() {
        fs::write(folder.join(name), bytes).unwrap();
    }
}

/// Alice's key and passphrases as other tools and editors write them.
fn forms() -> Vec<(&'static str, Vec<u8>)> {
    let text = |name: &str| {
        let found = FILES.iter().find(|(n, _)| *n == name).unwrap().1;
        std::str::from_utf8(found).unwrap()
    };
    let (key, certificate) = (text("alice.pem"), text("alice.crt.pem"));
    let bag = "Bag Attributes\r\n    localKeyID: 01 02\r\n";
    let one_line = key.replace('\n', "").replace("KEY-----M", "KEY-----\nM");
    let one_line = one_line.replace("-----END", "\n-----END");
    let wide = |text: &str| -> Vec<u8> {
        let units = std::iter::once(0xfeff).chain(text.encode_utf16());
        units.flat_map(u16::to_le_bytes).collect()
    };
    vec![
        (
            "alice.among-others.pem",
            format!(
                "{bag}{certificate}{bag}{}kept in the safe\u{1a}",
                key.replace('\n', "  \r\n")
            )
            .into(),
        ),
        ("alice.utf16.pem", wide(&one_line)),
        ("alice.cut.pem", key.as_bytes()[..900].into()),
        ("two-lines.txt", b"correct horse\nbattery staple\n".into()),
        ("blank-line.txt", b"correct horse\r\n\r\n".into()),
        ("mark.txt", b"\xef\xbb\xbfcorrect horse\n".into()),
        ("utf16.txt", wide("correct horse\r\n")),
        ("empty.txt", b"\n".into()),
        ("latin.txt", b"caf\xe9\n".into()),
    ]
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
    let mut cases = vec![
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
    ];
    cases.extend(forms_of_keys());
    cases.extend(forms_of_passphrases());
    cases
}

fn forms_of_keys() -> Vec<Case> {
    let good = |name, line| Case::good(name, line, &Draft::new());
    let trio = Draft {
        lock: Lock::To(&["trio"]),
        ..Draft::new()
    };
    vec![
        Case::good("key-of-three-primes", "a key of three primes opens", &trio)
            .args(&["--private-key", "{keys}/trio.pem"]),
        good(
            "key-among-others",
            "the key is found among certificate, bag attributes and notes",
        )
        .args(&["--private-key", "{keys}/alice.among-others.pem"]),
        good("key-utf16", "the key is read from UTF-16, on one line")
            .args(&["--private-key", "{keys}/alice.utf16.pem"]),
        good("key-sha1", "a key protected with HMAC-SHA1 opens")
            .args(&["--private-key", "{keys}/alice.sha1.pem"])
            .env("PRYV_BACKUP_PRIVATE_KEY_PASSPHRASE", "key-pass"),
        good("key-sha1-wrong", "its wrong passphrase is said to be wrong")
            .args(&["--private-key", "{keys}/alice.sha1.pem"])
            .env("PRYV_BACKUP_PRIVATE_KEY_PASSPHRASE", "no")
            .exit(3)
            .nothing()
            .exactly(&["error: wrong passphrase for the private key (or the key file is damaged)"]),
        good("key-cut", "the key is said to be cut")
            .args(&["--private-key", "{keys}/alice.cut.pem"])
            .exit(3)
            .nothing()
            .exactly(&["error: the private key file is not readable; it is cut or was changed"]),
        good("certificate", "the file is said to be a certificate")
            .args(&["--private-key", "{keys}/alice.crt.pem"])
            .exit(3)
            .nothing()
            .exactly(&["error: this is a certificate, in which there is only a public key; give the private key that belongs to it"]),
    ]
}

fn forms_of_passphrases() -> Vec<Case> {
    let good = |name, line, passphrase| {
        let draft = Draft {
            lock: Lock::Passphrase(Kdf::Scrypt, passphrase),
            ..Draft::new()
        };
        Case::good(name, line, &draft).args(&[])
    };
    let of_file = |name, line, file: &str| {
        good(name, line, "correct horse").args(&["--passphrase-file", &format!("{{keys}}/{file}")])
    };
    // The second is how macOS spells what the first spells as most keyboards do.
    let (composed, decomposed) = ("pa\u{df}phr\u{e4}se", "pa\u{df}phra\u{308}se");
    let pryv = Draft {
        lock: Lock::Passphrase(Kdf::Scrypt, composed),
        ..Draft::pryv()
    };
    vec![
        of_file("passphrase-file-two-lines", "the first line counts", "two-lines.txt"),
        of_file("passphrase-file-blank-line", "the first line counts", "blank-line.txt"),
        of_file("passphrase-file-mark", "a byte order mark is no part of it", "mark.txt"),
        of_file("passphrase-file-utf16", "UTF-16 is read", "utf16.txt"),
        of_file("passphrase-file-empty", "the file is said to be empty", "empty.txt")
            .exit(2)
            .nothing()
            .exactly(&["error: the passphrase file {keys}/empty.txt: the passphrase is empty; write it in the first line of this file"]),
        of_file("passphrase-file-latin", "the file is said to be no text", "latin.txt")
            .exit(2)
            .nothing()
            .exactly(&["error: the passphrase file {keys}/latin.txt: this file is not text in UTF-8 or UTF-16; write the passphrase in its first line"]),
        good("passphrase-variable-empty", "the variable is said to be empty", "correct horse")
            .env("PRYV_BACKUP_PASSPHRASE", "")
            .exit(2)
            .nothing()
            .exactly(&["error: PRYV_BACKUP_PASSPHRASE is set, but empty: give it the passphrase, or unset it"]),
        good("passphrase-composed", "the passphrase opens in its other spelling", composed)
            .args(&["--passphrase", decomposed])
            .says("the passphrase opens in the Unicode form NFC; it was given with other characters, which look the same"),
        good("passphrase-decomposed", "the passphrase opens in its other spelling", decomposed)
            .args(&["--passphrase", composed])
            .says("the passphrase opens in the Unicode form NFD"),
        Case::good("pryv-passphrase-composed", "also where there is no key check", &pryv)
            .args(&["--passphrase", decomposed])
            .says("the passphrase opens in the Unicode form NFC"),
    ]
}
