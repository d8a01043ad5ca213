//! Who is to be restored, under which name, and why somebody cannot be.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::advice::{Advice, Sentence};
use crate::{archive::read::Archive, failure::Failure, platform::User};

/// The users of an archive that are to be restored.
pub struct Selection {
    /// In the order of the archive.
    pub users: Vec<SelectedUser>,
    /// Owners of names in the archive and on the platform: by name, the ids of the users who have it or had it.
    pub owners: NameOwners,
}

/// See [`Selection::owners`].
#[derive(Default)]
pub struct NameOwners(HashMap<String, BTreeSet<String>>);

impl NameOwners {
    /// Whether somebody else than the user with this id bears a name, or did.
    pub fn others(&self, name: &str, id: &str) -> bool {
        let ids = self.0.get(name);
        ids.is_some_and(|ids| ids.iter().any(|other| other != id))
    }

    fn add<'n>(&mut self, names: impl IntoIterator<Item = &'n String>, id: &str) {
        for name in names {
            let ids = self.0.entry(name.clone()).or_default();
            ids.insert(id.to_owned());
        }
    }
}

/// A user as the archive calls it, and as the platform will.
pub struct SelectedUser {
    /// In the archive.
    pub source: User,
    /// On the platform.
    pub target: User,
    /// Numbers of records, as the archive says.
    pub stats: decryptor_wasm::UserStats,
}

/// Why a user cannot be restored.
pub struct Conflict {
    /// One sentence.
    pub what: Sentence,
    /// Nobody else is in the way: the user itself is there, and is not to be replaced.
    pub merely_there: bool,
    /// The user is there because an earlier run of this restore, which was stopped, has restored it.
    pub restored_before: bool,
}

impl Conflict {
    pub(super) fn clash(what: String) -> Self {
        Self {
            what: what.into(),
            merely_there: false,
            restored_before: false,
        }
    }
}

impl Selection {
    /// How many records they have, as the archive tells it; series and accounts left out.
    pub fn records(&self) -> u64 {
        // The numbers are what anybody may have written there.
        let stats = self.users.iter().flat_map(|user| user.stats.by_name());
        let records = stats.filter(|(name, _)| !matches!(*name, "series" | "attachments"));
        records.fold(0, |sum: u64, (_, count)| sum.saturating_add(count))
    }

    /// Everybody whom the archive was opened for.
    pub fn of(
        archive: &Archive,
        renamed: &[(String, String)],
        there: &[User],
    ) -> Result<Self, Failure> {
        let users = archive.plan.users.iter().map(|entry| {
            let source = User {
                user_id: entry.user_id.clone(),
                username: entry.username.clone(),
                other_names: entry.other_names.clone(),
            };
            let new = renamed
                .iter()
                .find(|(old, _)| *old == source.username || *old == source.user_id);
            let username = new.map_or(&source.username, |(_, new)| new).clone();
            SelectedUser {
                target: User {
                    user_id: source.user_id.clone(),
                    username,
                    ..User::default()
                },
                source,
                stats: entry.stats.clone(),
            }
        });
        let mut users: Vec<SelectedUser> = users.collect();
        for (old, _) in renamed {
            if !users
                .iter()
                .any(|u| u.source.username == *old || u.source.user_id == *old)
            {
                return Err(Failure::usage(format!(
                    "there is no user {old:?} in this backup, so none that could get another name"
                )));
            }
        }
        let bad = |what: String| {
            Failure::damaged(format!(
                "manifest.json {what}; it was changed: use another copy of the backup"
            ))
        };
        let mut ids = HashSet::new();
        for user in &users {
            let id = user.source.user_id.as_str();
            if !ids.insert(id) {
                return Err(bad(format!("names the user {id} twice")));
            }
            // Series of others are kept under such names.
            if id.starts_with("user.") {
                return Err(bad(format!("names a user {id:?}, which is no user id")));
            }
        }
        let mut names: HashMap<&str, &str> = HashMap::new();
        for user in &users {
            let id = user.source.user_id.as_str();
            if let Some(other) = names.insert(&user.target.username, id) {
                return Err(Failure::usage(format!(
                    "the users {other} and {} would both be called {:?}",
                    user.source.user_id, user.target.username
                ))
                .advise(Advice::Rename));
            }
        }
        let mut owners = NameOwners::default();
        let sources = users.iter().map(|user| &user.source);
        for user in sources.chain(there) {
            owners.add([&user.username], &user.user_id);
            owners.add(&user.other_names, &user.user_id);
        }
        for user in &users {
            owners.add([&user.target.username], &user.source.user_id);
        }
        let there: HashMap<&str, &User> = there.iter().map(|u| (u.user_id.as_str(), u)).collect();
        for user in &mut users {
            let id = &user.source.user_id;
            let mut names: BTreeSet<String> = user.source.other_names.iter().cloned().collect();
            if let Some(there) = there.get(id.as_str()) {
                names.extend(there.other_names.iter().cloned());
            }
            names.retain(|name| !owners.others(name, id) && *name != user.target.username);
            user.target.other_names = names.into_iter().collect();
        }
        Ok(Self { users, owners })
    }
}
