//! Key files as people have them: what stands around the key, how its lines are broken, and what is no key at all.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::process::{Command, Stdio};

use decryptor_wasm::{
    DataKey, Envelope, Error, ErrorKind, PrivateKey, PublicKey, RandomSource, Spelling,
    passphrase_of_file, private_key_needs_passphrase,
};
use pryv_backup_test_need::need;

const KEY: &str = include_str!("../../tests/testkit/keys/alice.pem");
const PUBLIC: &str = include_str!("../../tests/testkit/keys/alice.pub.pem");
const CERTIFICATE: &str = include_str!("../../tests/testkit/keys/alice.crt.pem");
const TRIO: &str = include_str!("../../tests/testkit/keys/trio.pem");
const TRIO_PUBLIC: &str = include_str!("../../tests/testkit/keys/trio.pub.pem");

struct System;

impl RandomSource for System {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), Error> {
        let mut file = std::fs::File::open("/dev/urandom").unwrap();
        std::io::Read::read_exact(&mut file, out).unwrap();
        Ok(())
    }
}

/// The base64 of a PEM, in lines of that width.
fn wrapped(pem: &str, width: usize) -> String {
    let digits: String = pem.lines().filter(|l| !l.starts_with("-----")).collect();
    let lines: Vec<&str> = digits
        .as_bytes()
        .chunks(width)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    let label = pem.split("-----").nth(1).unwrap();
    let end = label.replace("BEGIN", "END");
    format!("-----{label}-----\n{}\n-----{end}-----\n", lines.join("\n"))
}

fn utf16(text: &str, unit: fn(u16) -> [u8; 2], mark: bool) -> Vec<u8> {
    let mark = mark.then_some(0xfeff);
    let units = mark.into_iter().chain(text.encode_utf16());
    units.flat_map(unit).collect()
}

/// Ways in which editors, mail programs and tools write the same text.
fn forms(pem: &str) -> Vec<(&'static str, Vec<u8>)> {
    let bag = "Bag Attributes\n    localKeyID: 01 02\nKey Attributes: <No Attributes>\n";
    let latin = [pem.as_bytes(), b"Schl\xfcssel des Notars\n"].concat();
    vec![
        ("as it is", pem.into()),
        ("CRLF", pem.replace('\n', "\r\n").into()),
        ("CR", pem.replace('\n', "\r").into()),
        ("byte order mark", format!("\u{feff}{pem}").into()),
        ("note before", format!("kept in the safe\n\n{pem}").into()),
        ("note after", format!("{pem}\nkept in the safe").into()),
        ("note in Latin-1", latin),
        ("bag attributes", format!("{bag}{pem}").into()),
        ("Ctrl-Z", format!("{pem}\u{1a}").into()),
        ("blanks at line ends", pem.replace('\n', "  \t\n").into()),
        ("indented", pem.replace('\n', "\n    ").into()),
        ("no last line end", pem.trim_end().into()),
        ("blank lines", pem.replace('\n', "\n\n").into()),
        ("blanks for line ends", pem.replace('\n', " ").into()),
        ("lines of 76", wrapped(pem, 76).into()),
        ("lines of 60", wrapped(pem, 60).into()),
        ("one line", wrapped(pem, 10_000).into()),
        ("UTF-16", utf16(pem, u16::to_le_bytes, true)),
        ("UTF-16 BE", utf16(pem, u16::to_be_bytes, true)),
        ("UTF-16 without mark", utf16(pem, u16::to_le_bytes, false)),
    ]
}

#[test]
fn a_private_key_is_found_in_every_form() {
    let due = PublicKey::parse(PUBLIC.as_bytes()).unwrap().fingerprint();
    let mut all = forms(KEY);
    all.push(("certificate before", [CERTIFICATE, KEY].concat().into()));
    all.push(("certificate after", [KEY, CERTIFICATE].concat().into()));
    all.push(("public key before", [PUBLIC, KEY].concat().into()));
    for (form, file) in all {
        assert_eq!(private_key_needs_passphrase(&file), Ok(false), "{form}");
        let key = PrivateKey::parse(&file, None).unwrap_or_else(|e| panic!("{form}: {e}"));
        assert_eq!(key.public_key().fingerprint(), due, "{form}");
    }
}

#[test]
fn an_encrypted_key_is_found_in_every_form() {
    let due = PublicKey::parse(PUBLIC.as_bytes()).unwrap().fingerprint();
    for pem in [
        include_str!("../../tests/testkit/keys/alice.enc.pem"),
        include_str!("../../tests/testkit/keys/alice.sha1.pem"),
    ] {
        for (form, file) in forms(pem) {
            assert_eq!(private_key_needs_passphrase(&file), Ok(true), "{form}");
            let key = PrivateKey::parse(&file, Some("key-pass"));
            let key = key.unwrap_or_else(|e| panic!("{form}: {e}"));
            assert_eq!(key.public_key().fingerprint(), due, "{form}");
            let wrong = PrivateKey::parse(&file, Some("no")).err().unwrap();
            assert!(wrong.to_string().contains("wrong passphrase"), "{wrong}");
        }
    }
    let old = include_str!("data/legacy-aes256.pem");
    for (form, file) in forms(old) {
        // Its headers are lines.
        if form != "blanks for line ends" && form != "one line" && !form.starts_with("lines of") {
            let key = PrivateKey::parse(&file, Some("ol:d pässword"));
            assert!(key.is_ok(), "{form}: {}", key.err().unwrap());
        }
    }
}

#[test]
fn a_public_key_is_found_in_every_form() {
    let due = PublicKey::parse(PUBLIC.as_bytes()).unwrap().fingerprint();
    let mut all = forms(PUBLIC);
    all.push(("certificate before", [CERTIFICATE, PUBLIC].concat().into()));
    for (form, file) in all {
        let (key, certified) = PublicKey::found(&file).unwrap_or_else(|e| panic!("{form}: {e}"));
        assert!(!certified, "{form}");
        assert_eq!(key.fingerprint(), due, "{form}");
    }
    for (form, file) in forms(CERTIFICATE) {
        let (key, certified) = PublicKey::found(&file).unwrap_or_else(|e| panic!("{form}: {e}"));
        assert!(certified, "{form}");
        assert_eq!(key.fingerprint(), due, "{form}");
    }
}

#[test]
fn what_was_given_instead_is_named() {
    let cut = &KEY[..600];
    let flipped = KEY.replacen("MII", "M*I", 1);
    let both = [KEY, PUBLIC].concat();
    for (file, says) in [
        (PUBLIC, "this is a public key"),
        (CERTIFICATE, "this is a certificate"),
        (cut, "cut or was changed"),
        (flipped.as_str(), "cut or was changed"),
        (
            "-----BEGIN OPENSSH PRIVATE KEY-----\nAA==\n-----END OPENSSH PRIVATE KEY-----\n",
            "as OpenSSH keeps it",
        ),
        (
            "-----BEGIN EC PRIVATE KEY-----\nAA==\n-----END EC PRIVATE KEY-----\n",
            "holds EC PRIVATE KEY",
        ),
        ("ssh-rsa AAAAB3NzaC1yc2E= ops", "this is a public key"),
        ("{\"kty\":\"RSA\"}", "not an RSA private key"),
        ("", "not an RSA private key"),
    ] {
        for error in [
            PrivateKey::parse(file.as_bytes(), Some("x")).err().unwrap(),
            private_key_needs_passphrase(file.as_bytes())
                .err()
                .unwrap_or_else(|| Error::key(says)),
        ] {
            assert_eq!(error.kind(), ErrorKind::Key, "{error}");
            assert!(error.to_string().contains(says), "{file}: {error}");
        }
    }
    for (file, says) in [
        (KEY, "this is a private key"),
        (both.as_str(), "this is a private key"),
        (
            "-----BEGIN EC PRIVATE KEY-----\nAA==\n-----END EC PRIVATE KEY-----\n",
            "this is a private key",
        ),
        ("ssh-rsa AAAAB3NzaC1yc2E= ops", "ssh-keygen -e -m PKCS8"),
        (
            "-----BEGIN CERTIFICATE REQUEST-----\nAA==\n-----END CERTIFICATE REQUEST-----\n",
            "holds CERTIFICATE REQUEST",
        ),
        (&PUBLIC[..200], "cut or was changed"),
        ("hello", "not an RSA public key"),
    ] {
        let error = PublicKey::parse(file.as_bytes()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
        assert!(error.to_string().contains(says), "{file}: {error}");
    }
}

fn round_trip(public: &[u8], private: &[u8]) {
    let data_key = DataKey::generate(&mut System).unwrap();
    let public = PublicKey::parse(public).unwrap();
    let envelope = Envelope::for_recipients(&data_key, &[public], &mut System).unwrap();
    let private = PrivateKey::parse(private, None).unwrap();
    let opened = envelope.unlock_with_private_key(&private, &mut System);
    assert_eq!(opened.unwrap().as_bytes(), data_key.as_bytes());
}

#[test]
fn a_key_of_three_primes_opens_what_its_public_half_seals() {
    round_trip(TRIO_PUBLIC.as_bytes(), TRIO.as_bytes());
}

#[test]
fn primes_may_differ_in_size_and_be_missing_or_wrong() {
    for private in [
        &include_bytes!("data/unbalanced.pem")[..],
        include_bytes!("data/without-primes.pem"),
        include_bytes!("data/wrong-primes.pem"),
    ] {
        round_trip(include_bytes!("data/unbalanced.pub.pem"), private);
    }
    // In its ninth line stands the private exponent.
    let mut lines: Vec<String> = include_str!("data/without-primes.pem")
        .lines()
        .map(str::to_owned)
        .collect();
    let digit = if lines[9].starts_with('A') { "B" } else { "A" };
    lines[9].replace_range(..1, digit);
    let error = PrivateKey::parse(lines.join("\n").as_bytes(), None).err();
    assert!(error.unwrap().to_string().contains("cut or was changed"));
}

/// What openssl gives, with `input` on its standard input; none without openssl.
fn openssl(arguments: &str, input: &[u8]) -> Option<Vec<u8>> {
    let child = Command::new("openssl")
        .args(arguments.split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = need("openssl", child.ok())?;
    let mut into = child.stdin.take().unwrap();
    // It may have no use for it.
    let _ = std::io::Write::write_all(&mut into, input);
    drop(into);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {arguments}");
    Some(output.stdout)
}

#[test]
fn whatever_public_key_is_taken_its_private_half_opens() {
    for bits in ["2048", "2049", "2055", "3000"] {
        for more in ["", " -3", " -primes 3"] {
            let Some(private) = openssl(&format!("genrsa{more} {bits}"), b"") else {
                return;
            };
            let public = openssl("pkey -pubout -outform DER", &private).unwrap();
            round_trip(&public, &private);
            let pkcs1 = openssl("rsa -traditional -outform DER", &private).unwrap();
            round_trip(&public, &pkcs1);
        }
    }
}

#[test]
fn a_public_key_that_no_reader_opens_is_refused() {
    // 16,384 bits, and exponents that are even, 1 or too large.
    let key = |modulus: &[u8], exponent: &[u8]| {
        let integer = |bytes: &[u8]| element(2, &[&[0], bytes].concat());
        element(0x30, &[integer(modulus), integer(exponent)].concat())
    };
    let (usual, large) = ([0xff; 256], [0xff; 2048]);
    for (modulus, exponent, says) in [
        (&large[..], &[1, 0, 1][..], "of 16384 bits"),
        (&[0xff; 128], &[1, 0, 1], "of 1024 bits"),
        (&usual, &[2, 0, 0, 0, 1], "such a public exponent"),
        (&usual, &[0xff; 16], "such a public exponent"),
        (&usual, &[4], "such a public exponent"),
    ] {
        // A leading zero only where the number needs one.
        let exponent = exponent.to_vec();
        let der = match exponent[0] & 0x80 {
            0 => {
                let integer = element(2, &[&[0], modulus].concat());
                element(0x30, &[integer, element(2, &exponent)].concat())
            }
            _ => key(modulus, &exponent),
        };
        let error = PublicKey::parse(&der).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Key, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
}

/// An element of DER.
fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len();
    let mut der = vec![tag];
    match length {
        0..=127 => der.push(length as u8),
        128..=255 => der.extend([0x81, length as u8]),
        _ => der.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    der.extend(contents);
    der
}

#[test]
fn every_protection_that_openssl_writes_opens_or_is_named() {
    let due = PublicKey::parse(PUBLIC.as_bytes()).unwrap().fingerprint();
    for how in [
        "-v2 aes-128-cbc -v2prf hmacWithSHA1",
        "-v2 aes-256-cbc -v2prf hmacWithSHA512",
        "-v2 des3 -v2prf hmacWithSHA1",
        "-v2 des3",
        "-scrypt",
    ] {
        for outform in ["PEM", "DER"] {
            let call = format!("pkcs8 -topk8 {how} -passout pass:x -outform {outform}");
            let Some(file) = openssl(&call, KEY.as_bytes()) else {
                return;
            };
            let key = PrivateKey::parse(&file, Some("x")).unwrap_or_else(|e| panic!("{how}: {e}"));
            assert_eq!(key.public_key().fingerprint(), due, "{how}");
            let error = PrivateKey::parse(&file, Some("y")).err().unwrap();
            assert!(error.to_string().contains("wrong passphrase"), "{error}");
        }
    }
    for how in [
        "-v1 PBE-SHA1-3DES",
        "-v2 camellia-256-cbc",
        "-v2 aes-256-ofb",
    ] {
        let call = format!("pkcs8 -topk8 {how} -passout pass:x -outform DER");
        let file = openssl(&call, KEY.as_bytes()).unwrap();
        assert_eq!(private_key_needs_passphrase(&file), Ok(true), "{how}");
        let error = PrivateKey::parse(&file, Some("x")).err().unwrap();
        assert!(
            error.to_string().contains("openssl pkcs8 -topk8"),
            "{error}"
        );
    }
}

#[test]
fn a_store_of_keys_is_answered_with_the_command_that_takes_the_key_out() {
    let both = [KEY, CERTIFICATE].concat();
    let Some(store) = openssl("pkcs12 -export -passout pass:x", both.as_bytes()) else {
        return;
    };
    let error = PrivateKey::parse(&store, Some("x")).err().unwrap();
    assert!(
        error
            .to_string()
            .contains("openssl pkcs12 -in FILE -nocerts"),
        "{error}"
    );
    let error = PublicKey::parse(&store).err().unwrap();
    assert!(
        error.to_string().contains("this is a private key"),
        "{error}"
    );
    let taken = openssl("pkcs12 -passin pass:x -nodes", &store).unwrap();
    assert!(PrivateKey::parse(&taken, None).is_ok());
}

#[test]
fn the_first_line_of_a_file_is_the_passphrase() {
    for file in [
        "correct horse".as_bytes(),
        b"correct horse\n",
        b"correct horse\r\n",
        b"correct horse\rother",
        b"correct horse\n\n",
        b"correct horse\nnot this\n",
        b"\xef\xbb\xbfcorrect horse\r\n",
        &utf16("correct horse\r\n", u16::to_le_bytes, true),
        &utf16("correct horse\r\n", u16::to_be_bytes, true),
    ] {
        assert_eq!(
            **passphrase_of_file(file, "f").as_ref().unwrap(),
            *"correct horse"
        );
    }
    assert_eq!(
        **passphrase_of_file(b" a b \n", "f").as_ref().unwrap(),
        *" a b "
    );
    for (file, says) in [
        (&b""[..], "f: the passphrase is empty"),
        (b"\nsecond", "f: the passphrase is empty"),
        (b"\xef\xbb\xbf\r\n", "f: the passphrase is empty"),
        (b"caf\xe9\n", "f: this file is not text"),
    ] {
        let error = passphrase_of_file(file, "f").err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().starts_with(says), "{error}");
    }
}

#[test]
fn a_passphrase_opens_however_its_letters_are_put_together() {
    let (composed, decomposed) = ("caf\u{e9} \u{1e69}", "cafe\u{301} s\u{323}\u{307}");
    let key = PrivateKey::parse(KEY.as_bytes(), None).unwrap();
    for (set, given, spelling) in [
        (composed, composed, Spelling::AsGiven),
        (composed, decomposed, Spelling::Composed),
        (decomposed, composed, Spelling::Decomposed),
        (decomposed, decomposed, Spelling::AsGiven),
    ] {
        let (envelope, data_key) =
            Envelope::for_passphrase(decryptor_wasm::Kdf::Scrypt, set, &mut System).unwrap();
        let (opened, how) = envelope.unlock_spelled(given).unwrap();
        assert_eq!((opened.as_bytes(), how), (data_key.as_bytes(), spelling));
        assert_eq!(how.note().is_some(), how != Spelling::AsGiven);
        assert!(envelope.unlock_with_passphrase("café.").is_err());
        let pem = key.to_pkcs8_pem(Some(set), &mut System).unwrap();
        let opened = PrivateKey::parse(pem.as_bytes(), Some(given)).unwrap();
        assert_eq!(opened.spelling(), spelling);
    }
}
