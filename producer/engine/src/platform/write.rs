//! Writing into a platform: users come in as the records of an archive, each whole or not at all.
//!
//! A [`PlatformWriter`] stands for a platform of any mix of engines. [`PlatformWriter::begin`] opens a [`GroupWriter`] for one
//! user or some; each of them is handed over through a [`UserWriter`]. What they take stays aside (in an open transaction, in
//! files of other names) until [`GroupWriter::commit`]. Dropping it undoes everything. What a killed process left between the
//! two is finished or undone by [`PlatformWriter::recover`].

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io::Read,
};

pub use super::error::RestoreError;
use super::{Collection, Shared, User};

/// A platform that can take users.
pub trait PlatformWriter: Sync {
    /// Finishes what a killed run had committed and undoes what it had not. To be called before anything else; a platform that
    /// has nothing to recover answers with an empty list.
    ///
    /// # Errors
    /// When a store cannot be reached, or when a run is still at work on this platform.
    fn recover(&self) -> Result<Vec<Recovered>, RestoreError>;

    /// Looks for what speaks against a restore into this platform, before anything is written: a schema that is missing or older than the
    /// records need, indexes of an unmigrated database, too little disk for `room`, a Pryv.io core that seems to be running.
    ///
    /// # Errors
    /// When a store cannot be reached.
    fn obstacles(&self, room: Room) -> Result<Vec<Obstacle>, RestoreError>;

    /// Whether a collection (none: the attachments) is in files beside the folders of users, and not in a database.
    fn keeps_in_files(&self, _what: Option<Collection>) -> bool {
        true
    }

    /// The users that are there.
    ///
    /// # Errors
    /// When the index cannot be read.
    fn users(&self) -> Result<Vec<User>, RestoreError>;

    /// Whether versions of accesses have a place beside the accesses themselves.
    fn takes_versions(&self) -> bool {
        true
    }

    /// Names beside the usernames that lead to a user: user ids by alias.
    ///
    /// # Errors
    /// When the index cannot be read.
    fn aliases(&self) -> Result<HashMap<String, String>, RestoreError>;

    /// How many users may be committed together: more than one where that is faster.
    fn together(&self) -> usize {
        1
    }

    /// Begins users who will be committed together. With `replace`, everything that the platform holds of these user ids gives way on
    /// commit; without it, a user that is there is an error.
    ///
    /// # Errors
    /// When a store cannot be reached.
    fn begin<'a>(
        &'a self,
        users: &[&User],
        replace: bool,
    ) -> Result<Box<dyn GroupWriter + 'a>, RestoreError>;

    /// As [`Self::begin`], for more users than are otherwise committed together, on a platform that is made ready for this much (about so
    /// many `bytes` of records): there is none where that would not be faster, or where others are at work.
    ///
    /// # Errors
    /// When a store cannot be reached.
    fn begin_bulk<'a>(
        &'a self,
        _users: &[&User],
        _replace: bool,
        _bytes: u64,
    ) -> Result<Option<Box<dyn GroupWriter + 'a>>, RestoreError> {
        Ok(None)
    }

    /// Users whom an earlier run of the restore of this archive has restored, and that was stopped before what all users
    /// share was told of them: user ids.
    ///
    /// # Errors
    /// When it cannot be read.
    fn restored_users(&self) -> Result<HashSet<String>, RestoreError>;

    /// Notes that what all users share has been written for these user ids.
    ///
    /// # Errors
    /// When the disk refuses.
    fn ended(&self, users: &HashSet<String>) -> Result<(), RestoreError>;

    /// The way in for what belongs to no user, when the platform has a database of its own.
    ///
    /// # Errors
    /// When it cannot be reached.
    fn shared<'a>(&'a self) -> Result<Option<Box<dyn SharedWriter + 'a>>, RestoreError>;
}

/// Users on their way in, who will be committed together.
pub trait GroupWriter {
    /// The next user.
    ///
    /// # Errors
    /// When a store cannot take the user.
    fn user<'g>(&'g mut self, user: &User) -> Result<Box<dyn UserWriter + 'g>, RestoreError>;

    /// Ends the records of all users: what is still held back is written. After it [`Self::read_back`] gives what will be on the
    /// platform.
    ///
    /// # Errors
    /// When a store cannot take it.
    fn flush(&mut self) -> Result<(), RestoreError>;

    /// Reads a collection of a user back, as a backup of the platform would hold it after the commit.
    ///
    /// # Errors
    /// When a store cannot be read, or the error of `take`.
    fn read_back(
        &mut self,
        user: &User,
        collection: Collection,
        take: &mut dyn FnMut(&[u8]) -> Result<(), RestoreError>,
    ) -> Result<(), RestoreError>;

    /// Commits the users, durably; tells of each, in their order, whether something is still to be done.
    ///
    /// # Errors
    /// When a store refuses: all users are as before, unless it is [`RestoreError::Unknown`].
    fn commit(self: Box<Self>) -> Result<Vec<Option<RestoreError>>, RestoreError>;
}

/// One user on its way in.
pub trait UserWriter {
    /// Takes where deleted streams were, by their ids, before their records come.
    fn stream_paths(&mut self, paths: BTreeMap<String, String>);

    /// Takes complete JSON objects of one collection, each with its newline. Collections come in this order, each at most once:
    /// streams, accesses, profile, webhooks, events, account, audit, series, and attachments after the events; the lines of one
    /// may come in any number of calls.
    ///
    /// # Errors
    /// When a record is not what the format says ([`RestoreError::Record`]), or when a store cannot take it.
    fn records(&mut self, collection: Collection, lines: &[u8]) -> Result<(), RestoreError>;

    /// Takes one attachment of an event.
    ///
    /// # Errors
    /// When the content ends early or a store cannot take it.
    fn attachment(
        &mut self,
        event_id: &str,
        file_id: &str,
        content: &mut dyn Read,
    ) -> Result<(), RestoreError>;

    /// Ends the records: what is derived (paths, full-text index, aliases) is complete. What the platform could not hold is told,
    /// counted by kind.
    ///
    /// # Errors
    /// When a store cannot take it.
    fn end(self: Box<Self>) -> Result<Vec<Unheld>, RestoreError>;
}

/// Takes what belongs to no user. Entries that are there are replaced, but for aliases of other users.
pub trait SharedWriter {
    /// Who owns these keys of the platform's own database now: the stored values, one for each key.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn values(&mut self, keys: &[String]) -> Result<Vec<Option<String>>, RestoreError>;

    /// The entries of the platform's own database whose keys begin so; few.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn beginning(&mut self, prefix: &str) -> Result<Vec<(String, String)>, RestoreError>;

    /// Takes entries of the platform's own database: key and value as stored.
    ///
    /// # Errors
    /// When the database refuses.
    fn put(&mut self, entries: &[(String, String)]) -> Result<(), RestoreError>;

    /// The keys of unique and indexed values that are of users: `tokens` are what stands for them in the database.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn owned(&mut self, tokens: &[String]) -> Result<Vec<String>, RestoreError>;

    /// Removes entries of the platform's own database.
    ///
    /// # Errors
    /// When the database refuses.
    fn remove(&mut self, keys: &[String]) -> Result<(), RestoreError>;

    /// Whether the platform's own database takes texts with the character U+0000.
    fn takes_nul(&self) -> bool {
        true
    }

    /// Names beside the usernames that lead to a user: user ids by alias; none where there is no place for them.
    ///
    /// # Errors
    /// When they cannot be read.
    fn aliases(&mut self) -> Result<Option<HashMap<String, String>>, RestoreError>;

    /// Removes aliases.
    ///
    /// # Errors
    /// When the store refuses.
    fn remove_aliases(&mut self, aliases: &[String]) -> Result<(), RestoreError>;

    /// Takes sessions or password resets: complete JSON objects, each with its newline, as a backup holds them.
    ///
    /// # Errors
    /// When the store refuses, or when a record is not what the format says.
    fn short_lived(&mut self, kind: Shared, lines: &[u8]) -> Result<(), RestoreError>;
}

/// A user of an earlier run whom a recovery has finished or undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The user concerned.
    pub user: User,
    /// Whether the user is now as restored; otherwise as before.
    pub finished: bool,
}

/// Bytes that the files to come will take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// With less the restore cannot be done.
    pub least: u64,
    /// An estimate.
    pub likely: u64,
}

/// Something that speaks against a restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// How much it speaks against it.
    pub weight: Weight,
    /// One line that says what it is; and what to do, unless it is a core that runs.
    pub what: String,
}

/// How much something speaks against a restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// It is for the operator to know.
    Note,
    /// A Pryv.io core is at work on the platform: it is for the operator to decide.
    Core,
    /// The restore cannot be done.
    Fatal,
}

impl Obstacle {
    /// Something for the operator to know.
    #[must_use]
    pub fn note(what: impl Into<String>) -> Self {
        Self {
            weight: Weight::Note,
            what: what.into(),
        }
    }

    /// Triggers and rules, of which it is not known what they do to rows.
    #[must_use]
    pub fn triggers(all: &[String]) -> Option<Self> {
        (!all.is_empty()).then(|| {
            Self::note(format!(
                "{}: what it does to rows that are restored is not known here; a user some of whose rows it keeps out fails. Disable it for the \
                 restore unless it belongs there",
                all.join(", ")
            ))
        })
    }

    /// The obstacle that keeps the restore from being done.
    #[must_use]
    pub fn fatal(what: impl Into<String>) -> Self {
        Self {
            weight: Weight::Fatal,
            what: what.into(),
        }
    }

    /// A sign that a Pryv.io core is at work.
    #[must_use]
    pub fn core(what: impl Into<String>) -> Self {
        Self {
            weight: Weight::Core,
            what: what.into(),
        }
    }
}

/// Whether records of an archive have a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Has {
    /// One of them, or more.
    pub some: bool,
    /// All of them, with a value.
    pub all: bool,
}

/// Answers whether the records of a collection have a member that may be called by either of two names.
pub type Ask<'a> = dyn Fn(Collection, [&str; 2]) -> Result<Has, RestoreError> + 'a;

/// Something of an archive that the platform has no place for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unheld {
    /// The collection concerned.
    pub collection: Collection,
    /// Its name, for example `key "tags"`.
    pub what: String,
    /// How many records have it.
    pub records: u64,
}
