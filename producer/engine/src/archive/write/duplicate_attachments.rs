//! Attachments that have the id of another one. The format names files by their id alone and holds them once, which is
//! enough when they are the same.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
};

use sha2::{Digest, Sha256};

use super::{ArchiveError, records::RecordPlace};
use crate::limits::PIECE;
use crate::text::hex;
use crate::{archive::read::ReadFile, digest, interrupt};

/// Duplicates: path of the file that is there, and digest of the other content; with the last event that has it.
#[derive(Default)]
pub struct DuplicateAttachments(BTreeMap<(String, String), String>);

impl DuplicateAttachments {
    /// Adds a duplicate of the file at `path`.
    pub fn add(&mut self, path: &str, digest: String, event_id: &str) {
        self.0
            .insert((path.to_owned(), digest), event_id.to_owned());
    }

    /// Path and event of the duplicates whose content differs from the file in the archive. To be called when all files are complete.
    pub fn different(self, place: RecordPlace<'_>) -> Result<Vec<(String, String)>, ArchiveError> {
        let mut different = Vec::new();
        for ((path, digest), event_id) in self.0 {
            if stored(place, &path)? != digest {
                different.push((path, event_id));
            }
        }
        Ok(different)
    }
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
    let disk_path = place.root.join(path);
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
