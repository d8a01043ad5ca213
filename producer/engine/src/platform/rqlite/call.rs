//! Requests to rqlite and its answers.

use super::Rqlite;
use crate::config::rqlite_address as address;
use crate::limits::MAX_RQLITE_ANSWER;
use crate::platform::PlatformError;
use crate::platform::waiting::{Incoming, pause};
use crate::threads::refused;
use serde::Deserialize;
use std::time::Duration;
use ureq::http::header;

/// A leader is found after one step; more than a few are a circle.
const REDIRECTS: usize = 5;
/// Pauses before asking again a cluster that is electing its leader, or a node that is starting: either takes it a second or two.
const PAUSES: [Duration; 4] = [Duration::from_secs(1); 4];

/// An answer with status 200, as rqlite 8 to 10 give it.
#[derive(Deserialize)]
struct Answer {
    results: Option<Vec<Rows>>,
    /// Why no statement was carried out: the nodes did not agree (a leader was lost, or is not ready), which mostly passes. That no
    /// leader is known is told by status 503.
    error: Option<String>,
}

#[derive(Deserialize)]
struct Rows {
    /// Why SQLite refused this statement, as it will again.
    error: Option<String>,
    values: Option<Vec<(String, String)>>,
}

/// The outcome of a request.
enum Answered {
    /// Rows.
    Rows(Vec<(String, String)>),
    /// Nothing yet, and the reason: asking again may help.
    Later(String),
}

impl Answered {
    fn leaderless() -> Self {
        Self::disagreeing("it has no leader")
    }

    fn disagreeing(what: &str) -> Self {
        Self::Later(format!("{what}; check that enough of its nodes run"))
    }
}

impl Rqlite {
    /// Asks, and asks again when that may help. All statements can be repeated: they read, or store what may be stored twice.
    pub(super) fn call(
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
            pause(*pauses.next().ok_or_else(|| self.error(&what))?)?;
        }
    }

    /// The same as [`Self::ask`], but whoever interrupts the run does not wait for a server that says nothing.
    fn asked(&self, endpoint: &'static str, body: &str) -> Result<Answered, PlatformError> {
        let (asking, body) = (self.clone(), body.to_owned());
        let incoming = Incoming::of(move |way_back| {
            // Nobody waits for it any more after a signal.
            let _ = way_back.send(asking.ask(endpoint, &body));
        });
        let incoming = incoming.map_err(|e| self.error(&refused(&e)))?;
        match incoming.next(None, true) {
            Ok(Some(answer)) => answer,
            Ok(None) => Err(self.error("the thread that asks it panicked")),
            Err(_) => Err(PlatformError::Interrupted),
        }
    }

    /// Asks the leader once.
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
                    let what = format!("it answers {status} {:?}", text.trim());
                    return match status {
                        500.. => Ok(Answered::disagreeing(&what)),
                        _ => Err(self.error(&what)),
                    };
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
            .limit(MAX_RQLITE_ANSWER)
            .read_to_vec()?;
        Ok((response.status().as_u16(), location, text))
    }

    fn rows(&self, text: &[u8]) -> Result<Answered, PlatformError> {
        let answer: Answer = serde_json::from_slice(text)
            .map_err(|e| self.error(&format!("it gives an unexpected answer: {e}")))?;
        let mut results = answer.results.unwrap_or_default();
        if let Some(error) = answer.error {
            return Ok(Answered::disagreeing(&format!("it answers {error:?}")));
        }
        if let Some(error) = results.iter_mut().find_map(|rows| rows.error.take()) {
            return Err(self.error(&format!("it answers {error:?}")));
        }
        match results.into_iter().next() {
            Some(rows) => Ok(Answered::Rows(rows.values.unwrap_or_default())),
            // No result at all is what it says while there is no leader.
            None => Ok(Answered::leaderless()),
        }
    }
}
