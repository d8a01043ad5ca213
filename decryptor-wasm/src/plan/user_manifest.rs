//! The manifests of the users, each checked when it was read. Only the part that the plan needs is kept.

use std::collections::BTreeMap;

use super::Expected;
use crate::{UserManifest, gather, manifest::Loss};

/// The `user-manifest.json` files of an archive.
#[derive(Default)]
pub struct UserManifests {
    all: Vec<ReadManifest>,
    /// Indexes into `all`, by path.
    places: BTreeMap<String, u64>,
}

/// A `user-manifest.json` that was read.
pub enum ReadManifest {
    /// Its facts.
    Said(UserFacts),
    /// The sentence that tells why it is no such manifest.
    Unreadable(String),
    /// It could not be opened, which is reported elsewhere.
    Damaged,
}

/// The facts of a user manifest that the plan needs.
pub struct UserFacts {
    pub(super) user_id: String,
    pub(super) losses: Vec<Loss>,
    /// The files of its inventory; none where it has no inventory.
    pub(super) files: Option<Vec<(String, Expected)>>,
}

impl UserManifests {
    /// Adds the one at `path`.
    pub fn add(&mut self, path: &str, manifest: ReadManifest) {
        self.places.insert(path.to_owned(), self.all.len() as u64);
        self.all.push(manifest);
    }

    /// The one at `path`.
    pub(super) fn at(&mut self, path: &str) -> Option<&mut ReadManifest> {
        self.all.get_mut(*self.places.get(path)? as usize)
    }
}

impl ReadManifest {
    /// Reads the content of the manifest at `path`.
    pub fn parse(json: &[u8], path: &str) -> Self {
        match UserManifest::parse(json, path) {
            Err(error) => ReadManifest::Unreadable(error.to_string()),
            Ok(manifest) => ReadManifest::Said(UserFacts {
                user_id: manifest.entry.user_id,
                losses: manifest.losses,
                files: manifest.inventory.map(|inventory| {
                    let files = inventory.files.into_iter();
                    gather(files.map(|file| {
                        let expected = Expected::from(&file);
                        (file.path, expected)
                    }))
                }),
            }),
        }
    }
}
