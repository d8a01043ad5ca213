//! Errors of an object store.

use std::{
    fmt, io,
    sync::{Mutex, PoisonError},
};

use opendal::ErrorKind;

/// What went wrong with an object store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// It cannot be reached in this way: an address, a region or a file that cannot be used.
    Settings,
    /// There is no such object, or no such bucket.
    Missing,
    /// There is an object already, where there must be none.
    Exists,
    /// It refuses: no credentials, wrong or expired ones, or an object that is locked.
    Denied,
    /// It cannot do what is asked of it.
    Unsupported,
    /// It failed however often it was asked.
    Unavailable,
    /// Anything else.
    Failed,
}

/// An error of an object store.
#[derive(Debug, Clone)]
pub struct StoreError {
    kind: StoreErrorKind,
    /// The bucket and key.
    at: String,
    why: String,
}

/// The first error of a read in this process that says nothing about an archive: the store could not be asked.
static FAILURE: Mutex<Option<StoreError>> = Mutex::new(None);

/// Why a store could not be read, if that happened in this process. Damage that was found since then may be none: nothing more was read.
#[must_use]
pub fn failure() -> Option<StoreError> {
    FAILURE
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}

impl StoreError {
    /// Notes that a store could not be read, for [`failure`].
    pub(super) fn noted(self) -> Self {
        let mut first = FAILURE.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(self).clone()
    }

    pub(super) fn new(kind: StoreErrorKind, at: &str, why: impl fmt::Display) -> Self {
        StoreError {
            kind,
            at: at.to_owned(),
            why: why.to_string(),
        }
    }

    /// Of a request for the bucket or object at `at`.
    pub(super) fn of(at: &str, error: &opendal::Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::NotFound => StoreErrorKind::Missing,
            ErrorKind::ConditionNotMatch | ErrorKind::AlreadyExists | ErrorKind::Conflict => {
                StoreErrorKind::Exists
            }
            ErrorKind::PermissionDenied => StoreErrorKind::Denied,
            ErrorKind::ConfigInvalid => StoreErrorKind::Settings,
            ErrorKind::Unsupported => StoreErrorKind::Unsupported,
            _ if error.is_temporary() || error.is_persistent() => StoreErrorKind::Unavailable,
            _ => StoreErrorKind::Failed,
        };
        StoreError::new(kind, at, reason(error))
    }

    /// The kind of it.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            StoreErrorKind::Settings => "the store cannot be reached",
            StoreErrorKind::Missing => "the store has no such bucket or object",
            StoreErrorKind::Exists => "the store has it already",
            StoreErrorKind::Denied => {
                "the store refuses: check credentials, clock, region and locks"
            }
            StoreErrorKind::Unsupported => "the store cannot do this",
            StoreErrorKind::Unavailable => "the store failed, after several tries",
            StoreErrorKind::Failed => "the store failed",
        };
        write!(f, "{}: {what}", self.at)?;
        match self.why.is_empty() {
            true => Ok(()),
            false => write!(f, " ({})", self.why),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<StoreError> for io::Error {
    fn from(error: StoreError) -> Self {
        let kind = match error.kind {
            StoreErrorKind::Missing => io::ErrorKind::NotFound,
            StoreErrorKind::Exists => io::ErrorKind::AlreadyExists,
            StoreErrorKind::Denied => io::ErrorKind::PermissionDenied,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

/// What the store or the network said, in one line.
fn reason(error: &opendal::Error) -> String {
    use std::error::Error;
    let mut said = vec![error.message().to_owned()];
    let mut source = error.source();
    while let Some(below) = source {
        let text = below.to_string();
        if !said.contains(&text) {
            said.push(text);
        }
        source = below.source();
    }
    let said = said.join(": ");
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}
