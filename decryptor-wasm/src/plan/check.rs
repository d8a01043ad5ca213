//! Checks one file that was read.

use super::Expected;
use crate::{Code, Error, Field, Manifest, Result, container::CHUNK, reader::FileSummary};

/// Compares what was read of a file with what the inventory says of it. `opened` tells that the archive was decrypted before (a
/// tree without `encryption.json` whose manifest says that it was sealed), so that the content's size and digest count.
pub fn check_against_inventory(
    expected: &Expected,
    summary: &FileSummary,
    sha256: Option<&str>,
    opened: bool,
) -> Result<()> {
    if expected.unlisted {
        return Err(Code::Unlisted.into());
    }
    let size = expected.size_of(opened);
    if summary.stored_size != size {
        return Err(Error::of(Code::SizeDiffers)
            .with(Field::Found, summary.stored_size)
            .with(Field::Expected, size));
    }
    // An inventory comes with frames of one size only; the header that names it carries no tag of its own.
    if !opened
        && (!expected.has_salt(summary.salt.as_deref())
            || summary.chunk.is_some_and(|chunk| chunk != CHUNK))
    {
        return Err(Code::FileSwapped.into());
    }
    if sha256.is_some_and(|seen| !expected.has_digest(seen, opened)) {
        return Err(Code::DigestDiffers.into());
    }
    if let (Some(seen), Some(due)) = (summary.records, expected.records)
        && seen != due
    {
        return Err(Error::of(Code::RecordsDiffer)
            .with(Field::Found, seen)
            .with(Field::Expected, due));
    }
    Ok(())
}

/// Checks the header of `manifest.json`, which no inventory lists.
pub fn check_manifest(manifest: &Manifest, summary: &FileSummary) -> Result<()> {
    match summary.chunk {
        Some(chunk) if manifest.inventory.is_some() && chunk != CHUNK => {
            Err(Error::of(Code::ManifestHeader).at("manifest.json"))
        }
        _ => Ok(()),
    }
}
