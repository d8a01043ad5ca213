//! Databases that a test may fill: one of the server here, and one of the real server that the tester names.

use super::{Server, Setup};
use serde_json::{Value, json};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;

/// Names an rqlite server, with user and password if it wants them, whose table `keyValue` is absent.
const REAL: &str = "RQLITE_URL";

/// The one real server serves one test at a time.
static REAL_IN_USE: Mutex<()> = Mutex::new(());

/// A server with a table `keyValue` that belongs to the test, and goes with it.
pub struct Scratch {
    /// Its address, with user and password if it wants them.
    pub url: String,
    /// The server, unless it is the real one.
    pub server: Option<Server>,
    _folder: Option<TempDir>,
    _turn: Option<MutexGuard<'static, ()>>,
}

impl Scratch {
    /// The server here, and the real one when the tester names one: what holds for the one must hold for the other.
    ///
    /// # Panics
    /// When the test does, or as `real` does.
    pub fn each(test: impl Fn(&Scratch)) {
        test(&Self::new(Setup::default()));
        if let Some(real) = Self::real() {
            test(&real);
        }
    }

    /// The server here, with an empty table.
    ///
    /// # Panics
    /// When it cannot start.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let folder = TempDir::new().unwrap();
        let server = Server::start(&folder.path().join("rqlite.db"), setup);
        let url = match server.node.setup.credentials {
            Some((user, password)) => server.url_for(user, password),
            None => server.url(),
        };
        server
            .node
            .database
            .lock()
            .unwrap()
            .execute_batch(TABLE)
            .unwrap();
        Self {
            url,
            server: Some(server),
            _folder: Some(folder),
            _turn: None,
        }
    }

    /// The server that the tester names, if there is one.
    ///
    /// # Panics
    /// When it has a table `keyValue` already, which a test must not touch.
    #[must_use]
    pub fn real() -> Option<Self> {
        let url = std::env::var(REAL).ok().filter(|url| !url.is_empty())?;
        let turn = REAL_IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        let (status, answer) = post(&url, "/db/execute", &json!([TABLE]));
        assert!(
            status == 200 && answer["results"][0].get("error").is_none(),
            "{REAL} must name a server without the table keyValue: {status} {answer}"
        );
        Some(Self {
            url,
            server: None,
            _folder: None,
            _turn: Some(turn),
        })
    }

    /// Puts keys and values into the table.
    ///
    /// # Panics
    /// When the server does not take them.
    pub fn fill<'a>(&self, rows: impl IntoIterator<Item = (&'a str, &'a str)>) {
        let insert = "INSERT INTO keyValue (key, value) VALUES (?, ?)";
        let rows: Vec<Value> = rows
            .into_iter()
            .map(|(k, v)| json!([insert, k, v]))
            .collect();
        let (status, answer) = post(&self.url, "/db/execute?transaction", &rows.into());
        assert_eq!(status, 200, "{answer}");
        for result in answer["results"].as_array().unwrap() {
            assert_eq!(result["rows_affected"], 1, "{result}");
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.server.is_none() {
            post(&self.url, "/db/execute", &json!(["DROP TABLE keyValue"]));
        }
    }
}

/// As Pryv.io makes it.
const TABLE: &str = "CREATE TABLE keyValue (key TEXT PRIMARY KEY, value TEXT NOT NULL)";

/// Sends a body to a server and gives status and answer; an answer that is not JSON comes as a string.
///
/// # Panics
/// When the server cannot be reached.
pub fn post(url: &str, path: &str, body: &Value) -> (u16, Value) {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .build()
        .into();
    let mut response = agent
        .post(format!("{url}{path}"))
        .header("content-type", "application/json")
        .send(body.to_string())
        .unwrap();
    let text = response.body_mut().read_to_string().unwrap();
    let answer = serde_json::from_str(&text).unwrap_or_else(|_| text.into());
    (response.status().as_u16(), answer)
}
