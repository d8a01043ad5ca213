//! The manifest of a user of a state, put together from those of the runs.

use std::collections::BTreeMap;

use super::state_user_manifest;
use crate::{Result, UserManifest, manifest::Chunks, manifest::Loss};

/// The manifests of a user, of which that of the oldest run is added first.
#[derive(Default)]
pub struct MergedManifest {
    /// The last of them.
    last: Vec<u8>,
    losses: Vec<Loss>,
    /// The former paths of deleted streams, by their ids.
    stream_paths: BTreeMap<String, String>,
    has_audit: bool,
}

impl MergedManifest {
    /// Adds the manifest of the next run. `is_there`: whether another run brought what this one lost.
    ///
    /// # Errors
    /// When it is no manifest.
    pub fn add(
        &mut self,
        json: Vec<u8>,
        path: &str,
        is_there: &dyn Fn(&Loss) -> bool,
    ) -> Result<()> {
        let manifest = UserManifest::parse(&json, path)?;
        self.last = json;
        self.has_audit = manifest.entry.chunks.audit.is_some();
        self.stream_paths.extend(manifest.stream_paths);
        for loss in manifest.losses {
            if !is_there(&loss) && !self.losses.contains(&loss) {
                self.losses.push(loss);
            }
        }
        Ok(())
    }

    /// The content of the state's manifest of the user. `names`: those of the files of `events` or `audit`.
    ///
    /// # Errors
    /// When none was added.
    pub fn finish(self, names: &dyn Fn(&str) -> Vec<String>) -> Result<Vec<u8>> {
        let chunks = Chunks {
            events: names("events"),
            audit: self.has_audit.then(|| names("audit")),
        };
        state_user_manifest(&self.last, &chunks, &self.losses, &self.stream_paths)
    }
}
