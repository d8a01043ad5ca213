//! How to reach the PostgreSQL server.

use super::ConfigError;
use super::layers::{Layers, Setting};
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use tokio_postgres::config::Host;
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
    /// `password`, else `PGPASSWORD`, else from `.pgpass`; none when empty.
    pub password: Option<Password>,
    /// `sslmode`, else `PGSSLMODE`, with libpq's meaning. Not a setting of Pryv.io, which knows no TLS here.
    pub tls: TlsMode,
    /// `sslrootcert`, else `PGSSLROOTCERT`, else `~/.postgresql/root.crt`: whose certificates are trusted.
    pub roots: Option<Roots>,
    /// `sslcert`, else `PGSSLCERT`, else `~/.postgresql/postgresql.crt`: the certificate that says who we are (PEM).
    pub certificate: Option<PathBuf>,
    /// `sslkey`, else `PGSSLKEY`, else `~/.postgresql/postgresql.key`: its private key (PEM or DER).
    pub certificate_key: Option<PathBuf>,
    /// A file of passwords that is not read, and why: for whoever is told that a password is missing.
    pub passwords_ignored: Option<String>,
}

/// Certificates that are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// Those in this file (PEM). As in libpq, a file that is not there is none.
    File(PathBuf),
    /// Those that this system trusts: `system`.
    System,
}

/// When the connection is encrypted, and what is checked then (PostgreSQL documentation, "SSL Mode Descriptions").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Never.
    Disable,
    /// When the server can, and its certificate is one that is trusted, where there are such; else not. The default.
    Prefer,
    /// Always; the certificate is checked where there are certificates to trust.
    Require,
    /// Always; the certificate must come from a trusted authority.
    VerifyCa,
    /// Always; and it must be that of the host.
    VerifyFull,
}

/// A text that is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub(super) Zeroizing<String>);

impl Password {
    /// The text itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(not shown)")
    }
}

impl Postgres {
    /// Highest first: `url`, Pryv's keys, libpq's variables, Pryv's defaults.
    pub(super) fn find(layers: &Layers, root: &Path) -> Result<Self, ConfigError> {
        let key = |name: &str| format!("storages.engines.postgresql.{name}");
        let url = match layers.find(&key("url"))?.filter(|f| !f.value.is_empty()) {
            Some(found) => Url::parse(&found, &key("url"))?,
            None => Url::default(),
        };
        let setting = |name: &str, given: Option<&String>, variable: &str| {
            if let Some(given) = given {
                return Ok(Some(Setting::of(given, &key("url"))));
            }
            let found = layers.find(&key(name))?.filter(|f| !f.value.is_empty());
            Ok(match (found, layers.variable(variable)) {
                (Some(found), Some(_)) if found.is_default() => layers.variable(variable),
                (None, variable) => variable,
                (found, _) => found,
            })
        };
        let needed = |name: &str, given: Option<&String>, variable: &str| match setting(
            name, given, variable,
        )? {
            Some(found) => Ok(found),
            None => layers.text(&key(name)),
        };
        let home = layers.home();
        let file = |name: &str, variable: &str, usual: &str| {
            let found = setting(name, url.files.get(name), variable)?;
            let usual = home
                .as_ref()
                .map(|home| home.join(".postgresql").join(usual));
            Ok::<_, ConfigError>(found.map(|found| root.join(found.value)).or(usual))
        };
        let host = plain(needed("host", url.host.as_ref(), "PGHOST")?, &key("host"))?;
        let port = needed("port", url.port.as_ref(), "PGPORT")?;
        let port = (port.value.parse())
            .map_err(|_| port.error(&key("port"), "use a number from 1 to 65535"))?;
        let database = needed("database", url.database.as_ref(), "PGDATABASE")?;
        let database = plain(database, &key("database"))?;
        let user = needed("user", url.user.as_ref(), "PGUSER")?;
        // Some hosts name users as name@server.
        let user = match user.value.contains(':') {
            true => plain(user, &key("user"))?,
            false => user.value,
        };
        let password = match url.password {
            Some(password) => Some(password),
            None => setting("password", None, "PGPASSWORD")?
                .map(|found| Password(Zeroizing::new(found.value))),
        };
        let (password, passwords_ignored) = match password {
            Some(password) => (Some(password), None),
            None => match super::pgpass::find(layers, &host, port, &database, &user) {
                Ok(found) => (found, None),
                Err(why) => (None, Some(why)),
            },
        };
        let named = setting("sslrootcert", url.files.get("sslrootcert"), "PGSSLROOTCERT")?;
        let system = named.as_ref().is_some_and(|found| found.value == "system");
        let mode = setting("sslmode", url.tls.as_ref(), "PGSSLMODE")?;
        let tls = match &mode {
            Some(found) => TlsMode::parse(found, &key("sslmode"))?,
            None if system => TlsMode::VerifyFull,
            None => TlsMode::Prefer,
        };
        if let Some(mode) = mode.filter(|_| system && tls != TlsMode::VerifyFull) {
            // Anybody gets a certificate of a public authority: it proves nothing where no name is asked for.
            return Err(mode.error(&key("sslmode"), "sslrootcert=system wants verify-full"));
        }
        Ok(Self {
            password,
            passwords_ignored,
            host,
            port,
            database,
            user,
            tls,
            roots: match system {
                true => Some(Roots::System),
                false => file("sslrootcert", "PGSSLROOTCERT", "root.crt")?.map(Roots::File),
            },
            certificate: file("sslcert", "PGSSLCERT", "postgresql.crt")?,
            certificate_key: file("sslkey", "PGSSLKEY", "postgresql.key")?,
        })
    }

    /// Host, port and database, for messages.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}:{}/{}", self.host, self.port, self.database)
    }

    /// Whether the host is the folder of a Unix socket.
    #[must_use]
    pub fn is_socket(&self) -> bool {
        self.host.starts_with('/')
    }

    /// Whether the connection proves that the server is the right one.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        match self.tls {
            TlsMode::VerifyCa | TlsMode::VerifyFull => true,
            TlsMode::Require => match &self.roots {
                Some(Roots::File(path)) => path.exists(),
                Some(Roots::System) => true,
                None => false,
            },
            TlsMode::Disable | TlsMode::Prefer => false,
        }
    }
}

/// A host or a database is shown in messages: it must not be a whole address, in which there may be a password.
fn plain(found: Setting, key: &str) -> Result<String, ConfigError> {
    if found.is_address() {
        let advice = "a whole address belongs into storages.engines.postgresql.url";
        return Err(found.error(key, advice));
    }
    Ok(found.value)
}

/// Parts of `storages.engines.postgresql.url`: `postgres://user:password@host:port/database?sslmode=…`.
#[derive(Default)]
struct Url {
    host: Option<String>,
    port: Option<String>,
    database: Option<String>,
    user: Option<String>,
    password: Option<Password>,
    tls: Option<String>,
    files: HashMap<&'static str, String>,
}

impl Url {
    fn parse(found: &Setting, key: &str) -> Result<Self, ConfigError> {
        let mut url = Self::default();
        // Parameters that say how the connection is encrypted go further here than in the library.
        let (base, query) = found.value.split_once('?').unwrap_or((&found.value, ""));
        let mut others = Vec::new();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match name {
                "sslmode" => url.tls = Some(decoded(value)),
                "sslrootcert" => drop(url.files.insert("sslrootcert", decoded(value))),
                "sslcert" => drop(url.files.insert("sslcert", decoded(value))),
                "sslkey" => drop(url.files.insert("sslkey", decoded(value))),
                "host" | "port" | "user" | "password" | "dbname" => others.push(parameter),
                // It is not named: what follows a `?` may be the rest of a password that holds one.
                _ => {
                    return Err(found.error(
                        key,
                        "after `?` there may be host, port, user, password, dbname, sslmode, sslrootcert, sslcert and sslkey only; \
                         write a `?` in a password as %3F",
                    ));
                }
            }
        }
        let text = Zeroizing::new(format!("{base}?{}", others.join("&")));
        let parsed: tokio_postgres::Config = (text.trim_end_matches('?').parse())
            .map_err(|_| found.error(key, "write postgres://user:password@host:port/database"))?;
        url.host = match parsed.get_hosts() {
            [] => None,
            [Host::Tcp(name)] => Some(name.clone()),
            #[cfg(unix)]
            [Host::Unix(folder)] => Some(folder.display().to_string()),
            _ => return Err(found.error(key, "name one host only")),
        };
        url.port = parsed.get_ports().first().map(ToString::to_string);
        url.database = parsed.get_dbname().map(str::to_owned);
        url.user = parsed.get_user().map(str::to_owned);
        url.password = parsed
            .get_password()
            .map(|bytes| Password(Zeroizing::new(String::from_utf8_lossy(bytes).into_owned())));
        Ok(url)
    }
}

/// A part of a URL without its percent signs.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = match after {
            [a, b, ..] if *first == b'%' => std::str::from_utf8(&[*a, *b])
                .ok()
                .and_then(|hex| u8::from_str_radix(hex, 16).ok()),
            _ => None,
        };
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl TlsMode {
    /// Its name for libpq.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }

    fn parse(found: &Setting, key: &str) -> Result<Self, ConfigError> {
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
