//! Names that several users bore, and whose the series are that are kept under them.

use crate::platform::{PlatformError, User};
use std::collections::HashMap;

/// Names that several users bear or bore.
pub type Bearers = HashMap<String, BorneBy>;

/// Who bears or bore a name.
#[derive(Default)]
pub struct BorneBy {
    /// All their ids.
    pub ids: Vec<String>,
    /// Somebody bears it now.
    pub now: bool,
}

/// Which of these users has an event.
pub type Owner<'a> = &'a dyn Fn(&[String], &str) -> Result<Option<String>, PlatformError>;

/// Whose a series is.
pub enum Whose {
    /// The user's.
    Mine,
    /// Another user's, with whom it is exported.
    Others,
    /// Nobody's, which is a loss.
    Nobodys,
}

/// The sentence for a series that is nobody's.
pub fn nobodys(measurement: &str) -> String {
    format!(
        "{measurement:?} is kept under a name that several users bore, and is of no event of theirs; it was left out"
    )
}

/// The names that several of these users bore.
pub fn of(users: &[User]) -> Bearers {
    let mut bearers = Bearers::new();
    for user in users {
        for name in std::iter::once(&user.username).chain(&user.other_names) {
            let by = bearers.entry(name.clone()).or_default();
            by.now |= *name == user.username;
            by.ids.push(user.user_id.clone());
        }
    }
    bearers.retain(|_, by| by.ids.len() > 1);
    bearers
}
