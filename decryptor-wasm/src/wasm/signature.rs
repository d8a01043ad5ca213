//! Who made an archive, and what is asked of it.

use wasm_bindgen::prelude::*;

use super::archive::{from_json, to_json};
use crate::{
    Manifest,
    signature::{self, Signer},
};

/// What is signed of a run; of an archive that nobody signs, that.
#[wasm_bindgen]
pub struct Signed(pub(super) Option<signature::Signed>);

#[wasm_bindgen]
impl Signed {
    /// Throws unless `json` is a manifest of a version that is known, in a file (its summary) as it was written, and `minisig` the
    /// signature of its `stored` bytes. `sealed`: whether it is encrypted.
    pub fn check(
        json: &[u8],
        summary: &str,
        stored: &[u8],
        minisig: Option<Vec<u8>>,
        sealed: bool,
    ) -> Result<Signed, JsValue> {
        let manifest = Manifest::parse(json)?;
        crate::plan::judge_manifest(&manifest, &from_json(summary)?)?;
        let minisig = minisig.as_deref();
        let signed = signature::Signed::check(&manifest, stored, minisig, sealed)?;
        Ok(Signed(signed))
    }

    /// The line of the signer's public key; undefined for an archive that nobody signs.
    #[wasm_bindgen(getter)]
    pub fn signer(&self) -> Option<String> {
        self.0.as_ref().map(|signed| signed.signer.to_string())
    }
}

/// What is asked of an archive; see `Demands` of the core.
#[wasm_bindgen]
pub struct Demands(pub(super) signature::Demands);

#[wasm_bindgen]
impl Demands {
    /// Nothing is asked yet; `now`: milliseconds since 1970.
    #[wasm_bindgen(constructor)]
    pub fn new(now: f64) -> Demands {
        Demands(signature::Demands {
            now: now as i64,
            ..signature::Demands::default()
        })
    }

    /// Pins a signer, by the line of the public key or a minisign `.pub` file; throws when it is none.
    pub fn pin(&mut self, signer: &str) -> Result<(), JsValue> {
        self.0.signers.push(Signer::parse(signer)?);
        Ok(())
    }

    /// Asks for a platform.
    #[wasm_bindgen(js_name = expectSource)]
    pub fn expect_source(&mut self, source: String) {
        self.0.source = Some(source);
    }

    /// Asks that the archive be no older than `30d`, `12h` and the like; throws when it is no such text.
    #[wasm_bindgen(js_name = limitAge)]
    pub fn limit_age(&mut self, text: &str) -> Result<(), JsValue> {
        self.0.max_age = Some(signature::duration_ms(text)?);
        Ok(())
    }

    /// Whether a secret was given, and whether an archive in the clear is taken all the same; whether an encrypted one is required.
    #[wasm_bindgen(js_name = expectEncrypted)]
    pub fn expect_encrypted(&mut self, given: bool, allow_plaintext: bool, required: bool) {
        self.0.secret_given = given;
        self.0.allow_plaintext = allow_plaintext;
        self.0.require_encrypted = required;
    }

    /// Takes an archive that nobody signed where signers are pinned.
    #[wasm_bindgen(js_name = acceptUnsigned)]
    pub fn accept_unsigned(&mut self) {
        self.0.accept_unsigned = true;
    }

    /// Throws when an archive that lies in the clear must not.
    pub fn storage(&self, encrypted: bool) -> Result<(), JsValue> {
        Ok(self.0.storage(encrypted)?)
    }

    /// Throws when the archive is of somebody else, of another platform, or too old; gives the finding that says whose it is, as JSON.
    pub fn signed(&self, signed: &Signed) -> Result<String, JsValue> {
        to_json(&self.0.signed(signed.0.as_ref())?)
    }

    /// The same of an archive that lies by itself; throws also when it is a run of a chain that was not asked for by its number, `at`.
    pub fn alone(&self, signed: &Signed, at: Option<u32>) -> Result<String, JsValue> {
        to_json(&self.0.alone(signed.0.as_ref(), at)?)
    }
}

/// Throws when an archive is another one than the one whose id was noted.
#[wasm_bindgen(js_name = requireId)]
pub fn require_id(id: &str, noted: Option<String>) -> Result<(), JsValue> {
    Ok(signature::require_id(id, noted.as_deref())?)
}
