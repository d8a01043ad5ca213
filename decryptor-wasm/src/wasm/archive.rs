//! Manifests, the plan and the verdicts; structured values cross as JSON text.

use std::collections::HashMap;

use serde::{Serialize, de::DeserializeOwned};
use wasm_bindgen::prelude::*;

use super::signature::Signed;
use crate::{Code, Error, FileEntry, Manifest, plan::Storage};

/// Judges the list of files: `userManifests` is `{path: text | null}`, `listing` is `[[path, size], …]`; `keyCheck` is that of the
/// envelope, undefined for an archive without one; `signed` is what is signed of it.
#[wasm_bindgen]
pub fn plan(
    manifest: &[u8],
    user_manifests: &str,
    listing: &str,
    key_check: Option<bool>,
    signed: &Signed,
    only_user: Option<String>,
) -> Result<String, JsValue> {
    let manifest = Manifest::parse(manifest)?;
    let texts: HashMap<String, Option<String>> = from_json(user_manifests)?;
    let user_manifests = texts
        .into_iter()
        .map(|(path, text)| (path, text.map(String::into_bytes)))
        .collect();
    let listing: Vec<(String, u64)> = from_json(listing)?;
    to_json(&crate::plan::plan(
        &manifest,
        &user_manifests,
        &listing,
        key_check.map_or(Storage::Cleartext, |key_check| Storage::Sealed {
            key_check,
        }),
        signed.0.as_ref(),
        only_user.as_deref(),
    )?)
}

/// Throws unless a file's summary agrees with its inventory entry.
#[wasm_bindgen]
pub fn judge(
    expected: &str,
    summary: &str,
    sha256: Option<String>,
    opened: Option<bool>,
) -> Result<(), JsValue> {
    let expected: Option<FileEntry> = from_json(expected)?;
    let summary = from_json(summary)?;
    if let Some(expected) = expected {
        let opened = opened.unwrap_or(false);
        crate::plan::judge(&expected, &summary, sha256.as_deref(), opened)?;
    }
    Ok(())
}

/// Throws when a file that is to be read in one piece has more bytes than any of its kind.
#[wasm_bindgen(js_name = refuseLong)]
pub fn refuse_long(path: &str, bytes: f64) -> Result<(), JsValue> {
    Ok(crate::layout::refuse_long(path, bytes as u64)?)
}

/// A manifest for a tree whose record files were inflated.
#[wasm_bindgen(js_name = plainManifest)]
pub fn plain_manifest(json: &[u8]) -> Result<Vec<u8>, JsValue> {
    Ok(crate::plain_manifest(json)?)
}

pub(super) fn to_json<T: Serialize>(value: &T) -> Result<String, JsValue> {
    serde_json::to_string(value).map_err(|e| Error::of(Code::Failed).because(&e).into())
}

pub(super) fn from_json<T: DeserializeOwned>(json: &str) -> Result<T, JsValue> {
    serde_json::from_slice(json.as_bytes()).map_err(|e| Error::of(Code::Failed).because(&e).into())
}
