//! How much of what all users share goes into a backup.

use super::{PlatformMode, User};

/// The part of the shared records that belongs to a backup.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// How much of the platform's own database.
    pub mode: PlatformMode,
    /// Sessions, password resets, and other state of a few hours too.
    pub ephemeral: bool,
    /// The archive is encrypted: secrets may go into it.
    pub sealed: bool,
    /// The only user of the backup.
    pub only: Option<Only<'a>>,
}

/// The only user of a backup.
#[derive(Clone, Copy, Debug)]
pub struct Only<'a> {
    /// The user.
    pub user: &'a User,
    /// All its names: the present one, those that it gave up and other ones, and what stands for each in the platform's own database.
    pub names: &'a [String],
}

impl Only<'_> {
    /// Whether that is a name of the user.
    pub(super) fn is(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }
}
