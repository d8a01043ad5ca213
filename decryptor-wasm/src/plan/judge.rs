//! The verdict on one file that was read.

use crate::{Error, FileEntry, Manifest, Result, container::CHUNK, reader::FileSummary};

/// Compares what was read of a file with what the inventory says of it. `opened` tells that the archive was decrypted before (a
/// tree without `encryption.json` whose manifest says that it was sealed), so that the content's size and digest count.
pub fn judge(
    expected: &FileEntry,
    summary: &FileSummary,
    sha256: Option<&str>,
    opened: bool,
) -> Result<()> {
    let (size, digest) = match (opened, &expected.content_sha256) {
        (true, Some(content)) => (expected.content_size, content),
        _ => (expected.size, &expected.sha256),
    };
    if summary.stored_size != size {
        return Err(Error::damaged(format!(
            "has {} bytes, the inventory says {size}; it was cut, extended or replaced",
            summary.stored_size
        )));
    }
    // An inventory comes with frames of one size only; the header that names it carries no tag of its own.
    if !opened
        && (summary.salt != expected.salt || summary.chunk.is_some_and(|chunk| chunk != CHUNK))
    {
        return Err(Error::damaged(
            "is not the file that the inventory lists under this name; it was swapped or replaced",
        ));
    }
    if sha256.is_some_and(|seen| seen != digest) {
        return Err(Error::damaged(
            "is not the file that the inventory lists (its SHA-256 differs); it was changed or replaced",
        ));
    }
    if let (Some(seen), Some(due)) = (summary.records, expected.records)
        && seen != due
    {
        return Err(Error::damaged(format!(
            "holds {seen} records, the inventory says {due}"
        )));
    }
    Ok(())
}

/// What no inventory says of `manifest.json` itself: that its header is the one that was written.
pub fn judge_manifest(manifest: &Manifest, summary: &FileSummary) -> Result<()> {
    match summary.chunk {
        Some(chunk) if manifest.inventory.is_some() && chunk != CHUNK => Err(Error::damaged(
            "manifest.json: its header was changed; use another copy of the backup",
        )),
        _ => Ok(()),
    }
}
