//! An object on its way into the bucket.

use crate::limits::PIECE;
use crate::storage::{Before, ObjectStore, StoreError, Upload};
use sha2::{Digest, Sha256};
use std::io::{self, Read};

/// Nobody sees it before it is finished; one that goes away before that is given up.
pub struct IncomingObject {
    upload: Upload,
    digest: Sha256,
}

impl IncomingObject {
    /// To be put at a key, with the mark of whoever puts it.
    pub(super) fn new(store: &ObjectStore, before: Before, key: &str, mark: &str) -> Self {
        Self {
            upload: Upload::new(store, before, key).marked(mark),
            digest: Sha256::new(),
        }
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// When the store fails.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.digest.update(bytes);
        self.upload.write(bytes)
    }

    /// Appends all that a reader gives. One that fails ends it; that is for whoever knows the reader to find out.
    ///
    /// # Errors
    /// When the store fails.
    pub fn copy(&mut self, from: &mut dyn Read) -> Result<(), StoreError> {
        let mut piece = vec![0; PIECE];
        loop {
            match from.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(n) => self.write(&piece[..n])?,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Ok(()),
            }
        }
    }

    /// Ends it.
    ///
    /// # Errors
    /// When there is another one, or the store fails.
    pub fn finish(self) -> Result<(), StoreError> {
        self.upload.finish(&self.digest.finalize().into())
    }
}
