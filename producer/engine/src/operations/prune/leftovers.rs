//! What runs leave in an object store that are not finished. Nobody knows whether one is at work, so that what is new is left alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use decryptor_wasm::layout::{claim_of, number_of, run_of};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::{
    archive::{
        read::Folder,
        write::{Removal, remove_objects},
    },
    storage::{BegunUpload, ObjectLock, ObjectStore, StoreError, StoreVersion},
    threads::{lock, share, unlocked},
};

/// An attempt to which nothing was added for so long is dead: seven days.
pub const ABANDONED: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Objects that are asked about at the same time.
const TOGETHER: usize = 8;

/// What attempts at runs left below a prefix that are dead.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Leftovers {
    /// The prefix.
    pub path: PathBuf,
    /// How many objects, with all their versions.
    pub objects: usize,
    /// How many uploads that were never ended.
    pub uploads: usize,
    #[serde(skip)]
    of: Contents,
}

/// What they are.
struct Contents {
    store: ObjectStore,
    objects: Vec<StoreVersion>,
    uploads: Vec<BegunUpload>,
}

impl std::fmt::Debug for Contents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (&self.objects, &self.uploads).fmt(f)
    }
}

impl Leftovers {
    /// These objects of a store.
    pub fn of_objects(store: &ObjectStore, objects: Vec<StoreVersion>) -> Self {
        Leftovers {
            path: PathBuf::from(store.address().to_string()),
            objects: objects.len(),
            uploads: 0,
            of: Contents {
                store: store.clone(),
                objects,
                uploads: Vec::new(),
            },
        }
    }

    /// Why they cannot go now, if they cannot.
    pub fn held(&self) -> Result<Option<String>, String> {
        locked(&self.of.store, &self.of.objects)
    }

    /// Removes them. Of those that cannot go, why is said.
    pub fn remove(&self) -> Result<Option<String>, String> {
        let Contents {
            store,
            objects,
            uploads,
        } = &self.of;
        for upload in uploads {
            store.abort(upload).map_err(|error| error.to_string())?;
        }
        match remove_objects(store, objects) {
            Ok(Removal::Done) => Ok(None),
            Ok(Removal::Refused(error)) => Ok(Some(error.to_string())),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Attempts at runs after the last good one.
#[derive(Debug, Default)]
pub struct Attempts {
    /// What those left that are dead.
    pub dead: Vec<StoreVersion>,
    /// A run that may be at work, and when it added something.
    pub living: Option<(u32, Timestamp)>,
}

/// Looks for attempts at runs after the first `runs`.
pub fn attempts_after(objects: &[StoreVersion], runs: u32, now: Timestamp) -> Attempts {
    let mut by_run: BTreeMap<u32, Vec<StoreVersion>> = BTreeMap::new();
    for object in objects {
        if let Some((run, _)) = run_of(&object.key).filter(|(run, _)| *run > runs) {
            by_run.entry(run).or_default().push(object.clone());
        }
    }
    let mut attempts = Attempts::default();
    for (run, objects) in by_run {
        let since = newest(&objects);
        // Whoever has put more goes on with that, however late.
        let unfinished = objects.iter().all(|object| is_of_attempt(&object.key));
        if unfinished && is_dead(since, now) {
            attempts.dead.extend(objects);
        } else {
            attempts.living.get_or_insert((run, since));
        }
    }
    attempts
}

/// Volumes of the first `runs`, in which no file of theirs lies: another attempt left them, which is dead.
///
/// # Errors
/// When it cannot be told where the files lie.
pub fn unread_volumes(
    objects: &[StoreVersion],
    runs: u32,
    folder: &Folder,
    now: Timestamp,
) -> Result<Vec<StoreVersion>, decryptor_wasm::Error> {
    let mut read = BTreeSet::new();
    for (path, _) in folder.list(false)?.files.iter() {
        read.extend(folder.place(&path)?.map(|(volume, _)| volume));
    }
    let is_left = |object: &&StoreVersion| {
        let of_run = run_of(&object.key).filter(|(run, _)| *run <= runs);
        let is_volume = of_run.is_some_and(|(_, name)| number_of(name, ".tar").is_some());
        is_volume && !read.contains(&object.key) && is_dead(moment(object), now)
    };
    // Were it not known where any file lies, all of them would seem to be left.
    Ok(match read.is_empty() {
        true => Vec::new(),
        false => objects.iter().filter(is_left).cloned().collect(),
    })
}

/// Uploads that were begun long ago and never ended, by the prefix below that of the store.
pub fn abandoned_uploads(
    store: &ObjectStore,
    uploads: Vec<BegunUpload>,
    now: Timestamp,
) -> Vec<Leftovers> {
    let mut by_place: BTreeMap<String, Vec<BegunUpload>> = BTreeMap::new();
    for upload in uploads {
        let Some((name, within)) = upload.key.split_once('/') else {
            continue;
        };
        let dead = upload.begun.is_some_and(|begun| is_dead(begun, now));
        if dead && is_of_attempt(within) {
            by_place.entry(name.to_owned()).or_default().push(upload);
        }
    }
    let of_place = |(name, uploads): (String, Vec<BegunUpload>)| Leftovers {
        path: PathBuf::from(store.address().below(&name).to_string()),
        objects: 0,
        uploads: uploads.len(),
        of: Contents {
            store: store.clone(),
            objects: Vec::new(),
            uploads,
        },
    };
    by_place.into_iter().map(of_place).collect()
}

/// Whether an attempt puts an object of that key before it is finished.
pub fn is_of_attempt(key: &str) -> bool {
    let name = run_of(key).map(|(_, name)| name);
    name.is_some_and(|name| claim_of(name).is_some() || number_of(name, ".tar").is_some())
}

/// The moment at which the newest was put.
pub fn newest(objects: &[StoreVersion]) -> Timestamp {
    objects.iter().map(moment).max().unwrap_or(Timestamp::MIN)
}

fn moment(object: &StoreVersion) -> Timestamp {
    Timestamp::from_millisecond(object.modified).unwrap_or(Timestamp::MAX)
}

/// Whether an attempt that did something at `since` does nothing any more.
pub fn is_dead(since: Timestamp, now: Timestamp) -> bool {
    now.duration_since(since) >= ABANDONED
}

/// Why objects cannot go, if one of them is locked.
///
/// # Errors
/// When the store does not say.
pub fn locked(store: &ObjectStore, objects: &[StoreVersion]) -> Result<Option<String>, String> {
    let locks = locks(store, objects).map_err(|error| error.to_string())?;
    let Some(longest) = locks.iter().max() else {
        return Ok(None);
    };
    Ok(Some(format!(
        "{longest} ({} of {} objects are locked)",
        locks.len(),
        objects.len()
    )))
}

fn locks(store: &ObjectStore, objects: &[StoreVersion]) -> Result<Vec<ObjectLock>, StoreError> {
    let next = AtomicUsize::new(0);
    let (found, failure): (Mutex<Vec<ObjectLock>>, Mutex<Option<StoreError>>) = Default::default();
    share(TOGETHER.min(objects.len()), || {
        while let Some(object) = objects.get(next.fetch_add(1, Ordering::Relaxed)) {
            // The mark of a deletion has none.
            if object.deleted {
                continue;
            }
            match store.lock_of(&object.key, object.version.as_deref()) {
                Ok(known) => lock(&found).extend(known),
                Err(error) => {
                    next.store(objects.len(), Ordering::Relaxed);
                    lock(&failure).get_or_insert(error);
                }
            }
        }
    });
    match unlocked(failure) {
        Some(error) => Err(error),
        None => Ok(unlocked(found)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn object(key: &str, day: i64) -> StoreVersion {
        StoreVersion {
            key: key.to_owned(),
            modified: day * DAY,
            current: true,
            deleted: false,
            size: 1,
            version: None,
            tag: None,
        }
    }

    #[test]
    fn attempts_are_dead_when_nothing_was_added_for_long() {
        let now = Timestamp::from_millisecond(100 * DAY).unwrap();
        let look = |objects: &[StoreVersion]| {
            let attempts = attempts_after(objects, 1, now);
            let dead: Vec<String> = attempts.dead.into_iter().map(|one| one.key).collect();
            (dead, attempts.living.map(|(run, _)| run))
        };
        let claim = "increments/0002/claim-0001";
        let volume = "increments/0002/volume-0001.tar";
        let dead = vec![claim.to_owned(), volume.to_owned()];
        let root = object("claim-0001", 1);
        let old = [root.clone(), object(claim, 90), object(volume, 93)];
        assert_eq!(look(&old), (dead, None));
        assert_eq!(
            look(&[object(claim, 80), object(volume, 94)]),
            (Vec::new(), Some(2))
        );
        // Its last files were being put: the host that did goes on with them.
        let begun = [object(claim, 1), object("increments/0002/run.json", 1)];
        assert_eq!(look(&begun), (Vec::new(), Some(2)));
        assert_eq!(look(&[root]), (Vec::new(), None));
    }
}
