//! What became of transactions, as far as the server knows.

use std::collections::{HashMap, HashSet};

use super::PostgresWriter;
use crate::interrupt;
use crate::platform::postgres::connection::literal;
use crate::platform::write::RestoreError;

/// What the server answers about a transaction that it has not had yet.
const IN_THE_FUTURE: &str = "22023";

/// What became of a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It counts.
    Committed,
    /// It never was.
    Aborted,
    /// It goes on.
    Open,
    /// The server does not know, or does not know any more.
    Unknown,
}

impl PostgresWriter {
    /// What a transaction is known by: its id, and of which server that is.
    pub fn mark(&self, id: &str) -> String {
        format!("{id}@{}", self.cluster)
    }

    /// Asks the server what became of a transaction. One that was set up anew counts from the beginning.
    pub fn fate(&self, mark: &str) -> Result<Fate, RestoreError> {
        let (id, cluster) = mark.split_once('@').unwrap_or((mark, &self.cluster));
        if cluster != self.cluster {
            return Ok(Fate::Unknown);
        }
        let sql = format!("SELECT pg_xact_status({}::xid8), ''", literal(id));
        let asked = self.with(|connection| Ok(connection.rows(&sql)?));
        let rows = match asked {
            Err(RestoreError::Platform(e))
                if e.answer()
                    .is_some_and(|answer| answer.code == IN_THE_FUTURE) =>
            {
                return Ok(Fate::Unknown);
            }
            other => other?,
        };
        let status = rows.into_iter().flatten().flatten().next();
        Ok(match status.as_deref() {
            Some("committed") => Fate::Committed,
            Some("aborted") => Fate::Aborted,
            Some("in progress") => Fate::Open,
            _ => Fate::Unknown,
        })
    }

    /// Who is on the list of those whom the restore of this archive has made to stand, by transactions of which this became.
    pub fn listed(&self, fates: &[Fate]) -> Result<HashSet<String>, RestoreError> {
        let mut users = HashSet::new();
        // Many stand by the same one.
        let mut known: HashMap<String, Fate> = HashMap::new();
        for entry in self.staging.begun.entries()? {
            let fate = match entry.transaction {
                None => Fate::Committed,
                Some(mark) => match known.get(&mark) {
                    Some(fate) => *fate,
                    None => {
                        let fate = self.fate(&mark)?;
                        known.insert(mark, fate);
                        fate
                    }
                },
            };
            if fates.contains(&fate) {
                users.insert(entry.user_id);
            }
        }
        Ok(users)
    }

    /// What became of a transaction whose end was begun, and which a server that has lost the connection may not have noticed yet.
    pub fn settled(&self, id: &str) -> Result<Fate, RestoreError> {
        for _ in 0..50 {
            match self.fate(id)? {
                Fate::Open if interrupt::check().is_err() => break,
                Fate::Open => std::thread::sleep(std::time::Duration::from_millis(100)),
                other => return Ok(other),
            }
        }
        Ok(Fate::Open)
    }
}
