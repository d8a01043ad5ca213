//! The objects of an archive in an object store, as the files of a folder. Where the store keeps versions, of each object the oldest is read:
//! a backup writes none twice, so that whatever came later is of somebody else.

use std::{
    collections::BTreeMap,
    fs::File,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use decryptor_wasm::{
    Code, Error, FileList, Result,
    plan::{Finding, Severity},
};

use super::{disk, error::unreadable};
use crate::{
    limits::NAMED,
    storage::{
        Before, KeptPieces, ObjectFile, ObjectStore, ReadAt, StoreObject, StoreVersion, Upload,
    },
    threads::lock,
};

/// An object that is read.
#[derive(Clone)]
struct Object {
    size: u64,
    /// None where there is one only.
    version: Option<String>,
    /// What the store calls its content.
    tag: Option<String>,
    /// Where it is on this host, if it is not yet in the store.
    waits: Option<PathBuf>,
}

/// The objects by their keys, and what was done to them.
#[derive(Default)]
struct Known {
    objects: BTreeMap<String, Object>,
    findings: Vec<Finding>,
    pieces: KeptPieces,
}

/// The objects below a prefix, which are listed once.
#[derive(Clone)]
pub(super) struct Objects {
    store: ObjectStore,
    /// Before the paths: that of a run, or nothing.
    prefix: String,
    /// A folder of this host, whose files are still to be put beside the objects.
    waiting: Option<PathBuf>,
    known: Arc<Mutex<Option<Arc<Known>>>>,
}

impl Objects {
    /// Those of a store.
    pub(super) fn new(store: ObjectStore) -> Self {
        Objects {
            store,
            prefix: String::new(),
            waiting: None,
            known: Arc::default(),
        }
    }

    /// Those in the folder of a run, with the files in a folder of this host that are to be put beside them.
    pub(super) fn with_waiting(&self, folder: &str, waiting: PathBuf) -> Self {
        Objects {
            waiting: Some(waiting),
            known: Arc::default(),
            ..self.below(folder)
        }
    }

    /// Where they are.
    pub(super) fn store(&self) -> &ObjectStore {
        &self.store
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
    pub(super) fn list(&self) -> Result<FileList> {
        let known = self.known()?;
        let from = known.objects.range(self.prefix.clone()..);
        let own = from.map_while(|(key, object)| {
            let path = key.strip_prefix(&self.prefix)?;
            Some((path.to_owned(), object.size))
        });
        Ok(own.collect())
    }

    /// What was done to the objects after they were written.
    pub(super) fn findings(&self) -> Result<Vec<Finding>> {
        Ok(self.known()?.findings.clone())
    }

    /// Bytes of an object; none where there is none.
    pub(super) fn size(&self, path: &str) -> Result<Option<u64>> {
        let known = self.known()?;
        Ok(known.objects.get(&self.key(path)).map(|object| object.size))
    }

    pub(super) fn open(&self, path: &str) -> Result<Arc<dyn ReadAt>> {
        let key = self.key(path);
        let known = self.known()?;
        let object = known.objects.get(&key).cloned();
        let object = object.ok_or_else(|| {
            let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
            unreadable(path, &missing)
        })?;
        if let Some(place) = &object.waits {
            let file = File::open(place).map_err(|e| unreadable(path, &e))?;
            return Ok(Arc::new(file));
        }
        let file = ObjectFile::new(
            &self.store,
            &known.pieces,
            &key,
            object.version,
            object.size,
        );
        Ok(Arc::new(file))
    }

    /// Those that are there now.
    pub(super) fn again(&self) -> Self {
        Objects {
            known: Arc::default(),
            ..self.clone()
        }
    }

    /// Begins to put an object where this path is, unless somebody else does, or did since the objects were listed.
    pub(super) fn upload(&self, path: &str) -> Result<Upload> {
        let key = self.key(path);
        let known = self.known()?;
        let tag = known
            .objects
            .get(&key)
            .and_then(|object| object.tag.clone());
        let before = tag.map_or(Before::Nothing, Before::Tag);
        Ok(Upload::new(&self.store, before, &key))
    }

    fn key(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    fn known(&self) -> Result<Arc<Known>> {
        let mut known = lock(&self.known);
        if let Some(known) = &*known {
            return Ok(known.clone());
        }
        let as_of = self.store.address().options.as_of;
        let listed = self.store.list_versions().and_then(|versions| {
            if let Some(versions) = versions {
                return Ok(chosen(versions, as_of));
            }
            if as_of.is_some() {
                return Err(self.store.no_versions());
            }
            let objects = self.store.list()?.into_iter().map(|object| {
                let StoreObject { key, size, tag } = object;
                let object = Object {
                    size,
                    version: None,
                    tag,
                    waits: None,
                };
                (key, object)
            });
            Ok(Known {
                objects: objects.collect(),
                ..Known::default()
            })
        });
        let mut listed = listed.map_err(|error| {
            let folder = self.store.address().to_string();
            Error::of(Code::UnreadableFolder)
                .at(&folder)
                .because(&error)
        })?;
        if let Some(waiting) = &self.waiting {
            for (path, size) in disk::list(waiting)?.iter() {
                let object = Object {
                    size,
                    version: None,
                    tag: None,
                    waits: Some(waiting.join(&path)),
                };
                listed.objects.insert(self.key(&path), object);
            }
        }
        let listed = Arc::new(listed);
        *known = Some(listed.clone());
        Ok(listed)
    }
}

/// Of each object the version that is read: the oldest, or the newest of that moment.
fn chosen(versions: Vec<StoreVersion>, as_of: Option<i64>) -> Known {
    let mut known = Known::default();
    let mut changed = 0;
    for of_key in versions.chunk_by(|one, other| one.key == other.key) {
        let mut there = of_key.iter();
        let version = match as_of {
            Some(moment) => there.rfind(|version| version.modified <= moment),
            None => there.find(|version| !version.deleted),
        };
        let Some(version) = version.filter(|version| !version.deleted) else {
            continue;
        };
        let object = Object {
            size: version.size,
            version: version.version.clone().filter(|_| of_key.len() > 1),
            tag: version.tag.clone(),
            waits: None,
        };
        known.objects.insert(version.key.clone(), object);
        if as_of.is_some() || of_key.len() == 1 {
            continue;
        }
        changed += 1;
        if changed <= NAMED {
            known.findings.push(Finding {
                severity: Severity::Warning,
                code: "overwritten",
                path: version.key.clone(),
                message: "was overwritten or deleted in the store after it was written; it is read as it was at first"
                    .to_owned(),
            });
        }
    }
    if changed > NAMED {
        known.findings.push(Finding {
            severity: Severity::Warning,
            code: "overwritten",
            path: String::new(),
            message: format!(
                "{} further objects were overwritten or deleted too",
                changed - NAMED
            ),
        });
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_version_is_read_or_that_of_a_moment() {
        let version = |key: &str, modified, deleted: bool, version: &str| StoreVersion {
            key: key.to_owned(),
            modified,
            current: false,
            deleted,
            size: 1,
            version: Some(version.to_owned()),
            tag: None,
        };
        let versions = vec![
            version("a", 1, false, "a1"),
            version("b", 1, false, "b1"),
            version("b", 5, true, "b5"),
            version("c", 2, false, "c2"),
            version("c", 4, false, "c4"),
            version("d", 3, true, "d3"),
        ];
        let read = |as_of| {
            let known = chosen(versions.clone(), as_of);
            let objects = known.objects.into_iter();
            let objects = objects.map(|(key, object)| (key, object.version.unwrap_or_default()));
            (objects.collect::<Vec<_>>(), known.findings.len())
        };
        let due = |list: &[(&str, &str)], findings| {
            let list = list
                .iter()
                .map(|(key, v)| ((*key).to_owned(), (*v).to_owned()));
            (list.collect::<Vec<_>>(), findings)
        };
        assert_eq!(read(None), due(&[("a", ""), ("b", "b1"), ("c", "c2")], 2));
        assert_eq!(
            read(Some(4)),
            due(&[("a", ""), ("b", "b1"), ("c", "c4")], 0)
        );
        assert_eq!(read(Some(5)), due(&[("a", ""), ("c", "c4")], 0));
        assert_eq!(read(Some(0)), due(&[], 0));
    }
}
