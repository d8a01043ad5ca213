//! `encryption.json`: how the data key of an archive is had (docs/format.md, "Envelope").

mod change;

use base64ct::{Base64, Encoding};
use pbkdf2::pbkdf2_hmac;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{
    DataKey, Error, ErrorKind, PrivateKey, PublicKey, RandomSource, Result,
    container::{CHUNK, first_frame_is_whole},
    keys::MAX_SCRYPT_MEMORY,
};

const ALGORITHM: &str = "AES-256-GCM-CHUNKED";
const WRAP: &str = "RSA-OAEP-SHA256";
const MAX_ENVELOPE: usize = 1024 * 1024;
const MAX_RECIPIENTS: usize = 1000;
const MAX_ITERATIONS: u32 = 10_000_000;
/// scrypt as Pryv's reader can still open it (32 MiB cap), at OWASP's equivalent cost.
const SCRYPT: (u64, u32, u32) = (16384, 8, 5);
const PBKDF2_ITERATIONS: u32 = 600_000;

/// How an archive is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// To the public keys of recipients.
    Hybrid,
    /// With a passphrase through scrypt.
    Symmetric,
    /// With a passphrase through PBKDF2-HMAC-SHA256.
    SymmetricPbkdf2,
}

/// How a passphrase becomes a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kdf {
    /// scrypt (RFC 7914): what Pryv's own tool reads.
    #[default]
    Scrypt,
    /// PBKDF2-HMAC-SHA256 (RFC 8018), for places that demand FIPS algorithms.
    Pbkdf2,
}

impl Mode {
    /// The name in the file.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Hybrid => "hybrid",
            Mode::Symmetric => "symmetric",
            Mode::SymmetricPbkdf2 => "symmetric-pbkdf2",
        }
    }
}

/// The envelope of an archive.
#[derive(Debug, Clone)]
pub struct Envelope {
    mode: Mode,
    json: EnvelopeJson,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct EnvelopeJson {
    v: u32,
    alg: String,
    chunk: u64,
    mode: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    wrap: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wrapped_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kdf: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    salt: Option<String>,
    #[serde(rename = "N", skip_serializing_if = "Option::is_none")]
    n: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iterations: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipients: Option<Vec<Recipient>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_check: Option<String>,
    /// What other versions add stays when an envelope is changed.
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// One recipient of a hybrid archive.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Recipient {
    /// Hex SHA-256 of the recipient's SubjectPublicKeyInfo.
    pub fingerprint: String,
    /// Always `RSA-OAEP-SHA256`.
    pub wrap: String,
    /// Base64 of the data key, wrapped to this recipient.
    pub wrapped_key: String,
}

impl Envelope {
    /// Reads `encryption.json`.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let damaged = |what: &str| {
            Error::damaged(format!(
                "encryption.json: {what}; the file is damaged or was replaced"
            ))
        };
        if bytes.len() > MAX_ENVELOPE {
            return Err(damaged("larger than any envelope"));
        }
        let json: EnvelopeJson =
            serde_json::from_slice(bytes).map_err(|e| damaged(&format!("cannot be read ({e})")))?;
        let mode = [Mode::Hybrid, Mode::Symmetric, Mode::SymmetricPbkdf2]
            .into_iter()
            .find(|mode| mode.name() == json.mode)
            .ok_or_else(|| {
                Error::unsupported(format!(
                    "encryption.json: mode {:?} is not known to this version; use the decryptor that came with the archive",
                    json.mode
                ))
            })?;
        if json.v != 1 || json.alg != ALGORITHM {
            return Err(Error::unsupported(format!(
                "encryption.json: {} version {} is not known to this version",
                json.alg, json.v
            )));
        }
        if let Some(recipients) = &json.recipients {
            let first = recipients.first().map(|r| &r.wrapped_key);
            if recipients.len() > MAX_RECIPIENTS || first != json.wrapped_key.as_ref() {
                return Err(damaged(
                    "the list of recipients contradicts the wrapped key",
                ));
            }
        }
        Ok(Envelope { mode, json })
    }

    /// How the archive is locked.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Fingerprints of the recipients; empty in archives of Pryv's own tool.
    pub fn recipients(&self) -> &[Recipient] {
        self.json.recipients.as_deref().unwrap_or_default()
    }

    /// Whether the envelope carries the check of the data key.
    pub fn has_key_check(&self) -> bool {
        self.json.key_check.is_some()
    }

    /// Whether a key that unlocked it is known to be the right one: by the key check, or because unwrapping with a wrong private key
    /// fails by itself (OAEP). Otherwise a first frame that does not open means a wrong passphrase or damage.
    pub fn proves_key(&self) -> bool {
        self.has_key_check() || self.mode == Mode::Hybrid
    }

    /// The error for a `manifest.json` (its stored bytes) that did not open with the key of this envelope.
    pub fn manifest_error(&self, error: Error, stored: &[u8]) -> Error {
        if !self.proves_key() && error.kind() == ErrorKind::Damaged && first_frame_is_whole(stored)
        {
            return Error::key(
                "the passphrase is wrong, or manifest.json is damaged (this archive has no key check to tell which): try the right passphrase, then another copy of the backup",
            );
        }
        error.at("manifest.json")
    }

    /// The data key of a hybrid archive.
    pub fn unlock_with_private_key(
        &self,
        key: &PrivateKey,
        random: &mut dyn RandomSource,
    ) -> Result<DataKey> {
        if self.mode != Mode::Hybrid {
            return Err(Error::key(
                "this archive is locked with a passphrase, not with a key: give the passphrase",
            ));
        }
        let fingerprint = key.public_key().fingerprint()?;
        let listed = self
            .recipients()
            .iter()
            .find(|r| r.fingerprint == fingerprint);
        let wrong = || {
            let known = self
                .recipients()
                .iter()
                .map(|r| r.fingerprint.as_str())
                .collect::<Vec<_>>()
                .join(", ");
            let whose = if known.is_empty() {
                String::new()
            } else {
                format!(" (it opens with: {known})")
            };
            Error::key(format!(
                "wrong private key: the archive was not made for the key {fingerprint}{whose}"
            ))
        };
        if listed.is_none() && !self.recipients().is_empty() {
            return Err(wrong());
        }
        let wrapped = listed
            .map(|r| r.wrapped_key.as_str())
            .or(self.json.wrapped_key.as_deref())
            .unwrap_or_default();
        let wrapped = Base64::decode_vec(wrapped).map_err(|_| {
            Error::damaged("encryption.json: the wrapped key cannot be read; the file is damaged")
        })?;
        let unwrapped = (wrapped.len() == key.size())
            .then(|| key.unwrap(&wrapped, random))
            .flatten();
        match (unwrapped, listed) {
            (Some(data_key), _) => self.checked(data_key),
            (None, Some(_)) => Err(Error::damaged(
                "encryption.json: the archive names this key as a recipient, but its wrapped key does not open; the file is damaged",
            )),
            (None, None) => Err(wrong()),
        }
    }

    /// The data key of an archive that is locked with a passphrase.
    pub fn unlock_with_passphrase(&self, passphrase: &str) -> Result<DataKey> {
        let hostile = |what: &str| {
            Error::damaged(format!(
                "encryption.json: {what}; the file is damaged or hostile"
            ))
        };
        let salt = Base64::decode_vec(self.json.salt.as_deref().unwrap_or_default())
            .map_err(|_| hostile("the salt cannot be read"))?;
        let mut key = Zeroizing::new([0; 32]);
        match self.mode {
            Mode::Hybrid => {
                return Err(Error::key(
                    "this archive is locked to a recipient's key: give --private-key with the private key file",
                ));
            }
            _ if !(8..=64).contains(&salt.len()) => {
                return Err(hostile("the salt has an impossible length"));
            }
            Mode::Symmetric => {
                let (n, r, p) = (
                    self.json.n.unwrap_or(0),
                    self.json.r.unwrap_or(0),
                    self.json.p.unwrap_or(0),
                );
                let memory = n.saturating_mul(128).saturating_mul(u64::from(r));
                if !n.is_power_of_two() || n < 2 || memory > MAX_SCRYPT_MEMORY || p > 16 {
                    return Err(hostile("the scrypt cost is out of bounds"));
                }
                let params = scrypt::Params::new(n.trailing_zeros() as u8, r, p)
                    .map_err(|_| hostile("the scrypt cost is out of bounds"))?;
                scrypt::scrypt(passphrase.as_bytes(), &salt, &params, &mut *key)
                    .map_err(|_| hostile("scrypt failed"))?;
            }
            Mode::SymmetricPbkdf2 => {
                let iterations = self.json.iterations.unwrap_or(0);
                if iterations == 0 || iterations > MAX_ITERATIONS {
                    return Err(hostile("the PBKDF2 cost is out of bounds"));
                }
                pbkdf2_hmac::<Sha256>(passphrase.as_bytes(), &salt, iterations, &mut *key);
            }
        }
        self.checked(DataKey::from_bytes(*key))
    }

    fn checked(&self, key: DataKey) -> Result<DataKey> {
        match &self.json.key_check {
            Some(check) if *check != Base64::encode_string(&key.check_value()) => {
                Err(match self.mode {
                    Mode::Hybrid => Error::damaged(
                        "encryption.json: the wrapped key is not the key of this archive; the file was changed",
                    ),
                    _ => Error::key(
                        "wrong passphrase for this archive: give it exactly as it was when the backup was made",
                    ),
                })
            }
            _ => Ok(key),
        }
    }

    /// An envelope that wraps `key` to every recipient.
    pub fn for_recipients(
        key: &DataKey,
        recipients: &[PublicKey],
        random: &mut dyn RandomSource,
    ) -> Result<Self> {
        let mut list = Vec::new();
        for recipient in recipients {
            list.push(Recipient {
                fingerprint: recipient.fingerprint()?,
                wrap: WRAP.to_owned(),
                wrapped_key: Base64::encode_string(&recipient.wrap(key, random)?),
            });
        }
        let Some(first) = list.first() else {
            return Err(Error::new(
                ErrorKind::Usage,
                "an archive needs at least one recipient",
            ));
        };
        let json = EnvelopeJson {
            wrap: Some(WRAP.to_owned()),
            wrapped_key: Some(first.wrapped_key.clone()),
            recipients: Some(list),
            ..EnvelopeJson::new(Mode::Hybrid, key)
        };
        Ok(Envelope {
            mode: Mode::Hybrid,
            json,
        })
    }

    /// An envelope for a passphrase, and the data key that follows from it.
    pub fn for_passphrase(
        kdf: Kdf,
        passphrase: &str,
        random: &mut dyn RandomSource,
    ) -> Result<(Self, DataKey)> {
        let mut salt = [0; 16];
        random.fill(&mut salt)?;
        let mode = match kdf {
            Kdf::Scrypt => Mode::Symmetric,
            Kdf::Pbkdf2 => Mode::SymmetricPbkdf2,
        };
        let mut json = EnvelopeJson {
            mode: mode.name().to_owned(),
            salt: Some(Base64::encode_string(&salt)),
            ..EnvelopeJson::default()
        };
        match kdf {
            Kdf::Scrypt => {
                json.kdf = Some("scrypt".to_owned());
                (json.n, json.r, json.p) = (Some(SCRYPT.0), Some(SCRYPT.1), Some(SCRYPT.2));
            }
            Kdf::Pbkdf2 => {
                json.kdf = Some("PBKDF2-HMAC-SHA256".to_owned());
                json.iterations = Some(PBKDF2_ITERATIONS);
            }
        }
        let key = Envelope {
            mode,
            json: json.clone(),
        }
        .unlock_with_passphrase(passphrase)?;
        let common = EnvelopeJson::new(mode, &key);
        json = EnvelopeJson {
            v: common.v,
            alg: common.alg,
            chunk: common.chunk,
            key_check: common.key_check,
            ..json
        };
        Ok((Envelope { mode, json }, key))
    }

    /// The file's bytes.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(&self.json)
            .map_err(|e| Error::new(ErrorKind::Failed, format!("encryption.json: {e}")))
    }
}

impl EnvelopeJson {
    fn new(mode: Mode, key: &DataKey) -> Self {
        EnvelopeJson {
            v: 1,
            alg: ALGORITHM.to_owned(),
            chunk: CHUNK as u64,
            mode: mode.name().to_owned(),
            key_check: Some(Base64::encode_string(&key.check_value())),
            ..EnvelopeJson::default()
        }
    }
}
