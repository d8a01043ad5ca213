//! Who is to be restored, and who cannot be, because somebody else is there.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::lines;
use crate::{
    archive::read::Archive,
    config::Config,
    failure::Failure,
    platform::{
        User,
        write::{PlatformWriter, RestoreError},
    },
};

/// The users of an archive that are to be restored.
pub struct Wanted {
    /// In the order of the archive.
    pub users: Vec<Chosen>,
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
}

/// An entry of the platform's own database.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Whether the value has one owner.
    #[serde(default)]
    pub is_unique: bool,
    /// What the value is of.
    #[serde(default)]
    pub field: String,
    /// Whose it is.
    pub username: Option<String>,
    /// The value.
    #[serde(default)]
    pub value: serde_json::Value,
    /// The key, in archives of version 1 of Pryv.io.
    pub key: Option<String>,
}

impl Entry {
    /// Reads a line; an entry of version 1 is put in today's form, and one of another kind is none.
    pub fn read(line: &[u8]) -> Option<Self> {
        let mut entry: Self = serde_json::from_slice(line).ok()?;
        let (None, Some(key)) = (&entry.username, &entry.key) else {
            return Some(entry);
        };
        let mut parts = key.splitn(3, '/');
        let (kind, field, rest) = (
            parts.next()?,
            parts.next()?.to_owned(),
            parts.next()?.to_owned(),
        );
        match kind {
            "user-unique" => {
                entry.username = entry.value.as_str().map(str::to_owned);
                entry.value = rest.into();
                entry.is_unique = true;
            }
            "user-indexed" => entry.username = Some(rest),
            _ => return None,
        }
        entry.field = field;
        Some(entry)
    }

    /// The value as it is stored.
    pub fn text(&self) -> String {
        match &self.value {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

impl Wanted {
    /// Everybody whom the archive was opened for.
    pub fn of(archive: &Archive, renamed: &[(String, String)]) -> Result<Self, Failure> {
        let users = archive.plan.users.iter().map(|entry| {
            let source = User {
                user_id: entry.user_id.clone(),
                username: entry.username.clone(),
            };
            let new = renamed
                .iter()
                .find(|(old, _)| *old == source.username || *old == source.user_id);
            let username = new.map_or(&source.username, |(_, new)| new).clone();
            Chosen {
                target: User {
                    user_id: source.user_id.clone(),
                    username,
                },
                source,
                stats: entry.stats.clone(),
            }
        });
        let users: Vec<Chosen> = users.collect();
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
        let mut names: HashMap<&str, &str> = HashMap::new();
        for user in &users {
            if let Some(other) = names.insert(&user.target.username, &user.source.user_id) {
                return Err(Failure::usage(format!(
                    "the users {other} and {} would both be called {:?}; pass --remap-user OLD=NEW",
                    user.source.user_id, user.target.username
                )));
            }
        }
        Ok(Self { users })
    }
}

/// Everybody who cannot be restored, by user id.
pub fn find(
    writer: &dyn PlatformWriter,
    archive: &Archive,
    wanted: &Wanted,
    overwrite: bool,
    config: &Config,
) -> Result<BTreeMap<String, Conflict>, RestoreError> {
    let there = writer.users()?;
    let by_name: HashMap<&str, &User> = there.iter().map(|u| (u.username.as_str(), u)).collect();
    let by_id: HashMap<&str, &User> = there.iter().map(|u| (u.user_id.as_str(), u)).collect();
    let aliases = writer.aliases()?;
    let mut found = BTreeMap::new();
    for user in &wanted.users {
        let User { user_id, username } = &user.target;
        let clash = |what: String| Conflict {
            what,
            merely_there: false,
        };
        let conflict = match (by_name.get(username.as_str()), by_id.get(user_id.as_str())) {
            (Some(other), _) if other.user_id != *user_id => Some(clash(format!(
                "the platform has another user called {username:?}, with the id {}",
                other.user_id
            ))),
            (_, Some(other)) if other.username != *username => Some(clash(format!(
                "the id {user_id} of {username:?} belongs to {:?} on the platform",
                other.username
            ))),
            (Some(_), Some(_)) if !overwrite => Some(Conflict {
                what: format!("{username:?} is there already; pass --overwrite to replace it"),
                merely_there: true,
            }),
            _ => aliases
                .get(username)
                .filter(|owner| *owner != user_id)
                .map(|owner| clash(format!("{username:?} is an alias of the user {owner}"))),
        };
        if let Some(conflict) = conflict {
            found.insert(user.source.user_id.clone(), conflict);
        }
    }
    unique(writer, archive, wanted, config, &mut found)?;
    Ok(found)
}

/// Unique values that somebody else holds on the platform.
fn unique(
    writer: &dyn PlatformWriter,
    archive: &Archive,
    wanted: &Wanted,
    config: &Config,
    found: &mut BTreeMap<String, Conflict>,
) -> Result<(), RestoreError> {
    let Some(mut shared) = writer.shared()? else {
        return Ok(());
    };
    let names: HashMap<&str, &Chosen> = wanted
        .users
        .iter()
        .map(|user| (user.source.username.as_str(), user))
        .collect();
    let tokens: HashMap<String, &Chosen> = wanted
        .users
        .iter()
        .filter_map(|user| Some((config.pii.username(&user.source.username)?, user)))
        .collect();
    let mut batch: Vec<(String, &Chosen, String)> = Vec::new();
    for file in archive.files() {
        if !file.path.starts_with("platform/platform.") {
            continue;
        }
        lines::each(archive, file, &mut |lines| {
            for line in lines.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
                let Some(entry) = Entry::read(line).filter(|entry| entry.is_unique) else {
                    continue;
                };
                let owner = entry.username.as_deref().unwrap_or_default();
                let Some(user) = names.get(owner).or_else(|| tokens.get(owner)) else {
                    continue;
                };
                let value = super::shared::stored_value(&entry, owner, user, config);
                let key = format!("user-unique/{}/{value}", entry.field);
                batch.push((key, user, entry.field));
            }
            Ok(())
        })?;
    }
    let keys: Vec<String> = batch.iter().map(|(key, _, _)| key.clone()).collect();
    let values = shared.values(&keys)?;
    for ((_, user, field), holder) in batch.into_iter().zip(values) {
        let Some(holder) = holder else { continue };
        let own = [
            Some(user.target.username.clone()),
            config.pii.username(&user.target.username),
        ];
        if !own.iter().flatten().any(|name| *name == holder) {
            found
                .entry(user.source.user_id.clone())
                .or_insert(Conflict {
                    what: format!(
                        "the {field} of {:?} belongs to another user of the platform",
                        user.target.username
                    ),
                    merely_there: false,
                });
        }
    }
    Ok(())
}
