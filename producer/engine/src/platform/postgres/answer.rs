//! Waiting for what the server answers, and what is said when it answers with an error, or not at all.

use crate::interrupt;
use crate::platform::{PlatformError, ServerError};
use std::error::Error;
use std::io;
use std::pin::pin;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;

/// How long nothing may come until it is checked whether the run was interrupted.
pub const PATIENCE: Duration = Duration::from_millis(200);

/// Waits for an answer.
pub fn wait<T>(
    runtime: &Runtime,
    address: &str,
    answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, PlatformError> {
    wait_for(runtime, answer)?.map_err(|e| failed(address, &e))
}

/// Waits. A server that sorts, or waits for a lock, says nothing for long; whoever interrupts the run is
/// not to wait for it.
pub fn wait_for<T>(runtime: &Runtime, answer: impl Future<Output = T>) -> Result<T, PlatformError> {
    runtime.block_on(async {
        let mut answer = pin!(answer);
        loop {
            match timeout(PATIENCE, &mut answer).await {
                Ok(answer) => return Ok(answer),
                Err(_) => interrupt::check().map_err(|_| PlatformError::Interrupted)?,
            }
        }
    })
}

pub fn error(address: &str, what: String) -> PlatformError {
    PlatformError::Postgres {
        server: address.to_owned(),
        what,
        answer: None,
    }
}

pub fn failed(address: &str, source: &tokio_postgres::Error) -> PlatformError {
    let (what, advice) = describe(source);
    PlatformError::Postgres {
        server: address.to_owned(),
        what: format!("{what}; {advice}"),
        answer: answer(source),
    }
}

/// The answer of the server or of the way to it, and advice.
pub fn describe(source: &tokio_postgres::Error) -> (String, &'static str) {
    if let Some(answer) = source.as_db_error() {
        let what = format!("{} ({})", answer.message(), answer.code().code());
        return (what.replace('\n', " "), advice(answer.code()));
    }
    let mut what = source.to_string();
    for cause in causes(source) {
        let text = cause.to_string();
        if !what.contains(&text) {
            what = format!("{what}: {text}");
        }
    }
    let advice = match tls_error(source) {
        Some(rustls::Error::InvalidCertificate(_)) => {
            "check the server's certificate and what is trusted (sslmode, sslrootcert)"
        }
        Some(_) => "check sslmode, sslcert and sslkey, and the server's log",
        None if wants_password(source) => "correct the user and password",
        None => "check that it runs and that the address is right",
    };
    (what.replace('\n', " "), advice)
}

/// Causes of an error, one after the other.
fn causes(source: &tokio_postgres::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(source.source(), |cause| {
        let cause: &(dyn Error + 'static) = *cause;
        match cause.downcast_ref::<io::Error>() {
            Some(e) => e.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => cause.source(),
        }
    })
}

fn tls_error(source: &tokio_postgres::Error) -> Option<&rustls::Error> {
    causes(source).find_map(|cause| cause.downcast_ref())
}

/// Whether the server would perhaps take a connection that is not encrypted.
pub fn refuses_tls(source: &tokio_postgres::Error) -> bool {
    tls_error(source).is_some()
        || source.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
}

/// Whether it is about the log-in: said by the server, or by the library, which has no password to send.
pub fn wants_password(source: &tokio_postgres::Error) -> bool {
    match source.code() {
        Some(code) => *code == SqlState::INVALID_PASSWORD,
        None => {
            !source.is_closed()
                && causes(source)
                    .all(|cause| !cause.is::<io::Error>() && !cause.is::<rustls::Error>())
        }
    }
}

fn advice(state: &SqlState) -> &'static str {
    match *state {
        SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            "correct the user and password"
        }
        SqlState::INVALID_CATALOG_NAME => "correct the name of the database",
        SqlState::DISK_FULL | SqlState::CONFIGURATION_LIMIT_EXCEEDED => {
            "rows are sorted there, for which the server needs about as much room for temporary files as its largest table takes: \
             make room, or raise temp_file_limit for this user"
        }
        SqlState::TOO_MANY_CONNECTIONS => {
            "the server has no connection left: raise its max_connections"
        }
        SqlState::UNDEFINED_TABLE | SqlState::INVALID_SCHEMA_NAME => {
            "check that this is the database of a Pryv.io platform"
        }
        SqlState::INSUFFICIENT_PRIVILEGE => {
            "grant this user the rights on all tables: to read them for a backup, to write them for a restore; and BYPASSRLS, where they \
             have row level security"
        }
        SqlState::QUERY_CANCELED
        | SqlState::ADMIN_SHUTDOWN
        | SqlState::CRASH_SHUTDOWN
        | SqlState::CANNOT_CONNECT_NOW
        | SqlState::T_R_SERIALIZATION_FAILURE => "run the backup again",
        _ => "see the server's log",
    }
}

/// Answer of the server, when there was one.
fn answer(source: &tokio_postgres::Error) -> Option<Box<ServerError>> {
    let answer = source.as_db_error()?;
    Some(Box::new(ServerError {
        state: answer.code().clone(),
        table: answer.table().map(str::to_owned),
        column: answer.column().map(str::to_owned),
        constraint: answer.constraint().map(str::to_owned),
        context: answer.where_().map(str::to_owned),
    }))
}
