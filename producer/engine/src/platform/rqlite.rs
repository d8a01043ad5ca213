//! The platform index in rqlite: which account holds which unique value, and the indexed values of accounts.

mod call;
mod raw;
mod unknown;

use super::{ExportError, IndexSink, PlatformError, Scope, direct, index};
use crate::advice::Advice;
use crate::config::rqlite_address as address;
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;
use ureq::http::HeaderValue;

/// Rows per request.
const PAGE: usize = 1000;
/// Keys, or entries to store, per request.
const BATCH: usize = 500;
/// Strong reads, because others may be old or, in an election, empty.
const QUERY: &str = "/db/query?level=strong";
/// All or nothing.
const EXECUTE: &str = "/db/execute?transaction";
/// How long one question may take.
const LONGEST: Duration = Duration::from_secs(60);

/// An rqlite server.
#[derive(Clone)]
pub struct Rqlite {
    /// Its address without user and password, so that no message can hold them.
    url: String,
    /// User and password, as they are sent.
    credentials: Option<HeaderValue>,
    agent: ureq::Agent,
    /// The same for what may take any time.
    patient: ureq::Agent,
    /// How to do without it.
    without: Advice,
}

impl Rqlite {
    /// The server at `url`, which may hold `user:password@`; not yet contacted. Its certificate must be signed by one of the
    /// `authorities`, a PEM file, else by a public one. `without` says how to do without the server.
    ///
    /// # Errors
    /// When the file of the authorities cannot be read.
    pub fn new(
        url: &str,
        authorities: Option<&Path>,
        without: Advice,
    ) -> Result<Self, PlatformError> {
        let (url, credentials) = address::split(url);
        if address::host(&url).is_none() {
            return Err(PlatformError::Rqlite {
                url: "an address that is not shown".to_owned(),
                what: "it is malformed; write http://user:password@host:port, with %40 for an @ and so on in the password"
                    .to_owned(),
                without,
            });
        }
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            credentials,
            agent: direct::agent(authorities, Some(LONGEST))?,
            patient: direct::agent(authorities, None)?,
            without,
        })
    }

    /// Hands over the unique entries, then the indexed ones, then the others, each ordered by key.
    ///
    /// # Errors
    /// When the server does not answer, has no leader or no such table, or when the sink fails.
    pub fn export(&self, scope: &Scope<'_>, sink: &mut dyn IndexSink) -> Result<(), ExportError> {
        if !index::ranges(scope).is_empty() {
            self.check_index(sink)?;
        }
        for (start, end) in index::ranges(scope) {
            let mut after = (*start).to_owned();
            loop {
                let rows = self.page(&after, end)?;
                let Some((last, _)) = rows.last() else {
                    break;
                };
                if *last <= after {
                    return Err(self.error("it gives the same rows again and again").into());
                }
                after.clone_from(last);
                for (key, value) in &rows {
                    index::hand_over(key, value, &self.url, scope, sink)?;
                }
            }
        }
        Ok(())
    }

    /// The rows after a key and before another.
    fn page(&self, after: &str, end: &str) -> Result<Vec<(String, String)>, PlatformError> {
        let sql = "SELECT key, value FROM keyValue WHERE key > ? AND key < ? ORDER BY key LIMIT ?";
        self.call(QUERY, &serde_json::json!([[sql, after, end, PAGE]]))
    }

    /// The stored values of these keys; none of a platform that has no such table yet.
    ///
    /// # Errors
    /// When the server does not answer or has no leader.
    pub fn values(&self, keys: &[String]) -> Result<Vec<Option<String>>, PlatformError> {
        let mut found = HashMap::new();
        if keys.is_empty() || !self.has_table()? {
            return Ok(vec![None; keys.len()]);
        }
        for keys in keys.chunks(BATCH) {
            let marks = vec!["?"; keys.len()].join(", ");
            let sql = format!("SELECT key, value FROM keyValue WHERE key IN ({marks})");
            let mut statement = vec![sql];
            statement.extend_from_slice(keys);
            found.extend(self.call(QUERY, &serde_json::json!([statement]))?);
        }
        Ok(keys.iter().map(|key| found.remove(key)).collect())
    }

    /// The number of the last migration of Pryv's that it has seen, where it tells.
    ///
    /// # Errors
    /// When the server does not answer or has no leader.
    pub fn migration(&self) -> Result<Option<u32>, PlatformError> {
        let stored = self.values(&["migrations/version".to_owned()])?.pop();
        let stored = stored.flatten().unwrap_or_default();
        let stored: Option<serde_json::Value> = serde_json::from_str(&stored).ok();
        let version = stored.and_then(|stored| stored["version"].as_u64());
        Ok(version.and_then(|version| version.try_into().ok()))
    }

    /// The entries whose keys begin so; none of a platform that has no such table yet.
    ///
    /// # Errors
    /// When the server does not answer or has no leader.
    pub fn beginning(&self, prefix: &str) -> Result<Vec<(String, String)>, PlatformError> {
        let sql =
            "SELECT key, value FROM keyValue WHERE substr(key, 1, length(?)) = ? ORDER BY key";
        match self.has_table()? {
            true => self.call(QUERY, &serde_json::json!([[sql, prefix, prefix]])),
            false => Ok(Vec::new()),
        }
    }

    /// Stores entries, in place of what is there under their keys.
    ///
    /// # Errors
    /// When the server does not answer, has no leader or refuses.
    pub fn put(&self, entries: &[(String, String)]) -> Result<(), PlatformError> {
        for entries in entries.chunks(BATCH) {
            let table =
                "CREATE TABLE IF NOT EXISTS keyValue (key TEXT PRIMARY KEY, value TEXT NOT NULL)";
            let mut statements = vec![serde_json::json!([table])];
            statements.extend(entries.iter().map(|(key, value)| {
                let sql = "INSERT INTO keyValue (key, value) VALUES (?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value";
                serde_json::json!([sql, key, value])
            }));
            self.call(EXECUTE, &serde_json::Value::from(statements))?;
        }
        Ok(())
    }

    /// The keys of unique and indexed values that are of users; none of a platform that has no such table yet.
    ///
    /// # Errors
    /// When the server does not answer or has no leader.
    pub fn owned(&self, tokens: &[String]) -> Result<Vec<String>, PlatformError> {
        let sql = "WITH t AS (SELECT value FROM json_each(?)) SELECT key, value FROM keyValue \
            WHERE key > 'user-unique/' AND key < 'user-unique0' AND value IN t \
            OR key > 'user-indexed/' AND key < 'user-indexed0' AND substr(key, 14 + instr(substr(key, 14), '/')) IN t";
        let tokens = serde_json::to_string(tokens).unwrap_or_default();
        if !self.has_table()? {
            return Ok(Vec::new());
        }
        let rows = self.call(QUERY, &serde_json::json!([[sql, tokens]]))?;
        Ok(rows.into_iter().map(|(key, _)| key).collect())
    }

    /// Removes entries.
    ///
    /// # Errors
    /// When the server does not answer, has no leader or refuses.
    pub fn remove(&self, keys: &[String]) -> Result<(), PlatformError> {
        for keys in keys.chunks(BATCH) {
            let marks = vec!["?"; keys.len()].join(", ");
            let mut statement = vec![format!("DELETE FROM keyValue WHERE key IN ({marks})")];
            statement.extend_from_slice(keys);
            self.call(EXECUTE, &serde_json::json!([statement]))?;
        }
        Ok(())
    }

    /// Whether the table of the entries is there: a new platform makes it later. What the server answers about a missing table is a
    /// sentence only.
    fn has_table(&self) -> Result<bool, PlatformError> {
        let sql = "SELECT type, name FROM sqlite_master WHERE type = 'table' AND name = 'keyValue' COLLATE NOCASE";
        let found = self.call(QUERY, &serde_json::json!([[sql]]))?;
        Ok(!found.is_empty())
    }

    fn error(&self, what: &str) -> PlatformError {
        PlatformError::Rqlite {
            url: self.url.clone(),
            what: what.to_owned(),
            without: self.without.clone(),
        }
    }
}
