//! Targets of an export: where the records and files of a platform go.

use super::{Collection, ExportExtent, PlatformError, RecordKeys, Shared, User};

/// Tells whether the event of an attachment lists it now.
pub type Still<'a> = &'a dyn Fn(&Attachment) -> Result<bool, PlatformError>;

/// Error of a sink that cannot take a record: its own, passed through untouched.
pub type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// Something that the platform should have had and that the backup therefore lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformLoss {
    /// The user concerned, when there is one.
    pub user_id: Option<String>,
    /// The collection concerned (`attachments` included), when there is one.
    pub collection: Option<String>,
    /// The file concerned, when there is one.
    pub path: Option<String>,
    /// One line that says what happened.
    pub what: String,
}

/// An attachment that an event lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The event.
    pub event_id: String,
    /// The file.
    pub id: String,
    /// How many bytes it has, as the event says.
    pub size: Option<u64>,
    /// Whether the event is deleted, so that the file may be gone.
    pub deleted: bool,
}

impl Attachment {
    /// Reads the list of attachments of an event, as it is stored.
    ///
    /// # Errors
    /// When that is no such list.
    pub fn listed(event_id: &str, deleted: bool, text: &[u8]) -> serde_json::Result<Vec<Self>> {
        #[derive(serde::Deserialize)]
        struct Listed {
            id: String,
            #[serde(default)]
            size: serde_json::Value,
        }
        let list: Option<Vec<Listed>> = serde_json::from_slice(text)?;
        let of = |one: Listed| Self {
            event_id: event_id.to_owned(),
            id: one.id,
            size: one.size.as_u64(),
            deleted,
        };
        Ok(list.into_iter().flatten().map(of).collect())
    }

    /// The loss when there are other bytes than the event says, which is known of a live event only.
    #[must_use]
    pub fn other_size(&self, bytes: u64) -> Option<PlatformLoss> {
        let due = self.size.filter(|size| *size != bytes && !self.deleted)?;
        Some(self.loss(format!(
            "attachment {} of event {} has {bytes} bytes, and its event says {due}; it is in the backup as it is",
            self.id, self.event_id
        )))
    }

    /// A loss of it.
    #[must_use]
    pub fn loss(&self, what: String) -> PlatformLoss {
        PlatformLoss {
            user_id: None,
            collection: Some("attachments".to_owned()),
            path: None,
            what,
        }
    }
}

/// Takes the records and attachments of a user.
pub trait UserSink {
    /// Takes one record: a complete JSON object, without newline.
    ///
    /// # Errors
    /// Whatever keeps the sink from storing it; reading then stops.
    fn record(&mut self, collection: Collection, line: &[u8]) -> Result<(), SinkError>;

    /// Takes one attachment of an event, which has `length` bytes, if that is known before. A `reader` that fails is a loss, which the
    /// sink records before going on, and so are other bytes than the event says. Several events may bring the same file; one that has
    /// the same id and other content is a loss.
    ///
    /// # Errors
    /// Whatever keeps the sink from storing it; reading then stops.
    fn attachment(
        &mut self,
        file: &Attachment,
        length: Option<u64>,
        reader: &mut dyn std::io::Read,
    ) -> Result<(), SinkError>;

    /// Whether the run before has brought this attachment, so that its bytes are not needed.
    ///
    /// # Errors
    /// As [`Self::record`].
    fn knows(&self, _: &Attachment) -> Result<bool, SinkError> {
        Ok(false)
    }

    /// Takes note of an attachment that is gone because its event was deleted, or lists it no more, since the instant of the export.
    ///
    /// # Errors
    /// As [`Self::record`].
    fn gone(&mut self, _: &Attachment) -> Result<(), SinkError> {
        Ok(())
    }

    /// Takes note of a loss.
    ///
    /// # Errors
    /// As [`Self::record`].
    fn loss(&mut self, loss: PlatformLoss) -> Result<(), SinkError>;

    /// Takes note of where a deleted stream was, which its record does not tell; it comes before or after the record.
    ///
    /// # Errors
    /// As [`Self::record`].
    fn stream_path(&mut self, _id: &str, _path: &str) -> Result<(), SinkError> {
        Ok(())
    }

    /// Takes several records at once: `count` lines, each with its newline.
    ///
    /// # Errors
    /// As [`Self::record`].
    fn records(
        &mut self,
        collection: Collection,
        lines: &[u8],
        count: u64,
    ) -> Result<(), SinkError> {
        let mut taken = 0;
        for line in lines.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
            self.record(collection, line)?;
            taken += 1;
        }
        debug_assert_eq!(taken, count);
        Ok(())
    }

    /// Takes note of records that are there and as they were, according to the transactions that wrote them.
    ///
    /// # Errors
    /// As [`Self::record`].
    fn present(&mut self, _: Collection, _: &RecordKeys) -> Result<(), SinkError> {
        Ok(())
    }

    /// Takes note of a record that is there and could not be read, by its key; what it has come to is to be told as a loss. `again`: the
    /// next run comes to it in any case.
    ///
    /// # Errors
    /// As [`Self::record`].
    fn unreadable(&mut self, _: Collection, _key: &[u8], _again: bool) -> Result<(), SinkError> {
        Ok(())
    }

    /// Takes note of what the files look like in which these collections are (of events, with what they list); whether they looked
    /// so when the run before read them, and are therefore not to be read.
    fn as_it_was(&mut self, _: &[Collection], _looks: &[u8]) -> bool {
        false
    }

    /// Takes note that a store has no place for records of a collection; whether the run before had some, which then stay.
    fn absent(&mut self, _: Collection) -> bool {
        false
    }

    /// Takes note that a store holds what is told of at every run, so that the next one is to look at it again.
    fn look_again(&mut self) {}

    /// Takes note that a store could not be read to its end, in which these collections are.
    fn incomplete(&mut self, _collections: &str) {}

    /// Passes on what it still holds; to be called before it is dropped.
    ///
    /// # Errors
    /// As [`Self::record`].
    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// Where the users of an export go, several at once.
pub trait Target: Sync {
    /// Begins a user.
    ///
    /// # Errors
    /// Whatever keeps the target from storing the user; reading then stops.
    fn begin<'a>(&'a self, user: &'a User) -> Result<Box<dyn UserTarget + 'a>, SinkError>;

    /// Takes note of a loss that concerns no single user.
    fn lose(&self, loss: PlatformLoss);

    /// The transaction since which rows are needed: rows of earlier ones are known, of users who are not needed whole.
    fn since(&self) -> Option<u64> {
        None
    }

    /// How much is needed of a user.
    fn need(&self, _: &User) -> ExportExtent {
        ExportExtent::Whole
    }
}

/// Where one user goes; several threads may bring what belongs to it, each through a sink of its own.
pub trait UserTarget: Send + Sync {
    /// A sink for one thread.
    fn sink(&self) -> Box<dyn UserSink + '_>;

    /// Ends the user, whose sinks are all flushed.
    ///
    /// # Errors
    /// Whatever keeps the target from storing the user; reading then stops.
    fn finish(self: Box<Self>) -> Result<(), SinkError>;
}

/// Takes what belongs to no user.
pub trait IndexSink {
    /// Takes one entry: a complete JSON object, without newline.
    ///
    /// # Errors
    /// Whatever keeps the sink from storing it; reading then stops.
    fn record(&mut self, kind: Shared, line: &[u8]) -> Result<(), SinkError>;

    /// Takes note that a store has no place for entries of a kind; whether the run before had some, which then stay.
    fn absent(&mut self, _: Shared) -> bool {
        false
    }

    /// Takes one record of the audit trail of a user who is no more; those of one user come together.
    ///
    /// # Errors
    /// As [`Self::record`].
    fn kept_audit(&mut self, user_id: &str, line: &[u8]) -> Result<(), SinkError>;

    /// Takes note that a secret was left out, because the archive is not encrypted.
    fn withheld(&mut self);

    /// Takes note of a loss.
    fn loss(&mut self, loss: PlatformLoss);
}
