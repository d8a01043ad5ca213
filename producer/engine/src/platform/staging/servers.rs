//! Servers that keep a part of a user beside the folders: what comes there before the user is decided to be restored is known from notes in
//! the user's files.

use std::path::Path;

use super::series::{self, SeriesServer};
use super::{objects, remove};
use crate::platform::s3::AttachmentStore;
use crate::platform::write::RestoreError;

/// The servers of a platform.
#[derive(Debug, Clone, Default)]
pub struct Servers {
    /// Where series are kept, if not in files or in the database.
    pub series: Option<SeriesServer>,
    /// Where attachments are kept, if not in files or in the database.
    pub bucket: Option<AttachmentStore>,
}

impl Servers {
    /// Puts in place what a user who is restored has on servers. Can be done again and again.
    pub(super) fn place(&self, root: &Path) -> Result<(), RestoreError> {
        series::place(root, self.series.as_ref())?;
        objects::place(root, self.bucket.as_ref())
    }

    /// Removes what lies aside of a user: what is on servers first, for without the notes nobody would know of it.
    pub(super) fn clear(&self, root: &Path) -> Result<(), RestoreError> {
        objects::clear(root, self.bucket.as_ref())?;
        series::clear(root, self.series.as_ref())?;
        remove(root)
    }
}
