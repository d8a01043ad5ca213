//! The manifest of the copy: that of the archive, and from which archive the copy was made.

use decryptor_wasm::{Code, Error};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Map, Value, json};

use crate::archive::{ListedManifest, Listing, Stamp, read::Archive};

/// How many losses the archive names, or says that it names.
pub fn losses(source: &Archive) -> u64 {
    let named = source.plan.findings.iter();
    let named = named.filter(|finding| finding.code == "loss").count() as u64;
    named.max(source.manifest.loss_count.unwrap_or_default())
}

/// The manifest of the archive with a new inventory.
pub fn manifest<'l>(
    source: &Archive,
    listing: &'l Listing,
    encrypted: bool,
    stamp: Stamp,
) -> Result<ListedManifest<'l>, Error> {
    let mut manifest = said(&source.manifest_json()?, "manifest.json")?;
    let mut say = |name: &str, value| manifest.insert(name.to_owned(), value);
    say(
        "producer",
        json!({ "name": "pryv-backup", "version": env!("CARGO_PKG_VERSION") }),
    );
    say("encrypted", json!(encrypted));
    say("consolidatedFrom", json!(source.id()));
    if let Some(signed) = &source.signed {
        say("consolidatedFromSigner", json!(signed.signer.as_str()));
    }
    say("createdAt", json!(stamp.created_at));
    say("signer", json!(stamp.signer));
    say("source", json!(stamp.source));
    say("lossCount", json!(stamp.loss_count));
    if source.chain.is_some() {
        say("users", Value::Null);
        say("compressed", json!(true));
    }
    say("inventory", Value::Null);
    Ok(ListedManifest {
        said: manifest,
        listing,
    })
}

/// The manifest of a user without its inventory.
pub fn of_user(source: &Archive, user_id: &str) -> Result<Map<String, Value>, Error> {
    let json = source.user_manifest(user_id)?.unwrap_or_default();
    said(&json, &format!("users/{user_id}/user-manifest.json"))
}

/// A manifest without its inventory, which may be long.
fn said(json: &[u8], path: &str) -> Result<Map<String, Value>, Error> {
    #[derive(Deserialize)]
    struct Said {
        #[serde(rename = "inventory", default)]
        _inventory: IgnoredAny,
        #[serde(flatten)]
        rest: Map<String, Value>,
    }
    serde_json::from_slice::<Said>(json)
        .map(|said| said.rest)
        .map_err(|e| Error::of(Code::ManifestUnreadable).at(path).because(&e))
}
