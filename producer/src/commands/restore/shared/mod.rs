//! What belongs to no user: unique and indexed values, other entries of the platform's own database, aliases, sessions.

mod accesses;
mod aliases;
mod cores;
mod index;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Deserialize;

use self::accesses::Fate;
pub use self::index::{Entry, stored_key, uncut, unique_key};
use super::{lines, report::Report, user::Done};
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
/// Keys of what users have, which their own file of the archive tells.
const OF_USERS: [&str; 2] = [UNIQUE, "user-indexed/"];
/// Keys that say what this platform is, not what the archived one was.
const OF_THE_PLATFORM: [&str; 3] = ["core-info/", "migrations/", "user-core/"];

/// A user that now stands.
#[derive(Clone)]
struct Standing<'a> {
    done: &'a Done,
    /// What stands for it in the platform's own database.
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

/// What became of it.
pub struct Told {
    /// Whether it came to its end.
    pub outcome: Result<(), RestoreError>,
    /// What users did not get, by user id.
    pub losses: BTreeMap<String, Vec<String>>,
}

/// Writes what goes with the users that were restored.
pub fn restore(
    writer: &dyn PlatformWriter,
    archive: &Archive,
    done: &[Done],
    config: &Config,
    how: How,
    report: &mut Report,
) -> Told {
    let mut told = Told {
        outcome: Ok(()),
        losses: BTreeMap::new(),
    };
    let mut shared = match writer.shared() {
        Ok(Some(shared)) => shared,
        Ok(None) => return told,
        Err(error) => {
            told.outcome = Err(error);
            return told;
        }
    };
    let mut work = Work {
        shared: shared.as_mut(),
        archive,
        config,
        how,
        all_stand: how.everybody && done.iter().all(Done::stands),
        standing: HashMap::new(),
        tokens: HashMap::new(),
        ids: HashSet::new(),
        waiting: Vec::new(),
        former: HashSet::new(),
        unknown: BTreeMap::new(),
        written: 0,
        left_out: BTreeMap::new(),
        lost: BTreeMap::new(),
        losses: BTreeMap::new(),
        indexed: HashSet::new(),
        located: HashSet::new(),
        aliases: BTreeSet::new(),
    };
    for one in done.iter().filter(|one| one.stands()) {
        work.stand(one);
    }
    // A run that restored nobody changes nothing.
    if work.ids.is_empty() && !done.is_empty() {
        return told;
    }
    told.outcome = work.run();
    told.losses = work.losses;
    report.platform += work.written;
    report.platform_left_out = work.left_out;
    report.platform_lost = work.lost;
    told
}

/// What is done with a line.
type Take<'t, 'a> = dyn FnMut(&mut Work<'a>, &[u8]) -> Result<(), RestoreError> + 't;

struct Work<'a> {
    shared: &'a mut dyn SharedWriter,
    archive: &'a Archive,
    config: &'a Config,
    how: How,
    /// Nobody of the archive was left out.
    all_stand: bool,
    /// By the name, and by the token, that the archive has for them.
    standing: HashMap<String, Standing<'a>>,
    /// Their user ids, by the token that stands for them here.
    tokens: HashMap<String, &'a str>,
    ids: HashSet<&'a str>,
    waiting: Vec<(String, String)>,
    /// Keys of values that users had who were replaced; those that they have no longer are removed.
    former: HashSet<String>,
    /// Entries of the archive by field whose owner has a token of another key.
    unknown: BTreeMap<String, u64>,
    written: u64,
    left_out: BTreeMap<String, u64>,
    lost: BTreeMap<String, u64>,
    losses: BTreeMap<String, Vec<String>>,
    /// Users and fields of which an entry was written.
    indexed: HashSet<String>,
    /// Users of whose accesses an entry was written.
    located: HashSet<String>,
    /// Other names that lead to a user, and the user's id.
    aliases: BTreeSet<(String, String)>,
}

impl<'a> Work<'a> {
    fn run(&mut self) -> Result<(), RestoreError> {
        let platform = !self.how.skip_platform;
        if platform {
            self.owned()?;
            self.index()?;
        }
        self.aliases()?;
        if platform {
            self.cores()?;
            self.keys()?;
            self.locate_accesses()?;
            self.flush()?;
            self.remove_former()?;
        }
        for kind in [Shared::Sessions, Shared::PasswordResets] {
            self.lines_of(kind)?;
        }
        Ok(())
    }

    /// Whether the archive has a file, whatever its ending is.
    fn has(&self, stem: &str) -> bool {
        let is = |path: &str| {
            path.strip_prefix(stem)
                .is_some_and(|rest| rest.starts_with('.'))
        };
        self.archive.files().iter().any(|file| is(&file.path))
    }

    /// What the users who may have been replaced had, where the archive tells what they have now.
    fn owned(&mut self) -> Result<(), RestoreError> {
        if !self.how.overwrite || !self.has(Shared::Index.stem()) {
            return Ok(());
        }
        let tokens: Vec<String> = self.tokens.keys().cloned().collect();
        for tokens in tokens.chunks(MANY) {
            self.former.extend(self.shared.owned(tokens)?);
        }
        Ok(())
    }

    /// What they have no longer. Where entries of the archive are hashed with a key that this platform does not have, nobody knows
    /// which those are.
    fn remove_former(&mut self) -> Result<(), RestoreError> {
        let former: Vec<String> = self.former.drain().collect();
        if !self.unknown.is_empty() {
            return Ok(());
        }
        former
            .chunks(BATCH)
            .try_for_each(|keys| self.shared.remove(keys))
    }

    fn stand(&mut self, done: &'a Done) {
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
            self.standing.insert(name, Standing { done, token });
        }
        self.tokens.insert(token, &done.report.user_id);
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
        for file in archive
            .files()
            .iter()
            .filter(|file| file.path.starts_with(&stem))
        {
            lines::each(archive, file, &mut |lines| {
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
        self.former.remove(&key);
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
            // What a replaced user had is the archive's to give away.
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

    /// Everything else. What the platform has already is its own, unless it is to be replaced.
    fn keys(&mut self) -> Result<(), RestoreError> {
        #[derive(Deserialize)]
        struct Stored {
            key: String,
            value: String,
        }
        let mut all: Vec<Stored> = Vec::new();
        self.each("platform/keys", &mut |work, line| {
            let Ok(stored) = serde_json::from_slice::<Stored>(line) else {
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
                Fate::Owned(value) => return work.put(stored.key, value),
                Fate::Foreign => {
                    work.leave_out("of users that were not restored, or of another key");
                    return Ok(());
                }
                Fate::Other if !work.how.everybody => {
                    work.leave_out("of the whole platform, and one user was asked for");
                    return Ok(());
                }
                Fate::Other => stored.value,
            };
            let stored = Stored { value, ..stored };
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
                    self.leave_out(
                        "the platform has other entries there; --overwrite replaces them",
                    );
                }
                _ => self.put(key, value)?,
            }
        }
        Ok(())
    }

    /// Sessions and password resets of the users that were restored under their own names.
    fn lines_of(&mut self, kind: Shared) -> Result<(), RestoreError> {
        #[derive(Deserialize)]
        struct Owned {
            username: Option<String>,
            data: Option<Named>,
        }
        #[derive(Deserialize)]
        struct Named {
            username: Option<String>,
        }
        let mut lines = Vec::new();
        self.each(kind.stem(), &mut |work, line| {
            let Ok(owned) = serde_json::from_slice::<Owned>(line) else {
                work.leave_out("not a session or password reset");
                return Ok(());
            };
            let name = owned.username.or(owned.data.and_then(|data| data.username));
            let same_name = name
                .and_then(|name| work.standing.get(&name))
                .is_some_and(|one| one.done.source_name == one.done.report.username);
            if same_name {
                work.written += 1;
                lines.extend_from_slice(line);
                lines.push(b'\n');
            } else {
                work.leave_out("of users that were not restored, or not under this name");
            }
            Ok(())
        })?;
        if lines.is_empty() {
            return Ok(());
        }
        self.shared.short_lived(kind, &lines)
    }
}
