//! The objects of an archive in an object store, as the files of a folder.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use decryptor_wasm::{Code, Error, Result};

use super::error::unreadable;
use crate::{
    storage::{ObjectFile, ReadAt, Store},
    threads::lock,
};

/// The bytes of each object, by its key.
type Sizes = BTreeMap<String, u64>;

/// The objects below a prefix, which are listed once.
#[derive(Clone)]
pub(super) struct Objects {
    store: Store,
    /// Before the paths: that of a run, or nothing.
    prefix: String,
    known: Arc<Mutex<Option<Arc<Sizes>>>>,
}

impl Objects {
    /// Those of a store.
    pub(super) fn new(store: Store) -> Self {
        Objects {
            store,
            prefix: String::new(),
            known: Arc::default(),
        }
    }

    /// Those in the folder of a run, or of nothing.
    pub(super) fn below(&self, folder: &str) -> Self {
        let prefix = match folder.is_empty() {
            true => self.prefix.clone(),
            false => format!("{}{folder}/", self.prefix),
        };
        Objects {
            prefix,
            ..self.clone()
        }
    }

    /// Path and size of each, in the order of the paths.
    pub(super) fn list(&self) -> Result<Vec<(String, u64)>> {
        let known = self.known()?;
        let from = known.range(self.prefix.clone()..);
        let own = from.map_while(|(key, size)| Some((key.strip_prefix(&self.prefix)?, *size)));
        Ok(own.map(|(path, size)| (path.to_owned(), size)).collect())
    }

    /// Bytes of an object; none where there is none.
    pub(super) fn size(&self, path: &str) -> Result<Option<u64>> {
        Ok(self.known()?.get(&self.key(path)).copied())
    }

    pub(super) fn open(&self, path: &str) -> Result<Arc<dyn ReadAt>> {
        let size = self.size(path)?;
        let size = size.ok_or_else(|| {
            let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
            unreadable(path, &missing)
        })?;
        Ok(Arc::new(ObjectFile::new(
            &self.store,
            &self.key(path),
            None,
            size,
        )))
    }

    fn key(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    fn known(&self) -> Result<Arc<Sizes>> {
        let mut known = lock(&self.known);
        if let Some(known) = &*known {
            return Ok(known.clone());
        }
        let listed = self.store.list().map_err(|error| {
            let folder = self.store.address().to_string();
            Error::of(Code::UnreadableFolder)
                .at(&folder)
                .because(&error)
        })?;
        let listed = listed.into_iter().map(|object| (object.key, object.size));
        let listed = Arc::new(listed.collect::<Sizes>());
        *known = Some(listed.clone());
        Ok(listed)
    }
}
