//! How to reach the PostgreSQL server.

use super::ConfigError;
use super::layers::{Found, Layers};
use std::fmt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A PostgreSQL server, as `storages.engines.postgresql` describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Postgres {
    /// `host`: a name or address, or the folder of a Unix socket.
    pub host: String,
    /// `port`.
    pub port: u16,
    /// `database`.
    pub database: String,
    /// `user`.
    pub user: String,
    /// `password`, else `PGPASSWORD`; none when empty.
    pub password: Option<Secret>,
    /// `sslmode`, else `PGSSLMODE`, with libpq's meaning. Not a setting of Pryv.io, which knows no TLS here.
    pub tls: TlsMode,
    /// `sslrootcert`, else `PGSSLROOTCERT`: the certificates to trust (PEM) instead of the public authorities.
    pub root_certificates: Option<PathBuf>,
}

/// When the connection is encrypted, and what is checked then (PostgreSQL documentation, "SSL Mode Descriptions").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Never.
    Disable,
    /// When the server can; nothing is checked. The default.
    Prefer,
    /// Always; the certificate is checked when `sslrootcert` is given.
    Require,
    /// Always; the certificate must come from a trusted authority.
    VerifyCa,
    /// Always; and it must be that of the host.
    VerifyFull,
}

/// A text that is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The text itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(not shown)")
    }
}

impl Postgres {
    pub(super) fn find(layers: &Layers, root: &Path) -> Result<Self, ConfigError> {
        let key = |name: &str| format!("storages.engines.postgresql.{name}");
        let text = |name: &str| Ok(layers.text(&key(name))?.value);
        let added = |name: &str, variable: &str| {
            let found = layers.find(&key(name))?.filter(|f| !f.value.is_empty());
            Ok(found.or_else(|| layers.variable(variable)))
        };
        let port = layers.text(&key("port"))?;
        Ok(Self {
            host: text("host")?,
            port: port
                .value
                .parse()
                .map_err(|_| port.error(&key("port"), "use a number from 1 to 65535"))?,
            database: text("database")?,
            user: text("user")?,
            password: added("password", "PGPASSWORD")?
                .map(|found| Secret(Zeroizing::new(found.value))),
            tls: match added("sslmode", "PGSSLMODE")? {
                Some(found) => TlsMode::parse(&found, &key("sslmode"))?,
                None => TlsMode::Prefer,
            },
            root_certificates: added("sslrootcert", "PGSSLROOTCERT")?
                .map(|found| root.join(found.value)),
        })
    }

    /// Host, port and database, for messages.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}:{}/{}", self.host, self.port, self.database)
    }
}

impl TlsMode {
    fn parse(found: &Found, key: &str) -> Result<Self, ConfigError> {
        Ok(match found.value.as_str() {
            "disable" => Self::Disable,
            "allow" | "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => {
                return Err(found.error(
                    key,
                    "use one of disable, allow, prefer, require, verify-ca, verify-full",
                ));
            }
        })
    }
}
