//! The vectors of Wycheproof for the parameters that the format uses, natively and as WebAssembly in Node.js.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{fs, path::Path, process::Command};

use pryv_backup_vectors::{Vector, run};
use wycheproof::{TestResult, aead, hkdf, pbkdf2, rsa_oaep};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// 256-bit keys, nonces of 96 bits, tags of 128 bits.
fn aes_gcm() -> Vec<Vector> {
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    let groups = set.test_groups.into_iter();
    let fitting = groups.filter(|g| (g.key_size, g.nonce_size, g.tag_size) == (256, 96, 128));
    let tests = fitting.flat_map(|g| g.tests);
    tests
        .map(|t| Vector::Aead {
            key: hex(&t.key),
            nonce: hex(&t.nonce),
            aad: hex(&t.aad),
            plain: hex(&t.pt),
            sealed: hex(&t.ct),
            tag: hex(&t.tag),
            valid: t.result != TestResult::Invalid,
        })
        .collect()
}

fn hkdf_sha256() -> Vec<Vector> {
    let set = hkdf::TestSet::load(hkdf::TestName::HkdfSha256).unwrap();
    let tests = set.test_groups.into_iter().flat_map(|g| g.tests);
    tests
        .map(|t| Vector::Hkdf {
            ikm: hex(&t.ikm),
            salt: hex(&t.salt),
            info: hex(&t.info),
            okm: hex(&t.okm),
            size: t.size,
            valid: t.result != TestResult::Invalid,
        })
        .collect()
}

fn pbkdf2_sha256() -> Vec<Vector> {
    let set = pbkdf2::TestSet::load(pbkdf2::TestName::Pbkdf2HmacSha256).unwrap();
    let tests = set.test_groups.into_iter().flat_map(|g| g.tests);
    tests
        .map(|t| Vector::Pbkdf2 {
            password: hex(&t.password),
            salt: hex(&t.salt),
            iterations: u32::try_from(t.iteration_count).unwrap(),
            key: hex(&t.dk),
        })
        .collect()
}

/// Messages that the `rsa` crate opens although RFC 8017 (7.1.2, step 3g) refuses them: it does not look at the first octet (its own test
/// `decrypt_ignores_first_octet` holds it to that). Here it means nothing: only whoever has the key decrypts, and the data key that
/// comes out is held against the envelope's key check.
const OPENED_ALL_THE_SAME: &str = "First byte is 1";

/// SHA-256 for both hashes, no label.
fn oaep_sha256() -> Vec<Vector> {
    use rsa_oaep::TestName::{
        Rsa2048Sha256Mgf1Sha256, Rsa3072Sha256Mgf1Sha256, Rsa4096Sha256Mgf1Sha256,
    };
    let names = [
        Rsa2048Sha256Mgf1Sha256,
        Rsa3072Sha256Mgf1Sha256,
        Rsa4096Sha256Mgf1Sha256,
    ];
    let groups = names
        .into_iter()
        .flat_map(|n| rsa_oaep::TestSet::load(n).unwrap().test_groups);
    let mut vectors = Vec::new();
    for group in groups {
        for t in group.tests.iter().filter(|t| t.label.is_empty()) {
            vectors.push(Vector::Oaep {
                key: hex(&group.pkcs8),
                sealed: hex(&t.ct),
                plain: hex(&t.pt),
                valid: t.result != TestResult::Invalid || t.comment == OPENED_ALL_THE_SAME,
            });
        }
    }
    vectors
}

/// Each algorithm with the least number of vectors that must have been run.
fn all() -> [(&'static str, usize, Vec<Vector>); 4] {
    [
        ("AES-256-GCM", 60, aes_gcm()),
        ("HKDF-SHA256", 80, hkdf_sha256()),
        ("PBKDF2-HMAC-SHA256", 50, pbkdf2_sha256()),
        ("RSA-OAEP-SHA256", 60, oaep_sha256()),
    ]
}

#[test]
fn natively() {
    for (name, least, vectors) in all() {
        println!("{name}: {} vectors", vectors.len());
        assert!(
            vectors.len() >= least,
            "{name}: only {} vectors",
            vectors.len()
        );
        let json = serde_json::to_string(&vectors).unwrap();
        assert_eq!(run(&json).unwrap(), Vec::<usize>::new(), "{name}");
    }
}

#[test]
fn a_wrong_vector_is_noticed() {
    for (name, _, mut vectors) in all() {
        match &mut vectors[0] {
            Vector::Aead { valid, .. }
            | Vector::Hkdf { valid, .. }
            | Vector::Oaep { valid, .. } => *valid = !*valid,
            Vector::Pbkdf2 { key, .. } => {
                key.replace_range(0..2, if key.starts_with("00") { "01" } else { "00" })
            }
        }
        let json = serde_json::to_string(&vectors[..1]).unwrap();
        assert_eq!(run(&json).unwrap(), [0], "{name}");
    }
}

#[test]
fn as_web_assembly() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let face = root.join(".build/wasm-vectors/pryv_backup_vectors.js");
    assert!(
        face.exists(),
        "{} is missing: run scripts/build-wasm.sh pryv-backup-vectors wasm-vectors",
        face.display()
    );
    let [a, b, c, d] = all().map(|(_, _, vectors)| vectors);
    let vectors: Vec<Vector> = a.into_iter().chain(b).chain(c).chain(d).collect();
    let file = root.join(".build/wasm-vectors/vectors.json");
    fs::write(&file, serde_json::to_string(&vectors).unwrap()).unwrap();
    let program = "
        const [face, wasm, vectors] = process.argv.slice(1);
        const { readFileSync } = await import('node:fs');
        const { initSync, run } = await import(face);
        initSync({ module: readFileSync(wasm) });
        console.log(run(readFileSync(vectors, 'utf8')));";
    let output = Command::new("node")
        .args(["--input-type=module", "-e", program])
        .args([
            &face,
            &face.with_file_name("pryv_backup_vectors_bg.wasm"),
            &file,
        ])
        .output()
        .unwrap();
    let wrong = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        wrong.trim(),
        "[]",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
