//! The vectors of Wycheproof through the core's own doors, as far as its parameters reach: an envelope is made of each, and what it
//! unlocks is the outcome. The same envelopes, with the key check that follows from the published outcome, are written to
//! `.build/wycheproof-envelopes.json` for the test of the WASM that ships.
#![allow(clippy::unwrap_used, clippy::panic)]

use base64ct::{Base64, Encoding};
use decryptor_wasm::{DataKey, Envelope, Error, ErrorKind, PrivateKey, RandomSource};
use serde_json::{Value, json};
use wycheproof::{TestResult, aead, pbkdf2, rsa_oaep};

/// An envelope, what opens it, and the data key that must come of it; none where it must be refused.
struct Vector {
    name: String,
    envelope: Value,
    private_key: Option<String>,
    passphrase: Option<String>,
    key: Option<[u8; 32]>,
}

/// Those that fit, and the number of the others.
struct Chosen {
    vectors: Vec<Vector>,
    left_out: usize,
}

fn envelope(mode: &str) -> Value {
    json!({ "v": 1, "alg": "AES-256-GCM-CHUNKED", "chunk": 65536, "mode": mode })
}

/// RSA-OAEP, SHA-256 twice, no label, 2048 bits and more. A message that is no data key of 32 bytes must be refused like bad
/// padding; since the vectors of bad padding hold short messages, `tests/wasm/wycheproof.test.mjs` makes some with data keys.
fn oaep() -> Chosen {
    use rsa_oaep::TestName as T;
    let names = [
        T::Rsa2048Sha256Mgf1Sha256,
        T::Rsa3072Sha256Mgf1Sha256,
        T::Rsa4096Sha256Mgf1Sha256,
        T::RsaMisc,
    ];
    let mut chosen = Chosen {
        vectors: Vec::new(),
        left_out: 0,
    };
    for group in names
        .into_iter()
        .flat_map(|name| rsa_oaep::TestSet::load(name).unwrap().test_groups)
    {
        use wycheproof::HashFunction::Sha2_256;
        let fits = group.hash == Sha2_256 && group.mgf_hash == Sha2_256 && group.key_size >= 2048;
        for test in group.tests {
            // An envelope has no label: one made with a label has bad padding there.
            let opens = test.result != TestResult::Invalid && test.label.is_empty();
            if !fits {
                chosen.left_out += 1;
                continue;
            }
            let mut envelope = envelope("hybrid");
            envelope["wrap"] = json!("RSA-OAEP-SHA256");
            envelope["wrappedKey"] = json!(Base64::encode_string(&test.ct));
            chosen.vectors.push(Vector {
                name: format!(
                    "OAEP {} bits, {}: {}",
                    group.key_size, test.tc_id, test.comment
                ),
                envelope,
                private_key: Some(group.pem.clone()),
                passphrase: None,
                key: <[u8; 32]>::try_from(test.pt.as_slice())
                    .ok()
                    .filter(|_| opens),
            });
        }
    }
    chosen
}

/// PBKDF2-HMAC-SHA256 with a passphrase that is text, a salt of 8 to 64 bytes and a key of 32 bytes at least, whose first 32 (one
/// block of the hash) do not depend on the rest.
fn pbkdf2() -> Chosen {
    let set = pbkdf2::TestSet::load(pbkdf2::TestName::Pbkdf2HmacSha256).unwrap();
    let mut chosen = Chosen {
        vectors: Vec::new(),
        left_out: 0,
    };
    for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
        let passphrase = String::from_utf8(test.password.to_vec()).ok();
        let key = test.dk.first_chunk::<32>().copied();
        let (Some(_), Some(_), 8..=64) = (&passphrase, key, test.salt.len()) else {
            chosen.left_out += 1;
            continue;
        };
        let mut envelope = envelope("symmetric-pbkdf2");
        envelope["kdf"] = json!("PBKDF2-HMAC-SHA256");
        envelope["salt"] = json!(Base64::encode_string(&test.salt));
        envelope["iterations"] = json!(test.iteration_count);
        let name = format!("PBKDF2 {}: {}", test.tc_id, test.comment);
        chosen.vectors.push(Vector {
            name,
            envelope,
            private_key: None,
            passphrase,
            key,
        });
    }
    chosen
}

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

impl Vector {
    fn unlock(&self) -> Result<DataKey, Error> {
        let envelope = Envelope::parse(self.envelope.to_string().as_bytes())?;
        match (&self.private_key, &self.passphrase) {
            (Some(pem), _) => {
                let key = PrivateKey::parse(pem.as_bytes(), None)?;
                envelope.unlock_with_private_key(&key, &mut Counter(1))
            }
            (None, Some(passphrase)) => envelope.unlock_with_passphrase(passphrase),
            (None, None) => unreachable!("a vector has a secret"),
        }
    }

    /// For the WASM, which gives no key away: the envelope's check tells whether it came to the right one.
    fn checked(&self) -> Value {
        let mut envelope = self.envelope.clone();
        if let Some(key) = self.key {
            let check = DataKey::from_bytes(key).check_value();
            envelope["keyCheck"] = json!(Base64::encode_string(&check));
        }
        json!({ "name": self.name, "envelope": envelope.to_string(), "privateKey": self.private_key,
            "passphrase": self.passphrase, "opens": self.key.is_some() })
    }
}

#[test]
fn envelopes_unlock_to_the_published_keys() {
    let (oaep, pbkdf2) = (oaep(), pbkdf2());
    let mut exported = Vec::new();
    for (name, chosen, least, least_opened) in
        [("RSA-OAEP", oaep, 139, 3), ("PBKDF2", pbkdf2, 28, 28)]
    {
        let mut opened = 0;
        for vector in &chosen.vectors {
            match (vector.unlock(), vector.key) {
                (Ok(key), Some(due)) => {
                    assert_eq!(*key.as_bytes(), due, "{}", vector.name);
                    opened += 1;
                }
                (Err(error), None) => assert_eq!(error.kind(), ErrorKind::Key, "{}", vector.name),
                (Ok(_), None) => panic!("{} opens", vector.name),
                (Err(error), Some(_)) => panic!("{}: {error}", vector.name),
            }
            exported.push(vector.checked());
        }
        let run = chosen.vectors.len();
        println!(
            "{name}: {run} run, {opened} of them give a key; {} are out of the core's parameters",
            chosen.left_out
        );
        assert!(
            run >= least && opened >= least_opened,
            "{name}: {run} run, {opened} gave a key"
        );
    }
    let build = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../.build");
    std::fs::create_dir_all(&build).unwrap();
    std::fs::write(
        build.join("wycheproof-envelopes.json"),
        Value::from(exported).to_string(),
    )
    .unwrap();
}

/// What the seam of the cipher takes of AES-GCM: nonces that are a frame's number, and no additional data. It is next to
/// nothing: the vectors are for the cipher behind the seam.
#[test]
fn what_the_seam_of_the_cipher_takes() {
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    let groups = set.test_groups.into_iter();
    let ours = groups.filter(|g| (g.key_size, g.nonce_size, g.tag_size) == (256, 96, 128));
    let tests: Vec<_> = ours.flat_map(|g| g.tests).collect();
    let fitting = tests
        .iter()
        .filter(|t| t.nonce.starts_with(&[0; 4]) && t.aad.is_empty())
        .count();
    assert_eq!((tests.len(), fitting), (66, 1));
}
