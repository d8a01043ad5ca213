//! Entries of the platform's own database that are of no account: invitations, mail templates, whose an access is, …

use super::{
    BATCH, SharedRestore, UNIQUE,
    accesses::{IndexedAccess, KEYS, StoredAccess},
};
use crate::platform::write::RestoreError;

/// Keys of what users have, which their own file of the archive tells.
const OF_USERS: [&str; 2] = [UNIQUE, "user-indexed/"];
/// Keys that say what this platform is, not what the archived one was.
const OF_THE_PLATFORM: [&str; 3] = ["core-info/", "migrations/", "user-core/"];

impl SharedRestore<'_> {
    /// Everything else. What the platform has already is its own, unless it is to be replaced.
    pub(super) fn keys(&mut self) -> Result<(), RestoreError> {
        let mut all: Vec<StoredAccess> = Vec::new();
        self.each(KEYS, &mut |work, line| {
            let Ok(stored) = serde_json::from_slice::<StoredAccess>(line) else {
                work.leave_out("not an entry of a platform");
                return Ok(());
            };
            if OF_THE_PLATFORM
                .iter()
                .any(|prefix| stored.key.starts_with(prefix))
            {
                work.leave_out("they tell what the archived platform was");
                return Ok(());
            }
            if OF_USERS.iter().any(|prefix| stored.key.starts_with(prefix)) {
                work.leave_out("entries of users where there are none");
                return Ok(());
            }
            let value = match work.about_access(&stored.key, &stored.value) {
                IndexedAccess::Owned(value) => return work.put(stored.key, value),
                IndexedAccess::Untold => return Ok(()),
                IndexedAccess::Other if !work.how.everybody => {
                    work.leave_out("of the whole platform, and one user was asked for");
                    return Ok(());
                }
                IndexedAccess::Other => stored.value,
            };
            let stored = StoredAccess { value, ..stored };
            all.push(stored);
            if all.len() >= BATCH {
                work.keep_theirs(all.drain(..).map(|s| (s.key, s.value)).collect())?;
            }
            Ok(())
        })?;
        self.keep_theirs(all.into_iter().map(|s| (s.key, s.value)).collect())
    }

    fn keep_theirs(&mut self, entries: Vec<(String, String)>) -> Result<(), RestoreError> {
        let keys: Vec<String> = entries.iter().map(|(key, _)| key.clone()).collect();
        let there = self.shared.values(&keys)?;
        for ((key, value), there) in entries.into_iter().zip(there) {
            match there {
                Some(same) if same == value => {}
                Some(_) if !self.how.overwrite => {
                    self.leave_out("the platform has others there, which were not to be replaced");
                }
                _ => self.put(key, value)?,
            }
        }
        Ok(())
    }
}
