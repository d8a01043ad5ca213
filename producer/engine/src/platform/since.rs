//! Knowledge of a backup about the previous one.

use super::Collection;

/// How far a platform is at the instant of its export.
#[derive(Clone, Debug, Default)]
pub struct Mark {
    /// Identity of the stores and the shape of their records: where it differs nothing can be compared.
    pub store: String,
    /// The number of the oldest transaction that is open or to come, where records tell which transaction wrote them.
    pub transaction: Option<u64>,
    /// The number of the next transaction to come.
    pub next: u64,
    /// The collections whose records tell it.
    pub told: Vec<Collection>,
}

/// Transactions after which a number of 32 bits no longer tells which of two it is.
const AMBIGUOUS: u64 = 2_000_000_000;

impl Mark {
    /// Why what was written since that transaction cannot be told, if it cannot.
    #[must_use]
    pub fn too_far(&self, since: Option<u64>) -> Option<String> {
        let since = since?;
        if since > self.next {
            return Some(
                "the database server is older than when the run before was made".to_owned(),
            );
        }
        if self.transaction.is_some_and(|oldest| oldest < since) {
            return Some("the platform was looked at before the run before was made".to_owned());
        }
        let passed = self.next - since;
        (passed >= AMBIGUOUS)
            .then(|| format!("{passed} transactions have passed, too many to tell what is new"))
    }
}

/// How much of a user an export is to bring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExportExtent {
    /// Everything.
    Whole,
    /// Of what tells its transaction, the changes; for the rest, that it is there.
    Changes,
    /// The same, and every event that lists attachments.
    ChangesAndAttachments,
}

/// Keys of records, one after another.
#[derive(Default)]
pub struct RecordKeys(Vec<u8>);

impl RecordKeys {
    /// Adds one.
    pub fn push(&mut self, key: &[u8]) {
        self.0.extend_from_slice(&(key.len() as u32).to_le_bytes());
        self.0.extend_from_slice(key);
    }

    /// Bytes that they take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.len()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first_chunk()?;
            let (key, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            rest = after;
            Some(key)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_transactions_that_tell_nothing_are_noticed() {
        let at = |next: u64| Mark {
            next,
            ..Mark::default()
        };
        assert_eq!(at(5).too_far(None), None);
        assert_eq!(at(5).too_far(Some(5)), None);
        // Across the end of the 32 bits that rows have.
        assert_eq!(at((1 << 32) + 10).too_far(Some((1 << 32) - 10)), None);
        let said = at(5).too_far(Some(6));
        assert!(said.is_some_and(|said| said.contains("older")));
        let earlier = Mark {
            transaction: Some(4),
            ..at(9)
        };
        assert_eq!(earlier.too_far(Some(4)), None);
        let said = earlier.too_far(Some(5));
        assert!(said.is_some_and(|said| said.contains("looked at before")));
        let said = at(AMBIGUOUS + 7).too_far(Some(7));
        assert!(said.is_some_and(|said| said.contains("too many")));
    }

    #[test]
    fn keys_come_back() {
        let mut keys = RecordKeys::default();
        let all: [&[u8]; 3] = [b"a\nb", b"", b"\0\xff"];
        all.iter().for_each(|key| keys.push(key));
        assert_eq!(keys.iter().collect::<Vec<_>>(), all);
    }
}
