//! Signatures of runs: who made an archive, and that its parts belong together (docs/format.md, "Signatures").
//!
//! `manifest.json.minisig` is a prehashed minisign signature of `manifest.json` as stored. Its trusted comment is a [`Statement`].
//! The signer's public key is inside the manifest, because anybody can sign sealed bytes again with a key of his own.

mod demands;
mod digest;
mod statement;

use std::fmt;

use crate::{Code, Error, Field, Manifest, Result, limits::MAX_SIGNATURE};
use base64ct::{Base64, Encoding};
use minisign_verify::{Error as MinisignError, PublicKey, Signature as Minisig};

pub use crate::finding::PINNED;
pub use crate::layout::SIGNATURE;
pub use demands::{Demands, duration_ms, require_id};
pub use digest::{FilesDigest, is_signed_path};
pub use statement::{Statement, is_core_name};

/// The start of the first line of a signature; the rest of that line is not signed.
const UNTRUSTED: &[u8] = b"untrusted comment: ";
/// Bytes of a minisign public key: `Ed`, the id of the key, the Ed25519 key.
const SIGNER: usize = 42;

/// The public key of whoever signs runs: base64 of minisign's 42 bytes, in its one canonical spelling.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signer(String);

impl Signer {
    /// Reads the base64 line of a minisign public key, or the whole `.pub` file.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self> {
        let none = || Error::of(Code::NotASigner);
        let line = text.trim().lines().last().unwrap_or_default().trim();
        let bytes = Base64::decode_vec(line).map_err(|_| none())?;
        if bytes.len() != SIGNER || !bytes.starts_with(b"Ed") {
            return Err(none());
        }
        Ok(Signer(line.to_owned()))
    }

    /// The base64 line.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `signature` of `content` was made by this signer.
    fn holds(&self, content: &[u8], signature: &Minisig) -> Result<(), MinisignError> {
        PublicKey::from_base64(&self.0)?.verify(content, signature, false)
    }
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The result of trying a signature against a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// It holds: this was signed.
    Holds(Statement),
    /// Another key made it.
    OtherSigner,
    /// It is no signature of this file: it, or the file, was changed.
    Broken,
}

/// Tries a signature of a `manifest.json` (`stored`: its stored bytes) against a key that is known.
pub fn try_signature(signer: &Signer, stored: &[u8], minisig: &[u8]) -> Tried {
    let Some((signature, statement)) = parse(minisig) else {
        return Tried::Broken;
    };
    match signer.holds(stored, &signature) {
        Ok(()) => Tried::Holds(statement),
        Err(MinisignError::UnexpectedKeyId) => Tried::OtherSigner,
        Err(_) => Tried::Broken,
    }
}

/// The statement of a signature, which is not checked yet; none when it is no signature of a run.
pub fn unproven(minisig: &[u8]) -> Option<Statement> {
    parse(minisig).map(|(_, statement)| statement)
}

/// Four lines and nothing else: the crate that reads them takes other ends of lines and what follows them too.
fn parse(minisig: &[u8]) -> Option<(Minisig, Statement)> {
    let lines = minisig.iter().filter(|byte| **byte == b'\n').count();
    if minisig.len() > MAX_SIGNATURE
        || lines != 4
        || !minisig.starts_with(UNTRUSTED)
        || !minisig.ends_with(b"\n")
        || minisig.iter().any(|byte| matches!(byte, b'\r' | 0))
    {
        return None;
    }
    let signature = Minisig::decode(std::str::from_utf8(minisig).ok()?).ok()?;
    let statement = Statement::parse(signature.trusted_comment())?;
    Some((signature, statement))
}

/// A run whose signature holds under the key that its own manifest names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The key that signed it.
    pub signer: Signer,
    /// The statement that was signed.
    pub statement: Statement,
}

impl Signed {
    /// Checks the signature of a run that was opened. `stored`: the bytes of `manifest.json` as they lie there, `minisig`: those of
    /// its signature, if there is one, `sealed`: whether it is encrypted. None for an archive that nobody signs: one without an
    /// inventory, which Pryv's own tool made, and one that was decrypted before, whose manifest is another than the one that was signed.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Damaged`] when there is no signature, it does not hold, or it states something else than the manifest.
    pub fn check(
        manifest: &Manifest,
        stored: &[u8],
        minisig: Option<&[u8]>,
        sealed: bool,
    ) -> Result<Option<Self>> {
        if manifest.inventory.is_none() || (!sealed && manifest.encrypted == Some(true)) {
            return Ok(None);
        }
        let Some(named) = &manifest.signer else {
            return Err(Error::of(Code::SignerMissing).at("manifest.json"));
        };
        let signer = Signer::parse(named).ok();
        // A key has one spelling: whoever reads another line of it would find another signer.
        let signer = signer
            .filter(|signer| signer.as_str() == named)
            .ok_or_else(|| Error::of(Code::SignerUnreadable).at("manifest.json"))?;
        let wrong = |code| Error::of(code).at(SIGNATURE);
        let Some(minisig) = minisig else {
            return Err(wrong(Code::SignatureMissing));
        };
        let statement = match try_signature(&signer, stored, minisig) {
            Tried::Holds(statement) => statement,
            Tried::OtherSigner => {
                return Err(wrong(Code::SignatureForeign));
            }
            Tried::Broken => {
                return Err(wrong(Code::SignatureBroken));
            }
        };
        let due = Statement::of(manifest, stored, &statement.files)?;
        if let Some(field) = statement.difference(&due) {
            return Err(wrong(Code::SignatureDiffers).with(Field::Found, field));
        }
        Ok(Some(Signed { signer, statement }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signers_have_one_spelling() {
        let line = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
        let signer = Signer::parse(line).unwrap();
        assert_eq!(signer.as_str(), line);
        let file = format!("untrusted comment: minisign public key\n{line}\n");
        assert_eq!(Signer::parse(&file).unwrap(), signer);
        for bad in ["", "RW", &line[1..], &line.replace("RWQ", "RUQ"), "ñ"] {
            assert!(Signer::parse(bad).is_err(), "{bad}");
        }
    }
}
