//! From a secret to the data key.

use base64ct::{Base64, Encoding};
use pbkdf2::pbkdf2_hmac;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{Envelope, Mode, wrong};
use crate::{
    Code, DataKey, Error, Field, PrivateKey, RandomSource, Result, Spelling,
    keys::spelled,
    limits::{MAX_ITERATIONS, MAX_SCRYPT_MEMORY},
};

impl Envelope {
    /// The data key of a hybrid archive.
    pub fn unlock_with_private_key(
        &self,
        key: &PrivateKey,
        random: &mut dyn RandomSource,
    ) -> Result<DataKey> {
        if self.mode != Mode::Hybrid {
            return Err(Code::LockedWithPassphrase.into());
        }
        let fingerprint = key.public_key().fingerprint()?;
        let listed = self
            .recipients()
            .iter()
            .find(|r| r.fingerprint == fingerprint);
        let other_key = || {
            let known = self
                .recipients()
                .iter()
                .map(|r| r.fingerprint.clone())
                .collect::<Vec<_>>()
                .join(", ");
            let error = Error::of(Code::WrongPrivateKey).with(Field::Key, fingerprint.as_str());
            match known.is_empty() {
                true => error,
                false => error.with(Field::Expected, known),
            }
        };
        if listed.is_none() && !self.recipients().is_empty() {
            return Err(other_key());
        }
        let wrapped = listed
            .map(|r| r.wrapped_key.as_str())
            .or(self.json.wrapped_key.as_deref())
            .unwrap_or_default();
        let wrapped = Base64::decode_vec(wrapped).map_err(|_| wrong(Code::WrappedKeyUnreadable))?;
        let unwrapped = (wrapped.len() == key.size())
            .then(|| key.unwrap(&wrapped, random))
            .flatten();
        match (unwrapped, listed) {
            (Some(data_key), _) => self.checked(data_key),
            (None, Some(_)) => Err(wrong(Code::WrappedKeyBroken)),
            (None, None) => Err(other_key()),
        }
    }

    /// The data key of an archive that is locked with a passphrase.
    pub fn unlock_with_passphrase(&self, passphrase: &str) -> Result<DataKey> {
        self.unlock_spelled(passphrase).map(|(key, _)| key)
    }

    /// The same, and in which spelling of the passphrase it was had.
    pub fn unlock_spelled(&self, passphrase: &str) -> Result<(DataKey, Spelling)> {
        spelled(passphrase, |passphrase| self.derive(passphrase))
    }

    fn derive(&self, passphrase: &str) -> Result<DataKey> {
        let hostile = |what: &str| wrong(Code::EnvelopeBounds).with(Field::Found, what);
        let salt = Base64::decode_vec(self.json.salt.as_deref().unwrap_or_default())
            .map_err(|_| hostile("salt"))?;
        let mut key = Zeroizing::new([0; 32]);
        match self.mode {
            Mode::Hybrid => {
                return Err(Code::LockedToKey.into());
            }
            _ if !(8..=64).contains(&salt.len()) => {
                return Err(hostile("salt"));
            }
            Mode::Symmetric => {
                let (n, r, p) = (
                    self.json.n.unwrap_or(0),
                    self.json.r.unwrap_or(0),
                    self.json.p.unwrap_or(0),
                );
                let memory = n.saturating_mul(128).saturating_mul(u64::from(r));
                if !n.is_power_of_two() || n < 2 || memory > MAX_SCRYPT_MEMORY || p > 16 {
                    return Err(hostile("scrypt cost"));
                }
                let params = scrypt::Params::new(n.trailing_zeros() as u8, r, p)
                    .map_err(|_| hostile("scrypt cost"))?;
                scrypt::scrypt(passphrase.as_bytes(), &salt, &params, &mut *key)
                    .map_err(|_| hostile("scrypt cost"))?;
            }
            Mode::SymmetricPbkdf2 => {
                let iterations = self.json.iterations.unwrap_or(0);
                if iterations == 0 || iterations > MAX_ITERATIONS {
                    return Err(hostile("PBKDF2 cost"));
                }
                pbkdf2_hmac::<Sha256>(passphrase.as_bytes(), &salt, iterations, &mut *key);
            }
        }
        self.checked(DataKey::from_bytes(*key))
    }

    fn checked(&self, key: DataKey) -> Result<DataKey> {
        match (&self.json.key_check, &self.proof) {
            (Some(check), _) if *check != Base64::encode_string(&key.check_value()) => {
                Err(match self.mode {
                    Mode::Hybrid => wrong(Code::WrappedKeyForeign),
                    _ => Code::WrongPassphrase.into(),
                })
            }
            (None, Some(frame)) if !frame.opens(&key) => Err(wrong_or_damaged()),
            _ => Ok(key),
        }
    }
}

pub(super) fn wrong_or_damaged() -> Error {
    Code::WrongPassphraseOrDamage.into()
}
