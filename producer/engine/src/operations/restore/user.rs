//! One user: everything is written aside, checked, and then committed.

use std::sync::Arc;

use decryptor_wasm::integrity::{Hashed, Record};

use super::{
    Options, Strictness, account,
    attachments::{Attachments, Digested},
    integrity::{Sum, check_hash},
    lines,
    report::{Integrity, Outcome},
    restored_user::RestoredUser,
    selection::{NameOwners, SelectedUser},
    series,
};
use crate::{
    archive::read::Archive,
    config::AccountField,
    platform::{
        Collection,
        write::{GroupWriter, RestoreError, UserWriter},
    },
    progress::Tally,
};

/// Where users come from, and how.
#[derive(Clone, Copy)]
pub struct RestoreSource<'a> {
    /// The archive.
    pub archive: &'a Archive,
    /// As the operator wants it.
    pub options: &'a Options,
    /// The fields that an account has.
    pub known: &'a [AccountField],
    /// Owners of each name.
    pub owners: &'a NameOwners,
    /// Counts what passes.
    pub tally: &'a Arc<Tally>,
}

/// A user whose records are with its group.
pub struct Filled<'a> {
    /// The outcome when the group is committed.
    pub done: RestoredUser,
    user: &'a SelectedUser,
    events: Sum,
    accesses: Sum,
}

impl<'a> RestoreSource<'a> {
    /// Hands a user over to a group.
    pub fn fill(
        self,
        group: &mut dyn GroupWriter,
        user: &'a SelectedUser,
    ) -> Result<Filled<'a>, RestoreError> {
        let mut done = RestoredUser::new(user, Outcome::Restored);
        let seen = UserRestore { user, from: self }.run(group.user(&user.target)?, &mut done)?;
        if self.options.verifies() {
            done.report.integrity = Some(seen.integrity);
        }
        Ok(Filled {
            done,
            user,
            events: seen.events,
            accesses: seen.accesses,
        })
    }

    /// When it is wanted: what the platform would give back is what the archive holds.
    pub fn compare(
        self,
        group: &mut dyn GroupWriter,
        filled: &Filled<'_>,
    ) -> Result<(), RestoreError> {
        if !self.options.compares() {
            return Ok(());
        }
        for (collection, kind, before) in [
            (Collection::Events, Hashed::Event, &filled.events),
            (Collection::Accesses, Hashed::Access, &filled.accesses),
        ] {
            let mut after = Sum::default();
            let user = &filled.user.target;
            group.read_back(user, collection, &mut |line| {
                after.add(kind, &Record::parse(line)?)
            })?;
            if after != *before {
                let because = match filled.done.report.losses.as_slice() {
                    [] => String::new(),
                    losses => format!(" ({})", losses.join("; ")),
                };
                return Err(RestoreError::Record {
                    collection: collection.name(),
                    what: format!(
                        "the platform would give back other records than the backup holds{because}"
                    ),
                });
            }
        }
        Ok(())
    }
}

struct UserRestore<'a> {
    user: &'a SelectedUser,
    from: RestoreSource<'a>,
}

/// Observations about the records on their way.
#[derive(Default)]
struct RecordsSeen {
    attachments: Attachments,
    events: Sum,
    accesses: Sum,
    integrity: Integrity,
    account: bool,
    /// Pieces of series under a name that is somebody else's too.
    foreign_series: u64,
}

impl UserRestore<'_> {
    fn run(
        &self,
        mut target: Box<dyn UserWriter + '_>,
        done: &mut RestoredUser,
    ) -> Result<RecordsSeen, RestoreError> {
        let mut seen = RecordsSeen::default();
        let (archive, id) = (self.from.archive, &self.user.source.user_id);
        target.stream_paths(archive.stream_paths(id)?);
        for collection in Collection::ALL {
            self.collection(collection, target.as_mut(), &mut seen, done)?;
        }
        if !seen.account {
            let usual = account::with_defaults("{}", self.from.known);
            target.records(Collection::Account, &usual)?;
            done.learn(Collection::Account, &usual);
        }
        if seen.foreign_series > 0 {
            let count = seen.foreign_series;
            done.report.losses.push(format!(
                "series: {count} pieces are kept under a name that is somebody else's too; they were left out"
            ));
        }
        self.attachments(target.as_mut(), &mut seen, done)?;
        for lack in target.end()? {
            done.report.losses.push(format!(
                "{}: {} in {} records has no place on this platform",
                lack.collection.name(),
                lack.what,
                lack.records
            ));
        }
        Ok(seen)
    }

    fn collection(
        &self,
        collection: Collection,
        target: &mut dyn UserWriter,
        seen: &mut RecordsSeen,
        done: &mut RestoredUser,
    ) -> Result<(), RestoreError> {
        let mut count = 0;
        for file in lines::files(self.from.archive, &self.user.source.user_id, collection) {
            lines::each(self.from.archive, &file, &mut |lines| {
                let mut here = 0;
                for line in lines::split(lines) {
                    here += 1;
                    self.look(collection, line, seen, done)?;
                }
                count += here;
                self.from.tally.add(here, lines.len() as u64);
                match collection {
                    Collection::Account => {
                        let lines = account::complete(lines, self.from.known)?;
                        done.learn(collection, &lines);
                        target.records(collection, &lines)
                    }
                    Collection::Series => {
                        let (lines, others) = series::named(lines, self.user, self.from.owners)?;
                        seen.foreign_series += others;
                        target.records(collection, &lines)
                    }
                    _ => target.records(collection, lines),
                }
            })?;
        }
        done.report.records.insert(collection.name(), count);
        Ok(())
    }

    /// Whether a record that does not match its hash was so when it was backed up.
    fn proven(&self) -> bool {
        self.from.archive.plan.inventoried && self.from.options.integrity == Strictness::Normal
    }

    fn look(
        &self,
        collection: Collection,
        line: &[u8],
        seen: &mut RecordsSeen,
        done: &mut RestoredUser,
    ) -> Result<(), RestoreError> {
        let how = self.from.options;
        let (kind, sum) = match collection {
            Collection::Events => {
                seen.attachments.note(line)?;
                done.learn(collection, line);
                (Hashed::Event, &mut seen.events)
            }
            Collection::Accesses => {
                done.learn(collection, line);
                (Hashed::Access, &mut seen.accesses)
            }
            Collection::Account => {
                seen.account = true;
                return Ok(());
            }
            _ => return Ok(()),
        };
        if how.verifies() || how.compares() {
            let record = Record::parse(line)?;
            if how.verifies() {
                check_hash(kind, &record, self.proven(), &mut seen.integrity)?;
            }
            if how.compares() {
                sum.add(kind, &record)?;
            }
        }
        Ok(())
    }

    fn attachments(
        &self,
        target: &mut dyn UserWriter,
        seen: &mut RecordsSeen,
        done: &mut RestoredUser,
    ) -> Result<(), RestoreError> {
        let verify = self.from.options.verifies();
        let mut count = 0;
        for (id, file) in lines::attachments(self.from.archive, &self.user.source.user_id) {
            let Some(listed) = seen.attachments.take(&id) else {
                // A chain keeps the files of events that are gone.
                if self.from.archive.chain.is_some() {
                    continue;
                }
                done.report.losses.push(format!(
                    "attachment {id}: no event lists it; it was left out"
                ));
                continue;
            };
            for one in &listed {
                let content = self.from.archive.content(&file)?;
                let mut content = Digested::new(content, verify, self.from.tally);
                target.attachment(&one.event_id, &id, &mut content)?;
                done.report.losses.extend(content.other_size(&id, one));
                content.check_hash(&id, one, self.proven(), &mut seen.integrity)?;
                count += 1;
            }
        }
        let lacks = self.from.archive.losses_of(&self.user.source.user_id)?;
        for (id, event_id) in seen.attachments.missing() {
            let (place, why) = match lacks.is_gone(id) {
                true => (
                    &mut done.report.notes,
                    "; it was deleted with its event while the backup was made",
                ),
                false => (&mut done.report.losses, ""),
            };
            place.push(format!(
                "attachment {id} of event {event_id} is not in the backup{why}"
            ));
        }
        done.report.records.insert("attachments", count);
        Ok(())
    }
}
