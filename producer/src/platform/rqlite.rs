//! The platform index in rqlite: which account holds which unique value, and the indexed values of accounts.

mod address;

use super::{ExportError, IndexSink, PlatformError, Scope, index};
use serde::Deserialize;
use std::collections::HashMap;
use std::time::Duration;
use ureq::http::{HeaderValue, header};

/// Rows per request.
const PAGE: usize = 1000;
/// Keys, or entries to store, per request.
const BATCH: usize = 500;
/// Strong reads, because others may be old or, in an election, empty.
const QUERY: &str = "/db/query?level=strong";
/// All or nothing.
const EXECUTE: &str = "/db/execute?transaction";
/// Bytes of one answer that are still read.
const LIMIT: u64 = 256 << 20;
/// A leader is found after one step; more than a few are a circle.
const REDIRECTS: usize = 5;
/// Pauses before asking again a cluster that is electing its leader, which takes it a second or two.
const ELECTION: [Duration; 3] = [Duration::from_secs(1); 3];

/// An rqlite server.
pub struct Rqlite {
    /// Its address without user and password, so that no message can hold them.
    url: String,
    /// User and password, as they are sent.
    credentials: Option<HeaderValue>,
    agent: ureq::Agent,
}

#[derive(Deserialize)]
struct Answer {
    results: Option<Vec<Rows>>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Rows {
    error: Option<String>,
    values: Option<Vec<(String, String)>>,
}

impl Rqlite {
    /// The server at `url`, which may hold `user:password@`; not yet contacted.
    #[must_use]
    pub fn new(url: &str) -> Self {
        // Directly, as Pryv.io does: a proxy for the Internet has no business between the two.
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(60)))
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .build();
        let (url, credentials) = address::split(url);
        Self {
            url: url.trim_end_matches('/').to_owned(),
            credentials,
            agent: config.into(),
        }
    }

    /// Hands over the unique entries, then the indexed ones, then the others, each ordered by key.
    ///
    /// # Errors
    /// When the server does not answer, has no leader or no such table, or when the sink fails.
    pub fn export(&self, scope: &Scope<'_>, sink: &mut dyn IndexSink) -> Result<(), ExportError> {
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
        for keys in keys.chunks(BATCH) {
            let marks = vec!["?"; keys.len()].join(", ");
            let sql = format!("SELECT key, value FROM keyValue WHERE key IN ({marks})");
            let mut statement = vec![sql];
            statement.extend_from_slice(keys);
            match self.call(QUERY, &serde_json::json!([statement])) {
                Ok(rows) => found.extend(rows),
                Err(e) if e.to_string().contains("no such table") => break,
                Err(e) => return Err(e),
            }
        }
        Ok(keys.iter().map(|key| found.remove(key)).collect())
    }

    /// The entries whose keys begin so; none of a platform that has no such table yet.
    ///
    /// # Errors
    /// When the server does not answer or has no leader.
    pub fn beginning(&self, prefix: &str) -> Result<Vec<(String, String)>, PlatformError> {
        let sql =
            "SELECT key, value FROM keyValue WHERE substr(key, 1, length(?)) = ? ORDER BY key";
        match self.call(QUERY, &serde_json::json!([[sql, prefix, prefix]])) {
            Err(e) if e.to_string().contains("no such table") => Ok(Vec::new()),
            other => other,
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

    /// Asks, and asks again while there is no leader.
    fn call(
        &self,
        endpoint: &str,
        statements: &serde_json::Value,
    ) -> Result<Vec<(String, String)>, PlatformError> {
        let body = statements.to_string();
        let mut pauses = ELECTION.iter();
        loop {
            if let Some(rows) = self.ask(endpoint, &body)? {
                return Ok(rows);
            }
            let pause = pauses.next().ok_or_else(|| {
                self.error("it has no leader; check that enough of its nodes run")
            })?;
            std::thread::sleep(*pause);
        }
    }

    /// What the leader answers to a query; nothing when there is no leader.
    fn ask(
        &self,
        endpoint: &str,
        body: &str,
    ) -> Result<Option<Vec<(String, String)>>, PlatformError> {
        let mut target = format!("{}{endpoint}", self.url);
        for _ in 0..=REDIRECTS {
            let (status, location, text) = self
                .post(&target, body)
                .map_err(|e| self.error(&format!("{e}; check the address and that it runs")))?;
            match (status, location) {
                (200, _) => return self.rows(&text),
                (301 | 302 | 307 | 308, Some(location)) => {
                    target = address::follow(&target, &location).ok_or_else(|| {
                        self.error(&format!(
                            "it redirects to {location:?}, which is no address"
                        ))
                    })?;
                }
                (401, _) if self.credentials.is_some() => {
                    return Err(self.error("it refuses the user and password; correct them"));
                }
                (401, _) => {
                    return Err(self.error(
                        "it wants a user and a password; write them as http://user:password@host",
                    ));
                }
                (503, _) => return Ok(None),
                _ => {
                    let text: String = String::from_utf8_lossy(&text).chars().take(200).collect();
                    return Err(self.error(&format!("it answers {status} {:?}", text.trim())));
                }
            }
        }
        Err(self.error("its nodes redirect to one another; check its leader"))
    }

    /// Status, place of the leader and body of an answer. Redirects are followed by the caller: HTTP libraries turn
    /// the second request into a GET without body.
    fn post(
        &self,
        target: &str,
        body: &str,
    ) -> Result<(u16, Option<String>, Vec<u8>), ureq::Error> {
        let mut request = self
            .agent
            .post(target)
            .header(header::CONTENT_TYPE, "application/json");
        // The nodes of a cluster share their users; but what went out encrypted stays encrypted.
        if let Some(credentials) = &self.credentials
            && (target.starts_with("https:") || !self.url.starts_with("https:"))
        {
            request = request.header(header::AUTHORIZATION, credentials);
        }
        let mut response = request.send(body)?;
        let location = response
            .headers()
            .get(header::LOCATION)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let text = response
            .body_mut()
            .with_config()
            .limit(LIMIT)
            .read_to_vec()?;
        Ok((response.status().as_u16(), location, text))
    }

    fn rows(&self, text: &[u8]) -> Result<Option<Vec<(String, String)>>, PlatformError> {
        let answer: Answer = serde_json::from_slice(text)
            .map_err(|e| self.error(&format!("it gives an unexpected answer: {e}")))?;
        let mut results = answer.results.unwrap_or_default();
        let refused = results.iter_mut().find_map(|rows| rows.error.take());
        let error = answer.error.or(refused);
        let first = results.into_iter().next();
        match (error, first) {
            (Some(error), _) => Err(self.error(&format!("it answers {error:?}"))),
            (None, rows) => Ok(rows.map(|rows| rows.values.unwrap_or_default())),
        }
    }

    fn error(&self, what: &str) -> PlatformError {
        PlatformError::Rqlite {
            url: self.url.clone(),
            what: what.to_owned(),
        }
    }
}
