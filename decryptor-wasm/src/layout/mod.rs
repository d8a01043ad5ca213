//! The paths that an archive may hold, and the kind of each.

mod names;
mod runs;
mod volumes;

use std::collections::BTreeMap;

use crate::{Code, Error, Field, Result, limits::MAX_ENVELOPE, unicode};

pub use crate::unicode::caseless;
pub use names::{is_safe_name, is_safe_path};
use volumes::is_volume_file;
pub use volumes::{VOLUMES, index_name, number_of, volume_name};

pub use runs::{
    CHAIN, INCREMENTS, RUN, claim_name, claim_of, lost_index, mixed, run_folder, run_of, summed,
};

/// Name of the signature, beside `manifest.json`.
pub const SIGNATURE: &str = "manifest.json.minisig";

/// The file that is written last and describes an archive.
pub const MANIFEST: &str = "manifest.json";
/// The file that says how the data key of an archive is had.
pub const ENVELOPE: &str = "encryption.json";
/// The list of digests that `sha256sum -c` reads.
pub const SUMS: &str = "SHA256SUMS";

/// The kind of a path of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathKind {
    /// `manifest.json`.
    Manifest,
    /// `manifest.json.minisig`.
    Signature,
    /// `encryption.json`.
    Envelope,
    /// `SHA256SUMS`.
    Sums,
    /// `chain.json`; in an object store what a run says of its place in the chain, and the claims of attempts to write it.
    Chain,
    /// A volume, the list of volumes, or the unpacked index of one; see [`crate::volume`].
    Volume,
    /// Instructions and decryptors that travel in the clear.
    Companion,
    /// JSON lines that belong to no user: `platform/…`, `register/…`, `raw/files`, and to none that is there any more: `removed-users/…`.
    SharedRecords,
    /// A user's `user-manifest.json`.
    UserManifest {
        /// The folder's name.
        user: String,
    },
    /// JSON lines of a user.
    UserRecords {
        /// The folder's name.
        user: String,
    },
    /// An attachment's bytes.
    Attachment {
        /// The folder's name.
        user: String,
    },
    /// A file of the platform as it is: of a raw dump (see [`crate::raw`]), or below [`CAPSULE`].
    Raw,
    /// Nothing of the format: a reader never looks there.
    Stray,
}

/// The folder of what is kept of users who are no more. It is none of `users/`: a reader that restores users would make them
/// anew, without a name.
pub const REMOVED_USERS: &str = "removed-users";

/// The audit trail of a user who is no more: its file without extension, which names its collection in a chain.
pub fn kept_audit(user_id: &str) -> String {
    format!("{REMOVED_USERS}/{user_id}/audit/audit-0001")
}

/// The folder of the configuration of a platform, and of what else a new host needs. In a chain each run has all of it or nothing.
pub const CAPSULE: &str = "capsule/";
/// What a capsule says of itself: no capsule is without it.
pub const CAPSULE_RECORD: &str = "capsule/capsule.json";

/// Names at the root that are never sealed.
const COMPANIONS: [&str; 4] = [
    "decrypt-backup.mjs",
    "decrypt-backup.html",
    "RESTORE-README.md",
    "FORMAT.md",
];
const SHARED: [&str; 6] = [
    "platform",
    "keys",
    "aliases",
    "sessions",
    "password-resets",
    "removed",
];
const USER_COLLECTIONS: [&str; 6] = [
    "streams", "accesses", "profile", "webhooks", "account", "removed",
];

impl PathKind {
    /// The kind of `path` (relative, with `/`).
    pub fn of(path: &str) -> PathKind {
        // No file of the format has more than four.
        let mut parts = [""; 5];
        let places = parts.iter_mut().zip(names::parts(path));
        let count = places.map(|(place, part)| *place = part).count();
        match &parts[..count] {
            [MANIFEST] => PathKind::Manifest,
            [SIGNATURE] => PathKind::Signature,
            [ENVELOPE] => PathKind::Envelope,
            [SUMS] => PathKind::Sums,
            [CHAIN | RUN] => PathKind::Chain,
            [name] if claim_of(name).is_some() => PathKind::Chain,
            [name] if is_volume_file(name) => PathKind::Volume,
            [name] if COMPANIONS.contains(name) => PathKind::Companion,
            ["platform", name] if SHARED.iter().any(|kind| is_records(name, kind)) => {
                PathKind::SharedRecords
            }
            [REMOVED_USERS, _, "audit", name]
                if name.starts_with("audit-") && stem(name).is_some() =>
            {
                PathKind::SharedRecords
            }
            ["register", name] if is_records(name, "servers") => PathKind::SharedRecords,
            ["users", user, rest @ ..] => PathKind::of_user(user, rest),
            ["raw", name] if is_records(name, "files") => PathKind::SharedRecords,
            ["raw" | "capsule", _, ..] => PathKind::Raw,
            _ => PathKind::Stray,
        }
    }

    fn of_user(user: &str, rest: &[&str]) -> PathKind {
        let user = user.to_owned();
        match rest {
            ["user-manifest.json"] => PathKind::UserManifest { user },
            ["attachments", _] => PathKind::Attachment { user },
            [name] if USER_COLLECTIONS.iter().any(|c| is_records(name, c)) => {
                PathKind::UserRecords { user }
            }
            ["series", name] if is_records(name, "series") => PathKind::UserRecords { user },
            [kind @ ("events" | "audit"), name]
                if name.starts_with(&format!("{kind}-")) && stem(name).is_some() =>
            {
                PathKind::UserRecords { user }
            }
            _ => PathKind::Stray,
        }
    }

    /// The user whose folder the path is in.
    pub fn user(&self) -> Option<&str> {
        match self {
            PathKind::UserManifest { user }
            | PathKind::UserRecords { user }
            | PathKind::Attachment { user } => Some(user),
            _ => None,
        }
    }

    /// Whether the content is JSON lines.
    pub fn is_records(&self) -> bool {
        matches!(self, PathKind::SharedRecords | PathKind::UserRecords { .. })
    }

    /// Whether the file is of the platform, and of no user.
    pub fn is_shared(&self) -> bool {
        matches!(self, PathKind::SharedRecords | PathKind::Raw)
    }

    /// Whether the file is sealed in an encrypted archive.
    pub fn is_sealed(&self) -> bool {
        *self == PathKind::Manifest || !(self.is_separate() || *self == PathKind::Stray)
    }

    /// Whether the file is always one of its own, in no volume.
    pub fn is_separate(&self) -> bool {
        matches!(
            self,
            PathKind::Manifest
                | PathKind::Envelope
                | PathKind::Signature
                | PathKind::Sums
                | PathKind::Chain
                | PathKind::Volume
                | PathKind::Companion
        )
    }
}

fn stem(name: &str) -> Option<&str> {
    name.strip_suffix(".jsonl.gz")
        .or_else(|| name.strip_suffix(".jsonl"))
}

fn is_records(name: &str, collection: &str) -> bool {
    stem(name) == Some(collection)
}

/// No file of the path's kind that is read in one piece has more bytes: who reads one asks before, since a file of gigabytes costs whoever
/// stores a backup nothing. A manifest takes 0.6 KB for each user.
pub fn most_bytes(path: &str) -> u64 {
    const KIB: u64 = 1024;
    let within = run_of(path).map_or(path, |(_, within)| within);
    match PathKind::of(within) {
        PathKind::Signature => 4 * KIB,
        PathKind::Envelope => MAX_ENVELOPE as u64,
        PathKind::Companion => 16 * KIB * KIB,
        PathKind::Chain => 64 * KIB * KIB,
        PathKind::Volume if within == VOLUMES => 64 * KIB * KIB,
        PathKind::Volume => 128 * KIB * KIB,
        _ => KIB * KIB * KIB,
    }
}

/// Refuses a file that is to be read in one piece, and has more bytes than any of its kind.
///
/// # Errors
/// When it has.
pub fn refuse_long(path: &str, bytes: u64) -> Result<()> {
    let most = most_bytes(path);
    if bytes <= most {
        return Ok(());
    }
    Err(Error::of(Code::FileTooLarge)
        .at(path)
        .with(Field::Limit, most))
}

/// Two files, or two folders above them, that would be one on disk; none when there are none. `files`: the path of each in the archive,
/// and the one that it is written to; `caseless`: whether the file system takes `A` and `a` for the same.
pub fn collision<'f>(
    files: impl Iterator<Item = (&'f str, &'f str)>,
    caseless: bool,
) -> Option<[String; 2]> {
    let mut written: BTreeMap<String, String> = BTreeMap::new();
    let mut spelled: BTreeMap<String, String> = BTreeMap::new();
    for (from, to) in files {
        if let Some(other) = written.insert(to.to_owned(), from.to_owned()) {
            return Some([other, from.to_owned()]);
        }
        if !caseless {
            continue;
        }
        let ends = to.match_indices('/').map(|(end, _)| end);
        for end in ends.chain([to.len()]) {
            let name = &to[..end];
            match spelled.get(&unicode::caseless(name)) {
                Some(other) if other != name => return Some([other.clone(), name.to_owned()]),
                Some(_) => {}
                None => drop(spelled.insert(unicode::caseless(name), name.to_owned())),
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_paths_are_refused() {
        for bad in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "a\\b",
            "C:/x",
            "C:x",
            "nul",
            "users/COM1.txt",
            "a\0b",
            "a/.",
            "x ",
            "x.",
            "lpt9",
            "com².txt",
        ] {
            assert!(!is_safe_path(bad), "{bad:?}");
        }
        for good in [
            "users/abc/attachments/x1",
            ".DS_Store",
            "users/é/streams.jsonl.gz",
            "COM0",
            "console",
        ] {
            assert!(is_safe_path(good), "{good:?}");
        }
    }

    #[test]
    fn what_is_read_in_one_piece_has_bounds() {
        for (path, most) in [
            (SIGNATURE, 4096),
            ("increments/0002/encryption.json", 1024 * 1024),
            ("manifest.json", 1024 * 1024 * 1024),
        ] {
            assert!(refuse_long(path, most).is_ok());
            let error = refuse_long(path, most + 1).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::Damaged);
        }
    }

    #[test]
    fn names_that_are_one_on_disk_collide() {
        let same = |names: &[&str], caseless| {
            let files: Vec<_> = names.iter().map(|name| (*name, *name)).collect();
            collision(files.into_iter(), caseless)
        };
        let pair = |one: &str, other: &str| Some([one.to_owned(), other.to_owned()]);
        let files = ["u/A", "u/b", "u/a"];
        assert_eq!(same(&files, true), pair("u/A", "u/a"));
        assert_eq!(same(&files, false), None);
        assert_eq!(same(&["u/Ab/x", "u/ab/y"], true), pair("u/Ab", "u/ab"));
        let (composed, decomposed) = ("caf\u{e9}", "cafe\u{301}");
        assert_eq!(
            same(&[composed, decomposed], true),
            pair(composed, decomposed)
        );
        assert_eq!(same(&[composed, decomposed], false), None);
        assert_eq!(same(&["u/a/x", "u/a/y", "u/b/x"], true), None);
        let twice = [("s.jsonl", "s.jsonl"), ("s.jsonl.gz", "s.jsonl")];
        assert_eq!(
            collision(twice.into_iter(), false),
            pair("s.jsonl", "s.jsonl.gz")
        );
    }

    #[test]
    fn paths_have_kinds() {
        assert_eq!(
            PathKind::of("users/u/events/events-0001.jsonl.gz"),
            PathKind::UserRecords { user: "u".into() }
        );
        assert_eq!(PathKind::of("users/u/events/.DS_Store"), PathKind::Stray);
        assert_eq!(
            PathKind::of("users/u/attachments/.DS_Store"),
            PathKind::Attachment { user: "u".into() }
        );
        assert_eq!(
            PathKind::of("platform/keys.jsonl.gz"),
            PathKind::SharedRecords
        );
        assert_eq!(
            PathKind::of("platform/platform.jsonl"),
            PathKind::SharedRecords
        );
        assert_eq!(
            PathKind::of(&(kept_audit("u") + ".jsonl.gz")),
            PathKind::SharedRecords
        );
        assert_eq!(PathKind::of("removed-users/u/audit/notes"), PathKind::Stray);
        assert_eq!(PathKind::of("raw/files.jsonl.gz"), PathKind::SharedRecords);
        assert_eq!(PathKind::of("raw/users/a/attachments/x"), PathKind::Raw);
        assert_eq!(PathKind::of("capsule/config/a.jsonl"), PathKind::Raw);
        assert_eq!(PathKind::of("capsule/a/b/c/d/e/f"), PathKind::Raw);
        assert_eq!(PathKind::of("capsule"), PathKind::Stray);
        assert_eq!(PathKind::of("notes.txt"), PathKind::Stray);
        assert_eq!(PathKind::of("chain.json"), PathKind::Chain);
        assert_eq!(
            PathKind::of("platform/removed.jsonl.gz"),
            PathKind::SharedRecords
        );
        // A path within the folder of a run is classified without that folder; see [`run_of`].
        assert_eq!(
            PathKind::of("increments/0002/manifest.json"),
            PathKind::Stray
        );
    }
}
