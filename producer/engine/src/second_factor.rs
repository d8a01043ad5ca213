//! Secrets of second factors (TOTP, RFC 6238) as Pryv.io stores them in private profiles: sealed with AES-256-GCM under a key that its
//! configuration holds.

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{AeadInOut, Nonce, Tag},
};
use base64ct::{Base64, Encoding};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// The key that seals them.
#[derive(Clone, PartialEq, Eq)]
pub struct SecondFactorKey(Zeroizing<[u8; BYTES]>);

const BYTES: usize = 32;
/// What Pryv.io derives the key for, where it derives it.
const PURPOSE: &[u8] = b"mfa-totp-secrets-v1";
/// Version, nonce and tag in front of what is sealed.
const VERSION: u8 = 1;
const NONCE: usize = 12;
const TAG: usize = 16;

impl std::fmt::Debug for SecondFactorKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(not shown)")
    }
}

impl SecondFactorKey {
    /// Reads `services.mfa.methods.totp.secretsKey`, the base64 of 32 bytes; none when it is something else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut key = Zeroizing::new([0; BYTES]);
        let read = Base64::decode(text.trim(), &mut *key).ok()?.len();
        (read == BYTES).then_some(Self(key))
    }

    /// The key that Pryv.io derives from `auth.adminAccessKey` where no other is set (HKDF-SHA256, RFC 5869, without salt).
    #[must_use]
    pub fn of_admin_key(admin_key: &str) -> Self {
        let mut key = Zeroizing::new([0; BYTES]);
        let derived = Hkdf::<Sha256>::new(None, admin_key.as_bytes()).expand(PURPOSE, &mut *key);
        debug_assert!(derived.is_ok(), "32 bytes are few enough");
        Self(key)
    }

    /// Whether it opens a stored secret: the base64 of a version byte (1), a nonce, a tag and what is sealed. What comes out is wiped.
    #[must_use]
    pub fn opens(&self, stored: &str) -> bool {
        let Ok(bytes) = Base64::decode_vec(stored) else {
            return false;
        };
        let Some((&VERSION, rest)) = bytes.split_first() else {
            return false;
        };
        let Some((nonce, rest)) = rest.split_at_checked(NONCE) else {
            return false;
        };
        let Some((tag, sealed)) = rest.split_at_checked(TAG) else {
            return false;
        };
        let (Ok(nonce), Ok(tag)) = (
            Nonce::<Aes256Gcm>::try_from(nonce),
            Tag::<Aes256Gcm>::try_from(tag),
        ) else {
            return false;
        };
        let mut secret = Zeroizing::new(sealed.to_vec());
        Aes256Gcm::new((&*self.0).into())
            .decrypt_inout_detached(&nonce, &[], secret.as_mut_slice().into(), &tag)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sealed by Node.js as Pryv.io seals, under `hkdfSync('sha256', 'an admin key of the tests', '', 'mfa-totp-secrets-v1', 32)` and under 32
    /// bytes of 7.
    const DERIVED: &str = "AQMDAwMDAwMDAwMDAy26BnNpZWmqujEak4GTkLUs1q/I1Q4jvyEe8CI1tCx0";
    const SET: &str = "AQMDAwMDAwMDAwMDAyJQypKgoE984na17nC1r25vvPBUAxsaEj8IExfYB6dc";

    #[test]
    fn a_secret_opens_with_its_key_only() {
        let derived = SecondFactorKey::of_admin_key("an admin key of the tests");
        let set = SecondFactorKey::parse("BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=").unwrap();
        assert!(derived.opens(DERIVED) && set.opens(SET));
        assert!(!derived.opens(SET) && !set.opens(DERIVED));
        for wrong in ["", "AQ==", "no base64", &DERIVED.replacen("AQ", "Ag", 1)] {
            assert!(!derived.opens(wrong), "{wrong}");
        }
        assert_eq!(SecondFactorKey::parse("BwcH"), None);
    }
}
