//! How to reach the InfluxDB server.

use super::ConfigError;
use super::layers::{Layers, Setting};
use super::postgres::Password;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

/// An InfluxDB 1.x server, as `storages.engines.influxdb` describes it. Pryv.io knows its host and its port only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Influxdb {
    /// `host`: a name or address.
    pub host: String,
    /// `port`.
    pub port: u16,
    /// `username`, else `root`, which is what Pryv.io says.
    pub username: String,
    /// `password`; without a username it is `root`, as Pryv.io says.
    pub password: Password,
    /// Whether somebody has set a username.
    pub named: bool,
    /// `tls`: whether it is spoken to over https.
    pub tls: bool,
    /// `sslrootcert`, else the usual variable `SSL_CERT_FILE`: who signs its certificate.
    pub authorities: Option<PathBuf>,
    /// `timeout`, in seconds: how long it may say nothing.
    pub timeout: Duration,
}

/// What Pryv's client says where nothing is set.
const ROOT: &str = "root";

impl Influxdb {
    /// Pryv's keys and ours.
    pub(super) fn find(layers: &Layers, root: &Path) -> Result<Self, ConfigError> {
        let key = |name: &str| format!("storages.engines.influxdb.{name}");
        let set = |name: &str| -> Result<Option<Setting>, ConfigError> {
            let found = layers.find(&key(name))?;
            Ok(found.filter(|found| !found.value.is_empty()))
        };
        let host = layers.text(&key("host"))?;
        // In a whole address there may be a password.
        if host.is_address() || host.value.contains('/') {
            let advice = "name the host alone; the rest belongs into port, username, password and tls beside it";
            return Err(host.error(&key("host"), advice));
        }
        let port = layers.text(&key("port"))?;
        let port = (port.value.parse())
            .map_err(|_| port.error(&key("port"), "use a number from 1 to 65535"))?;
        let tls = match set("tls")? {
            None => false,
            Some(found) => {
                (found.value.parse()).map_err(|_| found.error(&key("tls"), "use true or false"))?
            }
        };
        let timeout = match set("timeout")? {
            None => 60,
            Some(found) => (found.value.parse().ok())
                .filter(|seconds| (1..=86_400).contains(seconds))
                .ok_or_else(|| found.error(&key("timeout"), "use a number of seconds"))?,
        };
        let username = set("username")?;
        let password = set("password")?.map(|found| found.value);
        let usual = if username.is_some() { "" } else { ROOT };
        Ok(Self {
            host: host.value,
            port,
            named: username.is_some(),
            username: username.map_or_else(|| ROOT.to_owned(), |found| found.value),
            password: Password(Zeroizing::new(password.unwrap_or_else(|| usual.to_owned()))),
            tls,
            authorities: set("sslrootcert")?
                .map(|found| root.join(found.value))
                .or_else(|| Some(layers.variable("SSL_CERT_FILE")?.value.into())),
            timeout: Duration::from_secs(timeout),
        })
    }

    /// Host and port, for messages.
    #[must_use]
    pub fn address(&self) -> String {
        match self.host.contains(':') && !self.host.starts_with('[') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}
