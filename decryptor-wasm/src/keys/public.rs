//! Recipients' public keys.

use std::fmt::Write;

use rsa::{
    pkcs1::DecodeRsaPublicKey,
    pkcs8::{DecodePublicKey, EncodePublicKey, LineEnding},
    traits::PublicKeyParts,
};
use sha2::{Digest, Sha256};

use super::{DataKey, RandomSource, random::Rng};
use crate::{Error, ErrorKind, Result};

/// An RSA public key.
#[derive(Clone)]
pub struct PublicKey(pub(super) rsa::PublicKey);

impl PublicKey {
    /// Reads a public key: SubjectPublicKeyInfo or PKCS#1, PEM or DER.
    pub fn parse(file: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(file).unwrap_or_default();
        if text.contains("PRIVATE KEY-----") {
            return Err(Error::new(
                ErrorKind::Usage,
                "this is a private key; give the recipient's public key (and keep the private key away from this machine)",
            ));
        }
        let key = rsa::PublicKey::from_public_key_pem(text.trim())
            .ok()
            .or_else(|| rsa::PublicKey::from_pkcs1_pem(text.trim()).ok())
            .or_else(|| rsa::PublicKey::from_public_key_der(file).ok())
            .or_else(|| rsa::PublicKey::from_pkcs1_der(file).ok())
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Usage,
                    "this file is not an RSA public key (PEM or DER)",
                )
            })?;
        check_size(key.n().bit_width() as usize)?;
        Ok(PublicKey(key))
    }

    /// Hex SHA-256 of the SubjectPublicKeyInfo (DER): what `openssl pkey -pubin -outform DER | sha256sum` prints.
    pub fn fingerprint(&self) -> Result<String> {
        let der = self.0.to_public_key_der().map_err(|_| unwritable())?;
        Ok(Sha256::digest(der.as_bytes())
            .iter()
            .fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            }))
    }

    /// The key as PEM.
    pub fn to_pem(&self) -> Result<String> {
        self.0
            .to_public_key_pem(LineEnding::LF)
            .map_err(|_| unwritable())
    }

    /// Wraps a data key with RSA-OAEP (SHA-256, MGF1-SHA-256, empty label; RFC 8017).
    pub(crate) fn wrap(&self, key: &DataKey, random: &mut dyn RandomSource) -> Result<Vec<u8>> {
        self.0
            .oaep_encrypt_with_rng::<Sha256, _>(&mut Rng(random), key.as_bytes())
            .map_err(|_| {
                Error::new(
                    ErrorKind::Failed,
                    "the data key could not be wrapped for a recipient",
                )
            })
    }
}

fn unwritable() -> Error {
    Error::new(ErrorKind::Failed, "the public key could not be written")
}

pub(super) fn check_size(bits: usize) -> Result<()> {
    if (2048..=8192).contains(&bits) {
        Ok(())
    } else {
        Err(Error::key(format!(
            "an RSA key of {bits} bits is not accepted; it must have 2048 to 8192"
        )))
    }
}
