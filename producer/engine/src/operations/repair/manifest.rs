//! A manifest that is opened, and its signature.

use decryptor_wasm::{
    DataKey, Envelope, Manifest,
    container::MAGIC,
    layout::ENVELOPE,
    signature::{Signer, Tried, try_signature},
};

use super::Unlock;
use crate::archive::read::{Folder, ReadFile};

/// Opens a manifest.
pub(super) fn open_manifest(stored: &[u8], key: Option<&DataKey>) -> Option<Manifest> {
    let content = ReadFile::of_manifest(key).whole(stored).ok()?;
    Manifest::parse(&content.bytes).ok()
}

/// Whether a signature holds under a key.
pub(super) fn holds(signer: &Signer, manifest: &[u8], signature: &[u8]) -> bool {
    matches!(try_signature(signer, manifest, signature), Tried::Holds(_))
}

/// The key of a manifest, by the envelope in a folder: the inner one is none where it is not sealed; the outer one where it cannot be
/// opened.
pub(super) fn key_of(
    folder: &Folder,
    manifest: &[u8],
    unlock: Unlock<'_>,
) -> Option<Option<DataKey>> {
    if !manifest.starts_with(MAGIC) {
        return Some(None);
    }
    let bytes = folder.has(ENVELOPE).then(|| folder.read(ENVELOPE).ok())??;
    let envelope = Envelope::parse(&bytes)
        .ok()
        .filter(Envelope::has_key_check)?;
    let key = unlock?(&envelope).ok()?;
    open_manifest(manifest, Some(&key)).map(|_| Some(key))
}
