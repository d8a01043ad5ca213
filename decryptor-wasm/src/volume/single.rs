//! Tells a single tar file that holds a whole archive from other files.

use super::{BLOCK, VolumeIndex, read_header};
use crate::{Code, Error, Field, Result};

/// Bytes of the beginning, and of the end of a file, that tell what it is.
pub const LOOK: u64 = 4096;

/// How compressed files begin, and what they are called: gzip, zstd, xz, bzip2, and zip.
const PACKED: [(&[u8], &str); 5] = [
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ", "xz"),
    (b"BZh", "bzip2"),
    (b"PK\x03\x04", "zip"),
];

/// Refuses a file that is no single tar file of an archive; `head` and `tail`: its first and last [`LOOK`] bytes, or all of it. Either
/// may be damaged.
///
/// # Errors
/// When it is something else.
pub fn require_tar(path: &str, head: &[u8], tail: &[u8]) -> Result<()> {
    if VolumeIndex::find(tail, 1).is_some() || matches!(read_header(head), Ok(Some(_))) {
        return Ok(());
    }
    let packed = PACKED.iter().find(|(begin, _)| head.starts_with(begin));
    let error = match packed {
        Some((_, by)) => Error::of(Code::Compressed).with(Field::Found, *by),
        None if head.get(257..262) == Some(b"ustar") => match head.len() < BLOCK {
            true => Error::of(Code::Unfinished),
            false => Error::of(Code::OtherTar),
        },
        None => Error::of(Code::NotAFolder),
    };
    Err(error.at(path))
}
