//! The manifests of the users, each checked when it was read. Only what the plan needs of each is kept.

use std::{collections::BTreeMap, sync::Arc};

use super::{SortedInventory, inventory::ListedFiles};
use crate::{
    Manifest, UserManifest,
    listing::FileList,
    manifest::{InventoryFiles, Loss},
};

/// What the inventories of an archive say: those of the users' manifests, and the archive's own.
pub struct UserManifests<'a> {
    /// The archive has an inventory.
    inventoried: bool,
    /// The paths of those that the manifest asks for.
    due: FileList,
    /// The files that `manifest.json` lists, and how many of them are in `files` already.
    own: &'a SortedInventory,
    own_at: usize,
    /// The files that are listed.
    files: ListedFiles,
    /// By their paths, those of which there is more to say.
    notes: BTreeMap<String, Note>,
}

/// A `user-manifest.json` that was read.
pub enum ReadManifest {
    /// Its facts.
    Said(Box<UserFacts>),
    /// The sentence that tells why it is no such manifest.
    Unreadable(String),
    /// It could not be opened, which is reported elsewhere.
    Damaged,
}

/// The facts of a user manifest that the plan needs.
pub struct UserFacts {
    user_id: String,
    losses: Vec<Loss>,
    /// The files of its inventory; none where it has no inventory.
    files: Option<InventoryFiles>,
}

/// What is to be said of a user manifest.
#[derive(Default)]
pub(super) struct Note {
    /// It could not be read; the reason, unless that is reported elsewhere.
    pub(super) unread: Option<Option<String>>,
    /// It is of another user.
    pub(super) of_another: bool,
    pub(super) losses: Vec<Loss>,
    /// It has no inventory although the archive has one.
    pub(super) lists_nothing: bool,
    /// Files that it lists outside of its folder.
    pub(super) aliens: Vec<String>,
}

/// The path of the manifest of a user.
pub(super) fn path_of(user_id: &str) -> String {
    format!("users/{user_id}/user-manifest.json")
}

impl<'a> UserManifests<'a> {
    /// Nothing is read yet of those that a manifest asks for; `own`: what it lists itself; `listing`: the files that are there; `sealed`: the
    /// archive is.
    pub fn due(
        manifest: &Manifest,
        own: &'a SortedInventory,
        listing: Arc<FileList>,
        sealed: bool,
    ) -> Self {
        let ids = manifest.users.ids();
        UserManifests {
            inventoried: manifest.inventory.is_some(),
            due: ids.map(|id| (path_of(id), 0)).collect(),
            own,
            own_at: 0,
            files: ListedFiles::new(listing, sealed),
            notes: BTreeMap::new(),
        }
    }

    /// Whether the manifest names a user.
    pub(super) fn knows(&self, user_id: &str) -> bool {
        self.due.has(&path_of(user_id))
    }

    /// Adds the one at `path`, which comes after those before it. Of users whom the manifest does not name, nothing counts.
    pub fn add(&mut self, path: &str, manifest: ReadManifest) {
        let id = path.split('/').nth(1).unwrap_or_default();
        let mut note = Note::default();
        match manifest {
            _ if !self.due.has(path) => return,
            // It is foreign, which the planner says.
            _ if self.inventoried && self.own.find(path).is_none() => note.unread = Some(None),
            ReadManifest::Damaged => note.unread = Some(None),
            ReadManifest::Unreadable(why) => note.unread = Some(Some(why)),
            ReadManifest::Said(facts) if facts.user_id != id => note.of_another = true,
            ReadManifest::Said(facts) => {
                note.losses = facts.losses;
                note.lists_nothing = self.inventoried && facts.files.is_none();
                self.list(&facts.files.unwrap_or_default().into(), id, &mut note);
                if note.losses.is_empty() && !note.lists_nothing && note.aliens.is_empty() {
                    return;
                }
            }
        }
        self.notes.insert(path.to_owned(), note);
    }

    /// Lists the files of a user.
    fn list(&mut self, files: &SortedInventory, id: &str, note: &mut Note) {
        let folder = format!("users/{id}/");
        for at in 0..files.len() {
            let Some((path, entry)) = files.get(at).filter(|_| files.is_last(at)) else {
                continue;
            };
            if !path.starts_with(&folder) {
                note.aliens.push(path);
            } else if !self.list_own_up_to(&path) {
                self.files.push(&path, entry);
            }
        }
    }

    /// Lists the archive's own files up to a path; whether that is one of them.
    fn list_own_up_to(&mut self, path: &str) -> bool {
        while let Some((own, entry)) = self
            .own
            .get(self.own_at)
            .filter(|(own, _)| own.as_str() <= path)
        {
            if self.own.is_last(self.own_at) {
                self.files.push(&own, entry);
            }
            self.own_at += 1;
            if own == path && self.own.is_last(self.own_at - 1) {
                return true;
            }
        }
        false
    }

    /// All that is listed, once there is no further manifest.
    pub(super) fn finish(&mut self) -> ListedFiles {
        while let Some((own, entry)) = self.own.get(self.own_at) {
            if self.own.is_last(self.own_at) {
                self.files.push(&own, entry);
            }
            self.own_at += 1;
        }
        std::mem::take(&mut self.files)
    }

    /// What is to be said of the one at `path`.
    pub(super) fn note(&mut self, path: &str) -> Option<Note> {
        self.notes.remove(path)
    }
}

impl ReadManifest {
    /// Reads the content of the manifest at `path`.
    pub fn parse(json: &[u8], path: &str) -> Self {
        match UserManifest::parse(json, path) {
            Err(error) => ReadManifest::Unreadable(error.to_string()),
            Ok(manifest) => ReadManifest::Said(Box::new(UserFacts {
                user_id: manifest.entry.user_id,
                losses: manifest.losses,
                files: manifest.inventory.map(|inventory| inventory.files),
            })),
        }
    }
}
