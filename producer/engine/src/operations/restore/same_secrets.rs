//! Whether the platform that is restored into has the secrets of the one that was backed up. It is tried with what the backup holds: nothing that
//! stands for a secret is stored in a backup, since whoever can open it could guess from that.

use std::collections::HashSet;

use serde::Deserialize;

use super::{
    lines,
    report::{Same, SameSecrets},
    selection::{SelectedUser, Selection},
    shared::IndexEntry,
};
use crate::{
    archive::read::Archive,
    config::Config,
    pii::{Pii, is_token},
    platform::{Collection, Shared, write::RestoreError},
};

/// A profile, as far as second factors are concerned.
#[derive(Deserialize)]
struct Profile {
    data: Option<ProfileData>,
}

#[derive(Deserialize)]
struct ProfileData {
    mfa: Option<Mfa>,
}

#[derive(Deserialize)]
struct Mfa {
    totp: Option<Totp>,
}

#[derive(Deserialize)]
struct Totp {
    secret: Option<String>,
}

/// Tries a stored second factor, and hashed names, of the users who are to come.
///
/// # Errors
/// When the archive cannot be read.
pub fn try_secrets(
    archive: &Archive,
    selection: &Selection,
    config: &Config,
    skip_platform: bool,
) -> Result<SameSecrets, RestoreError> {
    Ok(SameSecrets {
        second_factors: second_factors(archive, &selection.users, config)?,
        hashed_names: match skip_platform {
            true => Same::NotNeeded,
            false => hashed_names(archive, &selection.users, config)?,
        },
    })
}

/// Tries one stored secret: of the first user who has one.
fn second_factors(
    archive: &Archive,
    users: &[SelectedUser],
    config: &Config,
) -> Result<Same, RestoreError> {
    let mut stored = None;
    for user in users.iter().filter(|user| user.stats.profile > 0) {
        for file in lines::files(archive, &user.source.user_id, Collection::Profile) {
            lines::each(archive, &file, &mut |lines| {
                let mut found = lines::split(lines).filter_map(secret_in);
                stored = stored.take().or_else(|| found.next());
                Ok(())
            })?;
        }
        if let Some(stored) = &stored {
            let key = config.second_factors.as_ref();
            return Ok(match key.is_some_and(|key| key.opens(stored)) {
                true => Same::Same,
                false => Same::Other,
            });
        }
    }
    Ok(Same::NotNeeded)
}

/// The stored secret in a line of a profile.
fn secret_in(line: &[u8]) -> Option<String> {
    // Most profiles have none.
    memchr::memmem::find(line, b"\"totp\"")?;
    let profile: Profile = serde_json::from_slice(line).ok()?;
    profile.data?.mfa?.totp?.secret
}

/// Compares the tokens that this platform has for the users with those that the archive names. A platform that does not hash needs no key.
fn hashed_names(
    archive: &Archive,
    users: &[SelectedUser],
    config: &Config,
) -> Result<Same, RestoreError> {
    let Pii::Hashed(Some(key)) = &config.pii else {
        return Ok(Same::NotNeeded);
    };
    let names = users.iter().map(|user| &user.source.username);
    let tokens: HashSet<String> = names.map(|name| key.username(name)).collect();
    let mut found = Same::NotNeeded;
    // A backup of ours has names of accounts in the clear: a token in the index is of nobody whom it knows.
    if !archive.plan.inventoried {
        let owner = |line: &[u8]| IndexEntry::read(line)?.username;
        compare_tokens(archive, Shared::Index, &owner, &tokens, &mut found)?;
    }
    compare_tokens(archive, Shared::Keys, &user_core, &tokens, &mut found)?;
    Ok(found)
}

/// The user whom an entry gives a core.
fn user_core(line: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Entry {
        key: String,
    }
    let entry: Entry = serde_json::from_slice(line).ok()?;
    entry.key.strip_prefix("user-core/").map(str::to_owned)
}

fn compare_tokens(
    archive: &Archive,
    kind: Shared,
    owner: &dyn Fn(&[u8]) -> Option<String>,
    tokens: &HashSet<String>,
    found: &mut Same,
) -> Result<(), RestoreError> {
    let files = archive.files();
    for file in files.within(files.below(&format!("{}.", kind.stem()))) {
        lines::each(archive, &file, &mut |lines| {
            if *found != Same::Same {
                let owners = lines::split(lines).filter_map(owner);
                let mut known = owners
                    .filter(|owner| is_token(owner))
                    .map(|owner| tokens.contains(&owner));
                if let Some(first) = known.next() {
                    *found = match first || known.any(|is_ours| is_ours) {
                        true => Same::Same,
                        false => Same::Other,
                    };
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}
