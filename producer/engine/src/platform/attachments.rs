//! Attachments kept as files: `attachments/<eventId>/<fileId>` in the folder of the user.

use super::user_folder::{folder, plain};
use super::{Attachment, ExportError, PlatformError, PlatformLoss, User, UserSink};
use crate::regular;
use std::io::ErrorKind;
use std::path::Path;

/// The folder of the attachments in that of a user.
pub const NAME: &str = "attachments";

/// Hands over one file; `still` tells whether its event lists it now. One that is gone because it does not is no loss.
pub fn hand_over(
    users_dir: &Path,
    user: &User,
    file: &Attachment,
    still: &dyn Fn() -> Result<bool, PlatformError>,
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
        Err(e) if e.kind() == ErrorKind::NotFound && !still()? => {
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
