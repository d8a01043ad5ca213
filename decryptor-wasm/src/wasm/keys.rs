//! Envelope and keys.

use js_sys::{Function, Uint8Array};
use wasm_bindgen::prelude::*;

use crate::{Error, ErrorKind, PrivateKey, RandomSource, envelope};

/// The host's random bytes.
struct HostRandom(Function);

impl RandomSource for HostRandom {
    fn fill(&mut self, out: &mut [u8]) -> crate::Result<()> {
        let bytes = Uint8Array::new_with_length(out.len() as u32);
        self.0
            .call1(&JsValue::NULL, &bytes)
            .map_err(|_| Error::new(ErrorKind::Failed, "the host gave no random bytes"))?;
        bytes.copy_to(out);
        Ok(())
    }
}

/// `encryption.json`.
#[wasm_bindgen]
pub struct Envelope(envelope::Envelope);

/// The key of an archive.
#[wasm_bindgen]
pub struct DataKey(pub(super) crate::DataKey);

#[wasm_bindgen]
impl Envelope {
    /// Reads `encryption.json`.
    pub fn parse(json: &[u8]) -> Result<Envelope, JsValue> {
        Ok(Envelope(envelope::Envelope::parse(json)?))
    }

    /// `hybrid`, `symmetric` or `symmetric-pbkdf2`.
    #[wasm_bindgen(getter)]
    pub fn mode(&self) -> String {
        self.0.mode().name().to_owned()
    }

    /// Whether the envelope carries the check of the data key.
    #[wasm_bindgen(getter, js_name = hasKeyCheck)]
    pub fn has_key_check(&self) -> bool {
        self.0.has_key_check()
    }

    /// Whether a key that unlocked it is known to be the right one; see `Envelope::proves_key` of the core.
    #[wasm_bindgen(getter, js_name = provesKey)]
    pub fn proves_key(&self) -> bool {
        self.0.proves_key()
    }

    /// Throws when it says otherwise in the clear than the sealed manifest does.
    #[wasm_bindgen(js_name = agreesWith)]
    pub fn agrees_with(&self, manifest: &[u8]) -> Result<(), JsValue> {
        Ok(self.0.agrees_with(&crate::Manifest::parse(manifest)?)?)
    }

    /// The error to show for a `manifest.json` (its stored bytes) that did not open: kind, then message.
    #[wasm_bindgen(js_name = manifestError)]
    pub fn manifest_error(&self, kind: &str, message: String, stored: &[u8]) -> JsValue {
        let error = Error::new(ErrorKind::named(kind), message);
        self.0.manifest_error(error, stored).into()
    }

    /// Opens a hybrid archive.
    #[wasm_bindgen(js_name = unlockWithPrivateKey)]
    pub fn unlock_with_private_key(
        &self,
        key_file: &[u8],
        passphrase: Option<String>,
        fill_random: Function,
    ) -> Result<DataKey, JsValue> {
        let passphrase = passphrase.map(zeroize::Zeroizing::new);
        let key = PrivateKey::parse(key_file, passphrase.as_ref().map(|p| p.as_str()))?;
        Ok(DataKey(self.0.unlock_with_private_key(
            &key,
            &mut HostRandom(fill_random),
        )?))
    }

    /// Opens an archive that was sealed with a passphrase.
    #[wasm_bindgen(js_name = unlockWithPassphrase)]
    pub fn unlock_with_passphrase(&self, passphrase: String) -> Result<DataKey, JsValue> {
        let passphrase = zeroize::Zeroizing::new(passphrase);
        Ok(DataKey(self.0.unlock_with_passphrase(&passphrase)?))
    }
}

/// Whether a private key file is itself encrypted.
#[wasm_bindgen(js_name = privateKeyNeedsPassphrase)]
pub fn private_key_needs_passphrase(key_file: &[u8]) -> bool {
    crate::private_key_needs_passphrase(key_file)
}
