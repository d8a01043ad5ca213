//! Records that belong to no user: the entries that are new or differ, and those that are gone.

use decryptor_wasm::{
    chain::{ChainKey, Removed},
    layout::REMOVED_USERS,
};

use super::{
    Changes, emptied,
    merge::{MergeStep, merge},
    record, shared_number,
};
use crate::{
    archive::{ArchiveError, IndexDone, IndexWriter},
    platform::{IndexSink, PlatformLoss, Shared, SinkError},
    state::{Entry, EntryCollector, KnownUser, Lookup, Sorted, StateWriter, UserBlock},
};

/// The section of the audit trails of users who are no more.
const KEPT: usize = Shared::ALL.len();
const KINDS: usize = KEPT + 1;

/// See [`IndexSink`].
pub struct SharedChanges<'c, 'a> {
    changes: &'c Changes<'a>,
    writer: IndexWriter<'a>,
    known: Option<KnownUser>,
    lookups: [Option<Lookup>; KINDS],
    found: [EntryCollector; KINDS],
    /// There was no place to look for them: those of the run before stay.
    keeps: [bool; KINDS],
}

/// Outcome of a kind.
struct Section {
    now: Sorted,
    keeps: bool,
    count: u64,
}

impl<'c, 'a> SharedChanges<'c, 'a> {
    /// Nothing has come yet.
    ///
    /// # Errors
    /// When what is known cannot be read.
    pub fn new(changes: &'c Changes<'a>) -> Result<Self, SinkError> {
        let failed = |e| changes.failed(&e);
        let known = changes.known(shared_number(&changes.key)).map_err(failed)?;
        let mut lookups: [Option<Lookup>; KINDS] = Default::default();
        for (kind, lookup) in lookups.iter_mut().enumerate() {
            let section = known.as_ref().and_then(|known| known.section(kind as u8));
            *lookup = section.map(Lookup::new).transpose().map_err(failed)?;
        }
        Ok(SharedChanges {
            changes,
            writer: changes.archive.index(),
            known,
            lookups,
            found: Default::default(),
            keeps: Default::default(),
        })
    }

    fn key(&self) -> &'c ChainKey {
        &self.changes.key
    }

    /// Begins a file that is there even if it stays empty: in a full backup.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn begin(&mut self, kind: Shared) -> Result<(), ArchiveError> {
        if self.changes.is_increment() {
            return Ok(());
        }
        self.writer.begin(kind)
    }

    /// Names what is gone, notes what is there, and ends all files.
    ///
    /// # Errors
    /// When one of them cannot be written.
    pub fn finish(mut self) -> Result<IndexDone, SinkError> {
        let changes = self.changes;
        if changes.notes() {
            changes.spare(self.write_state())?;
        }
        Ok(self.writer.finish()?)
    }

    fn write_state(&mut self) -> Result<(), SinkError> {
        let changes = self.changes;
        let failed = |e| changes.failed(&e);
        let block = UserBlock {
            user: shared_number(self.key()),
            name: 0,
            flags: 0,
            measurements: 0,
            sections: KINDS as u8,
        };
        let mut sections: Vec<Section> = Vec::with_capacity(KINDS);
        let names = Shared::ALL.map(Shared::stem).into_iter();
        let names = names.chain([REMOVED_USERS]).enumerate();
        for ((kind, name), found) in names.zip(std::mem::take(&mut self.found)) {
            let now = found.finish(&changes.folder).map_err(failed)?;
            let before = self.known.as_ref().and_then(|k| k.section(kind as u8));
            let keeps = self.keeps[kind];
            let (mut gone, mut count, mut again) = (Vec::new(), 0, false);
            merge(before, &now, |e| e, &mut |step| {
                match step {
                    MergeStep::Gone(_) if keeps => count += 1,
                    MergeStep::Gone((number, _)) => gone.push(number),
                    MergeStep::Both(_) | MergeStep::New(_) => count += 1,
                    MergeStep::Again => again = true,
                }
                Ok(())
            })
            .map_err(failed)?;
            if again && self.changes.is_increment() {
                return Err(self.changes.does_not_fit(
                    "two entries of the platform cannot be told apart by their numbers",
                ));
            }
            for numbers in gone.chunks(Removed::PER_LINE) {
                let mut line = serde_json::to_vec(&Removed::new(name, numbers))?;
                line.push(b'\n');
                self.writer.remove(&line, 1)?;
            }
            if count == 0
                && let Some(kind) = Shared::ALL.get(kind)
                && let Some(loss) = emptied::shared(*kind, gone.len() as u64)
            {
                self.writer.loss(loss);
            }
            sections.push(Section { now, keeps, count });
        }
        changes.write(|out| self.remember(out, &block, &sections))
    }

    fn remember(
        &self,
        out: &mut StateWriter,
        block: &UserBlock,
        sections: &[Section],
    ) -> std::io::Result<()> {
        out.user(block)?;
        for (kind, section) in sections.iter().enumerate() {
            out.section(kind as u8, true, section.count)?;
            let before = self.known.as_ref().and_then(|k| k.section(kind as u8));
            merge(before, &section.now, |e| e, &mut |step| match step {
                MergeStep::Gone(entry) if section.keeps => out.entry(entry, true),
                MergeStep::Both(entry) | MergeStep::New(entry) => out.entry(entry, true),
                MergeStep::Gone(_) | MergeStep::Again => Ok(()),
            })?;
        }
        Ok(())
    }
}

impl IndexSink for SharedChanges<'_, '_> {
    fn record(&mut self, kind: Shared, line: &[u8]) -> Result<(), SinkError> {
        match self.differs(kind as usize, record::shared(self.key(), kind, line))? {
            true => self.writer.record(kind, line),
            false => Ok(()),
        }
    }

    fn kept_audit(&mut self, user_id: &str, line: &[u8]) -> Result<(), SinkError> {
        match self.differs(KEPT, record::kept_audit(self.key(), user_id, line))? {
            true => self.writer.kept_audit(user_id, line),
            false => Ok(()),
        }
    }

    fn absent(&mut self, kind: Shared) -> bool {
        let before = self.known.as_ref().and_then(|k| k.section(kind as u8));
        let known = before.is_some_and(|stored| stored.count() > 0);
        self.keeps[kind as usize] = known;
        known
    }

    fn withheld(&mut self) {
        self.writer.withheld();
    }

    fn loss(&mut self, loss: PlatformLoss) {
        self.writer.loss(loss);
    }
}

impl SharedChanges<'_, '_> {
    /// Takes note of what is there; whether it is new or not what it was.
    fn differs(&mut self, at: usize, entry: Entry) -> Result<bool, SinkError> {
        let changes = self.changes;
        if !changes.notes() {
            return Ok(true);
        }
        let failed = |e| changes.failed(&e);
        let before = match &self.lookups[at] {
            Some(lookup) => lookup.get(entry.0).map_err(failed)?,
            None => None,
        };
        let added = self.found[at].add(&mut vec![entry], &changes.folder);
        changes.spare(added.map_err(failed))?;
        Ok(before != Some(entry.1))
    }
}
