//! The InfluxDB engine of series (1.x): a database for each name of an account, a measurement for each of its events.

mod call;
mod columns;
mod export;
mod lines;
mod points;
mod raw;
mod staged;

use super::{PlatformError, direct};
use crate::config::Influxdb;
use crate::threads::lock;
use base64ct::{Base64, Encoding};
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use ureq::http::HeaderValue;
use zeroize::Zeroizing;

pub use lines::PointsWriter;
pub use staged::SeriesDatabase;

/// An InfluxDB server.
#[derive(Clone)]
pub struct Influx {
    /// Host and port.
    address: String,
    url: String,
    /// User and password, as they are sent.
    credentials: HeaderValue,
    username: String,
    /// Whether somebody has set the user.
    named: bool,
    agent: ureq::Agent,
    /// How long it may say nothing.
    timeout: Duration,
    /// Whether it is asked again, and a signal ends the wait.
    patient: bool,
    /// The databases that were there when it was first asked.
    databases: Arc<Mutex<Option<Arc<HashSet<String>>>>>,
}

impl Influx {
    /// The server that a configuration describes; not yet contacted.
    ///
    /// # Errors
    /// When the file of the authorities cannot be read, or the address is malformed.
    pub fn new(config: &Influxdb) -> Result<Self, PlatformError> {
        let address = config.address();
        let malformed = |what: &str| PlatformError::Influxdb {
            server: address.clone(),
            what: what.to_owned(),
        };
        let scheme = if config.tls { "https" } else { "http" };
        let url = format!("{scheme}://{address}");
        if crate::config::rqlite_address::host(&url).is_none() {
            return Err(malformed("host is no name or address of a machine"));
        }
        let plain = Zeroizing::new(format!("{}:{}", config.username, config.password.reveal()));
        let header = Zeroizing::new(format!("Basic {}", Base64::encode_string(plain.as_bytes())));
        let mut credentials = HeaderValue::from_str(&header)
            .map_err(|_| malformed("username or password cannot be sent"))?;
        credentials.set_sensitive(true);
        Ok(Self {
            agent: direct::agent(config.authorities.as_deref(), None)?,
            timeout: config.timeout,
            username: config.username.clone(),
            named: config.named,
            patient: true,
            databases: Arc::default(),
            credentials,
            address,
            url,
        })
    }

    /// For what is undone: it is not asked again, and a signal that came before does not keep it from being asked.
    fn once(&self) -> Self {
        Self {
            patient: false,
            ..self.clone()
        }
    }

    /// The databases that were there when this was first asked.
    ///
    /// # Errors
    /// When the server does not answer, or does not say it all.
    pub fn databases(&self) -> Result<Arc<HashSet<String>>, PlatformError> {
        let mut known = lock(&self.databases);
        if let Some(known) = &*known {
            return Ok(known.clone());
        }
        // Who is no admin is told of some databases only, and only an admin may ask this.
        self.rows("SHOW USERS")?;
        Ok(known.insert(Arc::new(self.databases_now()?)).clone())
    }

    /// The databases that are there now.
    fn databases_now(&self) -> Result<HashSet<String>, PlatformError> {
        let rows = self.rows("SHOW DATABASES")?.into_iter();
        Ok(rows
            .filter_map(|row| row.cells.into_iter().next())
            .collect())
    }

    /// Runs a statement that answers nothing.
    fn run(&self, statement: &str) -> Result<(), PlatformError> {
        self.rows(statement).map(drop)
    }

    fn error(&self, what: impl Into<String>) -> PlatformError {
        PlatformError::Influxdb {
            server: self.address.clone(),
            what: what.into(),
        }
    }
}

/// A name in a statement.
fn identifier(name: &str) -> String {
    let mut quoted = String::with_capacity(name.len() + 2);
    quoted.push('"');
    for c in name.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

impl std::fmt::Debug for Influx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.address)
    }
}
