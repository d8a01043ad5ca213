//! What an archive says of a user that it lacks.

use std::collections::HashSet;

use decryptor_wasm::manifest::{GoneAttachment, Loss};
use serde::Deserialize;

use super::Archive;

/// See the module.
#[derive(Default)]
pub struct Told {
    /// What could not be read when the backup was made.
    pub losses: Vec<Loss>,
    gone: HashSet<String>,
}

impl Told {
    /// Whether this attachment was deleted with its event while the backup was made.
    pub fn is_gone(&self, id: &str) -> bool {
        self.gone.contains(id)
    }
}

impl Archive {
    /// What the user's manifest says; nothing, where it cannot be read.
    pub fn told(&self, user_id: &str) -> Told {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Said {
            #[serde(default)]
            losses: Vec<Loss>,
            #[serde(default)]
            gone_attachments: Vec<GoneAttachment>,
        }
        let path = format!("users/{user_id}/user-manifest.json");
        let said = self.manifests.get(&path);
        let said = said.and_then(|json| serde_json::from_slice::<Said>(json).ok());
        said.map_or_else(Told::default, |said| Told {
            losses: said.losses,
            gone: said.gone_attachments.into_iter().map(|g| g.id).collect(),
        })
    }
}
