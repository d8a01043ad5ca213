//! Records that belong to no user: unique and indexed values, other entries of the platform's own database, aliases, sessions.

mod accesses;
mod aliases;
mod cores;
mod index;
mod kept;
mod keys;
mod sessions;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    hash::RandomState,
};

pub use self::index::{IndexEntry, stored_key, uncut, unique_key};
use super::{lines, report::Report, restored_user::RestoredUser};
use crate::{
    archive::read::Archive,
    config::Config,
    platform::{
        Shared,
        write::{PlatformWriter, RestoreError, SharedWriter},
    },
};

/// Entries that are written at once.
const BATCH: usize = 500;
/// Users who are looked for at once: each time all entries are looked at.
const MANY: usize = 5000;
/// Keys of unique values: field, value.
const UNIQUE: &str = "user-unique/";

/// A user that was restored, as entries of the archive name it.
#[derive(Clone)]
struct RestoredOwner<'a> {
    done: &'a RestoredUser,
    /// Token that stands for the user in the platform's own database.
    token: String,
}

/// How what all users share is written.
#[derive(Clone, Copy)]
pub struct How {
    /// Users who were there were replaced.
    pub overwrite: bool,
    /// The platform's own database is left alone.
    pub skip_platform: bool,
    /// All users of the archive were asked for, not one.
    pub everybody: bool,
}

/// Outcome of restoring the shared records.
pub struct SharedOutcome {
    /// Whether it came to its end.
    pub result: Result<(), RestoreError>,
    /// Items that users did not get, by user id.
    pub losses: BTreeMap<String, Vec<String>>,
    /// How many cores the platform has, as far as it tells.
    pub cores: usize,
}

/// Writes what goes with the users that were restored.
pub fn restore(
    writer: &dyn PlatformWriter,
    archive: &Archive,
    done: &[RestoredUser],
    config: &Config,
    how: How,
    report: &mut Report,
) -> SharedOutcome {
    let mut outcome = SharedOutcome {
        result: Ok(()),
        losses: BTreeMap::new(),
        cores: 0,
    };
    let mut shared = match writer.shared() {
        Ok(Some(shared)) => shared,
        Ok(None) => return outcome,
        Err(error) => {
            outcome.result = Err(error);
            return outcome;
        }
    };
    let mut work = SharedRestore {
        shared: shared.as_mut(),
        archive,
        config,
        how,
        all_restored: how.everybody && done.iter().all(RestoredUser::is_restored),
        restored: HashMap::new(),
        tokens: HashMap::new(),
        ids: HashSet::new(),
        waiting: Vec::new(),
        previous_keys: HashSet::new(),
        unknown: BTreeMap::new(),
        hashed: HashSet::new(),
        written: 0,
        left_out: BTreeMap::new(),
        lost: BTreeMap::new(),
        losses: BTreeMap::new(),
        indexed: HashSet::new(),
        located: HashSet::new(),
        cores: 0,
        unlocated: HashMap::new(),
        hasher: RandomState::new(),
        names: HashMap::new(),
        aliases: BTreeSet::new(),
    };
    for one in done.iter().filter(|one| one.is_restored()) {
        work.add_restored(one);
    }
    // A run that restored nobody changes nothing.
    if work.ids.is_empty() && !done.is_empty() {
        return outcome;
    }
    outcome.result = work.run();
    outcome.losses = work.losses;
    outcome.cores = work.cores;
    // Of what failed nobody knows how much is written.
    if outcome.result.is_ok() {
        report.platform += work.written;
    }
    report.platform_left_out = work.left_out;
    report.platform_lost = work.lost;
    outcome
}

/// Takes a line.
type Take<'t, 'a> = dyn FnMut(&mut SharedRestore<'a>, &[u8]) -> Result<(), RestoreError> + 't;

struct SharedRestore<'a> {
    shared: &'a mut dyn SharedWriter,
    archive: &'a Archive,
    config: &'a Config,
    how: How,
    /// Nobody of the archive was left out.
    all_restored: bool,
    /// By the name, and by the token, that the archive has for them.
    restored: HashMap<String, RestoredOwner<'a>>,
    /// Their user ids, by the token that stands for them here.
    tokens: HashMap<String, &'a str>,
    ids: HashSet<&'a str>,
    waiting: Vec<(String, String)>,
    /// Keys of values that users had who were replaced; those that they have no longer are removed.
    previous_keys: HashSet<String>,
    /// Entries of the archive by field whose owner has a token of another key.
    unknown: BTreeMap<String, u64>,
    /// The fields of such entries, of whomever they are.
    hashed: HashSet<String>,
    written: u64,
    left_out: BTreeMap<String, u64>,
    lost: BTreeMap<String, u64>,
    losses: BTreeMap<String, Vec<String>>,
    /// Users and fields of which an entry was written.
    indexed: HashSet<String>,
    /// Accesses of which an entry was written, and those of which the archive has one whose owner is not known (hashed, or not).
    located: HashSet<u64>,
    unlocated: HashMap<u64, bool>,
    hasher: RandomState,
    /// The present name, in the archive, of who had each of these or has it besides; of their tokens too.
    names: HashMap<String, String>,
    /// How many cores the platform has.
    cores: usize,
    /// Other names that lead to a user, and the user's id.
    aliases: BTreeSet<(String, String)>,
}

impl<'a> SharedRestore<'a> {
    fn run(&mut self) -> Result<(), RestoreError> {
        let platform = !self.how.skip_platform;
        if platform {
            self.owned()?;
            self.index()?;
        }
        self.aliases()?;
        if platform {
            self.lose_unknown();
            self.cores()?;
            self.keys()?;
            self.locate_accesses()?;
            self.flush()?;
            self.remove_previous_keys()?;
        }
        for kind in [Shared::Sessions, Shared::PasswordResets] {
            self.lines_of(kind)?;
        }
        self.kept_audit()
    }

    /// Whether the archive has a file, whatever its ending is.
    fn has(&self, stem: &str) -> bool {
        let is = |path: &str| {
            path.strip_prefix(stem)
                .is_some_and(|rest| rest.starts_with('.'))
        };
        self.archive.files().iter().any(|file| is(&file.path))
    }

    /// Notes the entries of users who may have been replaced, where the archive tells which they have now.
    fn owned(&mut self) -> Result<(), RestoreError> {
        if !self.how.overwrite || !self.has(Shared::Index.stem()) {
            return Ok(());
        }
        let tokens: Vec<String> = self.tokens.keys().cloned().collect();
        for tokens in tokens.chunks(MANY) {
            self.previous_keys.extend(self.shared.owned(tokens)?);
        }
        Ok(())
    }

    /// Removes the keys that they have no longer. Where entries of the archive are hashed with a key that this platform does not have, nobody knows
    /// which those are.
    fn remove_previous_keys(&mut self) -> Result<(), RestoreError> {
        let previous_keys: Vec<String> = self.previous_keys.drain().collect();
        if !self.unknown.is_empty() {
            return Ok(());
        }
        previous_keys
            .chunks(BATCH)
            .try_for_each(|keys| self.shared.remove(keys))
    }

    fn add_restored(&mut self, done: &'a RestoredUser) {
        self.ids.insert(&done.report.user_id);
        // Without the key of the tokens the platform's own database was found to be left alone.
        let token = self.config.pii.username(&done.report.username);
        let token = token.unwrap_or_else(|| done.report.username.clone());
        let names = [
            Some(done.source_name.clone()),
            self.config.pii.username(&done.source_name),
        ];
        for name in names.into_iter().flatten() {
            let token = token.clone();
            self.restored.insert(name, RestoredOwner { done, token });
        }
        // Records from before a rename still have the old name.
        for name in &done.other_names {
            for name in [Some(name.clone()), self.config.pii.username(name)] {
                let token = token.clone();
                let restored = name.map(|name| self.restored.entry(name));
                restored.map(|place| place.or_insert(RestoredOwner { done, token }));
            }
        }
        self.tokens.insert(token, &done.report.user_id);
    }

    /// The user who has this name, or that of this token, in the archive; a name that it gave up is still its own.
    fn owner(&self, name: &str) -> Option<RestoredOwner<'a>> {
        let now = self.restored.get(name);
        let found = now.or_else(|| {
            let now = self.names.get(name)?;
            self.restored.get(now)
        });
        found.cloned()
    }

    fn lose(&mut self, user_id: &str, what: String) {
        self.losses
            .entry(user_id.to_owned())
            .or_default()
            .push(what);
    }

    /// The lines of a file of the archive, whatever it is called.
    fn each(&mut self, stem: &str, take: &mut Take<'_, 'a>) -> Result<(), RestoreError> {
        let archive = self.archive;
        let stem = format!("{stem}.");
        let files = archive.files();
        for file in files.within(files.below(&stem)) {
            lines::each(archive, &file, &mut |lines| {
                lines::split(lines).try_for_each(|line| take(self, line))
            })?;
        }
        Ok(())
    }

    fn leave_out(&mut self, why: &str) {
        *self.left_out.entry(why.to_owned()).or_default() += 1;
    }

    fn put(&mut self, key: String, value: String) -> Result<(), RestoreError> {
        if !self.shared.takes_nul() && (key.contains('\0') || value.contains('\0')) {
            let what = "they hold the character U+0000, which no text of PostgreSQL can hold";
            *self.lost.entry(what.to_owned()).or_default() += 1;
            return Ok(());
        }
        self.previous_keys.remove(&key);
        self.waiting.push((key, value));
        if self.waiting.len() < BATCH {
            return Ok(());
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<(), RestoreError> {
        let waiting = std::mem::take(&mut self.waiting);
        let waiting = self.without_others(waiting)?;
        self.written += waiting.len() as u64;
        self.shared.put(&waiting)
    }

    /// A unique value that somebody else has there stays with them.
    fn without_others(
        &mut self,
        mut entries: Vec<(String, String)>,
    ) -> Result<Vec<(String, String)>, RestoreError> {
        let unique = |key: &str| key.starts_with(UNIQUE);
        let keys: Vec<String> = entries
            .iter()
            .filter(|(key, _)| unique(key))
            .map(|(key, _)| key.clone())
            .collect();
        if keys.is_empty() {
            return Ok(entries);
        }
        let mut holders = self.shared.values(&keys)?.into_iter();
        entries.retain(|(key, value)| {
            let holder = if unique(key) {
                holders.next().flatten()
            } else {
                None
            };
            let Some(holder) = holder.filter(|holder| holder != value) else {
                return true;
            };
            // A value of a user who was replaced may be given to another one by the archive.
            if self.how.overwrite && self.tokens.contains_key(&holder) {
                return true;
            }
            if let Some(user_id) = self.tokens.get(value) {
                let field = key[UNIQUE.len()..].split('/').next().unwrap_or_default();
                let losses = self.losses.entry((*user_id).to_owned()).or_default();
                losses.push(format!(
                    "a value of {field:?} belongs to another user of the platform"
                ));
            }
            false
        });
        Ok(entries)
    }
}
