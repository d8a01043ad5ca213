//! `user-manifest.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{GoneAttachment, Inventory, Loss, UserEntry, parse};
use crate::Result;

/// `users/<userId>/user-manifest.json`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserManifest {
    /// The keys shared with `manifest.users[]`.
    #[serde(flatten)]
    pub entry: UserEntry,
    /// Where deleted streams were, by their ids: their records do not tell.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub stream_paths: BTreeMap<String, String>,
    /// The losses of this user: data that could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<Loss>,
    /// Attachments that went with their events after the instant of the backup and before they could be read: no loss.
    #[serde(rename = "goneAttachments", skip_serializing_if = "Vec::is_empty")]
    pub gone_attachments: Vec<GoneAttachment>,
    /// The user's files, this one excepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inventory: Option<Inventory>,
}

impl UserManifest {
    /// Reads a decrypted `user-manifest.json`; `path` names it in errors.
    pub fn parse(json: &[u8], path: &str) -> Result<Self> {
        #[derive(Deserialize)]
        #[serde(remote = "Self", rename_all = "camelCase")]
        struct Own {
            #[serde(default)]
            stream_paths: BTreeMap<String, String>,
            #[serde(default)]
            losses: Vec<Loss>,
            #[serde(default, rename = "goneAttachments")]
            gone_attachments: Vec<GoneAttachment>,
            #[serde(default)]
            inventory: Option<Inventory>,
        }
        crate::object::objects!(read Own);
        // In two steps: reading a flattened value makes the WASM larger than both.
        let entry: UserEntry = parse(json, path)?;
        let Own {
            stream_paths,
            losses,
            gone_attachments,
            inventory,
        } = parse(json, path)?;
        Ok(UserManifest {
            entry,
            stream_paths,
            losses,
            gone_attachments,
            inventory,
        })
    }
}
