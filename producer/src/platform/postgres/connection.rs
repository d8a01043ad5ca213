//! Connections to the server, for threads that wait for its answers.

use super::copy::Copy;
use super::tls;
use crate::config::{Postgres, TlsMode};
use crate::interrupt;
use crate::platform::PlatformError;
use futures_util::future::try_join_all;
use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

/// As `pg_dump` does: however long it takes, it is not to be cut off; nor may policies hide rows.
const SESSION: &str = "SET statement_timeout = 0; SET lock_timeout = 0; \
    SET idle_in_transaction_session_timeout = 0; SET row_security = off; \
    SET standard_conforming_strings = on; SET jit = off; \
    SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN ('idle_session_timeout', 'transaction_timeout')";

/// How long nothing may come until it is checked whether the run was interrupted.
const PATIENCE: Duration = Duration::from_millis(200);

/// A server that may be connected to, several times.
pub struct Server {
    /// Host, port and database.
    pub address: String,
    config: tokio_postgres::Config,
    tls: MakeRustlsConnect,
}

/// A connection. Those that share a runtime make progress while any of them is waited for.
pub struct Connection {
    runtime: Arc<Runtime>,
    client: Client,
    address: String,
}

impl Server {
    /// The server of a configuration; not yet contacted.
    pub fn new(config: &Postgres) -> Result<Self, PlatformError> {
        let address = config.address();
        let tls = tls::connector(config).map_err(|what| error(&address, what))?;
        let mut parameters = tokio_postgres::Config::new();
        parameters
            .host(&config.host)
            .port(config.port)
            .dbname(&config.database)
            .user(&config.user)
            .application_name("pryv-backup")
            .connect_timeout(Duration::from_secs(15))
            .ssl_mode(match config.tls {
                TlsMode::Disable => SslMode::Disable,
                TlsMode::Prefer => SslMode::Prefer,
                _ => SslMode::Require,
            });
        if let Some(password) = &config.password {
            parameters.password(password.reveal());
        }
        Ok(Self {
            address,
            config: parameters,
            tls,
        })
    }

    /// Connects, with a runtime of its own.
    pub fn connect(&self) -> Result<Connection, PlatformError> {
        self.connect_on(&self.runtime()?)
    }

    /// What drives connections.
    pub fn runtime(&self) -> Result<Arc<Runtime>, PlatformError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let failed = |e| error(&self.address, format!("no event loop: {e}"));
        runtime.map(Arc::new).map_err(failed)
    }

    /// Connects, driven by `runtime`.
    pub fn connect_on(&self, runtime: &Arc<Runtime>) -> Result<Connection, PlatformError> {
        let connected = wait(runtime, &self.address, async {
            let (client, connection) = self.config.connect(self.tls.clone()).await?;
            // How it ends is told to whoever waits for an answer.
            tokio::spawn(async move {
                let _ = connection.await;
            });
            Ok(client)
        });
        let connection = Connection {
            runtime: runtime.clone(),
            client: connected?,
            address: self.address.clone(),
        };
        connection.run(SESSION)?;
        Ok(connection)
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
}

/// Begins the transaction in which everything is read.
pub const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

impl Connection {
    /// Runs statements that give no rows.
    pub fn run(&self, sql: &str) -> Result<(), PlatformError> {
        self.wait(self.client.batch_execute(sql))
    }

    /// The rows of a query that gives few, as text.
    pub fn rows(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, PlatformError> {
        let messages = self.wait(self.client.simple_query(sql))?;
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(
                (0..row.len())
                    .map(|i| row.get(i).map(str::to_owned))
                    .collect(),
            ),
            _ => None,
        });
        Ok(rows.collect())
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

    /// What drives it, and where it leads.
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

/// Waits for an answer. A server that sorts, or waits for a lock, says nothing for long; whoever interrupts the run is
/// not to wait for it.
pub fn wait<T>(
    runtime: &Runtime,
    address: &str,
    answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, PlatformError> {
    runtime.block_on(async {
        let mut answer = pin!(answer);
        loop {
            match timeout(PATIENCE, &mut answer).await {
                Ok(answer) => return answer.map_err(|e| failed(address, &e)),
                Err(_) => interrupt::check().map_err(|_| PlatformError::Interrupted)?,
            }
        }
    })
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

fn error(address: &str, what: String) -> PlatformError {
    PlatformError::Postgres {
        server: address.to_owned(),
        what,
    }
}

/// What the server or the way to it answered, and what to do.
fn failed(address: &str, source: &tokio_postgres::Error) -> PlatformError {
    let (what, advice) = match source.as_db_error() {
        Some(answer) => (
            format!("{} ({})", answer.message(), answer.code().code()),
            advice(answer.code()),
        ),
        None => {
            let mut what = source.to_string();
            let mut cause = source.source();
            while let Some(next) = cause {
                let next_text = next.to_string();
                if !what.contains(&next_text) {
                    what = format!("{what}: {next_text}");
                }
                cause = next.source();
            }
            (what, "check that it runs and that the address is right")
        }
    };
    error(address, format!("{}; {advice}", what.replace('\n', " ")))
}

fn advice(code: &SqlState) -> &'static str {
    match code.code() {
        "28P01" | "28000" => "correct the user and password",
        "3D000" => "correct the name of the database",
        "53100" | "53400" => {
            "rows are sorted there, for which the server needs about as much room for temporary files as its largest table takes: \
             make room, or raise temp_file_limit for this user"
        }
        "53300" => "the server has no connection left: raise its max_connections",
        "42P01" | "3F000" => "check that this is the database of a Pryv.io platform",
        "42501" => {
            "grant this user the rights on all tables: to read them for a backup, to write them for a restore"
        }
        "57014" | "57P01" | "57P02" | "57P03" | "40001" => "run the backup again",
        _ => "see the server's log",
    }
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
