//! Unique and indexed values of accounts, as this platform keeps them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{RestoredOwner, SharedRestore};
use crate::{
    archive::read::Archive,
    config::Config,
    operations::restore::selection::SelectedUser,
    pii::{Pii, is_token},
    platform::{Shared, write::RestoreError},
};

/// The field of addresses, of which a user may have several.
const EMAIL: &str = "email";

/// An entry of the platform's own database.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IndexEntry {
    /// Whether the value has one owner.
    #[serde(default)]
    pub is_unique: bool,
    /// Name of the field.
    #[serde(default)]
    pub field: String,
    /// The user who has the value.
    pub username: Option<String>,
    /// The value.
    #[serde(default)]
    pub value: serde_json::Value,
    /// The key, in archives of version 1 of Pryv.io.
    pub key: Option<String>,
}

impl IndexEntry {
    /// Reads a line; an entry of version 1 is put in today's form, and one of another kind is none.
    pub fn read(line: &[u8]) -> Option<Self> {
        let mut entry: Self = serde_json::from_slice(line).ok()?;
        let (None, Some(key)) = (&entry.username, &entry.key) else {
            return Some(entry);
        };
        let mut parts = key.splitn(3, '/');
        let (kind, field, rest) = (
            parts.next()?,
            parts.next()?.to_owned(),
            parts.next()?.to_owned(),
        );
        match kind {
            "user-unique" => {
                entry.username = entry.value.as_str().map(str::to_owned);
                entry.value = rest.into();
                entry.is_unique = true;
            }
            "user-indexed" => entry.username = Some(rest),
            _ => return None,
        }
        entry.field = field;
        Some(entry)
    }

    /// The value as it is stored.
    pub fn text(&self) -> String {
        match &self.value {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

/// The key of an entry with a unique value: hashed where the platform hashes and the archive does not.
pub fn stored_key(entry: &IndexEntry, owner: &str, user: &SelectedUser, config: &Config) -> String {
    let text = entry.text();
    match owner == user.source.username {
        true => unique_key(&entry.field, &text, config),
        false => format!("user-unique/{}/{text}", entry.field),
    }
}

/// The key under which the platform keeps who has a unique value.
pub fn unique_key(field: &str, value: &str, config: &Config) -> String {
    match &config.pii {
        Pii::Hashed(Some(key)) => format!("user-unique/{field}/{}", key.token(field, value)),
        _ => format!("user-unique/{field}/{value}"),
    }
}

impl SharedRestore<'_> {
    /// Those that name nobody who was restored are left out; where the archive has none of a user, or names users by tokens of
    /// another key, the account's own fields tell the values.
    pub(super) fn index(&mut self) -> Result<(), RestoreError> {
        let known = self.config.account_fields.iter();
        let mut fields: BTreeMap<String, bool> = known
            .filter(|field| field.indexed)
            .map(|field| (field.id.clone(), field.unique))
            .collect();
        self.each("platform/platform", &mut |work, line| {
            let Some(entry) = IndexEntry::read(line) else {
                work.leave_out("not an entry of a user");
                return Ok(());
            };
            let owner = entry.username.clone().unwrap_or_default();
            if entry.is_unique || !fields.contains_key(&entry.field) {
                fields.insert(entry.field.clone(), entry.is_unique);
            }
            let Some(restored) = work.restored.get(&owner).cloned() else {
                if is_token(&owner) {
                    work.hashed.insert(entry.field.clone());
                }
                if work.all_restored && is_token(&owner) {
                    *work.unknown.entry(entry.field).or_default() += 1;
                } else {
                    work.leave_out("of users that were not restored");
                }
                return Ok(());
            };
            let done = restored.done;
            work.indexed
                .insert(format!("{}/{}", done.source_name, entry.field));
            let in_clear = owner == done.source_name || done.other_names.contains(&owner);
            if !in_clear && entry.is_unique {
                // It is hashed, with the key of this platform.
                let key = format!("user-unique/{}/{}", entry.field, entry.text());
                return work.put(key, restored.token);
            }
            let text = work.uncut(&entry, &restored);
            if entry.field == "alias" && entry.is_unique {
                let user_id = done.report.user_id.clone();
                work.aliases.insert((text.clone(), user_id));
            }
            let (key, value) = work.entry(&entry.field, entry.is_unique, &text, &restored.token);
            work.put(key, value)
        })?;
        self.rebuild(&fields)
    }

    /// Writes the entries that the archive does not hold.
    fn rebuild(&mut self, fields: &BTreeMap<String, bool>) -> Result<(), RestoreError> {
        let mut entries = Vec::new();
        let pending = self.with_pending();
        let listed = self.has(Shared::Index.stem());
        for (name, restored) in &self.restored {
            let done = restored.done;
            if *name != done.source_name {
                continue;
            }
            for (field, unique) in fields {
                let unread = !listed || self.hashed.contains(field);
                // An address that nobody has proven yet is in the account only; a backup of ours has every entry.
                let none = *unique && !unread && self.archive.plan.inventoried;
                if none || self.indexed.contains(&format!("{name}/{field}")) {
                    continue;
                }
                let mut values: Vec<&String> = done.fields.get(field).into_iter().collect();
                if field == EMAIL && unread {
                    values.extend(
                        done.addresses.iter().filter_map(|(address, proven)| {
                            (*proven || pending).then_some(address)
                        }),
                    );
                    values.sort_unstable();
                    values.dedup();
                }
                for value in values.into_iter().filter(|value| !value.is_empty()) {
                    let (key, value) = self.entry(field, *unique, value, &restored.token);
                    entries.push((field, key, value));
                }
            }
        }
        for (field, key, value) in entries {
            self.count_known(field);
            self.put(key, value)?;
        }
        Ok(())
    }

    /// Whether addresses that nobody has proven yet have entries too, as until version 2.0.0-rc.46 of Pryv.io: the archive then has
    /// one for each address.
    fn with_pending(&self) -> bool {
        let users = self.restored.iter();
        let users = users.filter(|(name, one)| **name == one.done.source_name);
        let all = users.map(|(_, one)| {
            let mut all: BTreeSet<&String> = one.done.addresses.iter().map(|(a, _)| a).collect();
            all.extend(one.done.fields.get(EMAIL));
            all.len() as u64
        });
        self.unknown
            .get(EMAIL)
            .is_some_and(|count| *count >= all.sum())
    }

    /// Counts one entry less as unknown: something else names its owner, whose token is of another key.
    pub(super) fn count_known(&mut self, field: &str) {
        if let Some(unknown) = self.unknown.get_mut(field) {
            *unknown = unknown.saturating_sub(1);
        }
    }

    /// Notes as lost the entries whose owner nothing names.
    pub(super) fn lose_unknown(&mut self) {
        self.unknown.retain(|_, count| *count > 0);
        for (field, count) in &self.unknown {
            let what = format!(
                "values of {field:?} are hashed with a key that this platform does not have (platform.piiHmacKey)"
            );
            self.lost.insert(what, *count);
        }
    }

    pub(super) fn entry(
        &self,
        field: &str,
        unique: bool,
        value: &str,
        token: &str,
    ) -> (String, String) {
        match unique {
            true => (unique_key(field, value, self.config), token.to_owned()),
            false => (format!("user-indexed/{field}/{token}"), value.to_owned()),
        }
    }

    /// Pryv's own tool cuts values at a slash; the account knows the whole.
    fn uncut(&self, entry: &IndexEntry, restored: &RestoredOwner<'_>) -> String {
        let whole = restored.done.fields.get(&entry.field);
        uncut(self.archive, entry, whole)
    }
}

/// The value of an entry; `whole` is that of the account.
pub fn uncut(archive: &Archive, entry: &IndexEntry, whole: Option<&String>) -> String {
    let text = entry.text();
    let cut = |whole: &&String| {
        !archive.plan.inventoried
            && whole
                .strip_prefix(text.as_str())
                .is_some_and(|rest| rest.starts_with('/'))
    };
    whole.filter(cut).cloned().unwrap_or(text)
}
