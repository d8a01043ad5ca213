//! Records that belong to no user, or to all, on their way into the database.

use std::collections::{BTreeMap, HashMap};

use super::{PostgresWriter, rows};
use crate::platform::Shared;
use crate::platform::json::Fields;
use crate::platform::postgres::{IndexPlace, connection::literal};
use crate::platform::texts::{Lost, storable};
use crate::platform::write::{PlatformWriter, RestoreError, SharedWriter};

/// Writes the records that belong to no user, or to all.
pub struct PostgresShared<'a>(pub(super) &'a PostgresWriter<'a>);

impl SharedWriter for PostgresShared<'_> {
    fn values(&mut self, keys: &[String]) -> Result<Vec<Option<String>>, RestoreError> {
        match &self.0.index {
            IndexPlace::None => Ok(vec![None; keys.len()]),
            IndexPlace::Rqlite(index) => Ok(index.values(keys)?),
            IndexPlace::Postgres if keys.is_empty() => Ok(Vec::new()),
            IndexPlace::Postgres => {
                let list: Vec<String> = keys.iter().map(|key| literal(key)).collect();
                let sql = format!(
                    "SELECT key, value FROM platform_kv WHERE key IN ({})",
                    list.join(", ")
                );
                let mut found: HashMap<String, String> = self.0.pairs(&sql)?.into_iter().collect();
                Ok(keys.iter().map(|key| found.remove(key)).collect())
            }
        }
    }

    fn beginning(&mut self, prefix: &str) -> Result<Vec<(String, String)>, RestoreError> {
        match &self.0.index {
            IndexPlace::None => Ok(Vec::new()),
            IndexPlace::Rqlite(index) => Ok(index.beginning(prefix)?),
            IndexPlace::Postgres => self.0.pairs(&format!(
                "SELECT key, value FROM platform_kv WHERE starts_with(key, {}) ORDER BY key COLLATE \"C\"",
                literal(prefix)
            )),
        }
    }

    fn put(&mut self, entries: &[(String, String)]) -> Result<(), RestoreError> {
        match &self.0.index {
            IndexPlace::None => Ok(()),
            IndexPlace::Rqlite(index) => Ok(index.put(entries)?),
            IndexPlace::Postgres => {
                // No statement may have the same key twice; the last one counts.
                let rows: BTreeMap<&str, &str> = entries
                    .iter()
                    .map(|(key, value)| (key.as_str(), value.as_str()))
                    .collect();
                if rows.is_empty() {
                    return Ok(());
                }
                let rows: Vec<String> = rows
                    .iter()
                    .map(|(key, value)| format!("({}, {})", literal(key), literal(value)))
                    .collect();
                let sql = format!(
                    "INSERT INTO platform_kv (key, value) VALUES {} ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                    rows.join(", ")
                );
                self.0.durably(&[(sql, Some(rows.len() as u64))])
            }
        }
    }

    fn owned(&mut self, tokens: &[String]) -> Result<Vec<String>, RestoreError> {
        match &self.0.index {
            IndexPlace::None => Ok(Vec::new()),
            IndexPlace::Rqlite(index) => Ok(index.owned(tokens)?),
            IndexPlace::Postgres => {
                let list: Vec<String> = tokens.iter().map(|token| literal(token)).collect();
                let list = format!("ARRAY[{}]::text[]", list.join(", "));
                let keys = self.0.pairs(&format!(
                    "SELECT key, '' FROM platform_kv WHERE starts_with(key, 'user-unique/') AND value = ANY({list}) \
                     OR starts_with(key, 'user-indexed/') AND substring(key FROM '^user-indexed/[^/]*/(.*)$') = ANY({list})"
                ))?;
                Ok(keys.into_iter().map(|(key, _)| key).collect())
            }
        }
    }

    fn remove(&mut self, keys: &[String]) -> Result<(), RestoreError> {
        match &self.0.index {
            IndexPlace::None => Ok(()),
            IndexPlace::Rqlite(index) => Ok(index.remove(keys)?),
            IndexPlace::Postgres if keys.is_empty() => Ok(()),
            IndexPlace::Postgres => {
                let list: Vec<String> = keys.iter().map(|key| literal(key)).collect();
                let sql = format!("DELETE FROM platform_kv WHERE key IN ({})", list.join(", "));
                self.0.durably(&[(sql, None)])
            }
        }
    }

    fn takes_nul(&self) -> bool {
        !matches!(self.0.index, IndexPlace::Postgres)
    }

    fn aliases(&mut self) -> Result<Option<HashMap<String, String>>, RestoreError> {
        let there = self.0.age.aliases;
        there.then(|| PlatformWriter::aliases(self.0)).transpose()
    }

    fn remove_aliases(&mut self, aliases: &[String]) -> Result<(), RestoreError> {
        if aliases.is_empty() {
            return Ok(());
        }
        let list: Vec<String> = aliases.iter().map(|alias| literal(alias)).collect();
        let sql = format!(
            "DELETE FROM alias_index WHERE alias IN ({})",
            list.join(", ")
        );
        self.0.durably(&[(sql, None)])
    }

    fn short_lived(&mut self, kind: Shared, lines: &[u8]) -> Result<(), RestoreError> {
        let mut statements = Vec::new();
        for line in lines.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            let text = String::from_utf8_lossy(line);
            let text = storable(&text, &mut Lost::default());
            let fields = Fields::parse(&text).map_err(|what| RestoreError::Record {
                collection: "platform",
                what,
            })?;
            let get = |name: &str| literal(&rows::string(fields.get(name).unwrap_or("null")));
            let until = || format!("to_timestamp({}::float8 / 1000)", get("expires"));
            let sql = match kind {
                Shared::Aliases => format!(
                    "INSERT INTO alias_index (alias, user_id) VALUES ({}, {}) ON CONFLICT (alias) DO NOTHING",
                    get("alias"),
                    get("userId")
                ),
                Shared::Sessions => format!(
                    "INSERT INTO sessions (id, data, expires) VALUES ({}, {}, {}) \
                     ON CONFLICT (id) DO UPDATE SET data = excluded.data, expires = excluded.expires",
                    get("id"),
                    literal(fields.get("data").unwrap_or("null")),
                    until()
                ),
                Shared::PasswordResets => format!(
                    "INSERT INTO password_resets (id, username, expires) VALUES ({}, {}, {}) \
                     ON CONFLICT (id) DO UPDATE SET username = excluded.username, expires = excluded.expires",
                    get("id"),
                    get("username"),
                    until()
                ),
                Shared::Index | Shared::Keys => continue,
            };
            // An alias that somebody has meanwhile stays theirs.
            statements.push((sql, (kind != Shared::Aliases).then_some(1)));
        }
        self.0.durably(&statements)
    }
}
