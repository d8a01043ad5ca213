//! One file of an archive on its way to disk: sealed where the archive is, digested as it passes.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use base64ct::{Base64, Encoding};
use decryptor_wasm::{DataKey, FileEntry, container::Encoder};
use sha2::{Digest, Sha256};

use super::ArchiveError;

/// Takes the content of one file and stores it.
pub struct FileWriter {
    path: String,
    disk_path: PathBuf,
    file: BufWriter<File>,
    sealing: Option<Sealing>,
    stored: Sha256,
    stored_size: u64,
    content_size: u64,
}

struct Sealing {
    encoder: Encoder,
    salt: [u8; 16],
    content: Sha256,
    sealed: Vec<u8>,
}

impl FileWriter {
    /// Creates `path` (relative, with `/`) under `root`, sealed with `key` if there is one.
    pub fn create(root: &Path, path: &str, key: Option<&DataKey>) -> Result<Self, ArchiveError> {
        let disk_path = root.join(path);
        let at = |source| ArchiveError::io(&disk_path, source);
        if let Some(parent) = disk_path.parent() {
            std::fs::create_dir_all(parent).map_err(at)?;
        }
        let file = File::create_new(&disk_path).map_err(at)?;
        let sealing = key
            .map(|key| {
                let mut salt = [0; 16];
                getrandom::fill(&mut salt).map_err(|e| ArchiveError::Random(e.to_string()))?;
                Ok::<_, ArchiveError>(Sealing {
                    encoder: Encoder::new(key, salt),
                    salt,
                    content: Sha256::new(),
                    sealed: Vec::new(),
                })
            })
            .transpose()?;
        Ok(FileWriter {
            path: path.to_owned(),
            disk_path,
            file: BufWriter::with_capacity(256 * 1024, file),
            sealing,
            stored: Sha256::new(),
            stored_size: 0,
            content_size: 0,
        })
    }

    /// Appends content.
    pub fn write(&mut self, content: &[u8]) -> Result<(), ArchiveError> {
        self.content_size += content.len() as u64;
        let Some(sealing) = &mut self.sealing else {
            return self.store(content);
        };
        sealing.content.update(content);
        let mut sealed = std::mem::take(&mut sealing.sealed);
        sealing.encoder.push(content, &mut sealed);
        self.store(&sealed)?;
        self.recycle(sealed);
        Ok(())
    }

    /// Ends the file and says what an inventory says of it.
    pub fn finish(mut self, records: Option<u64>) -> Result<FileEntry, ArchiveError> {
        let sealed = self.sealing.take().map(|sealing| {
            let mut rest = Vec::new();
            sealing.encoder.finish(&mut rest);
            (
                rest,
                Base64::encode_string(&sealing.salt),
                hex(sealing.content),
            )
        });
        let (salt, content_sha256) = match sealed {
            Some((rest, salt, digest)) => {
                self.store(&rest)?;
                (Some(salt), Some(digest))
            }
            None => (None, None),
        };
        self.file
            .flush()
            .map_err(|e| ArchiveError::io(&self.disk_path, e))?;
        Ok(FileEntry {
            path: self.path,
            size: self.stored_size,
            sha256: hex(self.stored),
            salt,
            content_size: self.content_size,
            content_sha256,
            records,
        })
    }

    /// Gives the file up and removes what was written of it.
    pub fn abandon(self) -> Result<(), ArchiveError> {
        let path = self.disk_path.clone();
        drop(self.file);
        std::fs::remove_file(&path).map_err(|e| ArchiveError::io(&path, e))
    }

    fn store(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.stored.update(bytes);
        self.stored_size += bytes.len() as u64;
        self.file
            .write_all(bytes)
            .map_err(|e: io::Error| ArchiveError::io(&self.disk_path, e))
    }

    fn recycle(&mut self, mut buffer: Vec<u8>) {
        if let Some(sealing) = &mut self.sealing {
            buffer.clear();
            sealing.sealed = buffer;
        }
    }
}

/// Lower-case hex of a finished digest.
pub fn hex(digest: Sha256) -> String {
    use std::fmt::Write;
    digest
        .finalize()
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}
