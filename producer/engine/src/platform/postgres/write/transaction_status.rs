//! The status of transactions, as far as the server knows it.

use std::collections::{HashMap, HashSet};

use tokio_postgres::error::SqlState;

use super::PostgresWriter;
use crate::interrupt;
use crate::platform::postgres::connection::literal;
use crate::platform::write::RestoreError;

/// Answer of the server about a transaction that it has not had yet.
const IN_THE_FUTURE: SqlState = SqlState::INVALID_PARAMETER_VALUE;

/// The status of a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TransactionStatus {
    /// It was committed.
    Committed,
    /// It was rolled back.
    Aborted,
    /// It is still open.
    Open,
    /// The server does not know, or does not know any more.
    Unknown,
}

impl PostgresWriter<'_> {
    /// Identity of a transaction: its id, and that of the server.
    pub fn mark(&self, id: &str) -> String {
        format!("{id}@{}", self.cluster)
    }

    /// Asks the server for the status of a transaction. A server that was set up anew counts from the beginning.
    pub fn transaction_status(&self, mark: &str) -> Result<TransactionStatus, RestoreError> {
        let (id, cluster) = mark.split_once('@').unwrap_or((mark, &self.cluster));
        if cluster != self.cluster {
            return Ok(TransactionStatus::Unknown);
        }
        let sql = format!("SELECT pg_xact_status({}::xid8), ''", literal(id));
        let asked = self.with(|connection| Ok(connection.rows(&sql)?));
        let rows = match asked {
            Err(RestoreError::Platform(e))
                if e.answer()
                    .is_some_and(|answer| answer.state == IN_THE_FUTURE) =>
            {
                return Ok(TransactionStatus::Unknown);
            }
            other => other?,
        };
        let status = rows.into_iter().flatten().flatten().next();
        Ok(match status.as_deref() {
            Some("committed") => TransactionStatus::Committed,
            Some("aborted") => TransactionStatus::Aborted,
            Some("in progress") => TransactionStatus::Open,
            _ => TransactionStatus::Unknown,
        })
    }

    /// The users on the list of the restored ones, by transactions of these statuses.
    pub fn listed(&self, statuses: &[TransactionStatus]) -> Result<HashSet<String>, RestoreError> {
        let mut users = HashSet::new();
        // Many users are of the same one.
        let mut known: HashMap<String, TransactionStatus> = HashMap::new();
        for entry in self.files.staging.restored_users.entries()? {
            let status = match entry.transaction {
                None => TransactionStatus::Committed,
                Some(mark) => match known.get(&mark) {
                    Some(status) => *status,
                    None => {
                        let status = self.transaction_status(&mark)?;
                        known.insert(mark, status);
                        status
                    }
                },
            };
            if statuses.contains(&status) {
                users.insert(entry.user_id);
            }
        }
        Ok(users)
    }

    /// Waits for the outcome of a transaction whose end was begun, and which a server that has lost the connection may not have noticed yet.
    pub fn wait_for_transaction(&self, id: &str) -> Result<TransactionStatus, RestoreError> {
        for _ in 0..50 {
            match self.transaction_status(id)? {
                TransactionStatus::Open if interrupt::check().is_err() => break,
                TransactionStatus::Open => {
                    std::thread::sleep(std::time::Duration::from_millis(100))
                }
                other => return Ok(other),
            }
        }
        Ok(TransactionStatus::Open)
    }
}
