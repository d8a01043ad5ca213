//! The digest of all files of a run, which its signature states.

use sha2::{Digest, Sha256};

use crate::{Code, Error, Result, hex, layout::PathKind};

/// Whether a path, from the folder of its run, counts in the digest. `manifest.json` and its signature state it, recipients may change
/// (`encryption.json`), the two lists grow, and whether there are volumes does not matter.
pub fn is_signed_path(path: &str) -> bool {
    let kind = PathKind::of(path);
    !kind.is_separate() || kind == PathKind::Companion
}

/// SHA-256 of the lines `<sha256>  <path>\n` of all files of a run for which [`is_signed_path`] holds, in the order of the bytes of their
/// paths.
#[derive(Default)]
pub struct FilesDigest {
    lines: Sha256,
    last: String,
}

impl FilesDigest {
    /// The next file; `sha256`: its hex digest as stored. Files that do not count are passed over.
    ///
    /// # Errors
    /// When the paths do not ascend.
    pub fn push(&mut self, path: &str, sha256: &str) -> Result<()> {
        if !is_signed_path(path) {
            return Ok(());
        }
        if path <= self.last.as_str() {
            return Err(Error::of(Code::ListedTwice).at(path));
        }
        path.clone_into(&mut self.last);
        self.lines.update(sha256.as_bytes());
        self.lines.update(b"  ");
        self.lines.update(path.as_bytes());
        self.lines.update(b"\n");
        Ok(())
    }

    /// The digest in hex.
    pub fn finish(self) -> String {
        hex(&self.lines.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_the_lines() {
        let mut digest = FilesDigest::default();
        let sum = "ab".repeat(32);
        for path in ["FORMAT.md", "SHA256SUMS", "manifest.json", "platform/x"] {
            digest.push(path, &sum).unwrap();
        }
        assert!(digest.push("a", &sum).is_err());
        let lines = format!("{sum}  FORMAT.md\n{sum}  platform/x\n");
        assert_eq!(digest.finish(), hex(&Sha256::digest(lines.as_bytes())));
    }
}
