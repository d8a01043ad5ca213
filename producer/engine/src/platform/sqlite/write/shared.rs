//! Writing the records that belong to no user, or to all.

use std::collections::HashMap;

use super::store::failed;
use super::{SHARED, SqliteWriter, open, rows, taken};
use crate::platform::Shared;
use crate::platform::json::Fields;
use crate::platform::sqlite::schema;
use crate::platform::write::{PlatformWriter, RestoreError, SharedWriter};

/// Writes the records that belong to no user, or to all: the platform's own database, and the shared files.
pub(super) struct SqliteShared<'a>(pub(super) &'a SqliteWriter);

impl SharedWriter for SqliteShared<'_> {
    fn values(&mut self, keys: &[String]) -> Result<Vec<Option<String>>, RestoreError> {
        match &self.0.index {
            Some(index) => Ok(index.values(keys)?),
            None => Ok(vec![None; keys.len()]),
        }
    }

    fn beginning(&mut self, prefix: &str) -> Result<Vec<(String, String)>, RestoreError> {
        match &self.0.index {
            Some(index) => Ok(index.beginning(prefix)?),
            None => Ok(Vec::new()),
        }
    }

    fn put(&mut self, entries: &[(String, String)]) -> Result<(), RestoreError> {
        match &self.0.index {
            Some(index) => Ok(index.put(entries)?),
            None => Ok(()),
        }
    }

    fn owned(&mut self, tokens: &[String]) -> Result<Vec<String>, RestoreError> {
        match &self.0.index {
            Some(index) => Ok(index.owned(tokens)?),
            None => Ok(Vec::new()),
        }
    }

    fn remove(&mut self, keys: &[String]) -> Result<(), RestoreError> {
        match &self.0.index {
            Some(index) => Ok(index.remove(keys)?),
            None => Ok(()),
        }
    }

    fn aliases(&mut self) -> Result<Option<HashMap<String, String>>, RestoreError> {
        Ok(Some(PlatformWriter::aliases(self.0)?))
    }

    fn remove_aliases(&mut self, aliases: &[String]) -> Result<(), RestoreError> {
        let (path, index) = self.0.open_index()?;
        let change = index
            .unchecked_transaction()
            .map_err(|e| failed(&path, e))?;
        for alias in aliases {
            change
                .execute("DELETE FROM alias4id WHERE alias = ?", [alias])
                .map_err(|e| failed(&path, e))?;
        }
        change.commit().map_err(|e| failed(&path, e))
    }

    fn short_lived(&mut self, kind: Shared, lines: &[u8]) -> Result<(), RestoreError> {
        let (path, file) = match kind {
            Shared::Aliases => self.0.open_index()?,
            _ => open(self.0.users_dir.join(SHARED), schema::SHARED)?,
        };
        let (sql, names): (_, &[&str]) = match kind {
            Shared::Aliases => (
                "INSERT INTO alias4id (alias, userId) VALUES (?, ?) ON CONFLICT DO NOTHING",
                &["alias", "userId"],
            ),
            Shared::Sessions => (
                "INSERT OR REPLACE INTO sessions (id, data, expires) VALUES (?, ?, ?)",
                &["id", "data", "expires"],
            ),
            Shared::PasswordResets => (
                "INSERT OR REPLACE INTO password_resets (id, username, expires) VALUES (?, ?, ?)",
                &["id", "username", "expires"],
            ),
            Shared::Index | Shared::Keys => return Ok(()),
        };
        let change = file.unchecked_transaction().map_err(|e| failed(&path, e))?;
        for line in lines.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            let text = String::from_utf8_lossy(line);
            let fields = Fields::parse(&text).map_err(|what| RestoreError::Record {
                collection: "platform",
                what,
            })?;
            let row = names.iter().map(|name| match *name {
                "data" => rows::document(fields.get(name)),
                "expires" => rows::integer(fields.get(name)),
                name => rows::scalar(fields.get(name)),
            });
            change
                .prepare_cached(sql)
                .and_then(|mut statement| statement.execute(rusqlite::params_from_iter(row)))
                // An alias that somebody has meanwhile stays theirs.
                .and_then(|put| {
                    if kind == Shared::Aliases {
                        Ok(())
                    } else {
                        taken(put)
                    }
                })
                .map_err(|e| failed(&path, e))?;
        }
        change.commit().map_err(|e| failed(&path, e))
    }
}
