//! A backup in an object store: whether it can go, and how it goes.

use jiff::Timestamp;

use super::leftovers::{self, Leftovers};
use crate::{
    archive::{
        read::Folder,
        write::{Removal, StoreWork},
    },
    storage::{Location, ObjectStore, StoreVersion},
};

/// A backup in an object store.
pub struct StoredBackup {
    pub store: ObjectStore,
    /// Every version of every object of it.
    pub objects: Vec<StoreVersion>,
    /// Those of them that attempts left which are dead.
    pub left: Vec<StoreVersion>,
    /// A run to it may not have ended.
    pub in_use: Option<String>,
    /// Keeps runs of this host from it.
    pub work: StoreWork,
}

impl StoredBackup {
    /// Whether any version of the object of that name is there.
    pub fn has(&self, name: &str) -> bool {
        let mut objects = self.objects.iter();
        objects.any(|object| object.key == name && !object.deleted)
    }

    /// Finds what attempts at runs left: after the first `runs`, which are good, or beside their volumes.
    pub fn find_attempts(&mut self, runs: u32, folder: &Folder, now: Timestamp) {
        let attempts = leftovers::attempts_after(&self.objects, runs, now);
        self.left = attempts.dead;
        if let Some((run, since)) = attempts.living {
            self.in_use.get_or_insert(format!(
                "run {run} was begun there and is not finished (its newest object is of {since})"
            ));
        }
        // What cannot be told is left alone.
        let unread = leftovers::unread_volumes(&self.objects, runs, folder, now);
        self.left.extend(unread.unwrap_or_default());
    }

    /// What attempts left that are dead, of a backup that stays.
    pub fn leftovers(&self) -> Option<Leftovers> {
        let left = || Leftovers::of_objects(&self.store, self.left.clone());
        (!self.left.is_empty()).then(left)
    }

    /// Where it is.
    pub fn location(&self) -> Location {
        Location::Store(self.store.address().clone())
    }

    /// Why it cannot go now, if it cannot.
    pub fn held(&self) -> Result<Option<String>, String> {
        if let Some(why) = &self.in_use {
            return Ok(Some(why.clone()));
        }
        leftovers::locked(&self.store, &self.objects)
    }

    /// Removes all of it; one of which nothing can go is there as before, and why is said.
    pub fn remove(&self) -> Result<Option<String>, String> {
        let there = self
            .store
            .list_for_removal()
            .map_err(|error| error.to_string())?;
        let known = StoreVersion::among(self.objects.clone());
        if let Some(new) = there.iter().find(|object| !known(object)) {
            return Ok(Some(format!("{} was put there meanwhile", new.key)));
        }
        match self.work.remove(&self.store, &self.objects) {
            Ok(Removal::Done) => Ok(None),
            Ok(Removal::Refused(error)) => Ok(Some(error.to_string())),
            Err(error) => Err(error.to_string()),
        }
    }
}
