//! The verdict on an archive's file list: what is to be read, what is missing, what does not belong.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use crate::{
    Error, FileEntry, Manifest, Result, UserEntry, UserManifest,
    container::CHUNK,
    layout::{PathKind, is_safe_name, is_safe_path},
    reader::FileSummary,
};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The archive is damaged or was tampered with.
    Error,
    /// Worth a look; the data is not affected.
    Warning,
    /// For information.
    Note,
}

/// One thing to say of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Stable name for programs: `missing`, `foreign`, `stray`, `unsafe-path`, `no-inventory`, `loss`, `user-manifest`.
    pub code: &'static str,
    /// The file concerned, or empty.
    pub path: String,
    /// One sentence.
    pub message: String,
}

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

/// What [`plan`] makes of an archive.
#[derive(Debug, Clone, Serialize)]
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
/// `user_manifests` holds the opened `user-manifest.json` of each user folder by path, or `None` where it could not be opened
/// (the host has reported that already); `listing` is every file with its size in bytes. With `only_user` (id or name) the
/// other users' folders are left aside.
pub fn plan(
    manifest: &Manifest,
    user_manifests: &HashMap<String, Option<Vec<u8>>>,
    listing: &[(String, u64)],
    encrypted: bool,
    only_user: Option<&str>,
) -> Result<Plan> {
    let mut planner = Planner {
        encrypted,
        plan: Plan {
            inventoried: manifest.inventory.is_some(),
            files: Vec::new(),
            findings: Vec::new(),
            users: Vec::new(),
        },
        sizes: listing
            .iter()
            .map(|(path, size)| (path.as_str(), *size))
            .collect(),
        expected: BTreeMap::new(),
        required: BTreeSet::new(),
        blind: BTreeSet::new(),
    };
    planner.users(manifest, user_manifests, only_user)?;
    planner.inventory(manifest.inventory.iter().flat_map(|i| &i.files));
    planner.guarantees(manifest);
    planner.judge(manifest, only_user.is_some());
    Ok(planner.plan)
}

struct Planner<'a> {
    encrypted: bool,
    plan: Plan,
    sizes: BTreeMap<&'a str, u64>,
    expected: BTreeMap<String, FileEntry>,
    /// Files that an archive without an inventory must hold.
    required: BTreeSet<String>,
    /// Users whose own inventory could not be read.
    blind: BTreeSet<String>,
}

impl Planner<'_> {
    fn users(
        &mut self,
        manifest: &Manifest,
        user_manifests: &HashMap<String, Option<Vec<u8>>>,
        only: Option<&str>,
    ) -> Result<()> {
        for user in &manifest.users {
            if !is_safe_name(&user.user_id) {
                return Err(Error::damaged(format!(
                    "manifest.json names a user id that is no folder name ({:?}); nothing was read",
                    user.user_id
                )));
            }
            if only.is_some_and(|only| only != user.user_id && only != user.username) {
                continue;
            }
            self.plan.users.push(user.clone());
            let path = format!("users/{}/user-manifest.json", user.user_id);
            match user_manifests.get(&path) {
                Some(Some(json)) => self.user_manifest(manifest, user, &path, json),
                Some(None) => drop(self.blind.insert(user.user_id.clone())),
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
            if manifest.inventory.is_none() {
                self.require(manifest, user);
            }
        }
        match only {
            Some(name) if self.plan.users.is_empty() => Err(Error::new(
                crate::ErrorKind::Usage,
                format!("no user {name:?} in this archive; --list shows its users"),
            )),
            _ => Ok(()),
        }
    }

    fn user_manifest(&mut self, manifest: &Manifest, user: &UserEntry, path: &str, json: &[u8]) {
        let parsed = match UserManifest::parse(json, path) {
            Ok(parsed) => parsed,
            Err(e) => {
                self.blind.insert(user.user_id.clone());
                return self.find(Severity::Error, "user-manifest", path, &e.to_string());
            }
        };
        if parsed.entry.user_id != user.user_id {
            return self.find(
                Severity::Error,
                "user-manifest",
                path,
                "belongs to another user; files were swapped",
            );
        }
        for loss in &parsed.losses {
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
        match parsed.inventory {
            Some(inventory) => {
                let folder = format!("users/{}/", user.user_id);
                let (own, alien): (Vec<_>, Vec<_>) = inventory
                    .files
                    .iter()
                    .partition(|f| f.path.starts_with(&folder));
                self.inventory(own.into_iter());
                for file in alien {
                    self.find(
                        Severity::Error,
                        "user-manifest",
                        path,
                        &format!("lists {:?}, which is not in its folder", file.path),
                    );
                }
            }
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

    fn inventory<'f>(&mut self, files: impl Iterator<Item = &'f FileEntry>) {
        for file in files {
            if is_safe_path(&file.path) {
                self.expected.insert(file.path.clone(), file.clone());
            } else {
                self.find(
                    Severity::Error,
                    "unsafe-path",
                    &file.path,
                    "the inventory names a path that may not be written; it is left out",
                );
            }
        }
    }

    /// What Pryv's own tool always writes for a user.
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

    fn guarantees(&mut self, manifest: &Manifest) {
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

    fn judge(&mut self, manifest: &Manifest, one_user: bool) {
        let known: BTreeSet<&str> = manifest.users.iter().map(|u| u.user_id.as_str()).collect();
        let chosen: BTreeSet<String> = self.plan.users.iter().map(|u| u.user_id.clone()).collect();
        let sizes = std::mem::take(&mut self.sizes);
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
                PathKind::Manifest | PathKind::Envelope | PathKind::Sums => {}
                PathKind::Stray => self.find(
                    Severity::Warning,
                    "stray",
                    path,
                    "does not belong to the archive; it is left alone",
                ),
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
        for path in self
            .required
            .iter()
            .chain(self.expected.keys())
            .cloned()
            .collect::<BTreeSet<_>>()
        {
            let skipped = one_user
                && PathKind::of(&path)
                    .user()
                    .map_or(PathKind::of(&path).is_records(), |u| !chosen.contains(u));
            if !skipped && !sizes.contains_key(path.as_str()) {
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

    fn file(&mut self, path: &str, size: u64, kind: &PathKind, known: &BTreeSet<&str>) {
        let expected = self.expected.get(path).cloned();
        let user = kind.user().map(str::to_owned);
        let listed = match &user {
            Some(user) if !known.contains(user.as_str()) => false,
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
        if matches!(kind, PathKind::UserManifest { .. }) {
            return;
        }
        self.plan.files.push(PlannedFile {
            path: path.to_owned(),
            user,
            jsonl: kind.is_records(),
            gzip: kind.is_records() && path.ends_with(".gz"),
            encrypted: self.encrypted && kind.is_sealed(),
            size,
            expected,
        });
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

/// Compares what was read of a file with what the inventory says of it. `opened` tells that the archive was decrypted before (a
/// tree without `encryption.json` whose manifest says that it was sealed), so that the content's size and digest count.
pub fn judge(
    expected: &FileEntry,
    summary: &FileSummary,
    sha256: Option<&str>,
    opened: bool,
) -> Result<()> {
    let (size, digest) = match (opened, &expected.content_sha256) {
        (true, Some(content)) => (expected.content_size, content),
        _ => (expected.size, &expected.sha256),
    };
    if summary.stored_size != size {
        return Err(Error::damaged(format!(
            "has {} bytes, the inventory says {size}; it was cut, extended or replaced",
            summary.stored_size
        )));
    }
    // An inventory comes with frames of one size only; the header that names it carries no tag of its own.
    if !opened
        && (summary.salt != expected.salt || summary.chunk.is_some_and(|chunk| chunk != CHUNK))
    {
        return Err(Error::damaged(
            "is not the file that the inventory lists under this name; it was swapped or replaced",
        ));
    }
    if sha256.is_some_and(|seen| seen != digest) {
        return Err(Error::damaged(
            "is not the file that the inventory lists (its SHA-256 differs); it was changed or replaced",
        ));
    }
    if let (Some(seen), Some(due)) = (summary.records, expected.records)
        && seen != due
    {
        return Err(Error::damaged(format!(
            "holds {seen} records, the inventory says {due}"
        )));
    }
    Ok(())
}
