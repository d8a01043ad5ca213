//! Compares the files of an archive with its manifests: which to read, which are missing, which do not belong.

mod check;
mod files;
mod inventory;
mod planner;
mod user_manifest;

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    Manifest, Result, UserList,
    layout::{CHAIN, PathKind, lost_index, refuse_long},
    listing::FileList,
    signature::Signed,
};

pub use crate::finding::{Finding, NOT_OURS, Severity};
pub use crate::manifest::Expected;
pub use check::{check_against_inventory, check_manifest};
pub use files::{PlannedFile, PlannedFiles};
pub use inventory::SortedInventory;
use planner::Planner;
pub use user_manifest::{ReadManifest, UserFacts, UserManifests};

/// The form in which an archive is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// Readable by anyone.
    Cleartext,
    /// Sealed; `key_check` says whether its envelope carries the check of the data key.
    Sealed {
        /// See [`crate::Envelope::has_key_check`].
        key_check: bool,
    },
}

/// The files of an archive to read, and the findings; see [`plan`].
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The archive has an inventory, so that missing and swapped files are noticed.
    pub inventoried: bool,
    /// The files to process, in the order of their paths; no manifests.
    pub files: PlannedFiles,
    /// The manifests of the users, in the order of their paths, as far as they can be read.
    pub manifests: PlannedFiles,
    /// Errors, warnings and notes.
    pub findings: Vec<Finding>,
    /// The users concerned.
    pub users: UserList,
}

/// What is judged.
pub struct Judged<'a> {
    /// The manifest, without the files of its inventory.
    pub manifest: &'a Manifest,
    /// The manifests of the users, and the files that `manifest` lists; of those in `only` alone, where that is given.
    pub users: UserManifests<'a>,
    /// Every file with its size in bytes.
    pub listing: Arc<FileList>,
    /// The form in which it is stored.
    pub storage: Storage,
    /// What [`Signed::check`] made of the manifest.
    pub signed: Option<&'a Signed>,
    /// The ids of the users who are read; none: all.
    pub only: Option<&'a BTreeSet<String>>,
}

/// Judges the list of files against the manifests.
///
/// # Errors
/// When this is the first run of a chain whose list of runs was lost, or a user id is no folder name.
pub fn plan(judged: Judged<'_>) -> Result<Plan> {
    let paths = || judged.listing.iter().map(|(path, _)| path);
    if let (false, Some(lost)) = (judged.listing.has(CHAIN), lost_index(paths())) {
        return Err(lost);
    }
    // Of these, a reader compares the digest; of anything else the inventory says the size.
    let clear = |path: &str| {
        matches!(
            PathKind::of(path),
            PathKind::Companion | PathKind::Signature
        )
    };
    for (path, size) in judged.listing.iter().filter(|(path, _)| clear(path)) {
        refuse_long(&path, size)?;
    }
    Planner::new(judged).plan()
}
