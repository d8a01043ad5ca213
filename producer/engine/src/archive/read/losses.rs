//! Things of a user that an archive lacks, as it says itself.

use std::collections::HashSet;

use decryptor_wasm::{
    Result,
    manifest::{GoneAttachment, Loss},
};
use serde::Deserialize;

use super::Archive;

/// See the module.
#[derive(Default)]
pub struct UserLosses {
    /// Losses from when the backup was made.
    pub losses: Vec<Loss>,
    gone: HashSet<String>,
}

impl UserLosses {
    /// Whether this attachment was deleted with its event while the backup was made.
    pub fn is_gone(&self, id: &str) -> bool {
        self.gone.contains(id)
    }
}

impl Archive {
    /// The losses that the user's manifest names; none, where it could not be read when the archive was opened.
    ///
    /// # Errors
    /// When it cannot be read now.
    pub fn losses_of(&self, user_id: &str) -> Result<UserLosses> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Named {
            #[serde(default)]
            losses: Vec<Loss>,
            #[serde(default)]
            gone_attachments: Vec<GoneAttachment>,
        }
        let json = self.user_manifest(user_id)?;
        let named = json.and_then(|json| serde_json::from_slice::<Named>(&json).ok());
        Ok(named.map_or_else(UserLosses::default, |named| UserLosses {
            losses: named.losses,
            gone: named.gone_attachments.into_iter().map(|g| g.id).collect(),
        }))
    }
}
