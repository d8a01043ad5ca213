//! Keys that `openssl rsa -traditional -aes256` and its kin encrypted open; the files in `data/` were made by openssl 3.
#![allow(clippy::unwrap_used)]

use decryptor_wasm::{ErrorKind, PrivateKey, private_key_needs_passphrase};

const PASSPHRASE: &str = "ol:d pässword";
const PLAIN: &[u8] = include_bytes!("data/plain.pkcs1.pem");
const ENCRYPTED: [(&str, &[u8]); 4] = [
    ("AES-128", include_bytes!("data/legacy-aes128.pem")),
    ("AES-192", include_bytes!("data/legacy-aes192.pem")),
    ("AES-256", include_bytes!("data/legacy-aes256.pem")),
    ("3DES", include_bytes!("data/legacy-des3.pem")),
];

fn fingerprint(key: &PrivateKey) -> String {
    key.public_key().fingerprint().unwrap()
}

#[test]
fn every_cipher_of_old_opens() {
    let expected = fingerprint(&PrivateKey::parse(PLAIN, None).unwrap());
    for (name, pem) in ENCRYPTED {
        assert_eq!(private_key_needs_passphrase(pem), Ok(true), "{name}");
        let key = PrivateKey::parse(pem, Some(PASSPHRASE)).unwrap();
        assert_eq!(fingerprint(&key), expected, "{name}");
        let windows = String::from_utf8_lossy(pem).replace('\n', "\r\n");
        assert!(
            PrivateKey::parse(windows.as_bytes(), Some(PASSPHRASE)).is_ok(),
            "{name} with CRLF"
        );
    }
}

#[test]
fn a_wrong_or_missing_passphrase_is_said_to_be_one() {
    for (name, pem) in ENCRYPTED {
        for (passphrase, says) in [
            (None, "protected by a passphrase"),
            (Some("wrong"), "wrong passphrase"),
        ] {
            let error = PrivateKey::parse(pem, passphrase).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Key, "{name}");
            assert!(error.to_string().contains(says), "{name}: {error}");
        }
    }
}

#[test]
fn an_unknown_cipher_is_answered_with_the_command_that_converts_it() {
    let pem = include_bytes!("data/legacy-camellia256.pem");
    let error = PrivateKey::parse(pem, Some("x")).err().unwrap();
    assert!(
        error
            .to_string()
            .contains("openssl pkcs8 -topk8 -v2 aes-256-cbc -in KEY.pem -out NEWKEY.pem"),
        "{error}"
    );
}

#[test]
fn a_cut_or_changed_header_is_no_panic() {
    let pem = String::from_utf8_lossy(ENCRYPTED[2].1).into_owned();
    for cut in (0..pem.len()).step_by(7) {
        assert!(
            PrivateKey::parse(&pem.as_bytes()[..cut], Some(PASSPHRASE)).is_err(),
            "cut at {cut}"
        );
    }
    for (from, to) in [
        ("AES-256-CBC,", "AES-256-CBC,zz"),
        ("AES-256-CBC,", "AES-256-CBC"),
        ("DEK-Info: ", "DEK-Info:,"),
    ] {
        assert!(
            PrivateKey::parse(pem.replace(from, to).as_bytes(), Some(PASSPHRASE)).is_err(),
            "{to}"
        );
    }
}
