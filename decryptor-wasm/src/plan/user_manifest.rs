//! The manifests of the users, each checked when it was read. Only what the plan needs of each is kept.

use std::collections::BTreeMap;

use super::inventory::AllListed;
use crate::{
    Manifest, UserManifest,
    listing::FileList,
    manifest::{InventoryFiles, Loss},
};

/// What the `user-manifest.json` files of an archive say.
#[derive(Default)]
pub struct UserManifests {
    /// The archive is sealed.
    sealed: bool,
    /// The archive has an inventory.
    inventoried: bool,
    /// The paths of those that the manifest asks for.
    due: FileList,
    /// The files that they list.
    pub(super) files: AllListed,
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

impl UserManifests {
    /// Nothing is read yet of those that a manifest asks for; `sealed`: the archive is.
    pub fn due(manifest: &Manifest, sealed: bool) -> Self {
        let ids = manifest.users.ids();
        UserManifests {
            sealed,
            inventoried: manifest.inventory.is_some(),
            due: ids.map(|id| (path_of(id), 0)).collect(),
            ..UserManifests::default()
        }
    }

    /// Whether the manifest names a user.
    pub(super) fn knows(&self, user_id: &str) -> bool {
        self.due.has(&path_of(user_id))
    }

    /// Adds the one at `path`. Of users whom the manifest does not name, nothing counts.
    pub fn add(&mut self, path: &str, manifest: ReadManifest) {
        let id = path.split('/').nth(1).unwrap_or_default();
        let mut note = Note::default();
        match manifest {
            _ if !self.due.has(path) => return,
            ReadManifest::Damaged => note.unread = Some(None),
            ReadManifest::Unreadable(why) => note.unread = Some(Some(why)),
            ReadManifest::Said(facts) if facts.user_id != id => note.of_another = true,
            ReadManifest::Said(facts) => {
                note.losses = facts.losses;
                note.lists_nothing = self.inventoried && facts.files.is_none();
                let folder = format!("users/{id}/");
                let files = facts.files.unwrap_or_default();
                for (file, entry) in files.entries() {
                    match file.starts_with(&folder) {
                        true => self.files.push(&file, entry, self.sealed),
                        false => note.aliens.push(file),
                    }
                }
                if note.losses.is_empty() && !note.lists_nothing && note.aliens.is_empty() {
                    return;
                }
            }
        }
        self.notes.insert(path.to_owned(), note);
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
