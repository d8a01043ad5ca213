//! Which user an access is of, as the platform's own database keeps it (`access-index/<accessId>`).

use std::{collections::HashMap, hash::BuildHasher};

use serde_json::{Map, Value};

use serde::Deserialize;

use super::{RestoredOwner, SharedRestore};
use crate::{
    operations::restore::lines,
    pii::Pii,
    platform::{Collection, Shared, json::Fields, write::RestoreError},
};

const PREFIX: &str = "access-index/";

/// The entries of the archive that are of no account.
pub const KEYS: &str = Shared::Keys.stem();

/// An entry of the platform's own database that is of no account.
#[derive(Deserialize)]
pub struct StoredAccess {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// Decision about an entry of the archive.
pub enum IndexedAccess {
    /// It is no entry about an access, or one of a user who was deleted: as any other.
    Other,
    /// It is of a user that was restored, and has this value now.
    Owned(String),
    /// It does not tell who of those that were restored it is of; the accesses may.
    Untold,
}

impl SharedRestore<'_> {
    /// Entries name their users as the archived platform did when the access was made; here they may be called otherwise, or be hashed.
    pub(super) fn about_access(&mut self, key: &str, value: &str) -> IndexedAccess {
        let Some(id) = key.strip_prefix(PREFIX) else {
            return IndexedAccess::Other;
        };
        let Ok(Value::Object(entry)) = serde_json::from_str(value) else {
            return IndexedAccess::Other;
        };
        let names = ["username", "usernameToken"].map(|name| entry.get(name)?.as_str());
        let gone = entry.get("userDeleted").is_some_and(|of| !of.is_null());
        if gone || names == [None, None] {
            return IndexedAccess::Other;
        }
        match names.iter().flatten().find_map(|name| self.owner(name)) {
            Some(restored) => {
                self.located.insert(self.number(id));
                IndexedAccess::Owned(self.renamed(entry, value, &restored))
            }
            None => {
                let hashed = names[1].is_some();
                self.unlocated.insert(self.number(id), hashed);
                IndexedAccess::Untold
            }
        }
    }

    /// Number by which an access is remembered: a platform has many.
    fn number(&self, id: &str) -> u64 {
        self.hasher.hash_one(id)
    }

    fn renamed(
        &self,
        mut entry: Map<String, Value>,
        value: &str,
        owner: &RestoredOwner<'_>,
    ) -> String {
        let (name, other) = self.owner_key();
        if entry.get(name).and_then(Value::as_str) == Some(&owner.token) {
            return value.to_owned();
        }
        entry.remove(other);
        entry.insert(name.to_owned(), owner.token.clone().into());
        Value::Object(entry).to_string()
    }

    /// How entries say whose they are here, and how they do not.
    fn owner_key(&self) -> (&'static str, &'static str) {
        match self.config.pii {
            Pii::Hashed(_) => ("usernameToken", "username"),
            Pii::Cleartext => ("username", "usernameToken"),
        }
    }

    /// Accesses about which the archive has no entry (Pryv's own tool backs none up), or one that does not tell whose it is: the
    /// accesses themselves tell.
    pub(super) fn locate_accesses(&mut self) -> Result<(), RestoreError> {
        let mut users: Vec<RestoredOwner<'_>> = self.restored.values().cloned().collect();
        users.sort_by(|a, b| a.done.report.user_id.cmp(&b.done.report.user_id));
        users.dedup_by(|a, b| a.done.report.user_id == b.done.report.user_id);
        let archive = self.archive;
        let mut owners = HashMap::new();
        for user in users {
            let id = &user.done.source_id;
            for file in lines::files(archive, id, Collection::Accesses) {
                lines::each(archive, &file, &mut |lines| {
                    lines::split(lines).try_for_each(|line| self.locate(line, &user, &mut owners))
                })?;
            }
        }
        if !owners.is_empty() {
            self.each(KEYS, &mut |work, line| work.put_owned(line, &owners))?;
        }
        for hashed in std::mem::take(&mut self.unlocated).into_values() {
            if hashed && self.all_restored {
                let what = "they are about accesses that are gone, and whose those were is hashed with a key that this platform does not have \
                    (platform.piiHmacKey)";
                *self.lost.entry(what.to_owned()).or_default() += 1;
            } else {
                self.leave_out("of accesses that no user who was restored has");
            }
        }
        Ok(())
    }

    /// Writes the entry of an access of which the archive has none; where it has one, notes whose that is.
    fn locate(
        &mut self,
        line: &[u8],
        owner: &RestoredOwner<'_>,
        owners: &mut HashMap<u64, String>,
    ) -> Result<(), RestoreError> {
        let Some((id, value)) = self.entry_of(line, owner) else {
            return Ok(());
        };
        let number = self.number(&id);
        if self.unlocated.remove(&number).is_some() {
            owners.insert(number, owner.done.source_name.clone());
            return Ok(());
        }
        if owners.contains_key(&number) || !self.located.insert(number) {
            return Ok(());
        }
        self.put(format!("{PREFIX}{id}"), value)
    }

    /// Writes an entry of the archive whose owner its access names.
    fn put_owned(
        &mut self,
        line: &[u8],
        owners: &HashMap<u64, String>,
    ) -> Result<(), RestoreError> {
        let Ok(StoredAccess { key, value }) = serde_json::from_slice(line) else {
            return Ok(());
        };
        let owner = key
            .strip_prefix(PREFIX)
            .and_then(|id| owners.get(&self.number(id)))
            .and_then(|name| self.restored.get(name))
            .cloned();
        match (owner, serde_json::from_str(&value)) {
            (Some(owner), Ok(Value::Object(entry))) => {
                let value = self.renamed(entry, &value, &owner);
                self.put(key, value)
            }
            _ => Ok(()),
        }
    }

    /// The id and the entry of an access that is there or was deleted; versions have none.
    fn entry_of(&self, line: &[u8], owner: &RestoredOwner<'_>) -> Option<(String, String)> {
        let access = Fields::parse(std::str::from_utf8(line).ok()?).ok()?;
        let get = |name: &str| access.get(name).filter(|raw| *raw != "null");
        if get("headId").is_some() {
            return None;
        }
        let id: String = serde_json::from_str(get("id")?).ok()?;
        let deleted = get("deleted");
        let created = get("created").or(deleted).or(get("modified"))?;
        let modified = deleted.or(get("modified")).unwrap_or(created);
        let (name, _) = self.owner_key();
        let mut value = format!(
            "{{\"accessId\":{},\"type\":{},\"expires\":{},\"created\":{created},\"lastModified\":{modified},\"{name}\":{}",
            get("id")?,
            get("type").unwrap_or("\"shared\""),
            get("expires").unwrap_or("null"),
            Value::from(owner.token.as_str())
        );
        if let Some(deleted) = deleted {
            value.push_str(",\"deleted\":");
            value.push_str(deleted);
        }
        value.push('}');
        Some((id, value))
    }
}
