//! Answers of the server to a statement: few rows, how many it concerned, or why it was not carried out.

use super::answer::wait;
use super::connection::Connection;
use crate::platform::PlatformError;
use tokio_postgres::{SimpleQueryMessage, SimpleQueryRow};

/// Said of a name that cannot be read.
pub const NOT_UTF8: &str = "a name in it is not UTF-8, which its encoding (SQL_ASCII) does not mind: put it right (in users_index, or the names of series)";

impl Connection {
    fn messages(&self, sql: &str) -> Result<Vec<SimpleQueryMessage>, PlatformError> {
        let (runtime, address) = self.place();
        wait(&runtime, &address, self.client().simple_query(sql))
    }

    /// The rows of a query that gives few, as text.
    pub fn rows(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, PlatformError> {
        let text = |row: &SimpleQueryRow, i| match row.try_get(i) {
            Ok(text) => Ok(text.map(str::to_owned)),
            Err(_) => Err(self.error(NOT_UTF8)),
        };
        let rows = self.messages(sql)?.into_iter();
        let rows = rows.filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|i| text(&row, i)).collect()),
            _ => None,
        });
        rows.collect()
    }

    /// The same of a query that gives two columns; NULL is nothing.
    pub fn pairs(&self, sql: &str) -> Result<Vec<(String, String)>, PlatformError> {
        let rows = self.rows(sql)?.into_iter().map(|row| {
            let mut texts = row.into_iter().map(Option::unwrap_or_default);
            let mut next = || texts.next().unwrap_or_default();
            (next(), next())
        });
        Ok(rows.collect())
    }

    /// Runs statements, and tells how many rows each of them concerned.
    pub fn counts(&self, sql: &str) -> Result<Vec<u64>, PlatformError> {
        let counts = self.messages(sql)?.into_iter();
        let counts = counts.filter_map(|message| match message {
            SimpleQueryMessage::CommandComplete(count) => Some(count),
            _ => None,
        });
        Ok(counts.collect())
    }
}
