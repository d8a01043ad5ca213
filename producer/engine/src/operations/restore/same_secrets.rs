//! Whether the platform that is restored into has the secrets of the one that was backed up. It is tried with what the backup holds: nothing that
//! stands for a secret is stored in a backup, since whoever can open it could guess from that.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{
    lines,
    selection::{SelectedUser, Selection},
    shared::IndexEntry,
};
use crate::{
    archive::read::Archive,
    config::Config,
    pii::{Pii, is_token},
    platform::{Collection, Shared, write::RestoreError},
};

/// What the trials came to.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SameSecrets {
    /// `services.mfa.methods.totp.secretsKey`, else `auth.adminAccessKey`: the second factors of the users open.
    pub second_factors: Same,
    /// `platform.piiHmacKey`: names in the platform's own database are hashed alike.
    pub hashed_names: Same,
}

/// Whether a secret is the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Same {
    /// The backup holds nothing that needs it.
    #[default]
    NotNeeded,
    /// It is.
    Same,
    /// It is another one, or none.
    Other,
}

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

impl SameSecrets {
    /// Tries the first stored second factor, and the first hashed name, of the users who are to come.
    ///
    /// # Errors
    /// When the archive cannot be read.
    pub fn of(
        archive: &Archive,
        selection: &Selection,
        config: &Config,
        skip_platform: bool,
    ) -> Result<Self, RestoreError> {
        Ok(SameSecrets {
            second_factors: second_factors(archive, &selection.users, config)?,
            hashed_names: match skip_platform {
                true => Same::NotNeeded,
                false => hashed_names(archive, &selection.users, config)?,
            },
        })
    }

    /// What will not work on the platform, and what to do before it is restored into.
    pub fn warnings(self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.second_factors == Same::Other {
            warnings.push(
                "second factors (TOTP) of users in this backup do not open with this platform's services.mfa.methods.totp.secretsKey (where that \
                 is not set, auth.adminAccessKey): these users could not sign in; set the key of the platform that was backed up first"
                    .to_owned(),
            );
        }
        if self.hashed_names == Same::Other {
            warnings.push(
                "names in this backup are hashed with another platform.piiHmacKey than this platform has: entries that only a hashed name \
                 leads to are lost; set the key of the platform that was backed up first"
                    .to_owned(),
            );
        }
        warnings
    }
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
