//! Keys and envelopes against archives that Pryv's own tool made, and every wrong key by name.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

use std::path::Path;

use decryptor_wasm::{
    DataKey, Envelope, Error, ErrorKind, Kdf, PrivateKey, RandomSource,
    aead::RustAead,
    private_key_needs_passphrase,
    reader::{FileReader, ReadOptions, read_whole},
};
use pryv_backup_test_need::{fixtures, need};

/// Enough randomness for a test: it only has to differ from call to call.
struct Counter(u8);

impl RandomSource for Counter {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), Error> {
        for byte in out {
            self.0 = self.0.wrapping_mul(181).wrapping_add(59);
            *byte = self.0;
        }
        Ok(())
    }
}

fn opens(archive: &Path, key: &DataKey) -> bool {
    let stored = std::fs::read(archive.join("manifest.json")).unwrap();
    let reader = FileReader::sealed(key.clone(), ReadOptions::default(), |k| {
        Ok(RustAead::new(k))
    });
    read_whole(reader, &stored).is_ok_and(|(json, _)| json.starts_with(b"{"))
}

fn envelope(archive: &Path) -> Envelope {
    Envelope::parse(&std::fs::read(archive.join("encryption.json")).unwrap()).unwrap()
}

#[test]
fn scrypt_and_file_key_vectors() {
    let json = br#"{"v":1,"alg":"AES-256-GCM-CHUNKED","chunk":65536,"mode":"symmetric","kdf":"scrypt","salt":"AwMDAwMDAwMDAwMDAwMDAw==","N":16384,"r":8,"p":1}"#;
    let key = Envelope::parse(json)
        .unwrap()
        .unlock_with_passphrase("s3cret")
        .unwrap();
    let hex: String = key.as_bytes().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(
        hex,
        "3f871252caaff18dc0392ccffe60afbb36439fd85f32b1b03a9d2141d8d5bf80"
    );
    let file_key = DataKey::from_bytes([1; 32]).file_key(&[2; 16]);
    let hex: String = file_key
        .as_bytes()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    assert_eq!(
        hex,
        "e927a73ac19250dbdbe537e082d2c5dbb854672b6be5009019a45088505303f7"
    );
}

#[test]
fn every_form_of_the_private_key_opens_an_archive_of_pryv() {
    let Some(fixtures) = fixtures() else { return };
    let archive = fixtures.join("archives/hybrid-pg");
    for (name, passphrase) in [
        ("recipient.key.pem", None),
        ("recipient.key.pkcs1.pem", None),
        ("recipient.key.enc.pem", Some("peer-key-pass")),
    ] {
        let file = std::fs::read(fixtures.join("keys").join(name)).unwrap();
        assert_eq!(
            private_key_needs_passphrase(&file),
            Ok(passphrase.is_some()),
            "{name}"
        );
        let key = PrivateKey::parse(&file, passphrase).unwrap_or_else(|e| panic!("{name}: {e}"));
        let data_key = envelope(&archive)
            .unlock_with_private_key(&key, &mut Counter(1))
            .unwrap();
        assert!(opens(&archive, &data_key), "{name}");
    }
}

#[test]
fn the_passphrase_opens_an_archive_of_pryv() {
    let Some(fixtures) = fixtures() else { return };
    let archive = fixtures.join("archives/passphrase-pg");
    let right = envelope(&archive)
        .unlock_with_passphrase("correct horse bättery 🔋 staple")
        .unwrap();
    assert!(opens(&archive, &right));
    let wrong = envelope(&archive)
        .unlock_with_passphrase("correct horse")
        .unwrap();
    assert!(!opens(&archive, &wrong));
}

#[test]
fn every_wrong_key_is_told_by_name() {
    let Some(fixtures) = fixtures() else { return };
    let keys = fixtures.join("keys");
    let read = |name: &str| std::fs::read(keys.join(name)).unwrap();
    let refusal = |file: &[u8], passphrase| PrivateKey::parse(file, passphrase).err().unwrap();
    for (error, word) in [
        (refusal(&read("recipient.pub.pem"), None), "public key"),
        (
            refusal(&read("recipient.key.enc.pem"), None),
            "protected by a passphrase",
        ),
        (
            refusal(&read("recipient.key.enc.pem"), Some("no")),
            "wrong passphrase",
        ),
        (
            refusal(&read("recipient.key.enc-pkcs1.pem"), Some("no")),
            "wrong passphrase",
        ),
        (refusal(b"hello", None), "not an RSA private key"),
    ] {
        assert_eq!(error.kind(), ErrorKind::Key);
        assert!(error.to_string().contains(word), "{error}");
    }
    for name in ["wrong.key.pem", "wrong2048.key.pem"] {
        let key = PrivateKey::parse(&read(name), None).unwrap();
        let error = envelope(&fixtures.join("archives/hybrid-pg"))
            .unlock_with_private_key(&key, &mut Counter(1))
            .err()
            .unwrap();
        assert_eq!(error.kind(), ErrorKind::Key);
        assert!(error.to_string().contains("wrong private key"), "{error}");
    }
}

#[test]
fn our_own_envelopes_open_and_refuse() {
    let mut random = Counter(7);
    let key = PrivateKey::generate(2048, &mut rand()).unwrap();
    let other = PrivateKey::generate(2048, &mut rand()).unwrap();
    let data_key = DataKey::from_bytes([9; 32]);
    let recipients = [key.public_key(), other.public_key()];
    let json = Envelope::for_recipients(&data_key, &recipients, &mut random)
        .unwrap()
        .to_json()
        .unwrap();
    let envelope = Envelope::parse(&json).unwrap();
    for key in [&key, &other] {
        assert_eq!(
            envelope
                .unlock_with_private_key(key, &mut random)
                .unwrap()
                .as_bytes(),
            data_key.as_bytes()
        );
    }
    let again = PrivateKey::parse(
        key.to_pkcs8_pem(Some("pass"), &mut random)
            .unwrap()
            .as_bytes(),
        Some("pass"),
    )
    .unwrap();
    assert_eq!(
        again.public_key().fingerprint(),
        key.public_key().fingerprint()
    );

    for kdf in [Kdf::Scrypt, Kdf::Pbkdf2] {
        let (envelope, data_key) = Envelope::for_passphrase(kdf, "pässword", &mut random).unwrap();
        let envelope = Envelope::parse(&envelope.to_json().unwrap()).unwrap();
        assert_eq!(
            envelope
                .unlock_with_passphrase("pässword")
                .unwrap()
                .as_bytes(),
            data_key.as_bytes()
        );
        assert_eq!(
            envelope
                .unlock_with_passphrase("password")
                .err()
                .unwrap()
                .to_string(),
            "wrong passphrase for this archive: give it exactly as it was when the backup was made"
        );
    }
}

/// Key generation needs numbers that are not periodic.
fn rand() -> impl RandomSource {
    struct System;
    impl RandomSource for System {
        fn fill(&mut self, out: &mut [u8]) -> Result<(), Error> {
            let mut file = std::fs::File::open("/dev/urandom").unwrap();
            std::io::Read::read_exact(&mut file, out).unwrap();
            Ok(())
        }
    }
    System
}

#[test]
fn absurd_costs_are_refused() {
    for cost in [
        r#""N":1073741824,"r":8,"p":1"#,
        r#""N":16384,"r":8,"p":1000"#,
        r#""N":3,"r":8,"p":1"#,
    ] {
        let json = format!(
            r#"{{"v":1,"alg":"AES-256-GCM-CHUNKED","chunk":65536,"mode":"symmetric","kdf":"scrypt","salt":"AwMDAwMDAwMDAwMDAwMDAw==",{cost}}}"#
        );
        let error = Envelope::parse(json.as_bytes())
            .unwrap()
            .unlock_with_passphrase("x")
            .err()
            .unwrap();
        assert_eq!(error.kind(), ErrorKind::Damaged, "{cost}");
    }
}

/// DER and scrypt, as openssl writes them; the passphrase is `pass` where there is one.
#[test]
fn forms_that_openssl_writes() {
    let Some(fixtures) = fixtures() else { return };
    let pem = fixtures.join("keys/recipient.key.pem");
    let openssl = |arguments: &str| {
        let output = std::process::Command::new("openssl")
            .args(arguments.split(' '))
            .arg("-in")
            .arg(&pem)
            .output();
        let output = need("openssl", output.ok())?;
        assert!(output.status.success(), "openssl {arguments}");
        Some(output.stdout)
    };
    let expected = PrivateKey::parse(&std::fs::read(&pem).unwrap(), None)
        .unwrap()
        .public_key()
        .fingerprint();
    for (arguments, encrypted) in [
        ("pkcs8 -topk8 -nocrypt -outform DER", false),
        ("rsa -traditional -outform DER", false),
        (
            "pkcs8 -topk8 -v2 aes-256-cbc -passout pass:pass -outform DER",
            true,
        ),
        ("pkcs8 -topk8 -scrypt -passout pass:pass", true),
    ] {
        let Some(file) = openssl(arguments) else {
            return;
        };
        assert_eq!(private_key_needs_passphrase(&file), Ok(encrypted));
        let key = PrivateKey::parse(&file, Some("pass"))
            .unwrap_or_else(|e| panic!("openssl {arguments}: {e}"));
        assert_eq!(key.public_key().fingerprint(), expected, "{arguments}");
    }
    let Some(old) = openssl("pkcs8 -topk8 -v1 PBE-SHA1-3DES -passout pass:pass") else {
        return;
    };
    let error = PrivateKey::parse(&old, Some("pass")).err().unwrap();
    assert!(
        error.to_string().contains("openssl pkcs8 -topk8"),
        "{error}"
    );
}
