//! Observations about records: counts, results of their hashes, and remarks.

use std::collections::BTreeMap;

use crate::limits::NAMED;
use decryptor_wasm::{
    Result,
    integrity::{Hashed, Record, Verdict},
};
use serde::Serialize;

/// Something about records that is not as one would expect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Remark {
    /// The record is not what was hashed.
    StaleEvent,
    /// The same of an access.
    StaleAccess,
    /// Nobody can tell whether the record is what was hashed.
    UncheckedEvent,
    /// The same of an access.
    UncheckedAccess,
    /// An event is in a stream that is not there.
    UnknownStream,
    /// A stream's parent is not there.
    UnknownParent,
    /// An event lists a file that is not there.
    MissingAttachment,
    /// The same, and the event was deleted with it while the backup was made.
    GoneAttachment,
    /// A file is not what its event says.
    OtherAttachment,
    /// A file that no event lists.
    UnlistedAttachment,
    /// The user has no account.
    NoAccount,
}

impl Remark {
    /// In words, before the number and the ids.
    pub fn describe(self) -> &'static str {
        match self {
            Remark::StaleEvent => "events that do not match their integrity hash",
            Remark::StaleAccess => "accesses that do not match their integrity hash",
            Remark::UncheckedEvent => {
                "events whose integrity hash cannot be checked (nested too deep, or at odds with themselves)"
            }
            Remark::UncheckedAccess => {
                "accesses whose integrity hash cannot be checked (nested too deep)"
            }
            Remark::UnknownStream => "events in streams that the backup does not hold",
            Remark::UnknownParent => "streams whose parent the backup does not hold",
            Remark::MissingAttachment => {
                "attachments that events list and the backup does not hold"
            }
            Remark::GoneAttachment => {
                "attachments that were deleted with their events while the backup was made"
            }
            Remark::OtherAttachment => "attachments of other size or hash than their events say",
            Remark::UnlistedAttachment => "attachments that no event lists",
            Remark::NoAccount => "no account (passwords, e-mail address)",
        }
    }

    /// Whether something cannot be restored as it was, or nothing tells whether it was changed. `proven`: the inventory shows that
    /// the records are those that were backed up, so that a stale hash was stale already.
    pub fn is_problem(self, proven: bool) -> bool {
        match self {
            Remark::StaleEvent
            | Remark::StaleAccess
            | Remark::UncheckedEvent
            | Remark::UncheckedAccess => !proven,
            Remark::MissingAttachment | Remark::OtherAttachment | Remark::NoAccount => true,
            Remark::UnknownStream
            | Remark::UnknownParent
            | Remark::UnlistedAttachment
            | Remark::GoneAttachment => false,
        }
    }

    /// Whether nothing is wrong and it is told all the same.
    pub fn is_note(self) -> bool {
        self == Remark::GoneAttachment
    }
}

/// How often something was remarked, and of which records first.
#[derive(Debug, Default, Clone)]
pub struct Named {
    /// How often.
    pub count: u64,
    /// The first ids.
    pub ids: Vec<String>,
}

/// Results of the hashes of records.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Hashes {
    /// Records that match.
    pub matching: u64,
    /// That match but for the last digits of a duration, which Pryv.io itself loses.
    pub rounded: u64,
    /// Without a hash.
    pub unhashed: u64,
    /// That do not match.
    pub stale: u64,
    /// That cannot be checked.
    pub unknown: u64,
}

/// Observations about records.
#[derive(Debug, Default)]
pub struct RecordChecks {
    /// Of events and accesses.
    pub hashes: Hashes,
    /// Remarks.
    pub remarks: BTreeMap<Remark, Named>,
}

impl RecordChecks {
    /// Takes note of something.
    pub fn remark(&mut self, what: Remark, id: &str) {
        let named = self.remarks.entry(what).or_default();
        named.count += 1;
        if named.ids.len() < NAMED {
            named.ids.push(id.to_owned());
        }
    }

    /// Holds a record against its hash.
    pub fn hash(&mut self, kind: Hashed, record: &Record<'_>) -> Result<()> {
        let count = match record.verdict(kind)? {
            Verdict::Match => &mut self.hashes.matching,
            Verdict::Rounded => &mut self.hashes.rounded,
            Verdict::Unhashed => &mut self.hashes.unhashed,
            Verdict::Mismatch { .. } => {
                let what = match kind {
                    Hashed::Event => Remark::StaleEvent,
                    Hashed::Access => Remark::StaleAccess,
                };
                self.remark(what, &record.string("id").unwrap_or_default());
                &mut self.hashes.stale
            }
            Verdict::Unknown(_) => {
                let what = match kind {
                    Hashed::Event => Remark::UncheckedEvent,
                    Hashed::Access => Remark::UncheckedAccess,
                };
                self.remark(what, &record.string("id").unwrap_or_default());
                &mut self.hashes.unknown
            }
        };
        *count += 1;
        Ok(())
    }

    /// Adds what was seen elsewhere.
    pub fn merge(&mut self, other: RecordChecks) {
        self.hashes.matching += other.hashes.matching;
        self.hashes.rounded += other.hashes.rounded;
        self.hashes.unhashed += other.hashes.unhashed;
        self.hashes.stale += other.hashes.stale;
        self.hashes.unknown += other.hashes.unknown;
        for (what, named) in other.remarks {
            let all = self.remarks.entry(what).or_default();
            all.count += named.count;
            let room = NAMED - all.ids.len().min(NAMED);
            all.ids.extend(named.ids.into_iter().take(room));
        }
    }
}
