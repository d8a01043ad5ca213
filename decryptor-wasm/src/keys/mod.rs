//! From a private key or a passphrase to the data key, and from there to each file's key.

mod file;
mod legacy;
mod passphrase;
mod private;
mod public;
mod random;
mod text;

pub(crate) use passphrase::spelled;
pub use passphrase::{Spelling, passphrase_of_file};
pub use private::{PrivateKey, private_key_needs_passphrase};
pub use public::PublicKey;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::Result;

/// Where random bytes come from: the core has no randomness of its own.
pub trait RandomSource {
    /// Fills `out` with bytes from a cryptographic generator.
    fn fill(&mut self, out: &mut [u8]) -> Result<()>;
}

/// The 32-byte key of an archive.
#[derive(Clone)]
pub struct DataKey(Zeroizing<[u8; 32]>);

/// The 32-byte key of one file.
pub struct FileKey(Zeroizing<[u8; 32]>);

impl DataKey {
    /// Wraps raw key bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        DataKey(Zeroizing::new(bytes))
    }

    /// A new random key.
    pub fn generate(random: &mut dyn RandomSource) -> Result<Self> {
        let mut bytes = Zeroizing::new([0; 32]);
        random.fill(&mut *bytes)?;
        Ok(DataKey(bytes))
    }

    /// The raw bytes, for wrapping.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key of the file whose header carries `salt`: HKDF-SHA256 (RFC 5869) with info `pryv-backup-file-v1`.
    pub fn file_key(&self, salt: &[u8; 16]) -> FileKey {
        FileKey(derive(&self.0, Some(salt), b"pryv-backup-file-v1"))
    }

    /// The value that the envelope carries so that a wrong key is told apart from damage: HKDF-SHA256 with an empty salt and info
    /// `pryv-backup-key-check-v1`.
    pub fn check_value(&self) -> [u8; 32] {
        *derive(&self.0, None, b"pryv-backup-key-check-v1")
    }
}

impl FileKey {
    /// The raw bytes, for the host's cipher.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

fn derive(key: &[u8; 32], salt: Option<&[u8]>, info: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    match Hkdf::<Sha256>::new(salt, key).expand(info, &mut *out) {
        Ok(()) => out,
        // HKDF refuses only outputs of more than 255 blocks.
        Err(_) => unreachable!("32 bytes are within the limit of HKDF"),
    }
}
