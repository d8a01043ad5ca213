//! Removing objects of a backup from a store, version by version, so that at no moment a part of it looks like a whole one.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use decryptor_wasm::layout::{MANIFEST, SIGNATURE, claim_of, run_of};

use super::ArchiveError;
use crate::{
    interrupt,
    storage::{ObjectStore, StoreError, StoreErrorKind, StoreVersion},
    threads::{lock, share, unlocked},
};

/// Requests at the same time.
const TOGETHER: usize = 8;

/// What became of a removal.
pub enum Removal {
    /// All of it is gone.
    Done,
    /// The store refused the first one, and all are there.
    Refused(StoreError),
}

/// Removes objects: the signature of the first run before all others, without which nobody takes anything there for a backup.
///
/// # Errors
/// When the store refuses, after the first was removed; or a signal came.
pub fn remove(store: &ObjectStore, objects: &[StoreVersion]) -> Result<Removal, ArchiveError> {
    let mut objects: Vec<&StoreVersion> = objects.iter().collect();
    objects.sort_by_key(|object| turn(&object.key));
    // One by one; also the first where none of them tells what it is a part of, so that nothing is gone when that is refused.
    let told = objects.partition_point(|object| turn(&object.key) < Turn::Others);
    let (first, rest) = objects.split_at(told.max(1).min(objects.len()));
    for (at, object) in first.iter().enumerate() {
        match delete(store, object) {
            Err(ArchiveError::Store(error))
                if at == 0 && error.kind() == StoreErrorKind::Denied =>
            {
                return Ok(Removal::Refused(error));
            }
            done => done?,
        }
    }
    let claims = rest.partition_point(|object| turn(&object.key) < Turn::Claims);
    let (others, claims) = rest.split_at(claims);
    together(store, others)?;
    together(store, claims)?;
    Ok(Removal::Done)
}

/// Whether what is left of a removal may still be a whole backup.
pub fn is_whole(objects: &[StoreVersion]) -> bool {
    objects
        .iter()
        .any(|object| turn(&object.key) == Turn::FirstManifest)
        && objects
            .iter()
            .any(|object| turn(&object.key) == Turn::FirstSignature)
}

/// The order in which objects go.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    FirstSignature,
    FirstManifest,
    Signatures,
    Manifests,
    Others,
    /// Whoever begins anew there counts on from them.
    Claims,
}

fn turn(key: &str) -> Turn {
    match run_of(key) {
        Some((1, SIGNATURE)) => Turn::FirstSignature,
        Some((1, MANIFEST)) => Turn::FirstManifest,
        Some((_, SIGNATURE)) => Turn::Signatures,
        Some((_, MANIFEST)) => Turn::Manifests,
        Some((_, name)) if claim_of(name).is_some() => Turn::Claims,
        _ => Turn::Others,
    }
}

fn together(store: &ObjectStore, objects: &[&StoreVersion]) -> Result<(), ArchiveError> {
    let next = AtomicUsize::new(0);
    let failure: Mutex<Option<ArchiveError>> = Mutex::default();
    share(TOGETHER.min(objects.len()), || {
        while let Some(object) = objects.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = delete(store, object) {
                next.store(objects.len(), Ordering::Relaxed);
                lock(&failure).get_or_insert(error);
            }
        }
    });
    match unlocked(failure) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn delete(store: &ObjectStore, object: &StoreVersion) -> Result<(), ArchiveError> {
    interrupt::check()?;
    Ok(store.delete(&object.key, object.version.as_deref())?)
}
