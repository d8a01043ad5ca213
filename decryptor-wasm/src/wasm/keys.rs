//! Envelope and keys.

use std::sync::Arc;

use js_sys::{Function, Uint8Array};
use wasm_bindgen::prelude::*;
use zeroize::Zeroizing;

use crate::{Code, Error, PrivateKey, RandomSource, Result, Spelling, envelope};

/// The host's random bytes.
struct HostRandom(Function);

impl RandomSource for HostRandom {
    fn fill(&mut self, out: &mut [u8]) -> Result<()> {
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

getters! { DataKey(key):
    /// A note on the spelling of the passphrase that opened it, if there is one to make.
    note: Option<String> = key.1.note();
    /// The Unicode form in which the passphrase opened it, where that is not as it was given.
    form: Option<String> = key.1.form().map(str::to_owned);
}

getters! { Envelope(envelope):
    /// `hybrid`, `symmetric` or `symmetric-pbkdf2`.
    mode: String = envelope.0.mode().name().to_owned();
}

#[wasm_bindgen]
impl Envelope {
    /// Reads `encryption.json`.
    pub fn parse(json: &[u8]) -> Result<Envelope> {
        Ok(Envelope(Arc::new(envelope::Envelope::parse(json)?)))
    }

    /// Opens an archive that was sealed to the holders of keys.
    #[wasm_bindgen(js_name = unlockWithPrivateKey)]
    pub fn unlock_with_private_key(
        &self,
        key_file: &[u8],
        passphrase: Option<String>,
        fill_random: Function,
    ) -> Result<DataKey> {
        let passphrase = passphrase.map(Zeroizing::new);
        let key = PrivateKey::parse(key_file, passphrase.as_ref().map(|p| p.as_str()))?;
        let random = &mut HostRandom(fill_random);
        let data_key = self.0.unlock_with_private_key(&key, random)?;
        Ok(DataKey(data_key, key.spelling()))
    }

    /// Opens an archive that was sealed with a passphrase.
    #[wasm_bindgen(js_name = unlockWithPassphrase)]
    pub fn unlock_with_passphrase(&self, passphrase: String) -> Result<DataKey> {
        let (key, spelling) = self.0.unlock_spelled(&Zeroizing::new(passphrase))?;
        Ok(DataKey(key, spelling))
    }
}

/// Whether a private key file is itself encrypted; throws where it is no private key.
#[wasm_bindgen(js_name = privateKeyNeedsPassphrase)]
pub fn private_key_needs_passphrase(key_file: &[u8]) -> Result<bool> {
    crate::private_key_needs_passphrase(key_file)
}

/// The passphrase in the file called `name`.
#[wasm_bindgen(js_name = passphraseOfFile)]
pub fn passphrase_of_file(file: &[u8], name: &str) -> Result<String> {
    Ok(crate::passphrase_of_file(file, name)?.to_string())
}
