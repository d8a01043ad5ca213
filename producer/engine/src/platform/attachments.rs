//! Attachments that events list: files `attachments/<eventId>/<fileId>` in the folder of the user, or objects of a bucket.

use super::s3::AttachmentStore;
use super::target::Still;
use super::user_folder::{folder, plain};
use super::{Attachment, ExportError, PlatformError, PlatformLoss, User, UserSink};
use crate::regular;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The folder of the attachments in that of a user.
pub const NAME: &str = "attachments";

/// Gives attachments.
pub trait AttachmentSource {
    /// Hands over what events list; `still` tells whether an event lists one now. One that is gone because it does not is no loss.
    ///
    /// # Errors
    /// When the place cannot be reached, or that of the sink.
    fn hand_over(
        &self,
        user: &User,
        files: &[Attachment],
        still: Still<'_>,
        sink: &mut dyn UserSink,
    ) -> Result<(), ExportError>;
}

/// Where attachments are that are not in a database.
pub enum AttachmentPlace {
    /// In the folders of users, which are in this one.
    Folders(PathBuf),
    /// In a bucket.
    Bucket(AttachmentStore),
}

impl AttachmentPlace {
    /// The bucket, if they are in one.
    pub fn bucket(&self) -> Option<&AttachmentStore> {
        match self {
            Self::Folders(_) => None,
            Self::Bucket(store) => Some(store),
        }
    }

    /// Whether the bucket answers, if they are in one.
    pub fn check(&self) -> Result<(), PlatformError> {
        self.bucket().map_or(Ok(()), AttachmentStore::check)
    }
}

impl AttachmentSource for AttachmentPlace {
    fn hand_over(
        &self,
        user: &User,
        files: &[Attachment],
        still: Still<'_>,
        sink: &mut dyn UserSink,
    ) -> Result<(), ExportError> {
        match self {
            Self::Bucket(store) => store.hand_over(user, files, still, sink),
            Self::Folders(users_dir) => {
                let mut all = files.iter();
                all.try_for_each(|file| of_folder(users_dir, user, file, still, sink))
            }
        }
    }
}

/// Hands over one file.
fn of_folder(
    users_dir: &Path,
    user: &User,
    file: &Attachment,
    still: Still<'_>,
    sink: &mut dyn UserSink,
) -> Result<(), ExportError> {
    let Attachment { event_id, id, .. } = file;
    let place = folder(users_dir, &user.user_id).filter(|_| plain(event_id) && plain(id));
    let Some(place) = place else {
        let what = "is not that of a file inside its folder; the attachment was left out";
        let loss = file.loss(format!("the name {event_id:?}/{id:?} {what}"));
        return sink.loss(loss).map_err(ExportError::Sink);
    };
    let path = place.join(NAME).join(event_id).join(id);
    let opened = regular::open(&path).and_then(|content| {
        let length = content.metadata()?.len();
        Ok((content, length))
    });
    match opened {
        Ok((mut content, length)) => sink
            .attachment(file, Some(length), &mut content)
            .map_err(ExportError::Sink),
        // A deleted event may still list files that were removed with it.
        Err(e) if e.kind() == ErrorKind::NotFound && file.deleted => Ok(()),
        Err(e) if e.kind() == ErrorKind::NotFound && !still(file)? => {
            sink.gone(file).map_err(ExportError::Sink)
        }
        Err(e) => {
            let loss = PlatformLoss {
                path: Some(path.display().to_string()),
                ..file.loss(format!(
                    "attachment {id} of event {event_id} cannot be read: {e}"
                ))
            };
            sink.loss(loss).map_err(ExportError::Sink)
        }
    }
}
