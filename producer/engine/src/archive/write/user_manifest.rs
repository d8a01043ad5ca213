//! A user-manifest that is written while the user is: its inventory comes first, one file at a time, because of a million
//! attachments there is no room for a list.

use decryptor_wasm::FileEntry;
use serde::Serialize;

use super::{ArchiveError, file::FileWriter, records::RecordPlace};

/// A user-manifest in the making.
pub struct UserManifestWriter {
    file: FileWriter,
    empty: bool,
    /// Bytes of the files so far.
    pub bytes: u64,
}

impl UserManifestWriter {
    /// Begins the user-manifest in `folder`.
    pub fn create(place: RecordPlace<'_>, folder: &str) -> Result<Self, ArchiveError> {
        let path = format!("{folder}/user-manifest.json");
        let mut file = FileWriter::create(place.storage, &path, place.key)?;
        file.write(b"{\"inventory\":{\"v\":1,\"files\":[\n")?;
        Ok(UserManifestWriter {
            file,
            empty: true,
            bytes: 0,
        })
    }

    /// Adds a file of the user.
    pub fn add(&mut self, entry: &FileEntry) -> Result<(), ArchiveError> {
        if !std::mem::replace(&mut self.empty, false) {
            self.file.write(b",\n")?;
        }
        self.bytes += entry.size;
        self.file.write(&json(entry)?)
    }

    /// Adds what is known in the end, `manifest` without an inventory of its own, and ends the file.
    pub fn finish<T: Serialize>(mut self, manifest: &T) -> Result<FileEntry, ArchiveError> {
        let rest = json(manifest)?;
        self.file.write(b"]},\n")?;
        self.file.write(rest.strip_prefix(b"{").unwrap_or(&rest))?;
        self.file.finish(None)
    }
}

fn json<T: Serialize>(value: &T) -> Result<Vec<u8>, ArchiveError> {
    serde_json::to_vec(value).map_err(|e| ArchiveError::io("user-manifest.json".as_ref(), e.into()))
}
