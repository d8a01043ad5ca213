//! Runs test vectors through the same crates, at the same versions and with the same calls as the core, wherever it is compiled to.

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{AeadInOut, Nonce, Tag},
};
use hkdf::Hkdf;
use rsa::{
    PrivateKey,
    pkcs8::DecodePrivateKey,
    rand_core::{TryCryptoRng, TryRng},
};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// One vector; bytes are in hex.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind")]
#[allow(missing_docs)]
pub enum Vector {
    Aead {
        key: String,
        nonce: String,
        aad: String,
        plain: String,
        sealed: String,
        tag: String,
        valid: bool,
    },
    Hkdf {
        ikm: String,
        salt: String,
        info: String,
        okm: String,
        size: usize,
        valid: bool,
    },
    Pbkdf2 {
        password: String,
        salt: String,
        iterations: u32,
        key: String,
    },
    Oaep {
        key: String,
        sealed: String,
        plain: String,
        valid: bool,
    },
}

/// Runs the vectors (a JSON list); the numbers of those that went wrong.
///
/// # Errors
/// When the list cannot be read.
pub fn run(vectors: &str) -> Result<Vec<usize>, String> {
    let vectors: Vec<Vector> = serde_json::from_str(vectors).map_err(|e| e.to_string())?;
    let wrong = vectors
        .iter()
        .enumerate()
        .filter(|(_, v)| !right(v).unwrap_or(false));
    Ok(wrong.map(|(index, _)| index).collect())
}

/// The same for JavaScript: a JSON list of numbers.
#[cfg(target_arch = "wasm32")]
#[wasm_bindgen::prelude::wasm_bindgen(js_name = run)]
pub fn run_js(vectors: &str) -> Result<String, String> {
    serde_json::to_string(&run(vectors)?).map_err(|e| e.to_string())
}

/// Whether the outcome is the published one; none when the vector itself cannot be read.
fn right(vector: &Vector) -> Option<bool> {
    Some(match vector {
        Vector::Aead {
            key,
            nonce,
            aad,
            plain,
            sealed,
            tag,
            valid,
        } => {
            let cipher = Aes256Gcm::new_from_slice(&hex(key)?).ok()?;
            let nonce = Nonce::<Aes256Gcm>::try_from(hex(nonce)?.as_slice()).ok()?;
            let tag = Tag::<Aes256Gcm>::try_from(hex(tag)?.as_slice()).ok()?;
            let (aad, plain, mut body) = (hex(aad)?, hex(plain)?, hex(sealed)?);
            let opened = cipher
                .decrypt_inout_detached(&nonce, &aad, body.as_mut_slice().into(), &tag)
                .is_ok();
            let mut again = plain.clone();
            let made = cipher
                .encrypt_inout_detached(&nonce, &aad, again.as_mut_slice().into())
                .ok()?;
            opened == *valid && (!valid || (body == plain && made == tag && again == hex(sealed)?))
        }
        Vector::Hkdf {
            ikm,
            salt,
            info,
            okm,
            size,
            valid,
        } => {
            let mut out = vec![0; *size];
            let derived =
                Hkdf::<Sha256>::new(Some(&hex(salt)?), &hex(ikm)?).expand(&hex(info)?, &mut out);
            derived.is_ok() == *valid && (!valid || out == hex(okm)?)
        }
        Vector::Pbkdf2 {
            password,
            salt,
            iterations,
            key,
        } => {
            let due = hex(key)?;
            let mut out = vec![0; due.len()];
            pbkdf2::pbkdf2_hmac::<Sha256>(&hex(password)?, &hex(salt)?, *iterations, &mut out);
            out == due
        }
        Vector::Oaep {
            key,
            sealed,
            plain,
            valid,
        } => {
            let key = PrivateKey::from_pkcs8_der(&hex(key)?).ok()?;
            let opened = key.oaep_decrypt_with_rng::<Sha256, _>(&mut Counter(0), &hex(sealed)?);
            match opened {
                Ok(opened) => *valid && opened == hex(plain)?,
                Err(_) => !valid,
            }
        }
    })
}

fn hex(text: &str) -> Option<Vec<u8>> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
        .collect()
}

/// Randomness that blinds the RSA operation; the result does not depend on it.
struct Counter(u8);

impl TryRng for Counter {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
        for byte in out {
            self.0 = self.0.wrapping_mul(5).wrapping_add(41);
            *byte = self.0;
        }
        Ok(())
    }
}

impl TryCryptoRng for Counter {}
