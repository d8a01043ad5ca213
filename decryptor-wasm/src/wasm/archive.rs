//! Single verdicts; structured values cross as JSON text.

use serde::{Serialize, de::DeserializeOwned};
use wasm_bindgen::prelude::*;

use crate::{Code, Error, FileEntry, reader::FileSummary};

/// Compares a file's summary with its inventory entry (`null`: none); throws unless they agree. `decrypted`: the archive was decrypted
/// before.
#[wasm_bindgen]
pub fn judge(
    expected: &str,
    summary: &str,
    sha256: Option<String>,
    decrypted: bool,
) -> Result<(), JsValue> {
    if let Some(expected) = from_json::<Option<FileEntry>>(expected)? {
        let summary = FileSummary::parse(summary.as_bytes())?;
        crate::plan::judge(&expected, &summary, sha256.as_deref(), decrypted)?;
    }
    Ok(())
}

/// A manifest for a tree whose record files were inflated.
#[wasm_bindgen(js_name = plainManifest)]
pub fn plain_manifest(json: &[u8]) -> Result<Vec<u8>, JsValue> {
    Ok(crate::plain_manifest(json)?)
}

/// Two of these files, or two folders above them, that would be one on disk; see `collision` of the core.
#[wasm_bindgen]
pub fn collision(from: Vec<String>, to: Vec<String>, caseless: bool) -> Option<Vec<String>> {
    let files = from.iter().map(String::as_str);
    let pair = crate::layout::collision(files.zip(to.iter().map(String::as_str)), caseless)?;
    Some(pair.into())
}

pub(super) fn to_json<T: Serialize>(value: &T) -> Result<String, JsValue> {
    serde_json::to_string(value).map_err(|e| Error::of(Code::Failed).because(&e).into())
}

pub(super) fn from_json<T: DeserializeOwned>(json: &str) -> crate::Result<T> {
    serde_json::from_slice(json.as_bytes()).map_err(|e| Error::of(Code::Failed).because(&e))
}
