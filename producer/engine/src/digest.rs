//! SHA-256 of bytes, and of whole files.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

use crate::text::hex;

/// Lower-case hex SHA-256. The id of an archive is that of its `manifest.json` as stored.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// SHA-256 of everything that a reader gives, through `buffer`. `seen` is called with the length of each piece and can stop the reading.
///
/// # Errors
/// The error of the reader as `failed` makes it, or the error of `seen`.
pub fn sha256<E>(
    reader: &mut dyn Read,
    buffer: &mut [u8],
    failed: impl Fn(io::Error) -> E,
    seen: &mut dyn FnMut(usize) -> Result<(), E>,
) -> Result<[u8; 32], E> {
    let mut digest = Sha256::new();
    loop {
        match reader.read(buffer) {
            Ok(0) => return Ok(digest.finalize().into()),
            Ok(n) => {
                digest.update(&buffer[..n]);
                seen(n)?;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(failed(e)),
        }
    }
}
