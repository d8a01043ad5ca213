//! Which users go into a backup.

use std::sync::Arc;

use decryptor_wasm::{layout::is_safe_name, manifest::Loss};

use crate::{
    advice::Advice,
    config::{Config, Engine},
    failure::Failure,
    platform::{Only, PlatformMode, User},
};

/// A user for whom there can be no folder.
pub fn left_out(user: &User) -> Loss {
    Loss {
        what: format!(
            "user {:?} was left out: its id {:?} cannot be the name of a folder",
            user.username, user.user_id
        ),
        user_id: Some(user.user_id.clone()),
        collection: None,
        path: None,
    }
}

/// All users, or the one that is wanted.
pub fn chosen(
    users: Arc<Vec<User>>,
    wanted: Option<&str>,
    config: &Config,
) -> Result<Arc<Vec<User>>, Failure> {
    let Some(wanted) = wanted else {
        if users.is_empty() {
            return Err(Failure::failed(match config.base_engine {
                Engine::Postgresql => format!(
                    "no users in PostgreSQL at {}; is storages.engines.postgresql.database right?",
                    config.postgres.address()
                ),
                _ => format!(
                    "no users in {}; is storages.engines.sqlite.path right?",
                    config.users_dir.display()
                ),
            }));
        }
        return Ok(users);
    };
    let is_wanted = |user: &&User| user.user_id == wanted || user.username == wanted;
    let found: Vec<User> = users.iter().filter(is_wanted).cloned().collect();
    if found.is_empty() {
        return Err(Failure::usage(format!(
            "no user {wanted:?} on this platform (neither a user id nor a username)"
        )));
    }
    Ok(Arc::new(found))
}

/// Those for whom there can be a folder, and the others.
pub fn named(users: Arc<Vec<User>>) -> (Arc<Vec<User>>, Vec<User>) {
    let has_name = |user: &User| is_safe_name(&user.user_id);
    if users.iter().all(has_name) {
        return (users, Vec::new());
    }
    let (named, nameless) = users.iter().cloned().partition(has_name);
    (Arc::new(named), nameless)
}

/// The names of the only user of the backup, and what stands for them in the platform's own database.
pub fn names(config: &Config, mode: PlatformMode, user: &User) -> Result<Vec<String>, Failure> {
    let mut names = user.other_names.clone();
    names.push(user.username.clone());
    let tokens: Option<Vec<String>> = names.iter().map(|name| config.pii.username(name)).collect();
    match tokens {
        Some(tokens) => {
            names.extend(tokens);
            Ok(names)
        }
        None if mode == PlatformMode::None => Ok(names),
        None => Err(Failure::failed(
            "platform.piiMode is hashed, and platform.piiHmacKey is not set: without it the entries of one user cannot be \
             told from the others; set it",
        )
        .advise(Advice::BackUpWithoutIndex)),
    }
}

/// The entries of the platform's own database that are that user's.
pub fn only<'a>((names, user): (&'a [String], &'a User)) -> Only<'a> {
    Only { user, names }
}
