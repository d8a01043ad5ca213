//! An object that is sent piece by piece.

use opendal::Writer;

use super::{Before, ObjectStore, StoreError, store::PART};

/// An object on its way into the store. Nobody sees it before it is finished; one that goes away before that is given up.
pub struct Upload {
    store: ObjectStore,
    key: String,
    before: Before,
    /// Tells it from others of the same bytes.
    mark: Option<String>,
    /// Bytes that are not sent yet.
    waiting: Vec<u8>,
    /// Of an object of more than one part.
    parts: Option<Writer>,
    written: u64,
}

impl Upload {
    /// Of an object in the place of what is there.
    #[must_use]
    pub fn new(store: &ObjectStore, before: Before, key: &str) -> Self {
        Upload {
            store: store.clone(),
            key: key.to_owned(),
            before,
            mark: None,
            waiting: Vec::new(),
            parts: None,
            written: 0,
        }
    }

    /// The same with a mark, see [`ObjectStore::mark`]: an object of the same bytes that somebody else has put is another one then.
    #[must_use]
    pub fn marked(mut self, mark: &str) -> Self {
        self.mark = Some(mark.to_owned());
        self
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// When the store fails.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.written += bytes.len() as u64;
        self.waiting.extend_from_slice(bytes);
        match self.waiting.len() < PART {
            true => Ok(()),
            false => self.send(),
        }
    }

    fn send(&mut self) -> Result<(), StoreError> {
        let bytes = std::mem::take(&mut self.waiting);
        self.store.slow_down(bytes.len());
        let mut parts = match self.parts.take() {
            Some(parts) => parts,
            None => {
                let mark = self.mark.as_deref();
                self.store.parts(&self.before, &self.key, mark)?
            }
        };
        let sent = self.store.wait(parts.write(bytes));
        self.parts = Some(parts);
        sent.map_err(|error| self.store.failed(&self.key, &error))
    }

    /// Ends the object; `sha256` is that of all its bytes.
    ///
    /// # Errors
    /// An error of the kind `Exists` where there is something else, and whatever the store fails with.
    pub fn finish(mut self, sha256: &[u8; 32]) -> Result<(), StoreError> {
        if self.parts.is_some() && !self.waiting.is_empty() {
            self.send()?;
        }
        let ended = match self.parts.take() {
            // One part is an object by itself.
            None => {
                let bytes = std::mem::take(&mut self.waiting);
                let mark = self.mark.as_deref();
                self.store.put_over(&self.before, &self.key, bytes, mark)
            }
            Some(mut parts) => {
                let closed = self.store.wait(parts.close());
                let closed = closed.map_err(|error| self.store.failed(&self.key, &error));
                if closed.is_err() {
                    self.parts = Some(parts);
                }
                closed.map(drop)
            }
        };
        let Err(error) = ended else {
            return Ok(());
        };
        // Its answer may have been lost: then it is there, and making it again is refused.
        let is_there = || {
            if self.mark.is_some() {
                return Ok(self.store.mark(&self.key)? == self.mark);
            }
            let sized = self.store.size(&self.key)? == Some(self.written);
            Ok::<_, StoreError>(sized && self.store.sha256(&self.key)? == Some(*sha256))
        };
        match is_there().unwrap_or(false) {
            true => {
                self.parts = None;
                Ok(())
            }
            false => Err(error),
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(mut parts) = self.parts.take() {
            // Best effort: the store has to be told to remove parts that were left.
            let _ = self.store.wait(parts.abort());
        }
    }
}
