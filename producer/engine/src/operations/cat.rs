//! `cat`: one file of an archive, decrypted and decompressed.

use std::io::{ErrorKind, Write};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{
    advice::Advice, archive::read::CopyError, failure::Failure, observer::Observer,
    opening::ArchiveOptions, text::hex,
};

/// Which file.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The archive.
    pub opening: ArchiveOptions,
    /// Path in the archive, with or without `.gz`.
    pub path: String,
    /// Leave records compressed.
    pub raw: bool,
}

/// A file that was printed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Printed {
    /// SHA-256 of `manifest.json` as stored.
    pub archive_id: String,
    /// The path in the archive.
    pub path: String,
    /// Bytes of what was printed.
    pub bytes: u64,
    /// Their SHA-256.
    pub sha256: String,
}

/// Writes the file to `out`. Every byte is authentic, but only the outcome says that the file is complete; none: whoever reads has had
/// enough.
///
/// # Errors
/// When there is no such file, or it cannot be read or written.
pub fn run(
    options: &Options,
    out: &mut dyn Write,
    observer: &dyn Observer,
) -> Result<Option<Printed>, Failure> {
    let archive = options.opening.open(observer)?;
    let (mut bytes, mut digest) = (0, Sha256::new());
    let mut print = |piece: &[u8]| -> Result<(), CopyError> {
        bytes += piece.len() as u64;
        digest.update(piece);
        Ok(out.write_all(piece)?)
    };
    let plain = options.path.strip_suffix(".gz").unwrap_or(&options.path);
    let mut files = archive.files().iter().chain(archive.plan.manifests.iter());
    let found = files.find(|file| file.path.strip_suffix(".gz").unwrap_or(&file.path) == plain);
    let (path, outcome) = match (options.path.as_str(), found) {
        ("manifest.json", _) => ("manifest.json".to_owned(), print(&archive.manifest_json()?)),
        (_, Some(file)) => {
            let outcome = archive.stream(&file, !options.raw, false, &mut print);
            (file.path.clone(), outcome.map(drop))
        }
        (path @ "encryption.json", None) => {
            let envelope = archive.folder().read(path);
            let printed = envelope.map_err(CopyError::from);
            (path.to_owned(), printed.and_then(|bytes| print(&bytes)))
        }
        (_, None) => {
            return Err(
                Failure::usage(format!("there is no {:?} in this archive", options.path))
                    .advise(Advice::ListFiles),
            );
        }
    };
    match outcome {
        Ok(()) => {}
        Err(CopyError::Output(e)) if e.kind() == ErrorKind::BrokenPipe => return Ok(None),
        Err(CopyError::Output(e)) => return Err(Failure::failed(e.to_string())),
        Err(CopyError::Archive(error)) => return Err(error.into()),
    }
    out.flush().map_err(|e| Failure::failed(e.to_string()))?;
    Ok(Some(Printed {
        archive_id: archive.id().to_owned(),
        path,
        bytes,
        sha256: hex(&digest.finalize()),
    }))
}
