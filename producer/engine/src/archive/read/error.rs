//! Errors that pass through a reader.

use std::io;

use decryptor_wasm::{Code, Error};

use crate::platform::write::RestoreError;

/// An error of whoever takes what a reader gives: it passes through the reader as it is, beside those of the archive itself.
pub trait ReadError: From<Error> {
    /// Changes the error of an archive that it may hold, to say in which file or run that is.
    #[must_use]
    fn map_archive(self, change: impl FnOnce(Error) -> Error) -> Self;

    /// The same error in the file at `path`.
    #[must_use]
    fn in_file(self, path: &str) -> Self {
        self.map_archive(|error| error.at(path))
    }
}

impl ReadError for Error {
    fn map_archive(self, change: impl FnOnce(Error) -> Error) -> Self {
        change(self)
    }
}

impl ReadError for RestoreError {
    fn map_archive(self, change: impl FnOnce(Error) -> Error) -> Self {
        match self {
            RestoreError::Archive(error) => RestoreError::Archive(change(error)),
            other => other,
        }
    }
}

/// Why a file was not copied to its end.
#[derive(Debug)]
pub enum CopyError {
    /// The archive is not as it should be.
    Archive(Error),
    /// Whoever takes the copy refused it.
    Output(std::io::Error),
}

impl From<Error> for CopyError {
    fn from(error: Error) -> Self {
        CopyError::Archive(error)
    }
}

impl From<std::io::Error> for CopyError {
    fn from(error: std::io::Error) -> Self {
        CopyError::Output(error)
    }
}

impl ReadError for CopyError {
    fn map_archive(self, change: impl FnOnce(Error) -> Error) -> Self {
        match self {
            CopyError::Archive(error) => CopyError::Archive(change(error)),
            other => other,
        }
    }
}

/// The error for a file that the system does not give.
pub(super) fn unreadable(path: &str, error: &io::Error) -> Error {
    Error::of(Code::UnreadableFile).at(path).because(error)
}
