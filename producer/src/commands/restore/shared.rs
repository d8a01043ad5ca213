//! What belongs to no user: unique and indexed values, other entries of the platform's own database, aliases, sessions.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Deserialize;

use super::{
    conflicts::{Chosen, Entry},
    lines,
    report::{Outcome, Report},
    user::Done,
};
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
/// Keys that say what this platform is, not what the archived one was.
const OF_THE_PLATFORM: [&str; 3] = ["core-info/", "migrations/", "user-core/"];

/// The value of an entry as the platform stores it in a key: hashed where the platform hashes and the archive does not.
pub fn stored_value(entry: &Entry, owner: &str, user: &Chosen, config: &Config) -> String {
    let text = entry.text();
    match &config.pii {
        Pii::Hashed(Some(key)) if owner == user.source.username => key.token(&entry.field, &text),
        _ => text,
    }
}

/// A user that now stands.
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
        written: 0,
        left_out: BTreeMap::new(),
        indexed: HashSet::new(),
    };
    for one in done
        .iter()
        .filter(|one| one.report.outcome == Outcome::Restored)
    {
        work.stand(one);
    }
    work.index()?;
    work.cores()?;
    work.keys()?;
    work.flush()?;
    for kind in [Shared::Aliases, Shared::Sessions, Shared::PasswordResets] {
        work.lines_of(kind)?;
    }
    report.platform = work.written;
    report.platform_left_out = work.left_out;
    Ok(())
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
    written: u64,
    left_out: BTreeMap<String, u64>,
    /// Users and fields of which an entry was written.
    indexed: HashSet<String>,
}

impl<'a> Work<'a> {
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
                let mut lines = lines.split(|b| *b == b'\n').filter(|line| !line.is_empty());
                lines.try_for_each(|line| take(self, line))
            })?;
        }
        Ok(())
    }

    fn leave_out(&mut self, why: &str) {
        *self.left_out.entry(why.to_owned()).or_default() += 1;
    }

    fn put(&mut self, key: String, value: String) -> Result<(), RestoreError> {
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

    /// Unique and indexed values. Those that name nobody who was restored are left out; where the archive names users by tokens
    /// of another key, the account's own fields tell the values.
    fn index(&mut self) -> Result<(), RestoreError> {
        let mut fields: BTreeMap<String, bool> = BTreeMap::new();
        self.each("platform/platform", &mut |work, line| {
            let Some(entry) = Entry::read(line) else {
                work.leave_out("not an entry of a user");
                return Ok(());
            };
            let owner = entry.username.clone().unwrap_or_default();
            let field = fields.entry(entry.field.clone()).or_default();
            *field |= entry.is_unique;
            let Some(standing) = work.standing.get(&owner) else {
                work.leave_out("of users that were not restored, or of another key");
                return Ok(());
            };
            let (done, token) = (standing.done, standing.token.clone());
            let text = entry.text();
            let cleartext = owner == done.source_name;
            let (key, value) = match (&work.config.pii, entry.is_unique) {
                (Pii::Hashed(Some(key)), true) if cleartext => (
                    format!(
                        "user-unique/{}/{}",
                        entry.field,
                        key.token(&entry.field, &text)
                    ),
                    token,
                ),
                (_, true) => (format!("user-unique/{}/{text}", entry.field), token),
                (_, false) => (format!("user-indexed/{}/{token}", entry.field), text),
            };
            work.indexed
                .insert(format!("{}/{}", done.source_name, entry.field));
            work.put(key, value)
        })?;
        self.rebuild(&fields)
    }

    /// What no entry of the archive told.
    fn rebuild(&mut self, fields: &BTreeMap<String, bool>) -> Result<(), RestoreError> {
        let mut entries = Vec::new();
        for (name, standing) in &self.standing {
            let done = standing.done;
            if *name != done.source_name {
                continue;
            }
            for (field, unique) in fields {
                let told = self
                    .indexed
                    .contains(&format!("{}/{field}", done.source_name));
                let Some(value) = done.fields.get(field).filter(|_| !told) else {
                    continue;
                };
                entries.push(match (&self.config.pii, unique) {
                    (Pii::Hashed(Some(key)), true) => (
                        format!("user-unique/{field}/{}", key.token(field, value)),
                        standing.token.clone(),
                    ),
                    (_, true) => (
                        format!("user-unique/{field}/{value}"),
                        standing.token.clone(),
                    ),
                    (_, false) => (
                        format!("user-indexed/{field}/{}", standing.token),
                        value.clone(),
                    ),
                });
            }
        }
        entries
            .into_iter()
            .try_for_each(|(key, value)| self.put(key, value))
    }

    /// On which core each user is: the one of this platform, where it has told its name.
    fn cores(&mut self) -> Result<(), RestoreError> {
        let core = &self.config.core_id;
        let info = format!("core-info/{core}");
        if self.shared.values(&[info])?.iter().all(Option::is_none) {
            return Ok(());
        }
        let core = core.clone();
        let tokens: HashSet<String> = self
            .standing
            .values()
            .map(|one| one.token.clone())
            .collect();
        tokens
            .into_iter()
            .try_for_each(|token| self.put(format!("user-core/{token}"), core.clone()))
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

    /// Aliases, sessions, password resets of the users that were restored under their own names.
    fn lines_of(&mut self, kind: Shared) -> Result<(), RestoreError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Owned {
            user_id: Option<String>,
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
                work.leave_out("not a session, password reset or alias");
                return Ok(());
            };
            let name = owned.username.or(owned.data.and_then(|data| data.username));
            let by_name = name.and_then(|name| work.standing.get(&name));
            let same_name =
                by_name.is_some_and(|one| one.done.source_name == one.done.report.username);
            if same_name
                || owned
                    .user_id
                    .is_some_and(|id| work.ids.contains(id.as_str()))
            {
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
