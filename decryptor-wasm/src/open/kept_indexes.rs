//! The indexes of changes that were made last, for whoever reads the next file of the same collection.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::chain::ChangeIndex;

/// So many are kept: several threads may read natively.
const KEPT: usize = if cfg!(target_arch = "wasm32") { 1 } else { 8 };

/// User id, collection, and pass.
pub(super) type IndexKey = (String, String, u64);

/// Indexes by their places. One of several threads makes an index, and the others wait for it.
#[derive(Default)]
pub(super) struct KeptIndexes {
    /// The oldest first; none while it is being made.
    indexes: Mutex<Vec<(IndexKey, Option<Arc<ChangeIndex>>)>>,
    changed: Condvar,
}

impl KeptIndexes {
    /// The index of a place; none where the caller is to make it, and then call [`KeptIndexes::keep`] or [`KeptIndexes::give_up`].
    pub(super) fn get(&self, place: &IndexKey) -> Option<Arc<ChangeIndex>> {
        let mut indexes = self.lock();
        loop {
            match indexes.iter().find(|(known, _)| known == place) {
                Some((_, Some(index))) => return Some(index.clone()),
                // There, nobody else could go on.
                Some((_, None)) if cfg!(target_arch = "wasm32") => return None,
                Some((_, None)) => {
                    let waited = self.changed.wait(indexes);
                    indexes = waited.unwrap_or_else(PoisonError::into_inner);
                }
                None => {
                    indexes.push((place.clone(), None));
                    return None;
                }
            }
        }
    }

    /// Keeps an index that was made.
    pub(super) fn keep(&self, place: IndexKey, index: Arc<ChangeIndex>) {
        let mut indexes = self.lock();
        indexes.retain(|(known, _)| *known != place);
        let made = indexes.iter().filter(|(_, index)| index.is_some()).count();
        if made >= KEPT
            && let Some(oldest) = indexes.iter().position(|(_, index)| index.is_some())
        {
            indexes.remove(oldest);
        }
        indexes.push((place, Some(index)));
        drop(indexes);
        self.changed.notify_all();
    }

    /// An index is not made after all.
    pub(super) fn give_up(&self, place: &IndexKey) {
        let mut indexes = self.lock();
        indexes.retain(|(known, index)| known != place || index.is_some());
        drop(indexes);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(IndexKey, Option<Arc<ChangeIndex>>)>> {
        self.indexes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
