//! Unique values (e-mail addresses) that somebody else holds on the platform.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{
    account, lines,
    selection::{Conflict, SelectedUser, Selection},
    shared::{IndexEntry, stored_key, uncut, unique_key},
};
use crate::{
    archive::read::Archive,
    config::Config,
    pii::is_token,
    platform::{
        Collection,
        write::{PlatformWriter, RestoreError},
    },
};

/// A value that is to be somebody's: its key, whose, and of which field.
type Claim<'a> = (String, &'a SelectedUser, String);

/// Finds them, by the keys that will be written: those of the archive's entries, and those that come from the accounts because it has
/// no entry.
pub fn find(
    writer: &dyn PlatformWriter,
    archive: &Archive,
    selection: &Selection,
    overwrite: bool,
    config: &Config,
    found: &mut BTreeMap<String, Conflict>,
) -> Result<(), RestoreError> {
    let Some(mut shared) = writer.shared()? else {
        return Ok(());
    };
    let claims = claims(archive, selection, config)?;
    let keys: Vec<String> = claims.iter().map(|(key, _, _)| key.clone()).collect();
    let holders = shared.values(&keys)?;
    let names = |user: &SelectedUser| {
        let name = &user.target.username;
        [Some(name.clone()), config.pii.username(name)]
    };
    // A value of a user who is to be replaced may be given to another one by the archive.
    let replaced: HashSet<String> = match overwrite {
        true => selection.users.iter().flat_map(names).flatten().collect(),
        false => HashSet::new(),
    };
    for ((_, user, field), holder) in claims.into_iter().zip(holders) {
        let Some(holder) = holder.filter(|holder| !replaced.contains(holder)) else {
            continue;
        };
        if !names(user).iter().flatten().any(|name| *name == holder) {
            found.entry(user.source.user_id.clone()).or_insert_with(|| {
                Conflict::clash(format!(
                    "the {field} of {:?} belongs to another user of the platform",
                    user.target.username
                ))
            });
        }
    }
    Ok(())
}

fn claims<'w>(
    archive: &Archive,
    selection: &'w Selection,
    config: &Config,
) -> Result<Vec<Claim<'w>>, RestoreError> {
    let mut by_name: HashMap<String, &SelectedUser> = HashMap::new();
    for user in &selection.users {
        let name = &user.source.username;
        by_name.extend(config.pii.username(name).map(|token| (token, user)));
        by_name.insert(name.clone(), user);
    }
    let mut entries: Vec<(&SelectedUser, IndexEntry)> = Vec::new();
    // Whether there are entries, and whether they tell whose they are.
    let (mut listed, mut readable) = (false, true);
    let files = archive.files();
    for file in files.within(files.below("platform/platform.")) {
        listed = true;
        lines::each(archive, &file, &mut |lines| {
            for line in lines::split(lines) {
                let Some(entry) = IndexEntry::read(line).filter(|entry| entry.is_unique) else {
                    continue;
                };
                let owner = entry.username.as_deref().unwrap_or_default();
                match by_name.get(owner) {
                    Some(user) => entries.push((user, entry)),
                    None => readable &= !is_token(owner),
                }
            }
            Ok(())
        })?;
    }
    let told: HashSet<(&str, &str)> = entries
        .iter()
        .map(|(user, entry)| (user.source.user_id.as_str(), entry.field.as_str()))
        .collect();
    let known = config.account_fields.iter();
    let unique: Vec<&str> = known
        .filter(|field| field.indexed && field.unique)
        .map(|field| field.id.as_str())
        .collect();
    let mut claims = Vec::new();
    let mut accounts: HashMap<&str, BTreeMap<String, String>> = HashMap::new();
    for user in &selection.users {
        let id = user.source.user_id.as_str();
        let untold = unique.iter().filter(|field| !told.contains(&(id, **field)));
        // A backup of ours has every entry that there was.
        let untold = untold.filter(|_| !(listed && readable && archive.plan.inventoried));
        let untold: Vec<&str> = untold.copied().collect();
        if untold.is_empty() && archive.plan.inventoried {
            continue;
        }
        let fields = fields(archive, id)?;
        for field in untold {
            if let Some(value) = fields.get(field).filter(|value| !value.is_empty()) {
                claims.push((unique_key(field, value, config), user, field.to_owned()));
            }
        }
        // Pryv's own tool cuts values, so the account is asked for the whole ones.
        if !archive.plan.inventoried {
            accounts.insert(id, fields);
        }
    }
    for (user, mut entry) in entries {
        let owner = entry.username.clone().unwrap_or_default();
        let account = accounts.get(user.source.user_id.as_str());
        let whole = account.and_then(|fields| fields.get(&entry.field));
        entry.value = uncut(archive, &entry, whole).into();
        let key = stored_key(&entry, &owner, user, config);
        claims.push((key, user, entry.field));
    }
    Ok(claims)
}

/// The current values of an account.
fn fields(archive: &Archive, user_id: &str) -> Result<BTreeMap<String, String>, RestoreError> {
    let mut fields = BTreeMap::new();
    for file in lines::files(archive, user_id, Collection::Account) {
        lines::each(archive, &file, &mut |lines| {
            fields.extend(account::current_fields(lines));
            Ok(())
        })?;
    }
    Ok(fields)
}
