//! Compares the files of an archive with its manifests: which to read, which are missing, which do not belong.

mod check;
mod expected;
mod planner;
mod user_manifest;

use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::{
    Manifest, Result, UserEntry,
    integrity::Record,
    layout::{CHAIN, PathKind, lost_index, refuse_long},
    signature::Signed,
};

pub use crate::finding::{Finding, NOT_OURS, Severity};
pub use check::{check_against_inventory, check_manifest};
pub use expected::Expected;
use planner::Planner;
pub use user_manifest::{ReadManifest, UserFacts, UserManifests};

/// A file to process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFile {
    /// From the archive's root.
    pub path: String,
    /// The content is JSON lines.
    pub jsonl: bool,
    /// The content is gzip.
    pub gzip: bool,
    /// The file is a sealed container.
    pub encrypted: bool,
    /// Stored bytes, as the host listed it.
    pub size: u64,
    /// Its entry in the inventory.
    pub expected: Option<Expected>,
}

impl PlannedFile {
    /// Reads what was written as JSON.
    ///
    /// # Errors
    /// When it is no JSON object.
    pub fn parse(json: &[u8]) -> Result<Self> {
        let written = Record::parse(json)?;
        let is = |name: &str| written.get(name) == Some("true");
        let expected = written.get("expected");
        Ok(PlannedFile {
            path: written.text("path").unwrap_or_default(),
            jsonl: is("jsonl"),
            gzip: is("gzip"),
            encrypted: is("encrypted"),
            size: written.number("size").unwrap_or_default(),
            expected: match expected {
                Some(entry) => Some(Expected::parse(entry.as_bytes())?),
                None => None,
            },
        })
    }

    /// The user whose folder it is in.
    pub fn user(&self) -> Option<&str> {
        let (user, _) = self.path.strip_prefix("users/")?.split_once('/')?;
        Some(user)
    }
}

impl Serialize for PlannedFile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut file = serializer.serialize_struct("PlannedFile", 7)?;
        file.serialize_field("path", &self.path)?;
        file.serialize_field("user", &self.user())?;
        file.serialize_field("jsonl", &self.jsonl)?;
        file.serialize_field("gzip", &self.gzip)?;
        file.serialize_field("encrypted", &self.encrypted)?;
        file.serialize_field("size", &self.size)?;
        file.serialize_field("expected", &self.expected)?;
        file.end()
    }
}

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
#[derive(Debug, Clone, Default, Serialize)]
pub struct Plan {
    /// The archive has an inventory, so that missing and swapped files are noticed.
    pub inventoried: bool,
    /// The files to process, in the order of their paths; no manifests.
    pub files: Vec<PlannedFile>,
    /// The manifests of the users, in the order of their paths, as far as they can be read.
    pub manifests: Vec<PlannedFile>,
    /// Errors, warnings and notes.
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
    user_manifests: UserManifests,
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
    let listed = manifest.inventory.iter().flat_map(|all| &all.files);
    for file in listed {
        planner.expect(file.path.clone(), file.into());
    }
    planner.guarantees(manifest, storage);
    if let Some(signed) = signed {
        let digest = planner.files_digest();
        planner.signature(digest.as_deref(), signed);
    }
    planner.check_listing(manifest, only_user.is_some());
    Ok(planner.plan)
}
