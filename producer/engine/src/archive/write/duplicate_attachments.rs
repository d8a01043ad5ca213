//! Attachments that have the id of another one. The format names files by their id alone and holds them once, which is
//! enough when they are the same.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{self, Read},
};

use decryptor_wasm::FileEntry;
use sha2::{Digest, Sha256};

use super::{ArchiveError, records::RecordPlace};
use crate::limits::PIECE;
use crate::text::hex;
use crate::{archive::read::ReadFile, digest, interrupt};

/// The attachments of a user that come under the path of another one.
#[derive(Default)]
pub struct DuplicateAttachments {
    /// Path of the file that is there, and digest of the other content; with the last event that has it.
    found: BTreeMap<(String, String), String>,
    /// In volumes: digests of the paths so far, and of the contents. Of separate files the folder tells.
    stored: HashMap<[u8; 16], [u8; 16]>,
}

impl DuplicateAttachments {
    /// Adds a duplicate of the file at `path`.
    pub fn add(&mut self, path: &str, digest: String, event_id: &str) {
        self.found
            .insert((path.to_owned(), digest), event_id.to_owned());
    }

    /// Whether a volume holds a file at `path`.
    pub fn has(&self, path: &str) -> bool {
        self.stored.contains_key(&short(path))
    }

    /// Notes a file that a volume holds.
    pub fn store(&mut self, file: &FileEntry) {
        let digest = file.content_sha256.as_ref().unwrap_or(&file.sha256);
        self.stored.insert(short(&file.path), short(digest));
    }

    /// Path and event of the duplicates whose content differs from the file in the archive. To be called when all files are complete.
    pub fn different(self, place: RecordPlace<'_>) -> Result<Vec<(String, String)>, ArchiveError> {
        let mut different = Vec::new();
        for ((path, digest), event_id) in self.found {
            let same = match self.stored.get(&short(&path)) {
                Some(known) => *known == short(&digest),
                None => stored(place, &path)? == digest,
            };
            if !same {
                different.push((path, event_id));
            }
        }
        Ok(different)
    }
}

/// The first 16 bytes of its SHA-256, to save memory.
fn short(text: &str) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&Sha256::digest(text)[..16]);
    short
}

/// Hex SHA-256 of everything that a reader gives and how many bytes that is, or the error of the reader.
pub fn digest(reader: &mut dyn Read) -> Result<io::Result<(String, u64)>, ArchiveError> {
    let mut bytes = 0;
    let read = digest::sha256(reader, &mut vec![0; PIECE], Ok, &mut |n| {
        bytes += n as u64;
        interrupt::check().map_err(Err)
    });
    match read {
        Ok(digest) => Ok(Ok((hex(&digest), bytes))),
        Err(Ok(unreadable)) => Ok(Err(unreadable)),
        Err(Err(interrupted)) => Err(interrupted.into()),
    }
}

/// Hex SHA-256 of the content of a file of the archive.
fn stored(place: RecordPlace<'_>, path: &str) -> Result<String, ArchiveError> {
    let disk_path = place.storage.folder.join(path);
    let failed = |e| ArchiveError::io(&disk_path, e);
    let mut file = File::open(&disk_path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let mut digest = Sha256::new();
    let read = ReadFile {
        key: place.key,
        gunzip: false,
        lines: false,
        hash: false,
        size,
    };
    read.run(
        |buffer| crate::archive::read::read_some(&mut file, buffer, path),
        &mut |piece| {
            digest.update(piece);
            interrupt::check()
        },
    )?;
    Ok(hex(&digest.finalize()))
}
