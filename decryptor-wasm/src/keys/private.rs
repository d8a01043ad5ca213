//! Private keys in the forms that people have them: PKCS#8, PKCS#8 encrypted with a passphrase, PKCS#1; PEM or DER; and the
//! encrypted PEM of old.

use rsa::{
    pkcs1::DecodeRsaPrivateKey,
    pkcs8::{
        DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncryptedPrivateKeyInfoRef,
        LineEnding, PrivateKeyInfoRef, SecretDocument,
        pkcs5::{EncryptionScheme, pbes2},
    },
    traits::PublicKeyParts,
};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{DataKey, PublicKey, RandomSource, legacy, random::Rng};
use crate::{Error, ErrorKind, Result};

/// Key files are a few kilobytes.
const MAX_KEY_FILE: usize = 64 * 1024;
/// Iterations of PBKDF2 that are accepted from a key file.
const MAX_ITERATIONS: u32 = 10_000_000;
/// Memory in bytes that scrypt may ask for.
pub(crate) const MAX_SCRYPT_MEMORY: u64 = 256 * 1024 * 1024;
/// Iterations for a key that we encrypt ourselves.
const ITERATIONS: u32 = 600_000;

/// An RSA private key.
pub struct PrivateKey(rsa::PrivateKey);

impl PrivateKey {
    /// Reads a key file; `passphrase` is used only where the file is encrypted.
    pub fn parse(file: &[u8], passphrase: Option<&str>) -> Result<Self> {
        let form = Form::of(file)?;
        let key = match &form {
            Form::Pkcs8(der) => {
                rsa::PrivateKey::from_pkcs8_der(der.as_bytes()).map_err(|_| not_rsa())?
            }
            Form::Pkcs1(der) => {
                rsa::PrivateKey::from_pkcs1_der(der.as_bytes()).map_err(|_| not_rsa())?
            }
            Form::Encrypted(der) => decrypt(der.as_bytes(), passphrase.ok_or_else(locked)?)?,
            Form::Legacy(pem) => {
                let der = legacy::decrypt(pem, passphrase.ok_or_else(locked)?)?;
                rsa::PrivateKey::from_pkcs1_der(&der).map_err(|_| wrong_passphrase())?
            }
        };
        super::public::check_size(key.n().bit_width() as usize)?;
        Ok(PrivateKey(key))
    }

    /// A new key of `bits` bits.
    pub fn generate(bits: usize, random: &mut dyn RandomSource) -> Result<Self> {
        super::public::check_size(bits)?;
        rsa::PrivateKey::new(&mut Rng(random), bits)
            .map(PrivateKey)
            .map_err(|e| Error::new(ErrorKind::Failed, format!("no key could be generated: {e}")))
    }

    /// The public half.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.to_public_key())
    }

    /// The key as a PKCS#8 PEM; with a passphrase as encrypted PKCS#8 (PBES2: PBKDF2-HMAC-SHA256, AES-256-CBC), which openssl reads.
    pub fn to_pkcs8_pem(
        &self,
        passphrase: Option<&str>,
        random: &mut dyn RandomSource,
    ) -> Result<Zeroizing<String>> {
        let failed = |_| Error::new(ErrorKind::Failed, "the key could not be written as PKCS#8");
        let Some(passphrase) = passphrase else {
            return self.0.to_pkcs8_pem(LineEnding::LF).map_err(failed);
        };
        let (mut salt, mut iv) = ([0; 16], [0; 16]);
        random.fill(&mut salt)?;
        random.fill(&mut iv)?;
        let parameters = pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(ITERATIONS, &salt, iv)
            .map_err(|_| Error::new(ErrorKind::Failed, "the key could not be encrypted"))?;
        let der = self.0.to_pkcs8_der().map_err(failed)?;
        let info = PrivateKeyInfoRef::try_from(der.as_bytes()).map_err(failed)?;
        let sealed = info
            .encrypt_with_params(parameters, passphrase.as_bytes())
            .map_err(failed)?;
        sealed
            .to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF)
            .map_err(|_| Error::new(ErrorKind::Failed, "the key could not be written as PEM"))
    }

    /// Unwraps a data key: RSA-OAEP with SHA-256 and MGF1-SHA-256 (RFC 8017), blinded with `random`.
    pub(crate) fn unwrap(&self, wrapped: &[u8], random: &mut dyn RandomSource) -> Option<DataKey> {
        let bytes = Zeroizing::new(
            self.0
                .oaep_decrypt_with_rng::<Sha256, _>(&mut Rng(random), wrapped)
                .ok()?,
        );
        Some(DataKey::from_bytes(
            <[u8; 32]>::try_from(bytes.as_slice()).ok()?,
        ))
    }

    /// Bytes of the modulus.
    pub(crate) fn size(&self) -> usize {
        self.0.size()
    }
}

/// Whether a key file is encrypted with a passphrase of its own.
pub fn private_key_needs_passphrase(file: &[u8]) -> bool {
    matches!(Form::of(file), Ok(Form::Encrypted(_) | Form::Legacy(_)))
}

enum Form {
    Pkcs8(SecretDocument),
    Pkcs1(SecretDocument),
    Encrypted(SecretDocument),
    /// PEM text; see [`legacy`].
    Legacy(Zeroizing<String>),
}

impl Form {
    fn of(file: &[u8]) -> Result<Form> {
        if file.len() > MAX_KEY_FILE {
            return Err(Error::key(
                "this file is too large to be a private key; give the .pem file that holds the key",
            ));
        }
        match std::str::from_utf8(file)
            .ok()
            .filter(|text| text.contains("-----BEGIN "))
        {
            Some(pem) => Form::of_pem(pem),
            None => Form::of_der(file),
        }
    }

    fn of_pem(pem: &str) -> Result<Form> {
        if legacy::is_legacy(pem) {
            return Ok(Form::Legacy(Zeroizing::new(pem.to_owned())));
        }
        let start = pem.find("-----BEGIN ").unwrap_or_default();
        let (label, der) = SecretDocument::from_pem(pem[start..].trim_end()).map_err(|_| {
            Error::key("the private key file is not readable PEM; it is cut or was changed")
        })?;
        match label {
            "PRIVATE KEY" => Ok(Form::Pkcs8(der)),
            "RSA PRIVATE KEY" => Ok(Form::Pkcs1(der)),
            "ENCRYPTED PRIVATE KEY" => Ok(Form::Encrypted(der)),
            "PUBLIC KEY" | "RSA PUBLIC KEY" | "CERTIFICATE" => Err(public_given()),
            other => Err(Error::key(format!(
                "a file that holds {other} is not an RSA private key; give the recipient's private key"
            ))),
        }
    }

    fn of_der(der: &[u8]) -> Result<Form> {
        let document = || SecretDocument::try_from(der).map_err(|_| not_rsa());
        if EncryptedPrivateKeyInfoRef::try_from(der).is_ok() {
            Ok(Form::Encrypted(document()?))
        } else if rsa::PrivateKey::from_pkcs8_der(der).is_ok() {
            Ok(Form::Pkcs8(document()?))
        } else if rsa::PrivateKey::from_pkcs1_der(der).is_ok() {
            Ok(Form::Pkcs1(document()?))
        } else if rsa::PublicKey::from_public_key_der(der).is_ok() {
            Err(public_given())
        } else {
            Err(not_rsa())
        }
    }
}

fn decrypt(der: &[u8], passphrase: &str) -> Result<rsa::PrivateKey> {
    let info = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|_| unsupported_encryption())?;
    check_cost(&info.encryption_algorithm)?;
    let plain = info
        .decrypt(passphrase.as_bytes())
        .map_err(|_| wrong_passphrase())?;
    rsa::PrivateKey::from_pkcs8_der(plain.as_bytes()).map_err(|_| wrong_passphrase())
}

fn locked() -> Error {
    Error::key(
        "the private key is encrypted and needs its own passphrase: give --private-key-passphrase or set PRYV_BACKUP_PRIVATE_KEY_PASSPHRASE",
    )
}

pub(super) fn wrong_passphrase() -> Error {
    Error::key("wrong passphrase for the private key (or the key file is damaged)")
}

/// The file must not be able to ask for hours or for all memory.
fn check_cost(scheme: &EncryptionScheme) -> Result<()> {
    let too_much = || {
        Error::key(
            "the private key file asks for an absurd amount of work; it is damaged or hostile",
        )
    };
    // PBES1 is never decrypted here: without this its refusal would read as a wrong passphrase.
    let kdf = &scheme.pbes2().ok_or_else(unsupported_encryption)?.kdf;
    if kdf
        .pbkdf2()
        .is_some_and(|p| p.iteration_count > MAX_ITERATIONS)
    {
        return Err(too_much());
    }
    if let Some(p) = kdf.scrypt() {
        let memory = u64::from(p.block_size)
            .saturating_mul(128)
            .saturating_mul(p.cost_parameter);
        if memory > MAX_SCRYPT_MEMORY || p.parallelization > 16 {
            return Err(too_much());
        }
    }
    Ok(())
}

pub(super) fn unsupported_encryption() -> Error {
    Error::key(
        "the private key is encrypted in a way that is not supported; convert it once with: openssl pkcs8 -topk8 -v2 aes-256-cbc -in KEY.pem -out NEWKEY.pem, then use NEWKEY.pem",
    )
}

fn public_given() -> Error {
    Error::key("this is a public key; give the private key that belongs to it")
}

fn not_rsa() -> Error {
    Error::key("this file is not an RSA private key (PEM or DER, PKCS#8 or PKCS#1)")
}
