//! What lies in an object store: the objects, or all their versions.

use std::collections::BTreeSet;

use jiff::Timestamp;
use opendal::ErrorKind;
use serde::{Deserialize, Serialize};

use super::{
    ObjectStore, StoreError, StoreErrorKind,
    pages::{Marker, Page, lies},
};

/// Bytes that no object has.
const IMPOSSIBLE: u64 = 1 << 50;

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

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ObjectPage {
    is_truncated: Option<bool>,
    #[serde(default)]
    next_continuation_token: String,
    #[serde(default)]
    contents: Vec<Listed>,
    /// Where names are listed up to the next slash.
    #[serde(default)]
    common_prefixes: Vec<CommonPrefix>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CommonPrefix {
    prefix: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct VersionPage {
    #[serde(default)]
    is_truncated: bool,
    #[serde(default)]
    next_key_marker: String,
    #[serde(default)]
    next_version_id_marker: String,
    #[serde(default)]
    version: Vec<Listed>,
    #[serde(default)]
    delete_marker: Vec<Listed>,
}

/// An object, a version of one, or the mark of a deletion.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    key: String,
    last_modified: String,
    /// None where versions are not listed.
    is_latest: Option<bool>,
    version_id: Option<String>,
    /// The mark of a deletion has none.
    #[serde(default)]
    size: u64,
    #[serde(rename = "ETag")]
    tag: Option<String>,
    #[serde(skip)]
    deleted: bool,
}

impl Page for ObjectPage {
    type Entry = Listed;

    fn next(&self) -> Option<Marker> {
        let token = &self.next_continuation_token;
        let has_more = self.is_truncated.unwrap_or(!token.is_empty());
        has_more.then(|| vec![("continuation-token", token.clone())])
    }

    fn entries(self) -> Vec<Listed> {
        self.contents
    }
}

impl Page for VersionPage {
    type Entry = Listed;

    fn next(&self) -> Option<Marker> {
        let (key, id) = (&self.next_key_marker, &self.next_version_id_marker);
        let marker = || [("key-marker", key), ("version-id-marker", id)];
        let has_value = |(_, value): &(&str, &String)| !value.is_empty();
        self.is_truncated.then(|| {
            let known = marker().into_iter().filter(has_value);
            known.map(|(name, value)| (name, value.clone())).collect()
        })
    }

    fn entries(mut self) -> Vec<Listed> {
        let marks = self.delete_marker.into_iter();
        self.version.extend(marks.map(|mark| Listed {
            deleted: true,
            ..mark
        }));
        self.version
    }
}

impl ObjectStore {
    /// Every object below the prefix, in the order of the keys.
    ///
    /// # Errors
    /// When the store does not say.
    pub fn list(&self) -> Result<Vec<StoreObject>, StoreError> {
        let found = self.objects();
        let found = found.map_err(|error| self.failed("", &error).noted())?;
        let objects = found.into_iter().map(|object| StoreObject {
            key: object.key,
            size: object.size,
            tag: object.tag,
        });
        Ok(objects.collect())
    }

    /// Every version of every object below the prefix, and every mark of a deletion, of each key the oldest first; none where the store keeps no
    /// versions, or does not let this client see them.
    ///
    /// # Errors
    /// When the store does not say.
    pub fn list_versions(&self) -> Result<Option<Vec<StoreVersion>>, StoreError> {
        match self.versions() {
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
        let found = match self.versions() {
            Err(error) if self.knows_no_versions(&error) => self.objects(),
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

    fn objects(&self) -> opendal::Result<Vec<StoreVersion>> {
        self.entries::<ObjectPage>(("list-type", "2"))
    }

    fn versions(&self) -> opendal::Result<Vec<StoreVersion>> {
        self.entries::<VersionPage>(("versions", ""))
    }

    /// What is listed, of each key the oldest first.
    fn entries<P: Page<Entry = Listed>>(
        &self,
        of: (&str, &str),
    ) -> opendal::Result<Vec<StoreVersion>> {
        let listed = self.pages::<P>(&[of], "")?;
        // What is called a folder is none of an archive.
        let listed = listed.into_iter().filter(|one| !one.key.ends_with('/'));
        let found: opendal::Result<Vec<StoreVersion>> =
            listed.map(|listed| self.entry(listed)).collect();
        let mut found = found?;
        // Stores list the newest first, and tell times in seconds: the newest of one moment comes after those before it.
        found.reverse();
        found.sort_by(|one, other| {
            let order = |version: &StoreVersion| (version.modified, version.current);
            let by_key = one.key.cmp(&other.key);
            by_key.then_with(|| order(one).cmp(&order(other)))
        });
        Ok(found)
    }

    fn entry(&self, listed: Listed) -> opendal::Result<StoreVersion> {
        let key = self.below_prefix(&listed.key)?;
        let modified = listed.last_modified.parse::<Timestamp>();
        let modified = modified.map_err(|e| lies(format!("it lists {key} without a time: {e}")))?;
        if listed.size >= IMPOSSIBLE {
            let size = listed.size;
            return Err(lies(format!("it lists {key} with {size} bytes")));
        }
        Ok(StoreVersion {
            key,
            modified: modified.as_millisecond(),
            current: listed.is_latest.unwrap_or(true),
            deleted: listed.deleted,
            size: listed.size,
            version: listed.version_id,
            tag: listed.tag,
        })
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

    /// Walks over the keys that begin with `below`, below the prefix, with the bytes of each object; whatever a store calls a folder is
    /// left out. With `up_to_slash`, what is behind the next slash is not told: a key that ends with it stands for all of that, without
    /// a number of bytes.
    ///
    /// # Errors
    /// When the store does not say.
    pub fn walk(
        &self,
        below: &str,
        up_to_slash: bool,
        take: &mut dyn FnMut(&str, Option<u64>),
    ) -> Result<(), StoreError> {
        let mut query = vec![("list-type", "2")];
        if up_to_slash {
            query.push(("delimiter", "/"));
        }
        let walked = self.each_page(&query, below, &mut |page: ObjectPage| {
            for object in page.contents {
                let key = self.below_prefix(&object.key)?;
                if !key.ends_with('/') {
                    take(&key, Some(object.size));
                }
            }
            for CommonPrefix { prefix } in page.common_prefixes {
                take(&self.below_prefix(&prefix)?, None);
            }
            Ok(())
        });
        walked.map_err(|error| self.failed("", &error))
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

impl StoreVersion {
    /// Tells whether a version is one of these, be it the newest or not.
    pub fn among(versions: Vec<StoreVersion>) -> impl Fn(&StoreVersion) -> bool {
        let lasting = |version: StoreVersion| StoreVersion {
            current: false,
            ..version
        };
        let known: BTreeSet<StoreVersion> = versions.into_iter().map(lasting).collect();
        move |version| known.contains(&lasting(version.clone()))
    }
}
