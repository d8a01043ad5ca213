//! Private keys in the forms that people have them: PKCS#8, PKCS#8 encrypted with a passphrase, PKCS#1; PEM or DER; and the
//! encrypted PEM of old.

use pkcs8::{
    EncodePrivateKey, EncryptedPrivateKeyInfoRef, LineEnding, PrivateKeyInfoRef,
    pkcs5::{self, EncryptionScheme, pbes2},
};
use rsa::{
    BoxedUint,
    pkcs1::{RsaPrivateKeyRef, UintRef},
    traits::PublicKeyParts,
};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{
    DataKey, PublicKey, RandomSource,
    file::{Block, KeyFile, Shape, pkcs8_content},
    legacy,
    passphrase::{Spelling, spelled},
    public,
    random::Rng,
};
use crate::{
    Code, Error, Field, Result,
    limits::{MAX_ITERATIONS, MAX_SCRYPT_MEMORY},
};

/// Iterations for a key that we encrypt ourselves.
const ITERATIONS: u32 = 600_000;

/// An RSA private key.
pub struct PrivateKey {
    key: rsa::PrivateKey,
    spelling: Spelling,
}

impl PrivateKey {
    /// Reads a key file; `passphrase` is used only where the file is encrypted.
    pub fn parse(file: &[u8], passphrase: Option<&str>) -> Result<Self> {
        let form = Form::of(file)?;
        if let Form::Plain(der) = &form {
            return Ok(PrivateKey::from(rsa_key(der, cut)?));
        }
        let passphrase = passphrase.ok_or_else(locked)?;
        let (key, spelling) = spelled(passphrase, |passphrase| form.decrypt(passphrase))?;
        Ok(PrivateKey { key, spelling })
    }

    /// In which spelling the passphrase opened the file.
    pub fn spelling(&self) -> Spelling {
        self.spelling
    }

    /// A new key of `bits` bits.
    pub fn generate(bits: usize, random: &mut dyn RandomSource) -> Result<Self> {
        public::check_size(bits)?;
        rsa::PrivateKey::new(&mut Rng(random), bits)
            .map(PrivateKey::from)
            .map_err(|e| Error::of(Code::KeyNotMade).because(&e))
    }

    /// The public half.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.key.to_public_key())
    }

    /// The key as a PKCS#8 PEM; with a passphrase as encrypted PKCS#8 (PBES2: PBKDF2-HMAC-SHA256, AES-256-CBC), which openssl reads.
    pub fn to_pkcs8_pem(
        &self,
        passphrase: Option<&str>,
        random: &mut dyn RandomSource,
    ) -> Result<Zeroizing<String>> {
        let failed = |_| Error::of(Code::KeyNotWritten);
        let Some(passphrase) = passphrase else {
            return self.key.to_pkcs8_pem(LineEnding::LF).map_err(failed);
        };
        let (mut salt, mut iv) = ([0; 16], [0; 16]);
        random.fill(&mut salt)?;
        random.fill(&mut iv)?;
        let parameters = pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(ITERATIONS, &salt, iv)
            .map_err(|_| Error::of(Code::KeyNotWritten))?;
        let der = self.key.to_pkcs8_der().map_err(failed)?;
        let info = PrivateKeyInfoRef::try_from(der.as_bytes()).map_err(failed)?;
        let sealed = info
            .encrypt_with_params(parameters, passphrase.as_bytes())
            .map_err(failed)?;
        sealed
            .to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF)
            .map_err(|_| Error::of(Code::KeyNotWritten))
    }

    /// Unwraps a data key: RSA-OAEP with SHA-256 and MGF1-SHA-256 (RFC 8017), blinded with `random`.
    pub(crate) fn unwrap(&self, wrapped: &[u8], random: &mut dyn RandomSource) -> Option<DataKey> {
        let bytes = Zeroizing::new(
            self.key
                .oaep_decrypt_with_rng::<Sha256, _>(&mut Rng(random), wrapped)
                .ok()?,
        );
        Some(DataKey::from_bytes(
            <[u8; 32]>::try_from(bytes.as_slice()).ok()?,
        ))
    }

    /// Bytes of the modulus.
    pub(crate) fn size(&self) -> usize {
        self.key.size()
    }
}

impl From<rsa::PrivateKey> for PrivateKey {
    fn from(key: rsa::PrivateKey) -> Self {
        let spelling = Spelling::AsGiven;
        PrivateKey { key, spelling }
    }
}

/// Whether a key file is encrypted with a passphrase of its own; an error where it is no private key.
pub fn private_key_needs_passphrase(file: &[u8]) -> Result<bool> {
    Form::of(file).map(|form| !matches!(form, Form::Plain(_)))
}

enum Form {
    /// PKCS#8 or PKCS#1.
    Plain(Zeroizing<Vec<u8>>),
    /// Encrypted PKCS#8.
    Encrypted(Zeroizing<Vec<u8>>),
    /// See [`legacy`].
    Legacy {
        dek_info: String,
        body: Zeroizing<Vec<u8>>,
    },
}

impl Form {
    fn of(file: &[u8]) -> Result<Form> {
        match KeyFile::read(file)? {
            KeyFile::Pem(blocks) => Form::of_pem(blocks),
            KeyFile::Der(der) => match Shape::of(&der) {
                Shape::Other if file.starts_with(b"ssh-rsa ") => Err(public_given()),
                shape => Form::of_der(der, shape),
            },
        }
    }

    /// The first block that is a private key of RSA counts, wherever it is.
    fn of_pem(mut blocks: Vec<Block>) -> Result<Form> {
        let ours = ["PRIVATE KEY", "RSA PRIVATE KEY", "ENCRYPTED PRIVATE KEY"];
        let found = blocks.iter().position(|b| ours.contains(&b.label.as_str()));
        let Some(found) = found else {
            return Err(instead(&blocks));
        };
        let block = blocks.swap_remove(found);
        let content = block.content.ok_or_else(cut)?;
        match (block.dek_info, Shape::of(&content)) {
            (Some(dek_info), _) => Ok(Form::Legacy {
                dek_info,
                body: content,
            }),
            (None, Shape::Other) => Err(cut()),
            (None, shape) => Form::of_der(content, shape),
        }
    }

    fn of_der(der: Zeroizing<Vec<u8>>, shape: Shape) -> Result<Form> {
        match shape {
            Shape::Pkcs8 | Shape::Pkcs1 => Ok(Form::Plain(der)),
            Shape::Encrypted => Ok(Form::Encrypted(der)),
            Shape::Public | Shape::PublicPkcs1 => Err(public_given()),
            Shape::Certificate => Err(certificate_given()),
            Shape::Pkcs12 => Err(Code::Pkcs12Given.into()),
            Shape::Other => Err(not_rsa()),
        }
    }

    fn decrypt(&self, passphrase: &str) -> Result<rsa::PrivateKey> {
        match self {
            Form::Plain(der) => rsa_key(der, cut),
            Form::Encrypted(der) => decrypt(der, passphrase),
            Form::Legacy { dek_info, body } => {
                let der = legacy::decrypt(dek_info, body, passphrase)?;
                rsa_key(&der, wrong_passphrase)
            }
        }
    }
}

/// The error for a text that holds other things than a private key of RSA.
fn instead(blocks: &[Block]) -> Error {
    let labels: Vec<&str> = blocks.iter().map(|block| block.label.as_str()).collect();
    match labels.as_slice() {
        [] => cut(),
        _ if labels.contains(&"OPENSSH PRIVATE KEY") => Code::OpensshGiven.into(),
        _ if labels.iter().any(|label| label.ends_with("PUBLIC KEY")) => public_given(),
        _ if labels.contains(&"CERTIFICATE") => certificate_given(),
        [first, ..] => not_rsa().with(Field::Found, *first),
    }
}

/// The key in PKCS#8 or PKCS#1. `garbled` says what it means that it is neither.
fn rsa_key(der: &[u8], garbled: fn() -> Error) -> Result<rsa::PrivateKey> {
    let content = match Shape::of(der) {
        Shape::Pkcs8 => pkcs8_content(der).ok_or_else(not_rsa)?,
        Shape::Pkcs1 => der,
        _ => return Err(garbled()),
    };
    let parts = RsaPrivateKeyRef::try_from(content).map_err(|_| garbled())?;
    public::check(&parts.modulus, &parts.public_exponent)?;
    // Primes of very different sizes need wider arithmetic; where they are missing or wrong, they follow from the rest.
    key_of(&parts, true, false)
        .or_else(|| key_of(&parts, true, true))
        .or_else(|| key_of(&parts, false, true))
        .ok_or_else(garbled)
}

/// The key from modulus, exponents and, if they are to count, the primes, of which there may be more than two.
fn key_of(parts: &RsaPrivateKeyRef<'_>, primes: bool, wide: bool) -> Option<rsa::PrivateKey> {
    let bits = u32::try_from(parts.modulus.as_bytes().len()).ok()? * 8;
    let number = |part: &UintRef<'_>| BoxedUint::from_be_slice(part.as_bytes(), bits).ok();
    let others = parts.other_prime_infos.iter().flatten();
    let factors = [&parts.prime1, &parts.prime2]
        .into_iter()
        .chain(others.map(|other| &other.prime))
        .filter(|_| primes);
    let make = match wide {
        true => rsa::PrivateKey::from_components_with_wide_primes,
        false => rsa::PrivateKey::from_components,
    };
    make(
        number(&parts.modulus)?,
        number(&parts.public_exponent)?,
        number(&parts.private_exponent)?,
        factors.map(number).collect::<Option<_>>()?,
    )
    .ok()
}

fn decrypt(der: &[u8], passphrase: &str) -> Result<rsa::PrivateKey> {
    let info = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|_| unsupported_encryption())?;
    check_cost(&info.encryption_algorithm)?;
    let plain = info
        .decrypt(passphrase.as_bytes())
        .map_err(|error| match error {
            pkcs8::Error::EncryptedPrivateKey(
                pkcs5::Error::UnsupportedAlgorithm { .. }
                | pkcs5::Error::AlgorithmParametersInvalid { .. },
            ) => unsupported_encryption(),
            _ => wrong_passphrase(),
        })?;
    rsa_key(plain.as_bytes(), wrong_passphrase)
}

fn locked() -> Error {
    Code::PrivateKeyLocked.into()
}

fn wrong_passphrase() -> Error {
    Code::PrivateKeyPassphrase.into()
}

/// The file must not be able to ask for hours or for all memory.
fn check_cost(scheme: &EncryptionScheme) -> Result<()> {
    let too_much = || Error::of(Code::PrivateKeyCost);
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

fn unsupported_encryption() -> Error {
    Code::PrivateKeyForm.into()
}

fn public_given() -> Error {
    Code::PublicKeyGiven.into()
}

fn certificate_given() -> Error {
    Code::CertificateGiven.into()
}

fn cut() -> Error {
    Code::PrivateKeyCut.into()
}

fn not_rsa() -> Error {
    Code::NotAPrivateKey.into()
}
