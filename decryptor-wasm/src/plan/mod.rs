//! The verdict on an archive's file list: what is to be read, what is missing, what does not belong.

mod judge;
mod planner;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{
    FileEntry, Manifest, Result, UserEntry,
    layout::{CHAIN, PathKind, lost_index, refuse_long},
    signature::Signed,
};

pub use crate::finding::{Finding, NOT_OURS, Severity};
pub use judge::{judge, judge_manifest};
use planner::Planner;

/// A file to process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedFile {
    /// From the archive's root.
    pub path: String,
    /// The user whose folder it is in.
    pub user: Option<String>,
    /// The content is JSON lines.
    pub jsonl: bool,
    /// The content is gzip.
    pub gzip: bool,
    /// The file is a sealed container.
    pub encrypted: bool,
    /// Stored bytes, as the host listed it.
    pub size: u64,
    /// What the inventory says of it.
    pub expected: Option<FileEntry>,
}

/// How an archive lies there.
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

/// The `user-manifest.json` of each user's folder.
#[derive(Debug, Clone, Copy)]
pub struct UserManifests<'m> {
    /// The content of each, by path.
    pub contents: &'m BTreeMap<String, Vec<u8>>,
    /// The paths of those that could not be opened, which the caller reports.
    pub damaged: &'m BTreeSet<String>,
}

/// What [`plan`] makes of an archive.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Plan {
    /// Whether the archive has an inventory, so that missing and swapped files are noticed.
    pub inventoried: bool,
    /// The files to process; the manifests, which the host has read already, are not among them.
    pub files: Vec<PlannedFile>,
    /// What is wrong or worth saying.
    pub findings: Vec<Finding>,
    /// The users concerned.
    pub users: Vec<UserEntry>,
}

/// Judges the list of files against the manifests.
///
/// `listing` is every file with its size in bytes; `signed` is what [`Signed::check`] made of the
/// manifest. With `only_user` (id or name) the other users' folders are left aside.
///
/// # Errors
/// When this is the first run of a chain whose list of runs was lost, a user id is no folder name, or there is no such user.
pub fn plan(
    manifest: &Manifest,
    user_manifests: &UserManifests<'_>,
    listing: &[(String, u64)],
    storage: Storage,
    signed: Option<&Signed>,
    only_user: Option<&str>,
) -> Result<Plan> {
    let paths = || listing.iter().map(|(path, _)| path.as_str());
    if let (false, Some(lost)) = (paths().any(|path| path == CHAIN), lost_index(paths())) {
        return Err(lost);
    }
    // Of these, a reader compares the digest; of anything else the inventory says the size.
    let clear = |path: &str| {
        matches!(
            PathKind::of(path),
            PathKind::Companion | PathKind::Signature
        )
    };
    for (path, size) in listing.iter().filter(|(path, _)| clear(path)) {
        refuse_long(path, *size)?;
    }
    let mut planner = Planner::new(manifest, listing, storage);
    planner.users(manifest, user_manifests, only_user)?;
    planner.inventory(manifest.inventory.iter().flat_map(|i| &i.files));
    planner.guarantees(manifest, storage);
    if let Some(signed) = signed {
        let digest = match only_user {
            None => planner.files_digest(),
            Some(_) => {
                let mut all = Planner::new(manifest, &[], storage);
                all.users(manifest, user_manifests, None)?;
                all.inventory(manifest.inventory.iter().flat_map(|i| &i.files));
                all.files_digest()
            }
        };
        planner.signature(digest.as_deref(), signed);
    }
    planner.judge(manifest, only_user.is_some());
    Ok(planner.plan)
}
