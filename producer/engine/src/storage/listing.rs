//! What lies in an object store: the objects, or all their versions.

use std::collections::BTreeSet;

use futures_util::TryStreamExt;
use opendal::{ErrorKind, Metadata};
use serde::{Deserialize, Serialize};

use super::{ObjectStore, StoreError, StoreErrorKind};

/// Bytes that no object has.
const IMPOSSIBLE: u64 = 1 << 50;
/// Objects and versions below a prefix that are listed: a chain has some for each run and each GiB.
const MOST: usize = 2_000_000;

/// An object in a store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoreObject {
    /// Where it is, below the prefix.
    pub key: String,
    /// Its bytes.
    pub size: u64,
    /// What the store calls its content.
    pub tag: Option<String>,
}

/// A version of an object, or the mark of a deletion.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StoreVersion {
    /// Where it is, below the prefix.
    pub key: String,
    /// When it was put, in milliseconds since 1970.
    pub modified: i64,
    /// Whether it is the newest.
    pub current: bool,
    /// Whether it marks a deletion.
    pub deleted: bool,
    /// Its bytes.
    pub size: u64,
    /// Its name.
    pub version: Option<String>,
    /// What the store calls its content.
    pub tag: Option<String>,
}

impl ObjectStore {
    /// Every object below the prefix, in the order of the keys.
    ///
    /// # Errors
    /// When the store does not say.
    pub fn list(&self) -> Result<Vec<StoreObject>, StoreError> {
        let found = self.again(async || {
            let mut lister = self.operator().lister_with("").recursive(true).await?;
            let mut found = Vec::new();
            while let Some(entry) = lister.try_next().await? {
                if entry.metadata().is_file() {
                    found.push(StoreObject {
                        key: entry.path().to_owned(),
                        size: size(entry.metadata())?,
                        tag: entry.metadata().etag().map(str::to_owned),
                    });
                    refuse_endless(found.len())?;
                }
            }
            Ok(found)
        });
        let mut found = found.map_err(|error| self.failed("", &error).noted())?;
        found.sort();
        Ok(found)
    }

    /// Every version of every object below the prefix, and every mark of a deletion, of each key the oldest first; none where the store keeps no
    /// versions, or does not let this client see them.
    ///
    /// # Errors
    /// When the store does not say.
    pub fn list_versions(&self) -> Result<Option<Vec<StoreVersion>>, StoreError> {
        match self.again(async || self.entries(true).await) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(None),
            Err(error) if self.knows_no_versions(&error) => Ok(None),
            Err(error) => Err(self.failed("", &error).noted()),
        }
    }

    /// The same for whoever removes them: where the store keeps no versions, the objects themselves.
    ///
    /// # Errors
    /// When the store does not say, or does not let this client see the versions: what is deleted then would only be hidden.
    pub fn list_for_removal(&self) -> Result<Vec<StoreVersion>, StoreError> {
        let found = match self.again(async || self.entries(true).await) {
            Err(error) if self.knows_no_versions(&error) => {
                self.again(async || self.entries(false).await)
            }
            found => found,
        };
        let mut found = found.map_err(|error| self.failed("", &error).noted())?;
        // To delete by version takes a right of its own, also where there is one version only.
        if self.keeps_versions().is_ok_and(|kept| !kept) {
            for object in &mut found {
                object.version = None;
            }
        }
        Ok(found)
    }

    /// Whether the versions could not be listed because there are none.
    fn knows_no_versions(&self, error: &opendal::Error) -> bool {
        error.kind() == ErrorKind::Unsupported
            || (error.kind() == ErrorKind::Unexpected
                && self.keeps_versions().is_ok_and(|kept| !kept))
    }

    async fn entries(&self, versions: bool) -> opendal::Result<Vec<StoreVersion>> {
        let lister = self.operator().lister_with("").recursive(true);
        let mut lister = lister.versions(versions).deleted(versions).await?;
        let mut found = Vec::new();
        while let Some(entry) = lister.try_next().await? {
            let known = entry.metadata();
            if known.is_file() || known.is_deleted() {
                let modified = known.last_modified();
                found.push(StoreVersion {
                    key: entry.path().to_owned(),
                    modified: modified.map_or(0, |at| at.into_inner().as_millisecond()),
                    deleted: known.is_deleted(),
                    // The newest of one moment comes after those before it.
                    current: known.is_current().unwrap_or(false),
                    size: size(known)?,
                    version: known.version().map(str::to_owned),
                    tag: known.etag().map(str::to_owned),
                });
                refuse_endless(found.len())?;
            }
        }
        // Stores list the newest first, and tell times in seconds.
        found.reverse();
        found.sort_by(|one, other| {
            let order = |version: &StoreVersion| (version.modified, version.current);
            let by_key = one.key.cmp(&other.key);
            by_key.then_with(|| order(one).cmp(&order(other)))
        });
        Ok(found)
    }

    /// The error where versions are needed that the store does not keep, or does not let this client see.
    #[must_use]
    pub fn no_versions(&self) -> StoreError {
        let why = "its versions cannot be listed, so that what it held at a moment is not known";
        StoreError::new(
            StoreErrorKind::Unsupported,
            &self.address().to_string(),
            why,
        )
    }

    /// The key of every object below the prefix, and of those that were deleted, as far as the store still knows them.
    ///
    /// # Errors
    /// When the store does not say.
    pub fn keys_ever(&self) -> Result<BTreeSet<String>, StoreError> {
        Ok(match self.list_versions()? {
            Some(versions) => versions.into_iter().map(|version| version.key).collect(),
            None => self.list()?.into_iter().map(|object| object.key).collect(),
        })
    }
}

fn size(known: &Metadata) -> opendal::Result<u64> {
    let size = known.content_length();
    match size < IMPOSSIBLE {
        true => Ok(size),
        false => Err(lies(format!("it lists an object of {size} bytes"))),
    }
}

fn refuse_endless(listed: usize) -> opendal::Result<()> {
    match listed <= MOST {
        true => Ok(()),
        false => Err(lies(format!("it lists more than {MOST} objects"))),
    }
}

fn lies(what: String) -> opendal::Error {
    opendal::Error::new(ErrorKind::Unexpected, what).set_persistent()
}

impl StoreVersion {
    /// Whether it is the same one, be it the newest or not.
    #[must_use]
    pub fn is_same(&self, other: &StoreVersion) -> bool {
        let known = |one: &StoreVersion| StoreVersion {
            current: false,
            ..one.clone()
        };
        known(self) == known(other)
    }
}
