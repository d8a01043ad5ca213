//! Envelope and keys.

use js_sys::{Function, Uint8Array};
use wasm_bindgen::prelude::*;

use super::error::returned;
use crate::{Code, Error, PrivateKey, RandomSource, Spelling, envelope};

/// The host's random bytes.
struct HostRandom(Function);

impl RandomSource for HostRandom {
    fn fill(&mut self, out: &mut [u8]) -> crate::Result<()> {
        let bytes = Uint8Array::new_with_length(out.len() as u32);
        self.0
            .call1(&JsValue::NULL, &bytes)
            .map_err(|_| Error::of(Code::NoRandomness))?;
        bytes.copy_to(out);
        Ok(())
    }
}

/// `encryption.json`.
#[wasm_bindgen]
pub struct Envelope(envelope::Envelope);

/// The key of an archive.
#[wasm_bindgen]
pub struct DataKey(pub(super) crate::DataKey, Spelling);

#[wasm_bindgen]
impl DataKey {
    /// What is to be said of the passphrase that opened it, if anything.
    #[wasm_bindgen(getter)]
    pub fn note(&self) -> Option<String> {
        self.1.note()
    }

    /// The Unicode form in which the passphrase opened it, where that is not as it was given.
    #[wasm_bindgen(getter)]
    pub fn form(&self) -> Option<String> {
        self.1.form().map(str::to_owned)
    }
}

#[wasm_bindgen]
impl Envelope {
    /// Reads `encryption.json`.
    pub fn parse(json: &[u8]) -> Result<Envelope, JsValue> {
        Ok(Envelope(envelope::Envelope::parse(json)?))
    }

    /// Lets the stored bytes of `manifest.json` tell a wrong passphrase where the envelope itself cannot.
    #[wasm_bindgen(js_name = provenBy)]
    pub fn proven_by(&mut self, manifest: &[u8]) {
        self.0.proven_by(manifest);
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

    /// The error to show for a `manifest.json` (its stored bytes) that did not open.
    #[wasm_bindgen(js_name = manifestError)]
    pub fn manifest_error(&self, error: &JsValue, stored: &[u8]) -> JsValue {
        self.0.manifest_error(returned(error), stored).into()
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
        let data_key = self
            .0
            .unlock_with_private_key(&key, &mut HostRandom(fill_random))?;
        Ok(DataKey(data_key, key.spelling()))
    }

    /// Opens an archive that was sealed with a passphrase.
    #[wasm_bindgen(js_name = unlockWithPassphrase)]
    pub fn unlock_with_passphrase(&self, passphrase: String) -> Result<DataKey, JsValue> {
        let passphrase = zeroize::Zeroizing::new(passphrase);
        let (key, spelling) = self.0.unlock_spelled(&passphrase)?;
        Ok(DataKey(key, spelling))
    }
}

/// Whether a private key file is itself encrypted; throws where it is no private key.
#[wasm_bindgen(js_name = privateKeyNeedsPassphrase)]
pub fn private_key_needs_passphrase(key_file: &[u8]) -> Result<bool, JsValue> {
    Ok(crate::private_key_needs_passphrase(key_file)?)
}

/// The passphrase in the file called `name`.
#[wasm_bindgen(js_name = passphraseOfFile)]
pub fn passphrase_of_file(file: &[u8], name: &str) -> Result<String, JsValue> {
    Ok(crate::passphrase_of_file(file, name)?.to_string())
}
