//! Recipients' public keys.

use std::fmt::Write;

use pkcs8::{EncodePublicKey, LineEnding};
use rsa::{
    BoxedUint,
    pkcs1::{RsaPublicKeyRef, UintRef},
};
use sha2::{Digest, Sha256};

use super::{
    DataKey, RandomSource,
    file::{KeyFile, Shape, certificate_content, spki_content},
    random::Rng,
};
use crate::{Code, Error, Field, Result};

/// The largest public exponent that private keys are opened with.
const MAX_EXPONENT: u64 = rsa::PublicKey::MAX_PUB_EXPONENT;

/// An RSA public key.
#[derive(Clone)]
pub struct PublicKey(pub(super) rsa::PublicKey);

impl PublicKey {
    /// Reads a public key: SubjectPublicKeyInfo, PKCS#1 or that of a certificate, PEM or DER. The first in a text counts.
    pub fn parse(file: &[u8]) -> Result<Self> {
        PublicKey::found(file).map(|(key, _)| key)
    }

    /// The same, and whether it was taken out of a certificate.
    pub fn found(file: &[u8]) -> Result<(Self, bool)> {
        let der = match KeyFile::read(file).map_err(|_| Error::of(Code::PublicKeyTooLarge))? {
            KeyFile::Der(der) => der,
            KeyFile::Pem(blocks) => {
                if blocks.iter().any(|b| b.label.ends_with("PRIVATE KEY")) {
                    return Err(private_given());
                }
                let first = |of: &[&str]| {
                    let found = blocks.iter().find(|b| of.contains(&b.label.as_str()));
                    found.map(|block| block.content.clone())
                };
                first(&["PUBLIC KEY", "RSA PUBLIC KEY"])
                    .or_else(|| first(&["CERTIFICATE", "X509 CERTIFICATE"]))
                    .ok_or_else(|| not_public(blocks.first().map(|b| b.label.as_str())))?
                    .ok_or_else(|| Error::of(Code::PublicKeyCut))?
            }
        };
        let shape = Shape::of(&der);
        let content = match shape {
            Shape::Public => spki_content(&der),
            Shape::PublicPkcs1 => Some(der.as_slice()),
            Shape::Certificate => certificate_content(&der),
            Shape::Pkcs8 | Shape::Pkcs1 | Shape::Encrypted | Shape::Pkcs12 => {
                return Err(private_given());
            }
            Shape::Other if file.starts_with(b"ssh-rsa ") => {
                return Err(Code::SshPublicKeyGiven.into());
            }
            Shape::Other => None,
        };
        let parts = content.and_then(|der| RsaPublicKeyRef::try_from(der).ok());
        let parts = parts.ok_or_else(|| not_public(None))?;
        check(&parts.modulus, &parts.public_exponent)?;
        let number = |part: &UintRef<'_>| BoxedUint::from_be_slice_vartime(part.as_bytes());
        rsa::PublicKey::new(number(&parts.modulus), number(&parts.public_exponent))
            .map(|key| (PublicKey(key), shape == Shape::Certificate))
            .map_err(|_| not_public(None))
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
            .map_err(|_| Code::KeyNotWrapped.into())
    }
}

fn unwritable() -> Error {
    Code::KeyNotWritten.into()
}

/// Refuses what no reader opens: the public half of a key must not be taken when its private half is not.
pub(super) fn check(modulus: &UintRef<'_>, exponent: &UintRef<'_>) -> Result<()> {
    let first = modulus.as_bytes().first().copied().unwrap_or(0);
    check_size(modulus.as_bytes().len() * 8 - first.leading_zeros() as usize)?;
    let value = exponent.as_bytes().iter().try_fold(0_u64, |value, byte| {
        value.checked_mul(256)?.checked_add(u64::from(*byte))
    });
    match value {
        Some(value) if value % 2 == 1 && (3..=MAX_EXPONENT).contains(&value) => Ok(()),
        _ => Err(Error::of(Code::KeyExponent).with(Field::Limit, MAX_EXPONENT)),
    }
}

pub(super) fn check_size(bits: usize) -> Result<()> {
    if (2048..=8192).contains(&bits) {
        Ok(())
    } else {
        Err(Error::of(Code::KeySize).with(Field::Number, bits))
    }
}

fn private_given() -> Error {
    Code::PrivateKeyGiven.into()
}

fn not_public(label: Option<&str>) -> Error {
    let error = Error::of(Code::NotAPublicKey);
    match label {
        Some(label) => error.with(Field::Found, label),
        None => error,
    }
}
