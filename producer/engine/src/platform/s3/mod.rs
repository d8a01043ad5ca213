//! The S3 engine of attachments: an object for each, `<keyPrefix><userId>/<eventId>/<fileId>`.

mod export;
mod incoming;
mod object_name;
mod unknown;

use super::PlatformError;
use crate::config::AttachmentBucket;
use crate::interrupt;
use crate::storage::{
    AccessKey, Before, ObjectReader, ObjectStore, StoreAddress, StoreError, StoreErrorKind,
    StoreOptions,
};
use crate::threads;
use crate::threads::lock;
pub use incoming::IncomingObject;
pub use object_name::{ObjectName, number};
use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, OnceLock};
use zeroize::Zeroizing;

/// What lies aside is below the prefix in a place of this name, which is no user's.
const ASIDE: &str = ".pryv-backup-restore";
/// What is put there to find out whether it would be put once more.
const PROBE: &str = "probe";
/// Requests that are made at the same time for one user.
const AT_ONCE: usize = 8;

/// The objects of a platform's attachments.
#[derive(Clone)]
pub struct AttachmentStore {
    /// The whole bucket: the prefix need not end with a slash.
    store: ObjectStore,
    /// Before the id of a user.
    prefix: String,
    /// The users that had objects when it was first asked.
    owners: Arc<Mutex<Option<Arc<HashSet<String>>>>>,
    /// Whether the store refuses to put an object where there is one, once that is known.
    conditional: Arc<Mutex<Option<bool>>>,
    /// Objects in a row that could not be read.
    unread: Arc<AtomicUsize>,
    /// Why nothing more is sent: it failed however often it was asked, and would fail for each user anew.
    down: Arc<OnceLock<StoreError>>,
}

impl AttachmentStore {
    /// The bucket that a configuration describes; not yet contacted.
    ///
    /// # Errors
    /// When the settings cannot be used.
    pub fn new(config: &AttachmentBucket) -> Result<Self, PlatformError> {
        let access_key = config.access_key.as_ref().map(|(id, secret)| AccessKey {
            id: id.clone(),
            secret: Zeroizing::new(secret.reveal().to_owned()),
        });
        let address = StoreAddress {
            bucket: config.bucket.clone(),
            prefix: String::new(),
            options: StoreOptions {
                // What the environment names is the store of the backups.
                endpoint: Some(config.address()),
                region: Some(config.region.clone()),
                path_style: Some(config.in_path),
                access_key,
                ..StoreOptions::default()
            },
        };
        Ok(Self {
            store: ObjectStore::open(&address).map_err(failed)?,
            prefix: config.key_prefix.clone(),
            owners: Arc::default(),
            conditional: Arc::default(),
            unread: Arc::default(),
            down: Arc::default(),
        })
    }

    /// Whether it answers, and shows what it holds.
    ///
    /// # Errors
    /// When it does not.
    pub fn check(&self) -> Result<(), PlatformError> {
        self.owners().map(drop)
    }

    /// The users that had objects when this was first asked.
    fn owners(&self) -> Result<Arc<HashSet<String>>, PlatformError> {
        let mut known = lock(&self.owners);
        if let Some(known) = &*known {
            return Ok(known.clone());
        }
        let mut found = HashSet::new();
        self.walk("", true, &mut |key, _| {
            found.extend(key.strip_suffix('/').map(str::to_owned));
        })?;
        Ok(known.insert(Arc::new(found)).clone())
    }

    /// The attachments of a user that are there; a user who had none at first is not asked for.
    ///
    /// # Errors
    /// When the store does not say.
    pub fn objects_of(&self, user_id: &str) -> Result<BTreeSet<ObjectName>, PlatformError> {
        let mut found = BTreeSet::new();
        if self.owners()?.contains(user_id) {
            // What is not called as an attachment is stays, whatever becomes of the user.
            self.walk(&format!("{user_id}/"), false, &mut |key, _| {
                found.extend(ObjectName::parse(key));
            })?;
        }
        Ok(found)
    }

    /// The error of a request by which a restore changes something.
    #[must_use]
    pub fn refused(&self, error: StoreError) -> PlatformError {
        if error.kind() == StoreErrorKind::Unavailable {
            let _ = self.down.set(error.clone());
        }
        failed(error)
    }

    /// Whether there is any use in asking it.
    fn is_up(&self) -> Result<(), PlatformError> {
        match self.down.get() {
            None => Ok(()),
            Some(error) => Err(failed(error.clone())),
        }
    }

    /// Walks over the keys below the prefix that begin with `below`, as [`ObjectStore::walk`] does.
    fn walk(
        &self,
        below: &str,
        up_to_slash: bool,
        take: &mut dyn FnMut(&str, Option<u64>),
    ) -> Result<(), PlatformError> {
        let below = format!("{}{below}", self.prefix);
        let walked = self.store.walk(&below, up_to_slash, &mut |key, size| {
            if let Some(key) = key.strip_prefix(&self.prefix) {
                take(key, size);
            }
        });
        walked.map_err(failed)
    }

    /// The place of an object, for messages.
    #[must_use]
    pub fn place(&self, name: &str) -> String {
        let bucket = self.store.address();
        format!("{bucket}/{}{name}", self.prefix)
    }

    /// The place of an attachment, for messages.
    #[must_use]
    pub fn place_of(&self, name: &ObjectName) -> String {
        self.place(&name.to_string())
    }

    /// The attachment as it is there now; none where it is not.
    ///
    /// # Errors
    /// When the store does not give it.
    pub fn reader(&self, name: &ObjectName) -> Result<Option<ObjectReader>, StoreError> {
        self.store.reader(&self.key(name), true)
    }

    fn key(&self, name: &ObjectName) -> String {
        format!("{}{name}", self.prefix)
    }

    fn key_aside(&self, number: &str) -> String {
        format!("{}{ASIDE}/{number}", self.prefix)
    }

    /// Begins to put an attachment where none is; `mark` tells it from what others put there.
    ///
    /// # Errors
    /// When it cannot be found out how the store puts objects.
    pub fn put(&self, name: &ObjectName, mark: &str) -> Result<IncomingObject, PlatformError> {
        self.is_up()?;
        let before = match self.is_conditional()? {
            true => Before::Nothing,
            false => Before::Anything,
        };
        let key = self.key(name);
        Ok(IncomingObject::new(&self.store, before, &key, mark))
    }

    /// Begins to put an object aside.
    #[must_use]
    pub fn put_aside(&self, number: &str, mark: &str) -> IncomingObject {
        let key = self.key_aside(number);
        IncomingObject::new(&self.store, Before::Anything, &key, mark)
    }

    /// Whether the store refuses to put an object where there is one; a store that knows no such condition is taken as it is.
    fn is_conditional(&self) -> Result<bool, PlatformError> {
        let mut known = lock(&self.conditional);
        if let Some(known) = *known {
            return Ok(known);
        }
        // Another restore may probe at the same time.
        let key = self.key_aside(&format!("{PROBE}-{}", number()?));
        let probe = || self.store.put(&key, Vec::new());
        let refused = |error: StoreError| match error.kind() {
            StoreErrorKind::Exists => Ok(true),
            // The condition may be what it does not know.
            StoreErrorKind::Unsupported | StoreErrorKind::Failed => {
                let put = IncomingObject::new(&self.store, Before::Anything, &key, PROBE);
                put.finish().map(|()| false)
            }
            _ => Err(error),
        };
        let found = match probe() {
            // A store that passes over the condition takes a second one too.
            Ok(()) => probe().map_or_else(refused, |()| Ok(false)),
            // Of those that know it: a killed restore has left one, or the first answer was lost.
            Err(error) => refused(error),
        };
        let found = found.map_err(|error| self.refused(error))?;
        // If it stays, it is empty and in the way of nothing.
        let _ = self.store.delete(&key, None);
        Ok(*known.insert(found))
    }

    /// Puts what lies aside in the place of an attachment. Can be done again with the same mark, by which it is known what is in place. Whether
    /// it is now: what lay aside may be lost.
    ///
    /// # Errors
    /// When the store refuses; what lies aside stays.
    pub fn place_aside(
        &self,
        number: &str,
        name: &ObjectName,
        mark: &str,
    ) -> Result<bool, PlatformError> {
        self.is_up()?;
        let aside = self.key_aside(number);
        let read = self.store.reader(&aside, true);
        let read = read.map_err(|error| self.refused(error))?;
        let Some(mut content) = read else {
            let carried = self.carries(&self.key(name), mark);
            return carried.map_err(|error| self.refused(error));
        };
        let mut object = IncomingObject::new(&self.store, Before::Anything, &self.key(name), mark);
        let copied = object.copy(&mut content);
        if let Some(error) = content.failure() {
            return Err(self.refused(error.clone()));
        }
        let placed = copied.and_then(|()| object.finish());
        let placed = placed.and_then(|()| self.store.delete(&aside, None));
        placed.map_err(|error| self.refused(error))?;
        Ok(true)
    }

    /// Whether an object was put with this mark.
    fn carries(&self, key: &str, mark: &str) -> Result<bool, StoreError> {
        Ok(self.store.mark(key)?.as_deref() == Some(mark))
    }

    /// Removes attachments, several at once.
    ///
    /// # Errors
    /// When the store refuses.
    pub fn remove(&self, names: &[ObjectName]) -> Result<(), PlatformError> {
        self.remove_all(names, &|key| self.store.delete(key, None))
    }

    /// The same of those that carry a mark: of the others, somebody else has put the same.
    ///
    /// # Errors
    /// When the store refuses.
    pub fn remove_marked(&self, names: &[ObjectName], mark: &str) -> Result<(), PlatformError> {
        self.remove_all(names, &|key| match self.carries(key, mark)? {
            true => self.store.delete(key, None),
            false => Ok(()),
        })
    }

    fn remove_all(
        &self,
        names: &[ObjectName],
        remove: &(dyn Fn(&str) -> Result<(), StoreError> + Sync),
    ) -> Result<(), PlatformError> {
        for some in names.chunks(AT_ONCE) {
            self.is_up()?;
            let done = threads::map(some, |name| remove(&self.key(name)));
            let done = done.into_iter().collect::<Result<(), _>>();
            done.map_err(|error| self.refused(error))?;
        }
        Ok(())
    }

    /// Gives up the uploads of many parts of an attachment that were begun.
    ///
    /// # Errors
    /// When the store refuses.
    pub fn give_up(&self, name: &ObjectName) -> Result<(), PlatformError> {
        self.is_up()?;
        let given_up = self.store.abort_all(&self.key(name));
        given_up.map_err(|error| self.refused(error))
    }

    /// Removes what lies aside, be it whole or begun.
    ///
    /// # Errors
    /// When the store refuses.
    pub fn remove_aside(&self, number: &str) -> Result<(), PlatformError> {
        self.is_up()?;
        let key = self.key_aside(number);
        let removed = self.store.abort_all(&key);
        let removed = removed.and_then(|()| self.store.delete(&key, None));
        removed.map_err(|error| self.refused(error))
    }
}

/// The error of a store, as one of the platform.
pub fn failed(error: StoreError) -> PlatformError {
    match interrupt::check() {
        Ok(()) => PlatformError::S3(error),
        Err(_) => PlatformError::Interrupted,
    }
}

impl std::fmt::Debug for AttachmentStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.place(""))
    }
}
