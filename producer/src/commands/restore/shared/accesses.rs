//! Which user an access is of, as the platform's own database keeps it (`access-index/<accessId>`).

use serde_json::{Map, Value};

use super::{Standing, Work};
use crate::{
    commands::restore::lines,
    platform::{Collection, json::Fields, pii::Pii, write::RestoreError},
};

const PREFIX: &str = "access-index/";

/// What becomes of an entry of the archive.
pub enum Fate {
    /// It is no entry about an access, or one of a user who was deleted: as any other.
    Other,
    /// It is of a user that was restored, and has this value now.
    Owned(String),
    /// It is of somebody else.
    Foreign,
}

impl Work<'_> {
    /// Entries name their users as the archived platform did; here they may be called otherwise, or be hashed.
    pub(super) fn about_access(&mut self, key: &str, value: &str) -> Fate {
        if !key.starts_with(PREFIX) {
            return Fate::Other;
        }
        let Ok(Value::Object(entry)) = serde_json::from_str(value) else {
            return Fate::Other;
        };
        let names = ["username", "usernameToken"].map(|name| entry.get(name)?.as_str());
        let standing = names
            .iter()
            .flatten()
            .find_map(|name| self.standing.get(*name));
        let Some(standing) = standing.cloned() else {
            return match names {
                [None, None] => Fate::Other,
                _ => Fate::Foreign,
            };
        };
        self.located.insert(standing.done.report.user_id.clone());
        Fate::Owned(self.renamed(entry, value, &standing))
    }

    fn renamed(&self, mut entry: Map<String, Value>, value: &str, owner: &Standing<'_>) -> String {
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

    /// Users about whose accesses the archive has no entry (Pryv's own tool backs none up): their accesses tell.
    pub(super) fn locate_accesses(&mut self) -> Result<(), RestoreError> {
        let mut users: Vec<Standing<'_>> = self.standing.values().cloned().collect();
        users.retain(|one| !self.located.contains(&one.done.report.user_id));
        users.sort_by(|a, b| a.done.report.user_id.cmp(&b.done.report.user_id));
        users.dedup_by(|a, b| a.done.report.user_id == b.done.report.user_id);
        let archive = self.archive;
        for user in users {
            let id = &user.done.source_id;
            for file in lines::files(archive, id, Collection::Accesses) {
                lines::each(archive, file, &mut |lines| {
                    lines::split(lines).try_for_each(|line| match self.entry_of(line, &user) {
                        Some((key, value)) => self.put(key, value),
                        None => Ok(()),
                    })
                })?;
            }
        }
        Ok(())
    }

    /// The entry of an access that is there or was deleted; versions have none.
    fn entry_of(&self, line: &[u8], owner: &Standing<'_>) -> Option<(String, String)> {
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
        Some((format!("{PREFIX}{id}"), value))
    }
}
