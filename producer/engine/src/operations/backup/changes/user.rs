//! One user: what is known of it, what is found, and what comes of the two.

use std::{
    io,
    sync::{Mutex, OnceLock},
};

use decryptor_wasm::{
    chain::{ChainKey, Removed, number},
    manifest::UserStats,
};

use super::{
    ATTACHMENTS, COLLECTIONS, Changes, LOOKS, LOST_ATTACHMENTS, SECTIONS, WHOLE,
    merge::{MergeStep, merge},
};
use crate::threads::lock;
use crate::{
    archive::{ArchiveError, UserFilesWriter},
    platform::{Collection, SinkError, User, UserSink},
    state::{Entry, EntryCollector, KnownUser, Lookup, Sorted, StateWriter, Stored, UserBlock},
};

/// A user that is being exported.
pub struct OpenUser<'a> {
    changes: &'a Changes<'a>,
    user: &'a User,
    /// Entries of the previous run, when they count.
    known: Option<KnownUser>,
    lookups: [OnceLock<Option<Lookup>>; SECTIONS],
    writer: OnceLock<UserFilesWriter<'a>>,
    found: Mutex<Collected>,
}

#[derive(Default)]
struct Collected {
    sections: [EntryCollector; SECTIONS],
    measurements: EntryCollector,
    /// Entries that are not found in these sections are not gone.
    keeps: [bool; SECTIONS],
    lost_attachments: bool,
    /// Where deleted streams were.
    stream_paths: Vec<(String, String)>,
    /// Something is missing: the next run is to look at it all again.
    lossy: bool,
    /// The next run is to bring everything.
    whole: bool,
}

/// Outcome of a section.
struct Section {
    now: Sorted,
    /// Entries that are in neither list stay known.
    keeps: bool,
    count: u64,
    gone: u64,
}

impl<'a> OpenUser<'a> {
    pub fn new(changes: &'a Changes<'a>, user: &'a User) -> io::Result<Self> {
        let known = changes.known(changes.user(user))?;
        Ok(OpenUser {
            changes,
            user,
            known: known.filter(|known| known.flags & WHOLE == 0),
            lookups: Default::default(),
            writer: OnceLock::new(),
            found: Mutex::default(),
        })
    }

    pub fn key(&self) -> &ChainKey {
        &self.changes.key
    }

    /// The number of the username.
    fn name(&self) -> u64 {
        number(self.key(), "usernames", &[&self.user.username])
    }

    pub fn tells(&self, collection: Collection) -> bool {
        self.changes.tells(collection)
    }

    /// Whether every record that comes of a collection goes into the archive.
    pub fn takes_all(&self, collection: Collection) -> bool {
        self.known.is_none() || self.tells(collection)
    }

    /// The user's part of the archive, which is made when it is needed.
    pub fn writer(&self) -> Result<&UserFilesWriter<'a>, ArchiveError> {
        let _turn = lock(&self.found);
        if let Some(writer) = self.writer.get() {
            return Ok(writer);
        }
        let writer = self.changes.archive.user(self.user)?;
        Ok(self.writer.get_or_init(|| writer))
    }

    /// Whether a record is new or not what it was.
    pub fn differs(&self, section: usize, (number, content): Entry) -> Result<bool, SinkError> {
        Ok(self.content(section, number)? != Some(content))
    }

    /// Whether a record was there in the run before.
    pub fn knows(&self, section: usize, number: u64) -> Result<bool, SinkError> {
        Ok(self.content(section, number)?.is_some())
    }

    /// Whether there was any record of a collection in the run before.
    pub fn has(&self, collection: Collection) -> bool {
        let before = self.before(collection as usize);
        before.is_some_and(|stored| stored.count() > 0)
    }

    /// The content that a record had in the run before.
    fn content(&self, section: usize, number: u64) -> Result<Option<u64>, SinkError> {
        let Some(known) = &self.known else {
            return Ok(None);
        };
        let place = &self.lookups[section];
        let lookup = match place.get() {
            Some(lookup) => lookup,
            None => {
                let stored = known.section(section as u8).map(Lookup::new).transpose();
                let stored = stored.map_err(|e| self.changes.failed(&e))?;
                place.get_or_init(|| stored)
            }
        };
        let Some(lookup) = lookup else {
            return Ok(None);
        };
        lookup.get(number).map_err(|e| self.changes.failed(&e))
    }

    /// Takes what a thread has noted.
    pub fn found(&self, section: usize, entries: &mut Vec<Entry>) -> Result<(), SinkError> {
        if entries.is_empty() {
            return Ok(());
        }
        self.note(entries, |found| &mut found.sections[section])
    }

    /// The same of measurements.
    pub fn measured(&self, entries: &mut Vec<Entry>) -> Result<(), SinkError> {
        self.note(entries, |found| &mut found.measurements)
    }

    fn note(
        &self,
        entries: &mut Vec<Entry>,
        place: impl Fn(&mut Collected) -> &mut EntryCollector,
    ) -> Result<(), SinkError> {
        if !self.changes.notes() {
            entries.clear();
            return Ok(());
        }
        let added = place(&mut lock(&self.found)).add(entries, &self.changes.folder);
        let added = added.map_err(|e| self.changes.failed(&e));
        self.changes.spare(added).map(|_| ())
    }

    /// Where a deleted stream was: it is told when there is anything else to tell of the user.
    pub fn stream_path(&self, id: &str, path: &str) {
        let path = (id.to_owned(), path.to_owned());
        lock(&self.found).stream_paths.push(path);
    }

    pub fn lost_attachment(&self) {
        lock(&self.found).lost_attachments = true;
        self.lossy();
    }

    /// A record is there that this run does not know: the next one is not to take it for an old one.
    pub fn bring_whole(&self) {
        lock(&self.found).whole = true;
    }

    pub fn lossy(&self) {
        lock(&self.found).lossy = true;
    }

    /// The records of these collections are those that they were.
    pub fn keep(&self, collections: &[Collection]) {
        let mut found = lock(&self.found);
        for collection in collections {
            found.keeps[*collection as usize] = true;
            if *collection == Collection::Events {
                found.keeps[ATTACHMENTS] = true;
            }
        }
    }

    /// Collections that could not be read: their records are not gone.
    pub fn incomplete(&self, collections: &str) {
        let mut found = lock(&self.found);
        for (section, collection) in COLLECTIONS.iter().enumerate() {
            found.keeps[section] |= collections.contains(collection.name());
        }
        found.keeps[ATTACHMENTS] |= collections.contains("attachments");
    }

    fn before(&self, section: usize) -> Option<&Stored> {
        self.known.as_ref()?.section(section as u8)
    }

    /// Compares what was found with what is known, and names what is gone. Returns whether two records have the same number.
    fn compare(
        &self,
        section: usize,
        keeps: bool,
        now: Sorted,
    ) -> Result<(Section, bool), SinkError> {
        let name = COLLECTIONS.get(section).map_or("attachments", |c| c.name());
        let tells = COLLECTIONS.get(section).is_some_and(|c| self.tells(*c));
        let (mut count, mut lost, mut again, mut unknown) = (0, 0, false, false);
        let mut gone = Vec::new();
        let failed = |e| self.changes.failed(&e);
        merge(self.before(section), &now, failed, &mut |step| {
            match step {
                MergeStep::Gone(_) if keeps => count += 1,
                MergeStep::Gone((number, _)) => {
                    lost += 1;
                    gone.push(number);
                }
                MergeStep::Both(_) => count += 1,
                MergeStep::New((_, content)) => {
                    count += 1;
                    unknown |= tells && content == 0;
                }
                MergeStep::Again => again |= section < ATTACHMENTS,
            }
            if gone.len() == Removed::PER_LINE && section < ATTACHMENTS {
                self.name_gone(name, &mut gone)?;
            }
            Ok(())
        })?;
        if unknown {
            return Err(self.changes.does_not_fit(
                "records are there that no transaction since has written and this host does not remember",
            ));
        }
        if section < ATTACHMENTS {
            self.name_gone(name, &mut gone)?;
        }
        let section = Section {
            now,
            keeps,
            count,
            gone: lost,
        };
        Ok((section, again))
    }

    /// Adds tombstones.
    fn name_gone(&self, collection: &str, numbers: &mut Vec<u64>) -> Result<(), SinkError> {
        if numbers.is_empty() {
            return Ok(());
        }
        let mut line = serde_json::to_vec(&Removed::new(collection, numbers))?;
        line.push(b'\n');
        numbers.clear();
        Ok(self.writer()?.remove(&line, 1)?)
    }

    /// Names what is gone and notes what is there; the numbers of all that the user has.
    fn write_state(&self, found: Collected) -> Result<UserStats, SinkError> {
        let failed = |e: io::Error| self.changes.failed(&e);
        let mut measurements = 0;
        let folder = &self.changes.folder;
        let mut sections = Vec::with_capacity(SECTIONS);
        let mut twice = false;
        for (at, (section, keeps)) in found.sections.into_iter().zip(found.keeps).enumerate() {
            let now = match at {
                LOOKS if found.lossy => Sorted::default(),
                _ => section.finish(folder).map_err(failed)?,
            };
            // Of what did not change, its attachments are not asked for.
            let partly = at == ATTACHMENTS && self.tells(Collection::Events);
            let (section, again) = self.compare(at, keeps || partly, now)?;
            twice |= again;
            if let Some(loss) = self.changes.totals.add(at, section.gone, section.count) {
                self.writer()?.sink().loss(loss)?;
            }
            sections.push(section);
        }
        if twice && self.known.is_some() {
            return Err(self
                .changes
                .does_not_fit("two records of a user cannot be told apart by their numbers"));
        }
        if found.keeps[Collection::Series as usize] {
            measurements += self.known.as_ref().map_or(0, |known| known.measurements);
        }
        merge(
            None,
            &found.measurements.finish(folder).map_err(failed)?,
            failed,
            &mut |step| {
                measurements += u64::from(matches!(step, MergeStep::New(_)));
                Ok(())
            },
        )?;
        let mut flags = 0;
        if twice || found.whole {
            flags |= WHOLE;
        }
        if found.lost_attachments {
            flags |= LOST_ATTACHMENTS;
        }
        let block = UserBlock {
            user: self.changes.user(self.user),
            name: self.name(),
            flags,
            measurements,
            sections: SECTIONS as u8,
        };
        self.changes
            .write(|out| self.remember(out, &block, &sections))?;
        Ok(stats(&sections, measurements))
    }

    /// Notes what is there now.
    fn remember(
        &self,
        out: &mut StateWriter,
        block: &UserBlock,
        sections: &[Section],
    ) -> io::Result<()> {
        out.user(block)?;
        for (at, section) in sections.iter().enumerate() {
            let tells = COLLECTIONS.get(at).is_some_and(|c| self.tells(*c));
            out.section(at as u8, !tells, section.count)?;
            merge(
                self.before(at),
                &section.now,
                |e| e,
                &mut |step| match step {
                    MergeStep::Gone(entry) if section.keeps => out.entry(entry, !tells),
                    MergeStep::Both(entry) | MergeStep::New(entry) => out.entry(entry, !tells),
                    MergeStep::Gone(_) | MergeStep::Again => Ok(()),
                },
            )?;
        }
        Ok(())
    }
}

impl OpenUser<'_> {
    /// All of the user has come.
    pub(super) fn finish(self) -> Result<(), SinkError> {
        let mut found = std::mem::take(&mut *lock(&self.found));
        let stream_paths = std::mem::take(&mut found.stream_paths);
        let noted = match self.changes.notes() {
            true => self.changes.spare(self.write_state(found))?,
            false => None,
        };
        let known = self.known.as_ref();
        if known.is_none_or(|known| known.name != self.name()) {
            self.writer()?;
        }
        let increment = self.changes.is_increment();
        let stats = noted.filter(|_| known.is_some());
        let collector = self.changes.collector;
        match self.writer.into_inner() {
            None => collector.unchanged(),
            Some(writer) => {
                for (id, path) in &stream_paths {
                    writer.stream_path(id, path);
                }
                let whole = increment && stats.is_none();
                collector.done(writer.finish(stats, whole)?)?;
            }
        }
        Ok(())
    }
}

/// The numbers of all that a user has.
fn stats(sections: &[Section], measurements: u64) -> UserStats {
    let of = |section: usize| sections.get(section).map_or(0, |section| section.count);
    let count = |collection: Collection| of(collection as usize);
    UserStats {
        streams: count(Collection::Streams),
        accesses: count(Collection::Accesses),
        profile: count(Collection::Profile),
        webhooks: count(Collection::Webhooks),
        events: count(Collection::Events),
        audit: count(Collection::Audit),
        series: measurements,
        attachments: of(ATTACHMENTS),
    }
}
