//! Names that several users had, and the owners of the series that are kept under them.

use crate::platform::{PlatformError, User};
use std::collections::HashMap;

/// Names that several users have or had.
pub type UsernameOwners = HashMap<String, UsersOfName>;

/// Who has or had a name.
#[derive(Default)]
pub struct UsersOfName {
    /// All their ids.
    pub ids: Vec<String>,
    /// Somebody has it now.
    pub now: bool,
}

/// Which of these users has an event.
pub type Owner<'a> = &'a dyn Fn(&[String], &str) -> Result<Option<String>, PlatformError>;

/// Owner of a series.
pub enum Whose {
    /// The user's.
    Mine,
    /// Another user's, with whom it is exported.
    Others,
    /// Nobody's, which is a loss.
    Nobody,
}

/// Whose a series is that is kept in one of a user's namespaces. A name may have been borne by several users: of what is kept under it,
/// the event tells whose it is, and `owner` whose the event is.
pub fn whose(
    owners: &UsernameOwners,
    owner: Owner<'_>,
    user: &User,
    namespace: &str,
    measurement: &str,
) -> Result<Whose, PlatformError> {
    let Some(UsersOfName { ids, now }) = of_namespace(owners, namespace) else {
        return Ok(Whose::Mine);
    };
    let event = measurement.strip_prefix("event.");
    let found = event.map_or(Ok(None), |event| owner(ids, event))?;
    let current = namespace.strip_prefix("user.") == Some(&user.username);
    Ok(match found {
        Some(id) if id == user.user_id => Whose::Mine,
        Some(_) => Whose::Others,
        None if current => Whose::Mine,
        // Told once.
        None if !now && ids.first() == Some(&user.user_id) => Whose::Nobody,
        None => Whose::Others,
    })
}

/// The users who have or had the name of a namespace, where they are several.
pub fn of_namespace<'o>(owners: &'o UsernameOwners, namespace: &str) -> Option<&'o UsersOfName> {
    owners.get(namespace.strip_prefix("user.")?)
}

/// The sentence for a series that is nobody's.
pub fn without_owner(measurement: &str) -> String {
    format!(
        "{measurement:?} is kept under a name that several users bore, and is of no event of theirs; it was left out"
    )
}

/// The names that several of these users had.
pub fn of(users: &[User]) -> UsernameOwners {
    let mut owners = UsernameOwners::new();
    for user in users {
        for name in std::iter::once(&user.username).chain(&user.other_names) {
            let by = owners.entry(name.clone()).or_default();
            by.now |= *name == user.username;
            by.ids.push(user.user_id.clone());
        }
    }
    owners.retain(|_, by| by.ids.len() > 1);
    owners
}
