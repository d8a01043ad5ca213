//! Reads the files of a user that is being restored, as a backup would.

use std::io::Read;

use super::user::SqliteUser;
use crate::platform::sqlite::{account, base, events, file::SqliteFile, reading::Reading, series};
use crate::platform::unknown::ExportNotes;
use crate::platform::username_owners::Whose;
use crate::platform::write::RestoreError;
use crate::platform::{Attachment, Collection, ExportError, PlatformLoss, SinkError, UserSink};

impl SqliteUser {
    /// Reads a collection back.
    ///
    /// # Errors
    /// When a file cannot be read, or the error of `take`.
    pub fn read_back(
        &mut self,
        collection: Collection,
        take: &mut dyn FnMut(&[u8]) -> Result<(), RestoreError>,
    ) -> Result<(), RestoreError> {
        let own = self.staged.folder(&self.user.user_id.clone())?;
        let mut sink = Back {
            collection,
            take,
            lost: None,
        };
        let user = self.user.clone();
        let reading = &mut Reading {
            user: &user,
            sink: &mut sink,
        };
        let open = |name: &str| SqliteFile::open(&own.join(name));
        let outcome = match collection {
            Collection::Events => events::export(&open("local-1.0.0.sqlite")?, reading),
            Collection::Audit if own.join("audit-1.0.0.sqlite").exists() => {
                events::export_audit(&open("audit-1.0.0.sqlite")?, reading)
            }
            Collection::Audit => Ok(()),
            Collection::Account => account::export(&open("account-1.0.0.sqlite")?, reading),
            Collection::Series if self.staged.points_writer().is_some() => {
                self.staged.read_series(reading)
            }
            Collection::Series => self
                .namespaces
                .clone()
                .into_iter()
                .try_for_each(|namespace| {
                    let path = self
                        .staged
                        .folder(&namespace)
                        .map_err(|e| ExportError::Sink(Box::new(e)))?;
                    let file = SqliteFile::open(&path.join("series-1.0.0.sqlite"))?;
                    series::export(
                        &file,
                        &namespace,
                        &|_| Ok(Whose::Mine),
                        &ExportNotes::default(),
                        reading,
                    )
                }),
            _ => base::export(&open("baseStorage-1.0.0.sqlite")?, reading).map(|_| ()),
        };
        if let Some(lost) = sink.lost {
            return Err(RestoreError::Record {
                collection: "restored",
                what: lost.what,
            });
        }
        outcome.map_err(|e| match e {
            ExportError::Platform(e) => RestoreError::Platform(e),
            ExportError::Sink(e) => match e.downcast::<RestoreError>() {
                Ok(error) => *error,
                Err(other) => RestoreError::Conflict {
                    what: other.to_string(),
                },
            },
            other => RestoreError::Conflict {
                what: other.to_string(),
            },
        })
    }
}

/// Takes what is read back.
struct Back<'a> {
    collection: Collection,
    take: &'a mut dyn FnMut(&[u8]) -> Result<(), RestoreError>,
    /// The first record that could not be read.
    lost: Option<PlatformLoss>,
}

impl UserSink for Back<'_> {
    fn record(&mut self, collection: Collection, line: &[u8]) -> Result<(), SinkError> {
        if collection != self.collection {
            return Ok(());
        }
        Ok((self.take)(line)?)
    }

    fn attachment(
        &mut self,
        _: &Attachment,
        _: Option<u64>,
        _: &mut dyn Read,
    ) -> Result<(), SinkError> {
        Ok(())
    }

    fn loss(&mut self, loss: PlatformLoss) -> Result<(), SinkError> {
        self.lost.get_or_insert(loss);
        Ok(())
    }
}
