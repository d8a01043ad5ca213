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
