//! The attachments of a user, several of which are asked for at once.

use super::{ASIDE, AT_ONCE, AttachmentStore, ObjectName, failed};
use crate::interrupt;
use crate::platform::target::Still;
use crate::platform::{Attachment, ExportError, PlatformError, PlatformLoss, User, UserSink};
use crate::storage::{ObjectReader, StoreError, StoreErrorKind};
use crate::threads;
use std::sync::atomic::Ordering;

/// Objects in a row that cannot be read: with more it is the store, whatever it says of itself.
const REFUSED: usize = 2 * AT_ONCE;
/// The same of those for which it failed however often it was asked.
const FAILED: usize = 2;

/// What became of an attachment that was asked for.
enum Asked {
    /// Its ids are no parts of a key.
    Nameless,
    /// The store has none.
    Missing(String),
    There(ObjectReader),
    Unreadable(String, StoreError),
}

impl AttachmentStore {
    /// Hands over the attachments that events list; `still` tells whether an event lists one now.
    ///
    /// # Errors
    /// When the store does not answer, or that of the sink.
    pub fn hand_over(
        &self,
        user: &User,
        files: &[Attachment],
        still: Still<'_>,
        sink: &mut dyn UserSink,
    ) -> Result<(), ExportError> {
        for some in files.chunks(AT_ONCE) {
            let mut wanted = Vec::with_capacity(some.len());
            for file in some {
                let known = sink.knows(file).map_err(ExportError::Sink)?;
                wanted.push((file, !known));
            }
            let asked = threads::map(&wanted, |(file, fetch)| self.ask(user, file, *fetch));
            for (file, asked) in some.iter().zip(asked) {
                self.one(file, asked, still, sink)?;
            }
        }
        Ok(())
    }

    fn ask(&self, user: &User, file: &Attachment, fetch: bool) -> Asked {
        let name = ObjectName::of_stored(&user.user_id, &file.event_id, &file.id);
        let Some(name) = name.map(String::from) else {
            return Asked::Nameless;
        };
        let key = format!("{}{name}", self.prefix);
        match self.store.reader(&key, fetch) {
            Ok(None) => Asked::Missing(name),
            Ok(Some(object)) => Asked::There(object),
            Err(error) => Asked::Unreadable(name, error),
        }
    }

    fn one(
        &self,
        file: &Attachment,
        asked: Asked,
        still: Still<'_>,
        sink: &mut dyn UserSink,
    ) -> Result<(), ExportError> {
        let Attachment { event_id, id, .. } = file;
        let what = format!("attachment {id} of event {event_id}");
        let (name, why) = match asked {
            Asked::Nameless => {
                let what = "is not that of an object; the attachment was left out";
                let loss = file.loss(format!("the name {event_id:?}/{id:?} {what}"));
                return sink.loss(loss).map_err(ExportError::Sink);
            }
            // A deleted event may still list files that were removed with it.
            Asked::Missing(_) if file.deleted => return Ok(()),
            Asked::Missing(_) if !still(file)? => {
                return sink.gone(file).map_err(ExportError::Sink);
            }
            Asked::Missing(name) => (name, format!("{what} is not in the bucket")),
            Asked::There(mut object) => {
                let size = Some(object.size());
                let taken = sink.attachment(file, size, &mut object);
                taken.map_err(ExportError::Sink)?;
                // The sink has named the loss.
                if let Some(error) = object.failure() {
                    return Ok(self.of_one(error)?);
                }
                self.unread.store(0, Ordering::Relaxed);
                return Ok(());
            }
            Asked::Unreadable(name, error) => {
                self.of_one(&error)?;
                (name, format!("{what} cannot be read: {error}"))
            }
        };
        let loss = PlatformLoss {
            path: Some(self.place(&name)),
            ..file.loss(why)
        };
        sink.loss(loss).map_err(ExportError::Sink)
    }

    /// An error of one object is a loss, unless it is one of all of them.
    fn of_one(&self, error: &StoreError) -> Result<(), PlatformError> {
        let before = self.unread.fetch_add(1, Ordering::Relaxed);
        let has_failed = error.kind() == StoreErrorKind::Unavailable;
        let most = if has_failed { FAILED } else { REFUSED };
        if before >= most {
            return Err(failed(error.clone()));
        }
        // Other objects may be read, if it shows what it holds.
        match has_failed {
            true => Ok(interrupt::check().map_err(|_| PlatformError::Interrupted)?),
            false => self.walk(ASIDE, true, &mut |_, _| {}),
        }
    }
}
