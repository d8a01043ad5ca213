//! Facts in the records of a user that concern all users: names, addresses, the current values of accounts.

use serde::Deserialize;

use super::{account, restored_user::RestoredUser};
use crate::platform::Collection;

impl RestoredUser {
    /// Takes from a record what all users share.
    pub fn learn(&mut self, collection: Collection, line: &[u8]) {
        match collection {
            Collection::Account => self.fields.extend(account::current_fields(line)),
            Collection::Accesses => self.aliases.extend(alias(line)),
            Collection::Events => self.addresses.extend(address(line)),
            _ => {}
        }
    }
}

/// The other name that a live access gives its user.
fn alias(line: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Access {
        alias: Option<String>,
        head_id: Option<String>,
        deleted: Option<f64>,
    }
    const KEY: &[u8] = b"\"alias\"";
    memchr::memmem::find(line, KEY)?;
    let access: Access = serde_json::from_slice(line).ok()?;
    let live = access.head_id.is_none() && access.deleted.is_none();
    access.alias.filter(|_| live)
}

/// The e-mail address that a live event of the list of them holds, and whether it is proven.
fn address(line: &[u8]) -> Option<(String, bool)> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Event {
        r#type: Option<String>,
        #[serde(default)]
        stream_ids: Vec<String>,
        content: Option<Address>,
        head_id: Option<String>,
        deleted: Option<f64>,
        #[serde(default)]
        trashed: bool,
    }
    #[derive(Deserialize)]
    struct Address {
        value: String,
        status: Option<String>,
    }
    const LIST: &str = ":_emails:";
    memchr::memmem::find(line, LIST.as_bytes())?;
    let event: Event = serde_json::from_slice(line).ok()?;
    let gone = event.head_id.is_some() || event.deleted.is_some() || event.trashed;
    let listed = event.stream_ids.iter().any(|id| id == LIST);
    let address = event.content.filter(|_| listed && !gone)?;
    let of_list = event.r#type.as_deref() == Some("email/multiple");
    of_list.then(|| (address.value, address.status.as_deref() == Some("verified")))
}
