//! `encryption.json`: how to get the data key of an archive (docs/format.md, "Envelope").

mod change;
mod unlock;

use base64ct::{Base64, Encoding};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Code, DataKey, Error, ErrorKind, Field, PublicKey, RandomSource, Result,
    container::{CHUNK, FirstFrame},
    limits::{MAX_ENVELOPE, MAX_RECIPIENTS},
};

const ALGORITHM: &str = "AES-256-GCM-CHUNKED";
const WRAP: &str = "RSA-OAEP-SHA256";
/// scrypt as Pryv's reader can still open it (32 MiB cap), at OWASP's equivalent cost.
const SCRYPT: (u64, u32, u32) = (16384, 8, 5);
const PBKDF2_ITERATIONS: u32 = 600_000;

/// The way in which an archive is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// To the public keys of recipients.
    Hybrid,
    /// With a passphrase through scrypt.
    Symmetric,
    /// With a passphrase through PBKDF2-HMAC-SHA256.
    SymmetricPbkdf2,
}

/// The function that makes a key of a passphrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kdf {
    /// scrypt (RFC 7914): what Pryv's own tool reads.
    #[default]
    Scrypt,
    /// PBKDF2-HMAC-SHA256 (RFC 8018), for places that demand FIPS algorithms.
    Pbkdf2,
}

crate::object::objects!(EnvelopeJson, Recipient);

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
    /// The first frame of the manifest, which shows whether a key is the right one where there is no key check.
    proof: Option<FirstFrame>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", default)]
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
    /// Members that other versions add stay when an envelope is changed.
    #[serde(flatten, skip_deserializing)]
    other: Map<String, Value>,
}

/// The names of [`EnvelopeJson`].
const MEMBERS: [&str; 14] = [
    "v",
    "alg",
    "chunk",
    "mode",
    "wrap",
    "wrappedKey",
    "kdf",
    "salt",
    "N",
    "r",
    "p",
    "iterations",
    "recipients",
    "keyCheck",
];

/// One recipient of a hybrid archive.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", default)]
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
        if bytes.len() > MAX_ENVELOPE {
            return Err(wrong(Code::EnvelopeTooLarge));
        }
        let unreadable = |e: serde_json::Error| wrong(Code::EnvelopeUnreadable).because(&e);
        // In two steps: reading a flattened value makes the WASM larger than both.
        let mut json: EnvelopeJson = serde_json::from_slice(bytes).map_err(unreadable)?;
        json.other = serde_json::from_slice(bytes).map_err(unreadable)?;
        json.other
            .retain(|name, _| !MEMBERS.contains(&name.as_str()));
        let mode = [Mode::Hybrid, Mode::Symmetric, Mode::SymmetricPbkdf2]
            .into_iter()
            .find(|mode| mode.name() == json.mode)
            .ok_or_else(|| wrong(Code::EnvelopeMode).with(Field::Found, json.mode.as_str()))?;
        if json.v != 1 || json.alg != ALGORITHM {
            return Err(wrong(Code::EnvelopeVersion)
                .with(Field::Found, json.alg.as_str())
                .with(Field::Number, json.v));
        }
        if let Some(recipients) = &json.recipients {
            let first = recipients.first().map(|r| &r.wrapped_key);
            if recipients.len() > MAX_RECIPIENTS || first != json.wrapped_key.as_ref() {
                return Err(wrong(Code::EnvelopeRecipients));
            }
        }
        Ok(Envelope::new(mode, json))
    }

    fn new(mode: Mode, json: EnvelopeJson) -> Self {
        Envelope {
            mode,
            json,
            proof: None,
        }
    }

    /// Lets the archive's `manifest.json` (its stored bytes) tell a wrong passphrase where the envelope itself cannot.
    pub fn proven_by(&mut self, manifest: &[u8]) {
        if !self.proves_key() {
            self.proof = FirstFrame::of(manifest);
        }
    }

    /// The way in which the archive is locked.
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
        let whole = || FirstFrame::of(stored).is_some();
        if !self.proves_key() && error.kind() == ErrorKind::Damaged && whole() {
            return unlock::wrong_or_damaged();
        }
        error.at("manifest.json")
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
            return Err(Code::RecipientNeeded.into());
        };
        let json = EnvelopeJson {
            wrap: Some(WRAP.to_owned()),
            wrapped_key: Some(first.wrapped_key.clone()),
            recipients: Some(list),
            ..EnvelopeJson::new(Mode::Hybrid, key)
        };
        Ok(Envelope::new(Mode::Hybrid, json))
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
        let key = Envelope::new(mode, json.clone()).unlock_with_passphrase(passphrase)?;
        let common = EnvelopeJson::new(mode, &key);
        json = EnvelopeJson {
            v: common.v,
            alg: common.alg,
            chunk: common.chunk,
            key_check: common.key_check,
            ..json
        };
        Ok((Envelope::new(mode, json), key))
    }

    /// The file's bytes.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(&self.json).map_err(|e| wrong(Code::Failed).because(&e))
    }
}

/// An error of this file.
fn wrong(code: Code) -> Error {
    Error::of(code).at("encryption.json")
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
