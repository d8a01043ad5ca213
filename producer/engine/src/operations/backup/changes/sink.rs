//! The sink of one thread: records that have not changed do not go into the archive.

use std::io::{self, Read};

use decryptor_wasm::{chain::number, layout::is_safe_name};

use super::{
    ATTACHMENTS, LOOKS, SECTIONS,
    record::{self, Series},
    user::OpenUser,
};
use crate::{
    archive::{ArchiveError, Sink},
    platform::{Attachment, Collection, PlatformLoss, RecordKeys, SinkError, UserSink, UserTarget},
    state::Entry,
};

/// Entries that a thread collects before it hands them over.
const BATCH: usize = 8192;

/// See [`UserSink`].
pub struct ChangesSink<'s, 'a> {
    open: &'s OpenUser<'a>,
    inner: Option<Sink<'s>>,
    found: [Vec<Entry>; SECTIONS],
    measurements: Vec<Entry>,
    lines: Vec<u8>,
}

impl UserTarget for OpenUser<'_> {
    fn sink(&self) -> Box<dyn UserSink + '_> {
        Box::new(ChangesSink::new(self))
    }

    fn finish(self: Box<Self>) -> Result<(), SinkError> {
        OpenUser::finish(*self)
    }
}

impl<'s, 'a> ChangesSink<'s, 'a> {
    fn new(open: &'s OpenUser<'a>) -> Self {
        ChangesSink {
            open,
            inner: None,
            found: Default::default(),
            measurements: Vec::new(),
            lines: Vec::new(),
        }
    }

    /// What is remembered of an attachment.
    fn entry(&self, file: &Attachment) -> Entry {
        (number(self.open.key(), "attachments", &[&file.id]), 0)
    }

    /// The user's part of the archive, which begins with what first goes into it.
    fn inner(&mut self) -> Result<&mut Sink<'s>, ArchiveError> {
        match &mut self.inner {
            Some(inner) => Ok(inner),
            none => Ok(none.insert(self.open.writer()?.sink())),
        }
    }

    /// Notes what is there.
    fn note(&mut self, section: usize, entry: Entry) -> Result<(), SinkError> {
        let found = &mut self.found[section];
        found.push(entry);
        if found.len() >= BATCH {
            self.open.found(section, found)?;
        }
        Ok(())
    }

    /// Notes a record; whether it has to go into the archive.
    fn takes(&mut self, collection: Collection, line: &[u8]) -> Result<bool, SinkError> {
        let number = record::name(self.open.key(), collection, line);
        if self.open.tells(collection) {
            // Every record that comes was written since then.
            self.note(collection as usize, (number, 1))?;
            return Ok(true);
        }
        let content = record::content(self.open.key(), line);
        self.note(collection as usize, (number, content))?;
        self.open.differs(collection as usize, (number, content))
    }

    /// A line of a series, without the points that are as they were.
    fn series(&mut self, line: &[u8]) -> Result<(), SinkError> {
        let key = self.open.key().clone();
        let series = Series::parse(line)?;
        self.measurements.push((series.number(&key), 0));
        let section = Collection::Series as usize;
        let mut wanted = Vec::new();
        let mut all = true;
        for point in series.points(&key) {
            let (text, entry) = point?;
            self.note(section, entry)?;
            if self.open.differs(section, entry)? {
                wanted.push(text);
            } else {
                all = false;
            }
        }
        match (all, wanted.as_slice()) {
            (true, _) => self.inner()?.record(Collection::Series, line),
            (false, []) => Ok(()),
            (false, some) => {
                let line = series.with(some);
                self.inner()?.record(Collection::Series, &line)
            }
        }
    }
}

impl UserSink for ChangesSink<'_, '_> {
    fn record(&mut self, collection: Collection, line: &[u8]) -> Result<(), SinkError> {
        if collection == Collection::Series {
            return self.series(line);
        }
        if self.takes(collection, line)? {
            self.inner()?.record(collection, line)?;
        }
        Ok(())
    }

    fn records(
        &mut self,
        collection: Collection,
        lines: &[u8],
        count: u64,
    ) -> Result<(), SinkError> {
        let mut each = lines.split(|b| *b == b'\n').filter(|line| !line.is_empty());
        if collection == Collection::Series {
            return each.try_for_each(|line| self.series(line));
        }
        if self.open.takes_all(collection) {
            for line in each {
                self.takes(collection, line)?;
            }
            return self.inner()?.records(collection, lines, count);
        }
        let mut wanted = std::mem::take(&mut self.lines);
        wanted.clear();
        let mut taken = 0;
        for line in each {
            if self.takes(collection, line)? {
                wanted.extend_from_slice(line);
                wanted.push(b'\n');
                taken += 1;
            }
        }
        if taken > 0 {
            self.inner()?.records(collection, &wanted, taken)?;
        }
        self.lines = wanted;
        Ok(())
    }

    fn attachment(
        &mut self,
        file: &Attachment,
        length: Option<u64>,
        reader: &mut dyn Read,
    ) -> Result<(), SinkError> {
        let entry = self.entry(file);
        if !self.open.differs(ATTACHMENTS, entry)? {
            if let Some(loss) = length.and_then(|bytes| file.other_size(bytes)) {
                self.loss(loss)?;
            }
            return self.note(ATTACHMENTS, entry);
        }
        let mut watched = Watched {
            inner: reader,
            failed: false,
            bytes: 0,
        };
        self.inner()?.attachment(file, length, &mut watched)?;
        if watched.failed || !is_safe_name(&file.id) {
            self.open.lost_attachment();
            return Ok(());
        }
        if file.other_size(watched.bytes).is_some() {
            self.open.lost_attachment();
        }
        self.note(ATTACHMENTS, entry)
    }

    fn knows(&self, file: &Attachment) -> Result<bool, SinkError> {
        Ok(!self.open.differs(ATTACHMENTS, self.entry(file))?)
    }

    fn stream_path(&mut self, id: &str, path: &str) -> Result<(), SinkError> {
        self.open.stream_path(id, path);
        Ok(())
    }

    fn gone(&mut self, file: &Attachment) -> Result<(), SinkError> {
        self.inner()?.gone(file)
    }

    fn loss(&mut self, loss: PlatformLoss) -> Result<(), SinkError> {
        if loss.collection.as_deref() == Some("attachments") {
            self.open.lost_attachment();
        }
        self.open.lossy();
        self.inner()?.loss(loss)
    }

    fn present(&mut self, collection: Collection, keys: &RecordKeys) -> Result<(), SinkError> {
        for key in keys.iter() {
            let number = number(self.open.key(), collection.name(), &[key]);
            self.note(collection as usize, (number, 0))?;
        }
        Ok(())
    }

    fn unreadable(
        &mut self,
        collection: Collection,
        key: &[u8],
        again: bool,
    ) -> Result<(), SinkError> {
        let section = collection as usize;
        let number = number(self.open.key(), collection.name(), &[key]);
        // It stays as it was when it was last read; where its content is compared, no content is 0, so that it is looked at again.
        if self.open.knows(section, number)? {
            return self.note(section, (number, 0));
        }
        if self.open.tells(collection) && !again {
            self.open.bring_whole();
        }
        Ok(())
    }

    fn as_it_was(&mut self, collections: &[Collection], looks: &[u8]) -> bool {
        let names: Vec<&str> = collections.iter().map(|c| c.name()).collect();
        let key = self.open.key();
        let entry = (number(key, "looks", &names), record::content(key, looks));
        self.found[LOOKS].push(entry);
        // If it cannot be compared, it is read.
        let known = matches!(self.open.differs(LOOKS, entry), Ok(false));
        if known {
            self.open.keep(collections);
        }
        known
    }

    fn absent(&mut self, collection: Collection) -> bool {
        let known = self.open.has(collection);
        if known {
            self.open.keep(&[collection]);
        }
        known
    }

    fn look_again(&mut self) {
        self.open.lossy();
    }

    fn incomplete(&mut self, collections: &str) {
        self.open.incomplete(collections);
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        for (section, found) in self.found.iter_mut().enumerate() {
            self.open.found(section, found)?;
        }
        self.open.measured(&mut self.measurements)?;
        match &mut self.inner {
            Some(inner) => inner.flush(),
            None => Ok(()),
        }
    }
}

/// Notes whether it could be read, and how much of it there was.
struct Watched<'r> {
    inner: &'r mut dyn Read,
    failed: bool,
    bytes: u64,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer);
        match &read {
            Ok(bytes) => self.bytes += *bytes as u64,
            Err(e) => self.failed |= e.kind() != io::ErrorKind::Interrupted,
        }
        read
    }
}
