//! Notes about places of backups: a small JSON file for each, in a folder of the state.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};

use serde::Serialize;
use sha2::{Digest, Sha256};

/// The name of the file, or of the folder, that is about a place.
#[must_use]
pub fn note_name(place: &[u8]) -> String {
    let digest = Sha256::digest(place);
    crate::text::hex(&digest[..16])
}

/// Replaces a note; whoever looks sees the old one or the new one, also after a loss of power.
pub(super) fn write_note<T: Serialize>(folder: &Path, name: &str, note: &T) -> io::Result<()> {
    let aside = tempfile::NamedTempFile::new_in(folder)?;
    aside.as_file().write_all(&serde_json::to_vec(note)?)?;
    aside.as_file().sync_all()?;
    aside.persist(folder.join(name)).map_err(|e| e.error)?;
    File::open(folder)?.sync_all()
}
