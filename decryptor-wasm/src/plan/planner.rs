//! The work of `plan`: collects what must be there, then walks what is there.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Expected, Finding, NOT_OURS, Plan, PlannedFile, Severity, Storage, UserManifests,
    user_manifest::{ReadManifest, UserFacts},
};
use crate::gather;
use crate::{
    Code, Error, Field, Manifest, Result, UserEntry,
    finding::LEFT_OUT,
    layout::{PathKind, is_safe_name, is_safe_path},
    signature::{FilesDigest, SIGNATURE, Signed},
};

pub(super) struct Planner<'a> {
    encrypted: bool,
    pub(super) plan: Plan,
    sizes: BTreeMap<&'a str, u64>,
    /// The entries of the inventories, and their indexes by path; a planned file takes its entry.
    entries: Vec<Option<Expected>>,
    expected: BTreeMap<String, u64>,
    /// Files that an archive without an inventory must hold.
    required: BTreeSet<String>,
    /// Users whose own inventory could not be read.
    blind: BTreeSet<String>,
    /// Users whose manifest could be read.
    readable: BTreeSet<String>,
}

impl<'a> Planner<'a> {
    pub(super) fn new(manifest: &Manifest, listing: &'a [(String, u64)], storage: Storage) -> Self {
        Planner {
            encrypted: storage != Storage::Cleartext,
            plan: Plan {
                inventoried: manifest.inventory.is_some(),
                ..Plan::default()
            },
            sizes: gather(listing.iter().map(|(path, size)| (path.as_str(), *size))),
            entries: Vec::new(),
            expected: BTreeMap::new(),
            required: BTreeSet::new(),
            blind: BTreeSet::new(),
            readable: BTreeSet::new(),
        }
    }

    pub(super) fn users(
        &mut self,
        manifest: &Manifest,
        mut user_manifests: UserManifests,
        only: Option<&str>,
    ) -> Result<()> {
        for user in &manifest.users {
            if !is_safe_name(&user.user_id) {
                return Err(Error::of(Code::ManifestUser)
                    .at("manifest.json")
                    .with(Field::User, user.user_id.as_str()));
            }
            let said = self.plan.findings.len();
            let path = format!("users/{}/user-manifest.json", user.user_id);
            match user_manifests.at(&path) {
                Some(ReadManifest::Said(facts)) => self.user_manifest(manifest, user, &path, facts),
                Some(ReadManifest::Unreadable(why)) => {
                    self.blind.insert(user.user_id.clone());
                    self.find(Severity::Error, "user-manifest", &path, why);
                }
                Some(ReadManifest::Damaged) => {
                    self.blind.insert(user.user_id.clone());
                }
                None => {
                    self.blind.insert(user.user_id.clone());
                    self.find(
                        Severity::Error,
                        "missing",
                        &path,
                        "listed in the manifest, but not there",
                    );
                }
            }
            if only.is_some_and(|only| only != user.user_id && only != user.username) {
                // Only what was signed of all files needs the others.
                self.plan.findings.truncate(said);
                continue;
            }
            self.plan.users.push(user.clone());
            if manifest.inventory.is_none() {
                self.require(manifest, user);
            }
        }
        match only {
            Some(name) if self.plan.users.is_empty() => {
                Err(Error::of(Code::NoSuchUser).with(Field::User, name))
            }
            _ => Ok(()),
        }
    }

    fn user_manifest(
        &mut self,
        manifest: &Manifest,
        user: &UserEntry,
        path: &str,
        facts: &mut UserFacts,
    ) {
        self.readable.insert(user.user_id.clone());
        if facts.user_id != user.user_id {
            return self.find(
                Severity::Error,
                "user-manifest",
                path,
                "belongs to another user; files were swapped",
            );
        }
        for loss in &facts.losses {
            let at = loss
                .path
                .clone()
                .unwrap_or_else(|| format!("users/{}", user.user_id));
            self.find(
                Severity::Note,
                "loss",
                &at,
                &format!("lost when the backup was made: {}", loss.what),
            );
        }
        for loss in &manifest.accepted_losses {
            self.find(
                Severity::Note,
                "accepted-loss",
                loss.path.as_deref().unwrap_or_default(),
                &format!(
                    "left out when the backup was made, which whoever made it took for known: {}",
                    loss.what
                ),
            );
        }
        match &mut facts.files {
            Some(files) => self.user_inventory(user, path, std::mem::take(files)),
            None if manifest.inventory.is_some() => {
                self.blind.insert(user.user_id.clone());
                self.find(
                    Severity::Error,
                    "user-manifest",
                    path,
                    "has no inventory although the archive has one; it was replaced",
                );
            }
            None => {}
        }
    }

    fn user_inventory(&mut self, user: &UserEntry, path: &str, files: Vec<(String, Expected)>) {
        let folder = format!("users/{}/", user.user_id);
        let mut alien = Vec::new();
        for (file, expected) in files {
            if file.starts_with(&folder) {
                self.expect(file, expected);
            } else {
                alien.push(file);
            }
        }
        for file in alien {
            self.find(
                Severity::Error,
                "user-manifest",
                path,
                &format!("lists {file:?}, which is not in its folder"),
            );
        }
    }

    /// An inventory lists a file.
    pub(super) fn expect(&mut self, path: String, expected: Expected) {
        if is_safe_path(&path) {
            self.expected.insert(path, self.entries.len() as u64);
            self.entries.push(Some(expected));
        } else {
            self.find(
                Severity::Error,
                "unsafe-path",
                &path,
                "the inventory names a path that may not be written; it is left out",
            );
        }
    }

    /// Requires the files that Pryv's own tool always writes for a user.
    fn require(&mut self, manifest: &Manifest, user: &UserEntry) {
        let folder = format!("users/{}", user.user_id);
        let extension = if manifest.compressed {
            "jsonl.gz"
        } else {
            "jsonl"
        };
        for collection in ["streams", "accesses", "profile", "webhooks", "account"] {
            self.required
                .insert(format!("{folder}/{collection}.{extension}"));
        }
        let audit = user
            .chunks
            .audit
            .iter()
            .flatten()
            .map(|name| format!("{folder}/audit/{name}"));
        let events = user
            .chunks
            .events
            .iter()
            .map(|name| format!("{folder}/events/{name}"));
        self.required.extend(events.chain(audit));
    }

    pub(super) fn guarantees(&mut self, manifest: &Manifest, storage: Storage) {
        if manifest.inventory.is_some() && storage == (Storage::Sealed { key_check: false }) {
            self.find(
                Severity::Error,
                "no-key-check",
                "encryption.json",
                "lacks the key check that every archive with an inventory carries; it was changed",
            );
        }
        if manifest.inventory.is_none() {
            let binding = if self.encrypted {
                "swapped or cut at certain places"
            } else {
                "changed, swapped or cut"
            };
            self.find(
                Severity::Warning,
                "no-inventory",
                "",
                &format!(
                    "this archive has no inventory (it was not made by pryv-backup): files that were removed, {binding} cannot all be noticed"
                ),
            );
        }
        for loss in &manifest.losses {
            self.find(
                Severity::Note,
                "loss",
                loss.path.as_deref().unwrap_or_default(),
                &format!("lost when the backup was made: {}", loss.what),
            );
        }
    }

    /// The digest of all files that the inventories list. None where a user manifest cannot be read: that is said already, and the inventory
    /// of the manifest, which was signed as well, still binds it.
    pub(super) fn files_digest(&self) -> Option<String> {
        let mut digest = FilesDigest::default();
        let mut files = self.expected.iter();
        let ordered = files.try_for_each(|(path, place)| {
            let listed = self.entries[*place as usize].as_ref();
            digest.push(path, &listed.map(Expected::sha256).unwrap_or_default())
        });
        let whole = self.blind.is_empty() && ordered.is_ok();
        whole.then(|| digest.finish())
    }

    /// Compares that with the one that was signed.
    pub(super) fn signature(&mut self, digest: Option<&str>, signed: &Signed) {
        if digest.is_some_and(|digest| digest != signed.statement.files) {
            self.find(
                Severity::Error,
                "signature",
                SIGNATURE,
                "states other files than those that the backup lists; it was changed",
            );
        }
    }

    pub(super) fn check_listing(&mut self, manifest: &Manifest, one_user: bool) {
        let known: BTreeMap<&str, u64> =
            gather(manifest.users.iter().map(|user| (user.user_id.as_str(), 0)));
        let chosen: BTreeSet<String> = gather(self.plan.users.iter().map(|u| u.user_id.clone()));
        let sizes = std::mem::take(&mut self.sizes);
        self.plan
            .files
            .reserve_exact(sizes.len().saturating_sub(chosen.len()));
        let opened = !self.encrypted && manifest.encrypted == Some(true);
        for (&path, &size) in &sizes {
            let kind = PathKind::of(path);
            if one_user
                && kind
                    .user()
                    .map_or(kind.is_records(), |user| !chosen.contains(user))
            {
                continue;
            }
            match kind {
                PathKind::Manifest
                | PathKind::Envelope
                | PathKind::Sums
                | PathKind::Volume
                | PathKind::Chain => {}
                PathKind::Signature if self.plan.inventoried => {}
                PathKind::Stray if self.expected.contains_key(path) => self.find(
                    Severity::Warning,
                    LEFT_OUT,
                    path,
                    "belongs to the archive, but this version does not know what it is; it is left out: use the decryptor that came with the archive",
                ),
                PathKind::Signature | PathKind::Stray => {
                    self.find(Severity::Warning, "stray", path, NOT_OURS);
                }
                _ if !is_safe_path(path) => {
                    self.find(
                        Severity::Error,
                        "unsafe-path",
                        path,
                        "a name that may not be written everywhere; it is left out",
                    );
                }
                _ => self.file(path, size, &kind, &known),
            }
        }
        let not_there = |path: &&String| !sizes.contains_key(path.as_str());
        let due = self.required.iter().chain(self.expected.keys());
        let due: BTreeSet<String> = gather(due.filter(not_there).cloned());
        for path in due {
            let skipped = one_user
                && PathKind::of(&path)
                    .user()
                    .map_or(PathKind::of(&path).is_records(), |u| !chosen.contains(u));
            if !skipped {
                let found_elsewhere = match PathKind::of(&path) {
                    // Where the users are read.
                    PathKind::UserManifest { .. } => true,
                    // Opening an archive leaves behind what only served to open it.
                    PathKind::Companion => opened,
                    _ => false,
                };
                if !found_elsewhere {
                    self.find(
                        Severity::Error,
                        "missing",
                        &path,
                        "listed in the manifest, but not there",
                    );
                }
            }
        }
    }

    fn file(&mut self, path: &str, size: u64, kind: &PathKind, known: &BTreeMap<&str, u64>) {
        let place = self.expected.get(path);
        let expected = place.and_then(|place| self.entries[*place as usize].take());
        let listed = match kind.user() {
            Some(user) if !known.contains_key(user) => false,
            Some(user) if self.blind.contains(user) => true,
            _ if self.plan.inventoried => expected.is_some(),
            Some(_) if is_chunk(path) => self.required.contains(path),
            _ => true,
        };
        if !listed {
            return self.find(
                Severity::Error,
                "foreign",
                path,
                "lies where the archive's own files lie, but the manifest does not list it; it was added and is left out",
            );
        }
        let planned = PlannedFile {
            path: path.to_owned(),
            jsonl: kind.is_records(),
            gzip: kind.is_records() && path.ends_with(".gz"),
            encrypted: self.encrypted && kind.is_sealed(),
            size,
            expected,
        };
        match kind {
            PathKind::UserManifest { user } if self.readable.contains(user) => {
                self.plan.manifests.push(planned);
            }
            PathKind::UserManifest { .. } => {}
            _ => self.plan.files.push(planned),
        }
    }

    fn find(&mut self, severity: Severity, code: &'static str, path: &str, message: &str) {
        self.plan.findings.push(Finding {
            severity,
            code,
            path: path.to_owned(),
            message: message.to_owned(),
        });
    }
}

fn is_chunk(path: &str) -> bool {
    let mut parts = path.rsplit('/');
    parts.next();
    matches!(parts.next(), Some("events" | "audit"))
}
