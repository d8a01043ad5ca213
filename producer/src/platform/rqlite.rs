//! The platform index in rqlite: which account holds which unique value, and the indexed values of accounts.

use super::json::Object;
use super::{ExportError, PlatformError, SinkError};
use serde::Deserialize;
use std::time::Duration;

/// Rows per request.
const PAGE: usize = 1000;
/// Bytes of one answer that are still read.
const LIMIT: u64 = 256 << 20;

/// An rqlite server.
pub struct Rqlite {
    url: String,
    agent: ureq::Agent,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    results: Vec<Rows>,
}

#[derive(Deserialize)]
struct Rows {
    error: Option<String>,
    #[serde(default)]
    values: Vec<(String, String)>,
}

impl Rqlite {
    /// The server at `url`, not yet contacted.
    #[must_use]
    pub fn new(url: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(60)))
            .build();
        Self {
            url: url.trim_end_matches('/').to_owned(),
            agent: config.into(),
        }
    }

    /// Hands over the unique entries, then the indexed ones, ordered by key.
    ///
    /// # Errors
    /// When the server does not answer, has no leader or no such table, or when `record` fails.
    pub fn export(
        &self,
        record: &mut dyn FnMut(&[u8]) -> Result<(), SinkError>,
    ) -> Result<(), ExportError> {
        for prefix in ["user-unique/", "user-indexed/"] {
            let mut after = prefix.to_owned();
            loop {
                let rows = self.page(prefix, &after)?;
                for (key, value) in &rows {
                    let line = entry(key, value).ok_or_else(|| {
                        self.error(format!("key {key:?} is not <kind>/<field>/<name>"))
                    })?;
                    record(&line).map_err(ExportError::Sink)?;
                }
                match rows.into_iter().last() {
                    Some((key, _)) => after = key,
                    None => break,
                }
            }
        }
        Ok(())
    }

    /// The rows of a prefix that come after a key. Strong reads: an election fails rather than giving nothing.
    fn page(&self, prefix: &str, after: &str) -> Result<Vec<(String, String)>, PlatformError> {
        let sql = "SELECT key, value FROM keyValue WHERE key > ? AND substr(key, 1, ?) = ? ORDER BY key LIMIT ?";
        let body = serde_json::json!([[sql, after, prefix.len(), prefix, PAGE]]).to_string();
        let mut response = self
            .agent
            .post(format!("{}/db/query?level=strong", self.url))
            .header("content-type", "application/json")
            .send(body)
            .map_err(|e| self.error(e.to_string()))?;
        let text = response
            .body_mut()
            .with_config()
            .limit(LIMIT)
            .read_to_vec()
            .map_err(|e| self.error(e.to_string()))?;
        let answer: Answer = serde_json::from_slice(&text)
            .map_err(|e| self.error(format!("unexpected answer: {e}")))?;
        match answer.results.into_iter().next() {
            Some(Rows {
                error: Some(error), ..
            }) => Err(self.error(error)),
            Some(rows) => Ok(rows.values),
            None => Err(self.error("it has no leader".to_owned())),
        }
    }

    /// An error that names the server without the credentials that its address may hold.
    fn error(&self, what: String) -> PlatformError {
        let url = match (self.url.split_once("://"), self.url.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
            _ => self.url.clone(),
        };
        PlatformError::Rqlite { url, what }
    }
}

/// `user-unique/<field>/<value>` → username, or `user-indexed/<field>/<username>` → value.
/// Only the first two slashes separate: a value may contain more.
fn entry(key: &str, stored: &str) -> Option<Vec<u8>> {
    let mut parts = key.splitn(3, '/');
    let (kind, field, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let unique = kind == "user-unique";
    let (username, value) = if unique {
        (stored, rest)
    } else {
        (rest, stored)
    };
    let mut object = Object::new();
    object.raw("isUnique", if unique { "true" } else { "false" });
    object
        .string("field", field)
        .string("username", username)
        .string("value", value);
    Some(object.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Read, Write};

    #[test]
    fn values_with_slashes_stay_whole() {
        let line = entry("user-unique/email/a/b@x", "bob").unwrap_or_default();
        assert_eq!(
            line,
            br#"{"isUnique":true,"field":"email","username":"bob","value":"a/b@x"}"#
        );
        let line = entry("user-indexed/language/bob", "en/gb").unwrap_or_default();
        assert_eq!(
            line,
            br#"{"isUnique":false,"field":"language","username":"bob","value":"en/gb"}"#
        );
    }

    /// A server that gives each answer to one request.
    fn server(answers: Vec<&'static str>) -> String {
        let Ok(listener) = std::net::TcpListener::bind("127.0.0.1:0") else {
            return String::new();
        };
        let port = listener.local_addr().map(|a| a.port()).unwrap_or_default();
        std::thread::spawn(move || {
            for answer in answers {
                let Ok((mut stream, _)) = listener.accept() else {
                    return;
                };
                let mut reader = BufReader::new(&stream);
                let (mut line, mut length) = (String::new(), 0);
                while reader.read_line(&mut line).is_ok_and(|n| n > 2) {
                    if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = n.trim().parse().unwrap_or(0);
                    }
                    line.clear();
                }
                let _ = reader.read_exact(&mut vec![0; length]);
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    answer.len()
                );
                let _ = stream.write_all((head + answer).as_bytes());
            }
        });
        format!("http://127.0.0.1:{port}")
    }

    #[test]
    fn an_election_is_an_error_and_no_empty_index() {
        let outcome = Rqlite::new(&server(vec![r#"{"results":[]}"#])).export(&mut |_| Ok(()));
        assert!(outcome.is_err_and(|e| e.to_string().contains("no leader")));
    }

    #[test]
    fn both_kinds_are_read_page_by_page() {
        let none = r#"{"results":[{"columns":["key","value"]}]}"#;
        let url = server(vec![
            r#"{"results":[{"values":[["user-unique/email/a@x","a"]]}]}"#,
            none,
            r#"{"results":[{"values":[["user-indexed/language/a","en"]]}]}"#,
            none,
        ]);
        let mut lines = 0;
        let outcome = Rqlite::new(&url).export(&mut |_| {
            lines += 1;
            Ok(())
        });
        assert!(outcome.is_ok(), "{outcome:?}");
        assert_eq!(lines, 2);
    }
}
