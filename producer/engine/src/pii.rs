//! Names and values of users in the platform's own database, as they are stored there in the hashed mode (`platform.piiMode`):
//! HMAC-SHA256 in lower-case hex instead of the text.

use base64ct::{Base64, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The key of the tokens, `platform.piiHmacKey`, filled up with zeros to a block of the hash (RFC 2104).
#[derive(Clone, PartialEq, Eq)]
pub struct PiiKey(Zeroizing<[u8; 64]>);

/// Bytes that are not zeros by definition.
const BYTES: usize = 32;

impl std::fmt::Debug for PiiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(not shown)")
    }
}

impl PiiKey {
    /// Reads the base64 of 32 bytes; `None` when it is something else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut key = Zeroizing::new([0; 64]);
        let read = Base64::decode(text.trim(), &mut key[..BYTES]).ok()?.len();
        (read == BYTES).then_some(Self(key))
    }

    /// Token for a value of a field. Spaces around it do not count, nor, in e-mail addresses, capitals.
    #[must_use]
    pub fn token(&self, field: &str, value: &str) -> String {
        let value = value.trim();
        let lower = (field == "email").then(|| value.to_lowercase());
        let mut mac = <Hmac<Sha256> as KeyInit>::new(&(*self.0).into());
        mac.update(field.as_bytes());
        mac.update(&[0]);
        mac.update(lower.as_deref().unwrap_or(value).as_bytes());
        let bytes = mac.finalize().into_bytes();
        crate::text::hex(&bytes)
    }

    /// Token for a username.
    #[must_use]
    pub fn username(&self, username: &str) -> String {
        self.token("username", username)
    }
}

/// How the platform's own database names users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pii {
    /// As they are called.
    Cleartext,
    /// By tokens of this key; none when the configuration holds no key.
    Hashed(Option<PiiKey>),
}

impl Pii {
    /// The name used in configurations and manifests.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Cleartext => "cleartext",
            Self::Hashed(_) => "hashed",
        }
    }

    /// Token for a username there; `None` when the key is missing.
    #[must_use]
    pub fn username(&self, username: &str) -> Option<String> {
        match self {
            Self::Cleartext => Some(username.to_owned()),
            Self::Hashed(key) => key.as_ref().map(|key| key.username(username)),
        }
    }
}

/// Whether a name is what stands for one: usernames are shorter.
pub fn is_token(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tokens of Pryv.io itself for this key.
    #[test]
    fn tokens_are_those_of_pryv() {
        let key = PiiKey::parse("BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=").unwrap();
        assert_eq!(
            key.username("alice"),
            "008f6a1da2ab7e27006bffce4da3eaa4280ea2499aa79d6bf026a56f70ddf86f"
        );
        assert_eq!(
            key.token("email", " User@X.com "),
            "e7fffa8623f95604527d47910b1ec896588f289a312b66a722e584d5e04f3177"
        );
        assert_eq!(PiiKey::parse("BwcH"), None);
        assert_eq!(PiiKey::parse(""), None);
    }
}
