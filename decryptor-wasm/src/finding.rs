//! Things to say of an archive: damage, warnings and notes, each with a stable name.

use serde::Serialize;

use crate::Error;

/// Code of the finding that somebody who is expected signed an archive.
pub const PINNED: &str = "pinned-signer";
/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The archive is damaged or was tampered with.
    Error,
    /// Worth a look; the data is not affected.
    Warning,
    /// For information.
    Note,
}

/// One thing to say of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The severity.
    pub severity: Severity,
    /// Stable name for programs: `missing`, `foreign`, `stray`, `unknown`, `unsafe-path`, `no-inventory`, `no-key-check`, `loss`,
    /// `accepted-loss`, `user-manifest`, `signature`, `signer`, `pinned-signer`, `unsigned`, `uncommitted`, `volume-beside`; or the name of a
    /// [`crate::Code`].
    pub code: &'static str,
    /// The file concerned, or empty.
    pub path: String,
    /// One sentence.
    pub message: String,
}

impl Finding {
    /// Damage of the file at `path`.
    pub(crate) fn damage(path: &str, error: &Error) -> Self {
        Finding {
            severity: Severity::Error,
            code: error.code().name(),
            path: path.to_owned(),
            message: error.to_string(),
        }
    }

    /// Whether it is of a file that belongs to the archive and is left out, because this version does not know what it is.
    pub fn is_left_out(&self) -> bool {
        self.code == LEFT_OUT
    }

    /// Whether it says who signed the archive, or that nobody did; see [`crate::signature::Demands::signed`].
    pub fn names_signer(&self) -> bool {
        matches!(self.code, "signer" | PINNED | "unsigned")
    }
}

/// The message about a file that nothing lists and no archive has.
pub const NOT_OURS: &str = "does not belong to the archive; it is left alone";
/// See [`Finding::is_left_out`].
pub(crate) const LEFT_OUT: &str = "unknown";
