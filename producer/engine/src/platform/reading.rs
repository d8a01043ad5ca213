//! Reading one user: what cannot be read becomes a loss.

use super::{Collection, ExportError, PlatformError, PlatformLoss, User, UserSink};
use std::path::Path;

/// The user being read and the sink that takes the records.
pub struct Reading<'a> {
    /// Owner of these records.
    pub user: &'a User,
    /// Who takes them.
    pub sink: &'a mut dyn UserSink,
}

impl Reading<'_> {
    /// Hands over one record.
    pub fn record(&mut self, collection: Collection, line: &[u8]) -> Result<(), ExportError> {
        self.sink
            .record(collection, line)
            .map_err(ExportError::Sink)
    }

    /// Notes a loss.
    ///
    /// # Errors
    /// That of the sink.
    pub fn lose(
        &mut self,
        collection: &str,
        path: &Path,
        what: impl Into<String>,
    ) -> Result<(), ExportError> {
        let loss = PlatformLoss {
            user_id: Some(self.user.user_id.clone()),
            collection: Some(collection.to_owned()),
            path: Some(path.display().to_string()),
            what: what.into(),
        };
        self.sink.loss(loss).map_err(ExportError::Sink)
    }

    /// Turns an unreadable store into a loss, so that the rest of the user is saved; the sink's errors pass.
    pub fn survive(
        &mut self,
        collection: &str,
        path: &Path,
        outcome: Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        match outcome {
            // Nor would the next store be read.
            Err(ExportError::Platform(
                error @ (PlatformError::Interrupted
                | PlatformError::S3(_)
                | PlatformError::Postgres { .. }),
            )) => Err(error.into()),
            Err(ExportError::Platform(error)) => {
                self.lose(collection, path, error.beside(path))?;
                self.sink.incomplete(collection);
                Ok(())
            }
            other => other,
        }
    }

    /// Takes note that what holds the records of a collection is not there, which Pryv.io makes when the first one comes: a loss when
    /// there were some in the run before. Whether it was one.
    ///
    /// # Errors
    /// That of the sink.
    pub fn absent(
        &mut self,
        collection: Collection,
        path: &Path,
        what: &str,
    ) -> Result<bool, ExportError> {
        let known = self.sink.absent(collection);
        if known {
            let what = format!(
                "{what}, and the run before has records of it; they stay as they were: put it back, or remove the state of the chain \
                 for a full run"
            );
            self.lose(collection.name(), path, what)?;
        }
        Ok(known)
    }
}
