//! Who is to be restored, and who cannot be, because somebody else is there.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Deserialize;

use super::{lines, unique};
use crate::{
    archive::read::Archive,
    config::Config,
    failure::Failure,
    platform::{
        Collection, Shared, User,
        write::{PlatformWriter, RestoreError},
    },
};

/// The users of an archive that are to be restored.
pub struct Wanted {
    /// In the order of the archive.
    pub users: Vec<Chosen>,
    /// Whose each name is, in the archive or on the platform: by name, the ids of those who bear it or did.
    pub bearers: Bearers,
}

/// See [`Wanted::bearers`].
#[derive(Default)]
pub struct Bearers(HashMap<String, BTreeSet<String>>);

impl Bearers {
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
pub struct Chosen {
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
    pub what: String,
    /// Nobody else is in the way: the user itself is there, and `--overwrite` was not given.
    pub merely_there: bool,
    /// The user is there because an earlier run of this restore, which was stopped, has made it stand.
    pub begun: bool,
}

impl Conflict {
    pub(super) fn clash(what: String) -> Self {
        Self {
            what,
            merely_there: false,
            begun: false,
        }
    }
}

impl Wanted {
    /// How many records they have, as the archive tells it; series and accounts left out.
    pub fn records(&self) -> u64 {
        // The numbers are what anybody may have written there.
        self.users.iter().fold(0, |sum: u64, user| {
            let stats = &user.stats;
            [
                stats.streams,
                stats.accesses,
                stats.profile,
                stats.webhooks,
                stats.events,
                stats.audit,
            ]
            .into_iter()
            .fold(sum, u64::saturating_add)
        })
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
            Chosen {
                target: User {
                    user_id: source.user_id.clone(),
                    username,
                    ..User::default()
                },
                source,
                stats: entry.stats.clone(),
            }
        });
        let mut users: Vec<Chosen> = users.collect();
        for (old, _) in renamed {
            if !users
                .iter()
                .any(|u| u.source.username == *old || u.source.user_id == *old)
            {
                return Err(Failure::usage(format!(
                    "--remap-user: there is no user {old:?} in this backup"
                )));
            }
        }
        let bad = |what: String| Failure {
            code: 4,
            message: format!(
                "manifest.json {what}; it was changed: use another copy of the backup"
            ),
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
                    "the users {other} and {} would both be called {:?}; pass --remap-user OLD=NEW",
                    user.source.user_id, user.target.username
                )));
            }
        }
        let mut bearers = Bearers::default();
        let sources = users.iter().map(|user| &user.source);
        for user in sources.chain(there) {
            bearers.add([&user.username], &user.user_id);
            bearers.add(&user.other_names, &user.user_id);
        }
        for user in &users {
            bearers.add([&user.target.username], &user.source.user_id);
        }
        let there: HashMap<&str, &User> = there.iter().map(|u| (u.user_id.as_str(), u)).collect();
        for user in &mut users {
            let id = &user.source.user_id;
            let mut names: BTreeSet<String> = user.source.other_names.iter().cloned().collect();
            if let Some(there) = there.get(id.as_str()) {
                names.extend(there.other_names.iter().cloned());
            }
            names.retain(|name| !bearers.others(name, id) && *name != user.target.username);
            user.target.other_names = names.into_iter().collect();
        }
        Ok(Self { users, bearers })
    }
}

/// Everybody who cannot be restored, by user id. `begun` are those whom an earlier run of this restore has made to stand.
pub fn find(
    writer: &dyn PlatformWriter,
    archive: &Archive,
    wanted: &Wanted,
    there: &[User],
    begun: &HashSet<String>,
    overwrite: bool,
    config: &Config,
) -> Result<BTreeMap<String, Conflict>, RestoreError> {
    let by_name: HashMap<&str, &User> = there.iter().map(|u| (u.username.as_str(), u)).collect();
    let by_id: HashMap<&str, &User> = there.iter().map(|u| (u.user_id.as_str(), u)).collect();
    let aliases = writer.aliases()?;
    let mut found = BTreeMap::new();
    for user in &wanted.users {
        let User {
            user_id, username, ..
        } = &user.target;
        let conflict = match (by_name.get(username.as_str()), by_id.get(user_id.as_str())) {
            (Some(other), _) if other.user_id != *user_id => Some(Conflict::clash(format!(
                "the platform has another user called {username:?}, with the id {}",
                other.user_id
            ))),
            (_, Some(other)) if other.username != *username => Some(Conflict::clash(format!(
                "the id {user_id} of {username:?} belongs to {:?} on the platform",
                other.username
            ))),
            (Some(_), Some(_)) if !overwrite => Some(Conflict {
                what: format!("{username:?} is there already; pass --overwrite to replace it"),
                merely_there: true,
                begun: begun.contains(user_id),
            }),
            _ => aliases
                .get(username)
                .filter(|owner| *owner != user_id)
                .map(|owner| {
                    Conflict::clash(format!("{username:?} is an alias of the user {owner}"))
                }),
        };
        if let Some(conflict) = conflict {
            found.insert(user.source.user_id.clone(), conflict);
        }
    }
    let owner_of = |alias: &str| {
        let owner = aliases.get(alias).map(String::as_str);
        owner.or_else(|| by_name.get(alias).map(|user| user.user_id.as_str()))
    };
    other_names(archive, wanted, &owner_of, &mut found)?;
    if !writer.takes_versions() {
        versions(archive, wanted, &mut found)?;
    }
    unique::find(writer, archive, wanted, overwrite, config, &mut found)?;
    Ok(found)
}

/// Users who have versions of accesses, which the platform would take for accesses.
fn versions(
    archive: &Archive,
    wanted: &Wanted,
    found: &mut BTreeMap<String, Conflict>,
) -> Result<(), RestoreError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Access {
        head_id: Option<String>,
    }
    for user in &wanted.users {
        let id = &user.source.user_id;
        let mut has = false;
        for file in lines::files(archive, id, Collection::Accesses) {
            lines::each(archive, file, &mut |lines| {
                has |= lines::split(lines).any(|line| {
                    serde_json::from_slice::<Access>(line).is_ok_and(|one| one.head_id.is_some())
                });
                Ok(())
            })?;
        }
        if has {
            found.entry(id.clone()).or_insert_with(|| {
                Conflict::clash(format!(
                    "{:?} has versions of accesses, for which the database has no place before Pryv's migrations (start Pryv.io once, or run its bin/migrate.js)",
                    user.target.username
                ))
            });
        }
    }
    Ok(())
}

/// Aliases that lead to somebody else on the platform.
fn other_names<'p>(
    archive: &Archive,
    wanted: &Wanted,
    owner_of: &dyn Fn(&str) -> Option<&'p str>,
    found: &mut BTreeMap<String, Conflict>,
) -> Result<(), RestoreError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Alias {
        alias: String,
        user_id: String,
    }
    let users: HashMap<&str, &Chosen> = wanted
        .users
        .iter()
        .map(|user| (user.source.user_id.as_str(), user))
        .collect();
    // As they will be called.
    let names: HashMap<&str, &str> = wanted
        .users
        .iter()
        .map(|user| (user.target.username.as_str(), user.source.user_id.as_str()))
        .collect();
    let stem = format!("{}.", Shared::Aliases.stem());
    for file in archive.files().iter().filter(|f| f.path.starts_with(&stem)) {
        lines::each(archive, file, &mut |lines| {
            for line in lines::split(lines) {
                let Ok(Alias { alias, user_id }) = serde_json::from_slice(line) else {
                    continue;
                };
                let Some(user) = users.get(user_id.as_str()) else {
                    continue;
                };
                if let Some(other) = names.get(alias.as_str()).filter(|id| **id != user_id) {
                    found.entry((*other).to_owned()).or_insert_with(|| {
                        Conflict::clash(format!(
                            "{alias:?} is an alias of {:?} in this backup",
                            user.target.username
                        ))
                    });
                }
                if owner_of(&alias).is_some_and(|owner| owner != user.target.user_id) {
                    found.entry(user_id).or_insert_with(|| {
                        Conflict::clash(format!(
                            "the alias {alias:?} of {:?} leads to another user of the platform",
                            user.target.username
                        ))
                    });
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}
