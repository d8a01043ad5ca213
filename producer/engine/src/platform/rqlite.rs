//! The platform index in rqlite: which account holds which unique value, and the indexed values of accounts.

mod unknown;

use super::{ExportError, IndexSink, PlatformError, Scope, index};
use crate::config::rqlite_address as address;
use crate::interrupt;
use crate::limits::MAX_RQLITE_ANSWER;
use crate::threads::refused;
use serde::Deserialize;
use std::collections::HashMap;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::Builder;
use std::time::Duration;
use ureq::http::{HeaderValue, header};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// Rows per request.
const PAGE: usize = 1000;
/// Keys, or entries to store, per request.
const BATCH: usize = 500;
/// Strong reads, because others may be old or, in an election, empty.
const QUERY: &str = "/db/query?level=strong";
/// All or nothing.
const EXECUTE: &str = "/db/execute?transaction";
/// A leader is found after one step; more than a few are a circle.
const REDIRECTS: usize = 5;
/// Pauses before asking again a cluster that is electing its leader, or a node that is starting: either takes it a second or two.
const PAUSES: [Duration; 4] = [Duration::from_secs(1); 4];
/// How long nothing may come until it is checked whether the run was interrupted.
const PATIENCE: Duration = Duration::from_millis(200);
/// What rqlite says, in several wordings, when its nodes do not agree on a leader.
const LEADERLESS: [&str; 5] = [
    "leader not found",
    "not leader",
    "leadership lost",
    "leadership transfer",
    "no leader",
];

/// An rqlite server.
#[derive(Clone)]
pub struct Rqlite {
    /// Its address without user and password, so that no message can hold them.
    url: String,
    /// User and password, as they are sent.
    credentials: Option<HeaderValue>,
    agent: ureq::Agent,
    /// The flag that does without it.
    without: &'static str,
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

/// What comes of asking.
enum Answered {
    /// Rows.
    Rows(Vec<(String, String)>),
    /// Nothing yet: why.
    Later(String),
}

impl Answered {
    fn leaderless() -> Self {
        Self::Later("it has no leader; check that enough of its nodes run".to_owned())
    }
}

impl Rqlite {
    /// The server at `url`, which may hold `user:password@`; not yet contacted. Its certificate must be signed by one of the
    /// `authorities`, a PEM file, else by a public one. The flag `without` does without the server.
    ///
    /// # Errors
    /// When the file of the authorities cannot be read.
    pub fn new(
        url: &str,
        authorities: Option<&Path>,
        without: &'static str,
    ) -> Result<Self, PlatformError> {
        let mut tls = TlsConfig::builder();
        if let Some(path) = authorities {
            tls = tls.root_certs(trusted(path)?);
        }
        // Directly, as Pryv.io does: a proxy for the Internet has no business between the two.
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(60)))
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .tls_config(tls.build())
            .build();
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
            agent: config.into(),
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

    /// Asks, and asks again when that may help. All statements can be repeated: they read, or store what may be stored twice.
    fn call(
        &self,
        endpoint: &'static str,
        statements: &serde_json::Value,
    ) -> Result<Vec<(String, String)>, PlatformError> {
        let body = statements.to_string();
        let mut pauses = PAUSES.iter();
        loop {
            let what = match self.asked(endpoint, &body)? {
                Answered::Rows(rows) => return Ok(rows),
                Answered::Later(what) => what,
            };
            let pause = pauses.next().ok_or_else(|| self.error(&what))?;
            let mut left = *pause;
            while !left.is_zero() {
                interrupt::check().map_err(|_| PlatformError::Interrupted)?;
                let step = left.min(PATIENCE);
                std::thread::sleep(step);
                left -= step;
            }
        }
    }

    /// The same as [`Self::ask`], but whoever interrupts the run does not wait for a server that says nothing.
    fn asked(&self, endpoint: &'static str, body: &str) -> Result<Answered, PlatformError> {
        let (asking, body) = (self.clone(), body.to_owned());
        let (way_back, answer) = channel();
        let ask = move || way_back.send(asking.ask(endpoint, &body));
        if let Err(e) = Builder::new().spawn(ask) {
            return Err(self.error(&refused(&e)));
        }
        loop {
            match answer.recv_timeout(PATIENCE) {
                Ok(answer) => return answer,
                Err(RecvTimeoutError::Timeout) => {
                    interrupt::check().map_err(|_| PlatformError::Interrupted)?;
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.error("the thread that asks it panicked"));
                }
            }
        }
    }

    /// What the leader answers.
    fn ask(&self, endpoint: &str, body: &str) -> Result<Answered, PlatformError> {
        let mut target = format!("{}{endpoint}", self.url);
        for _ in 0..=REDIRECTS {
            let (status, location, text) = match self.post(&target, body) {
                Ok(answer) => answer,
                Err(e) => {
                    let what = format!("{e}; check the address and that it runs");
                    return match e {
                        // A node that is restarted, or a connection that broke off.
                        ureq::Error::Io(_) | ureq::Error::ConnectionFailed => {
                            Ok(Answered::Later(what))
                        }
                        _ => Err(self.error(&what)),
                    };
                }
            };
            match (status, location) {
                (200, _) => return self.rows(&text),
                (301 | 302 | 307 | 308, Some(location)) => {
                    target = address::follow(&target, &location).ok_or_else(|| {
                        self.error("it redirects to what is no address; check its leader")
                    })?;
                    if self.url.starts_with("https:") && !target.starts_with("https:") {
                        let host = address::host(&target).unwrap_or_default();
                        return Err(self.error(&format!(
                            "it redirects to {host} over http, where all would go in the clear"
                        )));
                    }
                }
                (401, _) if self.credentials.is_some() => {
                    return Err(self.error("it refuses the user and password; correct them"));
                }
                (401, _) => {
                    return Err(self.error(
                        "it wants a user and a password; write them as http://user:password@host",
                    ));
                }
                (503, _) => return Ok(Answered::leaderless()),
                _ => {
                    let text: String = String::from_utf8_lossy(&text).chars().take(200).collect();
                    return self.refused(format!("it answers {status} {:?}", text.trim()));
                }
            }
        }
        Err(self.error("its nodes redirect to one another; check its leader"))
    }

    /// An error that it names: one that passes, or not.
    fn refused(&self, what: String) -> Result<Answered, PlatformError> {
        let lower = what.to_lowercase();
        if LEADERLESS.iter().any(|words| lower.contains(words)) {
            return Ok(Answered::Later(format!(
                "{what}; check that enough of its nodes run"
            )));
        }
        Err(self.error(&what))
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
            .limit(MAX_RQLITE_ANSWER)
            .read_to_vec()?;
        Ok((response.status().as_u16(), location, text))
    }

    fn rows(&self, text: &[u8]) -> Result<Answered, PlatformError> {
        let answer: Answer = serde_json::from_slice(text)
            .map_err(|e| self.error(&format!("it gives an unexpected answer: {e}")))?;
        let mut results = answer.results.unwrap_or_default();
        let refused = results.iter_mut().find_map(|rows| rows.error.take());
        match (answer.error.or(refused), results.into_iter().next()) {
            (Some(error), _) => self.refused(format!("it answers {error:?}")),
            (None, Some(rows)) => Ok(Answered::Rows(rows.values.unwrap_or_default())),
            // No result at all is what it says while there is no leader.
            (None, None) => Ok(Answered::leaderless()),
        }
    }

    fn error(&self, what: &str) -> PlatformError {
        PlatformError::Rqlite {
            url: self.url.clone(),
            what: what.to_owned(),
            without: self.without,
        }
    }
}

/// The certificates of a PEM file.
fn trusted(path: &Path) -> Result<RootCerts, PlatformError> {
    let pem = std::fs::read(path).map_err(|source| PlatformError::Io {
        path: path.to_owned(),
        source,
    })?;
    let found: Vec<Certificate<'static>> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if found.is_empty() {
        return Err(PlatformError::Record {
            path: path.to_owned(),
            what: "holds no certificate in PEM form".to_owned(),
        });
    }
    Ok(RootCerts::new_with_certs(&found))
}
