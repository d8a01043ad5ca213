//! Who cannot be restored, because somebody else is there.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Deserialize;

use super::{
    lines,
    selection::{Conflict, SelectedUser, Selection},
    unique,
};
use crate::{
    advice::{Advice, Sentence},
    archive::read::Archive,
    config::Config,
    failure::Failure,
    platform::{
        Collection, Shared, User,
        write::{PlatformWriter, RestoreError},
    },
};

/// Clashes that are named in one line.
const NAMED: usize = 10;

/// Everybody who cannot be restored, by user id. `restored_before` are those whom an earlier run of this restore has restored.
pub fn find(
    writer: &dyn PlatformWriter,
    archive: &Archive,
    selection: &Selection,
    there: &[User],
    restored_before: &HashSet<String>,
    overwrite: bool,
    config: &Config,
) -> Result<BTreeMap<String, Conflict>, RestoreError> {
    let by_name: HashMap<&str, &User> = there.iter().map(|u| (u.username.as_str(), u)).collect();
    let by_id: HashMap<&str, &User> = there.iter().map(|u| (u.user_id.as_str(), u)).collect();
    let aliases = writer.aliases()?;
    let mut found = BTreeMap::new();
    for user in &selection.users {
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
                what: Sentence::new(format!("{username:?} is there already"), Advice::Overwrite),
                merely_there: true,
                restored_before: restored_before.contains(user_id),
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
    other_names(archive, selection, &owner_of, &mut found)?;
    if !writer.takes_versions() {
        versions(archive, selection, &mut found)?;
    }
    unique::find(writer, archive, selection, overwrite, config, &mut found)?;
    Ok(found)
}

/// Whether a user clashes with another; one that is merely there already does not.
pub fn any(found: &BTreeMap<String, Conflict>) -> bool {
    found.values().any(|conflict| !conflict.merely_there)
}

/// Refuses a restore in which users clash with others; it names the first ones.
pub fn refuse(found: &BTreeMap<String, Conflict>) -> Result<(), Failure> {
    if !any(found) {
        return Ok(());
    }
    let clashes = found.values().filter(|conflict| !conflict.merely_there);
    let mut all: Vec<String> = clashes.map(|conflict| conflict.what.text.clone()).collect();
    let more = all.len().saturating_sub(NAMED);
    all.truncate(NAMED);
    if more > 0 {
        all.push(format!("and {more} more"));
    }
    Err(
        Failure::failed(format!("nothing was restored: {}", all.join("; "))).advise(
            Advice::SkipOrRename {
                all_named: more == 0,
            },
        ),
    )
}

/// Users who have versions of accesses, which the platform would take for accesses.
fn versions(
    archive: &Archive,
    selection: &Selection,
    found: &mut BTreeMap<String, Conflict>,
) -> Result<(), RestoreError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Access {
        head_id: Option<String>,
    }
    for user in &selection.users {
        let id = &user.source.user_id;
        let mut has = false;
        for file in lines::files(archive, id, Collection::Accesses) {
            lines::each(archive, &file, &mut |lines| {
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
    selection: &Selection,
    owner_of: &dyn Fn(&str) -> Option<&'p str>,
    found: &mut BTreeMap<String, Conflict>,
) -> Result<(), RestoreError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Alias {
        alias: String,
        user_id: String,
    }
    let users: HashMap<&str, &SelectedUser> = selection
        .users
        .iter()
        .map(|user| (user.source.user_id.as_str(), user))
        .collect();
    // As they will be called.
    let names: HashMap<&str, &str> = selection
        .users
        .iter()
        .map(|user| (user.target.username.as_str(), user.source.user_id.as_str()))
        .collect();
    let stem = format!("{}.", Shared::Aliases.stem());
    let files = archive.files();
    for file in files.within(files.below(&stem)) {
        lines::each(archive, &file, &mut |lines| {
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
