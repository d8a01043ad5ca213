//! What belongs to no user: unique and indexed values, other entries of the platform's own database, aliases, sessions.

mod cores;
mod index;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Deserialize;

pub use self::index::{Entry, stored_value};
use super::{lines, report::Report, user::Done};
use crate::{
    archive::read::Archive,
    config::Config,
    platform::{
        Shared,
        pii::Pii,
        write::{PlatformWriter, RestoreError, SharedWriter},
    },
};

/// Entries that are written at once.
const BATCH: usize = 500;
/// Users who are looked for at once: each time all entries are looked at.
const MANY: usize = 5000;
/// Keys that say what this platform is, not what the archived one was.
const OF_THE_PLATFORM: [&str; 3] = ["core-info/", "migrations/", "user-core/"];

/// A user that now stands.
#[derive(Clone)]
struct Standing<'a> {
    done: &'a Done,
    /// What stands for it in the platform's own database.
    token: String,
}

/// Writes what goes with the users that were restored.
pub fn restore(
    writer: &dyn PlatformWriter,
    archive: &Archive,
    done: &[Done],
    config: &Config,
    overwrite: bool,
    report: &mut Report,
) -> Result<(), RestoreError> {
    let Some(mut shared) = writer.shared()? else {
        return Ok(());
    };
    let mut work = Work {
        shared: shared.as_mut(),
        archive,
        config,
        overwrite,
        standing: HashMap::new(),
        ids: HashSet::new(),
        waiting: Vec::new(),
        former: HashSet::new(),
        strangers: false,
        written: 0,
        left_out: BTreeMap::new(),
        indexed: HashSet::new(),
        aliases: BTreeSet::new(),
    };
    for one in done.iter().filter(|one| one.stands()) {
        work.stand(one);
    }
    let outcome = work.run();
    report.platform += work.written;
    report.platform_left_out = work.left_out;
    outcome
}

/// What is done with a line.
type Take<'t, 'a> = dyn FnMut(&mut Work<'a>, &[u8]) -> Result<(), RestoreError> + 't;

struct Work<'a> {
    shared: &'a mut dyn SharedWriter,
    archive: &'a Archive,
    config: &'a Config,
    overwrite: bool,
    /// By the name, and by the token, that the archive has for them.
    standing: HashMap<String, Standing<'a>>,
    ids: HashSet<&'a str>,
    waiting: Vec<(String, String)>,
    /// Keys of values that users had who were replaced; those that they have no longer are removed.
    former: HashSet<String>,
    /// Whether entries of the archive are of nobody who was restored.
    strangers: bool,
    written: u64,
    left_out: BTreeMap<String, u64>,
    /// Users and fields of which an entry was written.
    indexed: HashSet<String>,
    /// Other names that lead to a user, and the user's id.
    aliases: BTreeSet<(String, String)>,
}

impl<'a> Work<'a> {
    fn run(&mut self) -> Result<(), RestoreError> {
        self.owned()?;
        self.index()?;
        self.names()?;
        self.cores()?;
        self.keys()?;
        self.flush()?;
        self.remove_former()?;
        for kind in [Shared::Sessions, Shared::PasswordResets] {
            self.lines_of(kind)?;
        }
        Ok(())
    }

    /// What the users who may have been replaced had.
    fn owned(&mut self) -> Result<(), RestoreError> {
        if !self.overwrite {
            return Ok(());
        }
        let tokens: BTreeSet<String> = self.standing.values().map(|s| s.token.clone()).collect();
        let tokens: Vec<String> = tokens.into_iter().collect();
        for tokens in tokens.chunks(MANY) {
            self.former.extend(self.shared.owned(tokens)?);
        }
        Ok(())
    }

    /// What they have no longer. Where entries of the archive are hashed with a key that this platform does not have, nobody knows
    /// which those are.
    fn remove_former(&mut self) -> Result<(), RestoreError> {
        let former: Vec<String> = self.former.drain().collect();
        if self.strangers && matches!(self.config.pii, Pii::Hashed(_)) {
            return Ok(());
        }
        former
            .chunks(BATCH)
            .try_for_each(|keys| self.shared.remove(keys))
    }

    fn stand(&mut self, done: &'a Done) {
        let Some(token) = self.config.pii.username(&done.report.username) else {
            let why = "platform.piiMode is hashed, and platform.piiHmacKey is not set".to_owned();
            *self.left_out.entry(why).or_default() += 1;
            return;
        };
        self.ids.insert(&done.report.user_id);
        let names = [
            Some(done.source_name.clone()),
            self.config.pii.username(&done.source_name),
        ];
        for name in names.into_iter().flatten() {
            let token = token.clone();
            self.standing.insert(name, Standing { done, token });
        }
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
        self.former.remove(&key);
        self.waiting.push((key, value));
        if self.waiting.len() < BATCH {
            return Ok(());
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<(), RestoreError> {
        let waiting = std::mem::take(&mut self.waiting);
        self.written += waiting.len() as u64;
        self.shared.put(&waiting)
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
            if stored.key.starts_with("access-index/") && !work.owns(&stored.value) {
                work.leave_out("of users that were not restored, or of another key");
                return Ok(());
            }
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
            let of_a_user = key.starts_with("access-index/");
            match there {
                Some(same) if same == value => {}
                Some(_) if !self.overwrite && !of_a_user => {
                    self.leave_out(
                        "the platform has other entries there; --overwrite replaces them",
                    );
                }
                _ => self.put(key, value)?,
            }
        }
        Ok(())
    }

    /// Whether an entry about an access is one of a user that was restored.
    fn owns(&self, value: &str) -> bool {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Access {
            username: Option<String>,
            username_token: Option<String>,
        }
        let access = serde_json::from_str::<Access>(value).ok();
        let names = access.map(|access| [access.username, access.username_token]);
        names
            .into_iter()
            .flatten()
            .flatten()
            .any(|name| self.standing.contains_key(&name))
    }

    /// Aliases: as the archive lists them, and as the accesses of the users name them.
    fn names(&mut self) -> Result<(), RestoreError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Alias {
            alias: String,
            user_id: String,
        }
        self.each(Shared::Aliases.stem(), &mut |work, line| {
            match serde_json::from_slice::<Alias>(line) {
                Ok(alias) if work.ids.contains(alias.user_id.as_str()) => {
                    work.aliases.insert((alias.alias, alias.user_id));
                }
                Ok(_) => work.leave_out("of users that were not restored"),
                Err(_) => work.leave_out("not an alias"),
            }
            Ok(())
        })?;
        let of_accesses = self.standing.values().flat_map(|one| {
            let id = &one.done.report.user_id;
            one.done
                .aliases
                .iter()
                .map(|alias| (alias.clone(), id.clone()))
        });
        self.aliases.extend(of_accesses);
        if self.aliases.is_empty() {
            return Ok(());
        }
        let lines: String = self
            .aliases
            .iter()
            .map(|(alias, user_id)| {
                serde_json::json!({"alias": alias, "userId": user_id}).to_string() + "\n"
            })
            .collect();
        self.written += self.aliases.len() as u64;
        self.shared.short_lived(Shared::Aliases, lines.as_bytes())
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
