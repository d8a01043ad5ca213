//! Connections to the server, for threads that wait for its answers.

use super::answer::{describe, error, failed, refuses_tls, wait, wait_for, wants_password};
use super::copy::Copy;
use super::locate::located;
use super::tls;
use crate::config::{Postgres, TlsMode};
use crate::platform::PlatformError;
use futures_util::future::try_join_all;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{self, Runtime};
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::TlsStream;
use tokio_postgres::{Client, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

/// As `pg_dump` does: however long it takes, it is not to be cut off; nor may policies hide rows. From a database without an encoding
/// texts come as they are: asked for UTF-8, the server would end the whole table at the first that is none.
const SESSION: &str = "SET statement_timeout = 0; SET lock_timeout = 0; \
    SET idle_in_transaction_session_timeout = 0; SET row_security = off; \
    SET standard_conforming_strings = on; SET jit = off; \
    SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN ('idle_session_timeout', 'transaction_timeout'); \
    SELECT set_config('client_encoding', 'SQL_ASCII', false) WHERE current_setting('server_encoding') = 'SQL_ASCII'";

/// A server that may be connected to, several times.
pub struct Server {
    /// Host, port and database.
    pub address: String,
    config: tokio_postgres::Config,
    /// None where the connection is not to be encrypted.
    tls: Option<MakeRustlsConnect>,
    /// Advice when the server asks for a password that nobody gave.
    without_password: Option<String>,
}

/// A connection. Those that share a runtime make progress while any of them is waited for.
pub struct Connection {
    runtime: Arc<Runtime>,
    client: Client,
    /// Host, port and database.
    pub address: String,
}

impl Server {
    /// The server of a configuration; not yet contacted.
    pub fn new(config: &Postgres) -> Result<Self, PlatformError> {
        let address = config.address();
        // As in libpq: over a socket nothing is encrypted, whatever the mode.
        let mode = match config.is_socket() {
            true => TlsMode::Disable,
            false => config.tls,
        };
        let tls = match mode {
            TlsMode::Disable => None,
            // Where encryption cannot be set up, the connection is made without.
            TlsMode::Prefer => tls::connector(config).ok(),
            _ => Some(tls::connector(config).map_err(|what| error(&address, what))?),
        };
        let mut parameters = tokio_postgres::Config::new();
        parameters
            .host(&config.host)
            .port(config.port)
            .dbname(&config.database)
            .user(&config.user)
            .application_name("pryv-backup")
            .connect_timeout(Duration::from_secs(15))
            .ssl_mode(match mode {
                TlsMode::Disable => SslMode::Disable,
                TlsMode::Prefer => SslMode::Prefer,
                _ => SslMode::Require,
            });
        if let Some(password) = &config.password {
            parameters.password(password.reveal());
        }
        let without_password = config.password.is_none().then(|| {
            let why = config.passwords_ignored.as_ref();
            format!(
                "no password is configured{}",
                why.map(|why| format!(", and {why}")).unwrap_or_default()
            )
        });
        Ok(Self {
            address,
            config: parameters,
            tls,
            without_password,
        })
    }

    /// Connects, with a runtime of its own.
    pub fn connect(&self) -> Result<Connection, PlatformError> {
        self.connect_on(&self.runtime()?)
    }

    /// The runtime that drives connections.
    pub fn runtime(&self) -> Result<Arc<Runtime>, PlatformError> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let failed = |e| error(&self.address, format!("no event loop: {e}"));
        runtime.map(Arc::new).map_err(failed)
    }

    /// Connects, driven by `runtime`.
    pub fn connect_on(&self, runtime: &Arc<Runtime>) -> Result<Connection, PlatformError> {
        let config = located(&self.config, |what| self.error(what))?;
        let client = wait_for(runtime, self.open(&config))?.map_err(|e| {
            let (mut what, advice) = describe(&e);
            if let (Some(why), true) = (&self.without_password, wants_password(&e)) {
                what = format!("{what}: {why}");
            }
            error(&self.address, format!("{what}; {advice}"))
        })?;
        let connection = Connection {
            runtime: runtime.clone(),
            client,
            address: self.address.clone(),
        };
        connection.run(SESSION)?;
        Ok(connection)
    }

    async fn open(&self, config: &tokio_postgres::Config) -> Result<Client, tokio_postgres::Error> {
        let Some(tls) = &self.tls else {
            return config.connect(NoTls).await.map(driven);
        };
        match config.connect(tls.clone()).await {
            Ok(opened) => Ok(driven(opened)),
            // As libpq does: a server that does not take it encrypted may take it otherwise.
            Err(e) if config.get_ssl_mode() == SslMode::Prefer && refuses_tls(&e) => {
                let mut plain = config.clone();
                plain.ssl_mode(SslMode::Disable);
                plain.connect(NoTls).await.map(driven)
            }
            Err(e) => Err(e),
        }
    }

    /// Connects and sees what `snapshot` sees.
    pub fn connect_to(
        &self,
        runtime: &Arc<Runtime>,
        snapshot: &str,
    ) -> Result<Connection, PlatformError> {
        let connection = self.connect_on(runtime)?;
        let snapshot = literal(snapshot);
        connection.run(&format!("{BEGIN}; SET TRANSACTION SNAPSHOT {snapshot}"))?;
        Ok(connection)
    }

    /// A sentence about the server as an error.
    pub fn error(&self, what: impl Into<String>) -> PlatformError {
        error(&self.address, what.into())
    }

    /// The answer of the server, or of the way to it, as an error.
    pub fn failed(&self, source: &tokio_postgres::Error) -> PlatformError {
        failed(&self.address, source)
    }
}

/// Begins the transaction in which everything is read.
pub const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

impl Connection {
    /// Runs statements that give no rows.
    pub fn run(&self, sql: &str) -> Result<(), PlatformError> {
        self.wait(self.client.batch_execute(sql))
    }

    /// How many more connections the server takes from this user, as far as can be seen.
    pub fn spare(&self) -> Result<usize, PlatformError> {
        let rows = self.rows(
            "SELECT least(current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int \
               - (SELECT count(*) FROM pg_stat_activity WHERE usesysid IS NOT NULL), \
             (SELECT rolconnlimit - (SELECT count(*) FROM pg_stat_activity WHERE usename = current_user) \
               FROM pg_roles WHERE rolname = current_user AND rolconnlimit >= 0))",
        )?;
        let text = rows.into_iter().flatten().flatten().next();
        Ok(text.and_then(|text| text.parse().ok()).unwrap_or(0))
    }

    /// Begins to read the rows of a query, however many.
    pub fn copy(&self, query: &str) -> Result<Copy, PlatformError> {
        let sql = format!("COPY ({query}) TO STDOUT (FORMAT binary)");
        let stream = self.wait(self.client.copy_out(&sql))?;
        Ok(Copy::new(self.runtime.clone(), stream, &self.address))
    }

    /// The library's own connection.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The runtime that drives it, and the address that it leads to.
    pub fn place(&self) -> (Arc<Runtime>, String) {
        (self.runtime.clone(), self.address.clone())
    }

    fn wait<T>(
        &self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, PlatformError> {
        wait(&self.runtime, &self.address, answer)
    }

    /// A sentence about the server as an error.
    pub fn error(&self, what: impl Into<String>) -> PlatformError {
        error(&self.address, what.into())
    }
}

/// Begins to read the rows of several queries, each on the connection of the same place, all driven by one runtime.
/// Queries that sort answer late: so they all begin before any is waited for.
pub fn copies(connections: &[Connection], queries: &[String]) -> Result<Vec<Copy>, PlatformError> {
    let Some(Connection {
        runtime, address, ..
    }) = connections.first()
    else {
        return Ok(Vec::new());
    };
    let begun = connections.iter().zip(queries).map(|(connection, query)| {
        let sql = format!("COPY ({query}) TO STDOUT (FORMAT binary)");
        async move { connection.client.copy_out(&sql).await }
    });
    let streams = wait(runtime, address, try_join_all(begun))?;
    Ok(streams
        .into_iter()
        .map(|stream| Copy::new(runtime.clone(), stream, address))
        .collect())
}

/// A client whose connection is driven by the runtime. How it ends is told to whoever waits for an answer.
fn driven<T>((client, connection): (Client, tokio_postgres::Connection<Socket, T>)) -> Client
where
    T: TlsStream + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        let _ = connection.await;
    });
    client
}

/// A text as a literal of SQL.
pub fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        return format!("E'{}'", quoted.replace('\\', "\\\\"));
    }
    format!("'{quoted}'")
}

/// A name as an identifier of SQL.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
