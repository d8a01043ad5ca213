//! The work of `plan`: collects what must be there, then walks what is there.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    Finding, Judged, NOT_OURS, Plan, PlannedFiles, Severity, Storage,
    inventory::ListedFiles,
    user_manifest::{Note, path_of},
};
use crate::{
    Code, Error, Field, Result, UserEntry,
    finding::LEFT_OUT,
    layout::{PathKind, is_safe_name, is_safe_path},
    signature::{SIGNATURE, Signed},
};

pub(super) struct Planner<'a> {
    judged: Judged<'a>,
    encrypted: bool,
    plan: Plan,
    /// All that the inventories list.
    listed: ListedFiles,
    /// Files that an archive without an inventory must hold.
    required: BTreeSet<String>,
    /// Users whose own inventory could not be read.
    blind: BTreeSet<String>,
    /// Users whose manifest could not be read.
    unread: BTreeSet<String>,
    /// The user who was asked for last, and whether the manifest names that user.
    known: (String, bool),
}

impl<'a> Planner<'a> {
    pub(super) fn new(mut judged: Judged<'a>) -> Self {
        let encrypted = judged.storage != Storage::Cleartext;
        let files = || PlannedFiles::new(judged.listing.clone(), encrypted);
        Planner {
            encrypted,
            plan: Plan {
                inventoried: judged.manifest.inventory.is_some(),
                files: files(),
                manifests: files(),
                ..Plan::default()
            },
            listed: judged.users.finish(),
            required: BTreeSet::new(),
            blind: BTreeSet::new(),
            unread: BTreeSet::new(),
            known: (String::new(), false),
            judged,
        }
    }

    pub(super) fn plan(mut self) -> Result<Plan> {
        self.users()?;
        self.refuse_unsafe();
        self.guarantees();
        if let (Some(signed), None) = (self.judged.signed, self.judged.only) {
            self.signature(signed);
        }
        self.check_listing();
        self.missing();
        let entries = self.listed.into_entries();
        self.plan.files.set_entries(Arc::clone(&entries));
        self.plan.manifests.set_entries(entries);
        Ok(self.plan)
    }

    /// Whether a user is read.
    fn is_chosen(&self, user_id: &str) -> bool {
        self.judged.only.is_none_or(|only| only.contains(user_id))
    }

    /// Whether a path is of a user who is not read, or of none where only some are.
    fn is_left_aside(&self, kind: &PathKind) -> bool {
        let one_user = self.judged.only.is_some();
        let left = |user| !self.is_chosen(user);
        one_user && kind.user().map_or(kind.is_shared(), left)
    }

    fn users(&mut self) -> Result<()> {
        let manifest = self.judged.manifest;
        if self.judged.only.is_none() {
            self.plan.users.clone_from(&manifest.users);
        }
        for user in manifest.users.iter() {
            if !is_safe_name(&user.user_id) {
                return Err(Error::of(Code::ManifestUser)
                    .at("manifest.json")
                    .with(Field::User, user.user_id.as_str()));
            }
            if !self.is_chosen(&user.user_id) {
                continue;
            }
            let path = path_of(&user.user_id);
            let note = self.judged.users.note(&path);
            match note {
                _ if !self.judged.listing.has(&path) => {
                    self.cannot_read(&user);
                    self.find(Severity::Error, "missing", &path, NOT_THERE);
                }
                Some(Note {
                    unread: Some(why), ..
                }) => {
                    self.cannot_read(&user);
                    if let Some(why) = why {
                        self.find(Severity::Error, "user-manifest", &path, &why);
                    }
                }
                Some(note) => self.user_manifest(&user, &path, note),
                None => {}
            }
            if self.judged.only.is_some() {
                self.plan.users.push(&user);
            }
            if manifest.inventory.is_none() {
                self.require(&user);
            }
        }
        Ok(())
    }

    fn cannot_read(&mut self, user: &UserEntry) {
        self.blind.insert(user.user_id.clone());
        self.unread.insert(user.user_id.clone());
    }

    fn user_manifest(&mut self, user: &UserEntry, path: &str, note: Note) {
        let wrong = (Severity::Error, "user-manifest");
        if note.of_another {
            let what = "belongs to another user; files were swapped";
            return self.find(wrong.0, wrong.1, path, what);
        }
        for loss in note.losses {
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
        for alien in note.aliens {
            let what = format!("lists {alien:?}, which is not in its folder");
            self.find(wrong.0, wrong.1, path, &what);
        }
        if note.lists_nothing {
            self.blind.insert(user.user_id.clone());
            self.find(
                Severity::Error,
                "user-manifest",
                path,
                "has no inventory although the archive has one; it was replaced",
            );
        }
    }

    /// Names paths in the inventories that may not be written.
    fn refuse_unsafe(&mut self) {
        for path in std::mem::take(&mut self.listed.bad) {
            self.find(
                Severity::Error,
                "unsafe-path",
                &path,
                "the inventory names a path that may not be written; it is left out",
            );
        }
    }

    /// Requires the files that Pryv's own tool always writes for a user.
    fn require(&mut self, user: &UserEntry) {
        let folder = format!("users/{}", user.user_id);
        let extension = if self.judged.manifest.compressed {
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

    fn guarantees(&mut self) {
        let (manifest, storage) = (self.judged.manifest, self.judged.storage);
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
        for loss in &manifest.losses {
            self.find(
                Severity::Note,
                "loss",
                loss.path.as_deref().unwrap_or_default(),
                &format!("lost when the backup was made: {}", loss.what),
            );
        }
    }

    /// Compares the digest of all files that the inventories list with the one that was signed. Where a user manifest cannot be read there is
    /// none: that is said already, and the inventory of the manifest, which was signed as well, still binds it.
    fn signature(&mut self, signed: &Signed) {
        if self.blind.is_empty() && !self.listed.is(&signed.statement.files) {
            self.find(
                Severity::Error,
                "signature",
                SIGNATURE,
                "states other files than those that the backup lists; it was changed",
            );
        }
    }

    fn check_listing(&mut self) {
        let listing = self.judged.listing.clone();
        for at in 0..listing.len() {
            let path = listing.path(at);
            let kind = PathKind::of(&path);
            if self.is_left_aside(&kind) {
                continue;
            }
            match kind {
                // The first counts.
                _ if listing.repeats(at) => {
                    let error = Error::of(Code::ListedTwice).at(&path);
                    self.plan.findings.push(Finding::damage(&path, &error));
                }
                PathKind::Manifest
                | PathKind::Envelope
                | PathKind::Sums
                | PathKind::Volume
                | PathKind::Chain => {}
                PathKind::Signature if self.plan.inventoried => {}
                PathKind::Stray if self.listed.entry_of(at).is_some() => {
                    self.find(
                    Severity::Warning,
                    LEFT_OUT,
                    &path,
                    "belongs to the archive, but this version does not know what it is; it is left out: use the decryptor that came with the archive",
                    );
                }
                PathKind::Signature | PathKind::Stray => {
                    self.find(Severity::Warning, "stray", &path, NOT_OURS);
                }
                _ if !is_safe_path(&path) => {
                    self.find(
                        Severity::Error,
                        "unsafe-path",
                        &path,
                        "a name that may not be written everywhere; it is left out",
                    );
                }
                _ => self.file(at, &path, &kind),
            }
        }
    }

    /// Names what must be there and is not.
    fn missing(&mut self) {
        let opened = !self.encrypted && self.judged.manifest.encrypted == Some(true);
        let listed = std::mem::take(&mut self.listed.missing);
        let mut due: Vec<String> = Vec::new();
        for path in listed.into_iter().chain(self.required.iter().cloned()) {
            let kind = PathKind::of(&path);
            let found_elsewhere = match kind {
                // Where the users are read.
                PathKind::UserManifest { .. } => true,
                // Opening an archive leaves behind what only served to open it.
                PathKind::Companion => opened,
                _ => false,
            };
            if !(found_elsewhere || self.is_left_aside(&kind) || self.judged.listing.has(&path)) {
                due.push(path);
            }
        }
        let due: BTreeSet<String> = crate::gather(due.into_iter());
        for path in due {
            self.find(Severity::Error, "missing", &path, NOT_THERE);
        }
    }

    fn file(&mut self, at: usize, path: &str, kind: &PathKind) {
        let entry = self.listed.entry_of(at);
        let is_manifest = matches!(kind, PathKind::UserManifest { .. });
        let listed = match kind.user() {
            Some(user) if !self.knows(user) => false,
            Some(user) if self.blind.contains(user) && !(is_manifest && self.plan.inventoried) => {
                true
            }
            _ if self.plan.inventoried => entry.is_some(),
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
        match kind {
            PathKind::UserManifest { user } if self.unread.contains(user) => {}
            PathKind::UserManifest { .. } => self.plan.manifests.push(at, entry),
            // Only of a user in `blind`: whoever reads the file is told.
            _ if self.plan.inventoried && entry.is_none() => {
                let unlisted = self.listed.put_unlisted();
                self.plan.files.push(at, Some(unlisted));
            }
            _ => self.plan.files.push(at, entry),
        }
    }

    /// Whether the manifest names a user; files of one user follow one another.
    fn knows(&mut self, user: &str) -> bool {
        if self.known.0 != user {
            user.clone_into(&mut self.known.0);
            self.known.1 = self.judged.users.knows(user);
        }
        self.known.1
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

const NOT_THERE: &str = "listed in the manifest, but not there";

fn is_chunk(path: &str) -> bool {
    let mut parts = path.rsplit('/');
    parts.next();
    matches!(parts.next(), Some("events" | "audit"))
}
