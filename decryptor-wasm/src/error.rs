//! One error type for the whole core: a kind that decides the exit code, and one sentence for the person who reads it.

/// What an error means for the caller; each kind has its own exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller asked for something that makes no sense.
    Usage,
    /// No key, or a key or passphrase that does not open this archive.
    Key,
    /// The archive is damaged, incomplete or was tampered with.
    Damaged,
    /// Made by a newer or foreign tool in a way this version does not know.
    Unsupported,
    /// Something outside the archive failed (the host's randomness, I/O).
    Failed,
}

impl ErrorKind {
    /// The process exit code that the native tool and the script share.
    pub fn exit_code(self) -> u8 {
        match self {
            ErrorKind::Usage => 2,
            ErrorKind::Key => 3,
            ErrorKind::Damaged => 4,
            ErrorKind::Unsupported | ErrorKind::Failed => 1,
        }
    }

    /// The kind of that [`ErrorKind::name`]; anything else is [`ErrorKind::Failed`].
    pub fn named(name: &str) -> Self {
        use ErrorKind::*;
        [Usage, Key, Damaged, Unsupported]
            .into_iter()
            .find(|kind| kind.name() == name)
            .unwrap_or(Failed)
    }

    /// A stable lower-case name, for JSON output and for JavaScript's `error.kind`.
    pub fn name(self) -> &'static str {
        match self {
            ErrorKind::Usage => "usage",
            ErrorKind::Key => "key",
            ErrorKind::Damaged => "damaged",
            ErrorKind::Unsupported => "unsupported",
            ErrorKind::Failed => "failed",
        }
    }
}

/// An error of the core. Its `Display` is one line: what happened and what to do, without any secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

/// The core's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind` with its sentence.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error {
            kind,
            message: message.into(),
        }
    }

    /// Shorthand for [`ErrorKind::Damaged`].
    pub fn damaged(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Damaged, message)
    }

    /// Shorthand for [`ErrorKind::Key`].
    pub fn key(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Key, message)
    }

    /// Shorthand for [`ErrorKind::Unsupported`].
    pub fn unsupported(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Unsupported, message)
    }

    /// What the error means for the caller.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The same error with `path: ` in front of its sentence.
    pub fn at(self, path: &str) -> Self {
        Error {
            message: format!("{path}: {}", self.message),
            ..self
        }
    }

    /// The same with the path in front, unless the sentence names it already.
    pub fn within(self, path: &str) -> Self {
        if self.message.contains(path) {
            self
        } else {
            self.at(path)
        }
    }
}
