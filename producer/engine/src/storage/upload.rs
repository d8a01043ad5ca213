//! An object that is sent piece by piece.

use opendal::Writer;

use super::{ObjectStore, StoreError, StoreErrorKind};

/// An object on its way into the store. Nobody sees it before it is finished; one that goes away before that is given up.
pub struct Upload {
    writer: Writer,
    store: ObjectStore,
    key: String,
    written: u64,
    finished: bool,
}

impl Upload {
    pub(super) fn new(store: &ObjectStore, key: &str, writer: Writer) -> Self {
        Upload {
            writer,
            store: store.clone(),
            key: key.to_owned(),
            written: 0,
            finished: false,
        }
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// When the store fails.
    pub fn write(&mut self, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.store.slow_down(bytes.len());
        self.written += bytes.len() as u64;
        let written = self.store.wait(self.writer.write(bytes));
        written.map_err(|error| self.store.failed(&self.key, &error))
    }

    /// Ends the object.
    ///
    /// # Errors
    /// [`StoreErrorKind::Exists`] where somebody else made one meanwhile, and whatever the store fails with.
    pub fn finish(mut self) -> Result<(), StoreError> {
        self.finished = true;
        let closed = self.store.wait(self.writer.close());
        let Err(error) = closed else {
            return Ok(());
        };
        let error = self.store.failed(&self.key, &error);
        // Its answer may have been lost: then it is there, and making it again is refused.
        let lost = matches!(
            error.kind(),
            StoreErrorKind::Exists | StoreErrorKind::Missing
        );
        match lost && self.store.size(&self.key)? == Some(self.written) {
            true => Ok(()),
            false => Err(error),
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.finished {
            // Best effort: the next run ends uploads that were left.
            let _ = self.store.wait(self.writer.abort());
        }
    }
}
