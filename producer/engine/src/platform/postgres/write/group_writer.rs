//! A group of users, as a restore sees it.

use super::TransactionStatus;
use super::commit::commit;
use super::feed::table;
use super::group::PostgresGroup;
use super::user::PostgresUser;
use crate::platform::postgres::connection::literal;
use crate::platform::postgres::copy::Row;
use crate::platform::postgres::shape::Shape;
use crate::platform::staging::{JournalMark, decide};
use crate::platform::write::{GroupWriter, RestoreError, UserWriter};
use crate::platform::{Collection, User};

impl GroupWriter for PostgresGroup<'_> {
    fn user<'g>(&'g mut self, user: &User) -> Result<Box<dyn UserWriter + 'g>, RestoreError> {
        let files = self.platform.files.stage(user, self.replace)?;
        Ok(Box::new(PostgresUser::new(self, user, files)?))
    }

    fn flush(&mut self) -> Result<(), RestoreError> {
        self.take_back(true)?;
        if let Some(bulk) = &self.bulk {
            bulk.end(self.connection()?, &self.platform.bulk_tables())?;
        }
        Ok(())
    }

    fn read_back(
        &mut self,
        user: &User,
        collection: Collection,
        take: &mut dyn FnMut(&[u8]) -> Result<(), RestoreError>,
    ) -> Result<(), RestoreError> {
        if !self.platform.engines.holds(collection) {
            let files = self.files.iter_mut().find(|(id, _)| *id == user.user_id);
            return files.map_or(Ok(()), |(_, files)| files.read_back(collection, take));
        }
        let name = table(collection).name();
        let shape = Shape::new(collection, self.platform.tables.columns(name));
        let query = format!(
            "SELECT {} FROM {name} WHERE user_id = {}",
            shape.select("user_id"),
            literal(&user.user_id)
        );
        let mut copy = self.connection()?.copy(&query)?;
        let (mut row, mut line) = (Row::default(), Vec::new());
        while copy.next(&mut row)? {
            line.clear();
            shape
                .write(&row, &mut line)
                .map_err(|what| RestoreError::Record {
                    collection: collection.name(),
                    what,
                })?;
            take(&line)?;
        }
        Ok(())
    }

    fn commit(mut self: Box<Self>) -> Result<Vec<Option<RestoreError>>, RestoreError> {
        let rows = self
            .connection()?
            .rows("SELECT pg_current_xact_id()::text")?;
        let xid = rows.into_iter().flatten().flatten().next();
        let xid = self.platform.mark(&xid.unwrap_or_default());
        for user in &self.users {
            let staging = &self.platform.files.staging;
            staging.restored_users.add(&user.user_id, Some(&xid))?;
        }
        let files = std::mem::take(&mut self.files).into_iter();
        let staged = files.map(|(_, files)| files.staged()).collect();
        let journals = decide(staged, &JournalMark::Transaction(xid.clone()))?;
        if journals.is_empty() {
            // Otherwise what brought the journals to the disk has brought the list too.
            self.platform.files.staging.restored_users.sync()?;
        }
        // From here on the next run knows what became of it.
        let unknown = |e: RestoreError| RestoreError::Unknown(Box::new(e));
        let committed = commit(
            self.connection()?,
            &self.platform.server,
            self.platform.observer,
        );
        let connection = self.connection.take();
        match (committed, connection) {
            (Ok(()), Some(connection)) => self.platform.give_back(connection),
            (Ok(()), None) => {}
            (Err(answer), connection) => {
                drop(connection);
                match self.platform.wait_for_transaction(&xid).map_err(unknown)? {
                    TransactionStatus::Committed => {}
                    TransactionStatus::Aborted => {
                        journals
                            .into_iter()
                            .try_for_each(|journal| journal.undo())?;
                        return Err(answer.into());
                    }
                    TransactionStatus::Open | TransactionStatus::Unknown => {
                        return Err(unknown(answer.into()));
                    }
                }
            }
        }
        let mut journals = journals.into_iter().peekable();
        let outcomes = self.users.iter().map(|user| {
            let journal = journals.next_if(|journal| journal.user == *user)?;
            let placed = self.platform.finish(journal);
            placed.err().map(|e| RestoreError::Unfinished(Box::new(e)))
        });
        Ok(outcomes.collect())
    }
}
