//! Whether records are what was hashed, and whether they are the same after the way through the platform.

use decryptor_wasm::integrity::{Hashed, Record, Verdict};
use sha2::{Digest, Sha256};

use super::report::Integrity;
use crate::limits::NAMED;
use crate::platform::write::RestoreError;

/// A sum over the records of one kind, which does not depend on their order.
#[derive(Default, Clone, PartialEq, Eq)]
pub struct Sum {
    records: u64,
    sum: u128,
}

impl Sum {
    /// Adds a record: its id and its hash.
    pub fn add(&mut self, kind: Hashed, record: &Record<'_>) -> Result<(), RestoreError> {
        let mut both = Sha256::new();
        both.update(id(record).as_bytes());
        both.update(record.digest(kind)?);
        let both = both.finalize();
        let half: [u8; 16] = std::array::from_fn(|i| both[i]);
        self.sum = self.sum.wrapping_add(u128::from_le_bytes(half));
        self.records += 1;
        Ok(())
    }
}

/// Compares a record with the hash in it, and counts. `proven` says that the inventory shows it to be as it was backed up.
pub fn check_hash(
    kind: Hashed,
    record: &Record<'_>,
    proven: bool,
    seen: &mut Integrity,
) -> Result<(), RestoreError> {
    match record.verdict(kind)? {
        Verdict::Match => seen.matching += 1,
        Verdict::Rounded => seen.rounded += 1,
        Verdict::Unhashed => seen.unhashed += 1,
        Verdict::Mismatch { stored, computed } => {
            let id = id(record);
            if !proven {
                return Err(RestoreError::Record {
                    collection: name(kind),
                    what: format!(
                        "{id:?} does not match its hash: {stored} is stored, {computed} was computed"
                    ),
                });
            }
            note_stale(seen, id);
        }
        Verdict::Unknown(why) => {
            let id = id(record);
            if !proven {
                return Err(RestoreError::Record {
                    collection: name(kind),
                    what: format!("{id:?} has a hash that cannot be checked: {why}"),
                });
            }
            seen.unknown += 1;
            note(&mut seen.unknown_ids, id);
        }
    }
    Ok(())
}

fn name(kind: Hashed) -> &'static str {
    match kind {
        Hashed::Event => "events",
        Hashed::Access => "accesses",
    }
}

/// Counts something that was not what its hash says when the backup was made.
pub fn note_stale(seen: &mut Integrity, id: String) {
    seen.stale += 1;
    note(&mut seen.stale_ids, id);
}

fn note(ids: &mut Vec<String>, id: String) {
    if ids.len() < NAMED {
        ids.push(id);
    }
}

fn id(record: &Record<'_>) -> String {
    record.string("id").unwrap_or_default().into_owned()
}
