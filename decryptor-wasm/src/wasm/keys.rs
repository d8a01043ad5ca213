//! Envelope and keys.

use std::sync::Arc;

use js_sys::{Function, Uint8Array};
use wasm_bindgen::prelude::*;

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
pub struct Envelope(pub(super) Arc<envelope::Envelope>);

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
        Ok(Envelope(Arc::new(envelope::Envelope::parse(json)?)))
    }

    /// `hybrid`, `symmetric` or `symmetric-pbkdf2`.
    #[wasm_bindgen(getter)]
    pub fn mode(&self) -> String {
        self.0.mode().name().to_owned()
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
