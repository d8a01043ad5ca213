//! A group of users that is written in one transaction; their files lie aside until it is committed.

use super::PostgresWriter;
use super::bulk::Bulk;
use super::feed::{Refused, RowFeed, Table, table};
use super::refused::explain;
use super::rows::Lacking;
use crate::platform::json::Fields;
use crate::platform::postgres::connection::Connection;
use crate::platform::sqlite::write::SqliteUser;
use crate::platform::write::RestoreError;
use crate::platform::{Collection, User};

/// Users in an open transaction.
pub struct PostgresGroup<'a> {
    pub(super) platform: &'a PostgresWriter<'a>,
    pub(super) replace: bool,
    /// Taken while rows are on their way.
    pub(super) connection: Option<Connection>,
    pub(super) feed: Option<RowFeed>,
    pub(super) bulk: Option<Bulk>,
    pub(super) users: Vec<User>,
    /// Records of users that the platform keeps in files.
    pub(super) files: Vec<(String, SqliteUser)>,
}

impl<'a> PostgresGroup<'a> {
    /// Begins the transaction; what is to be replaced goes in it. With `bytes` the platform is made ready for so much; then there
    /// is no group where that would not be faster.
    pub(super) fn begin(
        platform: &'a PostgresWriter<'a>,
        users: &[&User],
        replace: bool,
        bytes: Option<u64>,
    ) -> Result<Option<Self>, RestoreError> {
        let connection = platform.connection()?;
        if bytes.is_some() {
            // So that the server does not go on building indexes for a run that was killed. Not every server can.
            let _ = connection.run("SET client_connection_check_interval = 1000");
        }
        let mut group = Self {
            platform,
            replace,
            connection: None,
            feed: None,
            bulk: None,
            users: Vec::with_capacity(users.len()),
            files: Vec::new(),
        };
        let connection = group.connection.insert(connection);
        connection.run("BEGIN; SET LOCAL synchronous_commit = on")?;
        if replace {
            connection.run(&platform.removal(users))?;
        } else if let Some(removal) = platform.series_removal(users) {
            // A user who is no more may have left series under a name that one of these has now.
            connection.run(&removal)?;
        }
        if let Some(bytes) = bytes {
            // An obstacle to the bulk path is none to the usual one.
            match Bulk::begin(connection, &platform.bulk_tables(), bytes, replace) {
                Ok(Some(bulk)) => group.bulk = Some(bulk),
                Ok(None) | Err(_) => return Ok(None),
            }
        }
        Ok(Some(group))
    }

    pub(super) fn connection(&self) -> Result<&Connection, RestoreError> {
        self.connection
            .as_ref()
            .ok_or_else(|| RestoreError::Conflict {
                what: "the transaction has ended".to_owned(),
            })
    }

    /// Appends the row of a record; `path` is where a stream is.
    pub(super) fn record(
        &mut self,
        collection: Collection,
        user_id: &str,
        fields: &Fields<'_>,
        path: Option<&str>,
    ) -> Result<Lacking, RestoreError> {
        let table = table(collection);
        self.rows(table)?;
        let lacking = match (self.platform.layout(collection), &mut self.feed) {
            (Some(layout), Some(feed)) => layout.write(user_id, fields, path, feed.rows(table)),
            _ => Lacking::default(),
        };
        self.pass(table)?;
        Ok(lacking)
    }

    /// Where the next row of a table is appended to.
    pub(super) fn rows(&mut self, table: Table) -> Result<&mut Vec<u8>, RestoreError> {
        if self.feed.is_none() {
            let connection = self
                .connection
                .take()
                .ok_or_else(|| RestoreError::Conflict {
                    what: "the transaction has ended".to_owned(),
                })?;
            let targets = Table::ALL.map(|table| self.target(table));
            self.feed = Some(RowFeed::begin(connection, targets.into())?);
        }
        match &mut self.feed {
            Some(feed) => Ok(feed.rows(table)),
            None => Err(RestoreError::Conflict {
                what: "the transaction has ended".to_owned(),
            }),
        }
    }

    pub(super) fn target(&self, table: Table) -> String {
        let layout = self
            .platform
            .layouts
            .iter()
            .find(|(collection, _)| self::table(*collection) == table);
        let columns = match layout {
            Some((_, layout)) => layout.columns(),
            None => table.columns().to_owned(),
        };
        let name = table.name();
        let fresh = self
            .bulk
            .as_ref()
            .is_some_and(|bulk| bulk.fresh.iter().any(|fresh| fresh == name));
        let frozen = if fresh { " (FREEZE)" } else { "" };
        format!("COPY {name} ({columns}) FROM STDIN{frozen}")
    }

    /// Takes note that rows were appended.
    pub(super) fn pass(&mut self, table: Table) -> Result<(), RestoreError> {
        match self.feed.as_mut().map(|feed| feed.pass(table)) {
            Some(Err(Refused)) => self.take_back(false),
            _ => Ok(()),
        }
    }

    /// Waits until the server has taken, or refused, what was handed over.
    pub(super) fn take_back(&mut self, all: bool) -> Result<(), RestoreError> {
        let Some(feed) = self.feed.take() else {
            return Ok(());
        };
        let (connection, outcome) = if all { feed.end()? } else { feed.stop()? };
        self.connection = Some(connection);
        outcome.map_err(|(table, refusal)| explain(table, refusal, &self.platform.tables))
    }

    /// A user is complete.
    pub(super) fn add(&mut self, user: User, files: SqliteUser) {
        if !files.is_empty() {
            self.files.push((user.user_id.clone(), files));
        }
        self.users.push(user);
    }
}

impl Drop for PostgresGroup<'_> {
    /// Whoever comes next may need what this has locked.
    fn drop(&mut self) {
        let _ = self.take_back(false);
        if let Some(connection) = self.connection.take()
            && connection.run("ROLLBACK").is_ok()
        {
            self.platform.give_back(connection);
        }
    }
}
