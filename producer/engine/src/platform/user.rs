//! Accounts, and their names.

/// One account of the platform.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// The identifier that never changes, used in paths.
    pub user_id: String,
    /// The current username, in clear.
    pub username: String,
    /// Other names that lead to it or did, under which series of it may be kept: its aliases, among which Pryv.io puts the name
    /// that a rename ends, and the names that its account fields remember.
    pub other_names: Vec<String>,
}

impl User {
    /// Where series of it may be kept: under its names and its id.
    pub(crate) fn namespaces(&self) -> impl Iterator<Item = String> {
        let names = std::iter::once(&self.username).chain(&self.other_names);
        names
            .map(|name| format!("user.{name}"))
            .chain([self.user_id.clone()])
    }
}
