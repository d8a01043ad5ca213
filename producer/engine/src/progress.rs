//! How far an operation is.

use std::sync::atomic::{AtomicU64, Ordering};

/// Amounts done so far. Threads add to them; nothing is shown by that.
#[derive(Debug, Default)]
pub struct Tally {
    users: AtomicU64,
    records: AtomicU64,
    bytes: AtomicU64,
}

impl Tally {
    /// A user is done.
    pub fn user(&self) {
        self.users.fetch_add(1, Ordering::Relaxed);
    }

    /// So many records, and bytes of content, are done.
    pub fn add(&self, records: u64, bytes: u64) {
        self.records.fetch_add(records, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The amounts at this moment.
    pub fn now(&self) -> Counts {
        Counts {
            users: self.users.load(Ordering::Relaxed),
            records: self.records.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

/// The amounts of a [`Tally`] at a moment.
#[derive(Debug, Clone, Copy)]
pub struct Counts {
    /// Users.
    pub users: u64,
    /// Records.
    pub records: u64,
    /// Bytes of content.
    pub bytes: u64,
}

/// When the work is done.
#[derive(Debug, Clone, Copy)]
pub enum Goal {
    /// So many users, and about so many records where that is known: of one user with millions, its own number tells nothing.
    Users {
        /// All users.
        users: u64,
        /// Records, roughly.
        records: Option<u64>,
    },
    /// So many bytes.
    Bytes(u64),
}

impl Goal {
    /// How much of the work is done: from 0, and 1 only when all of it is.
    pub fn part(self, done: Counts) -> f64 {
        let of = |at: u64, all: u64| at as f64 / all.max(1) as f64;
        match self {
            Goal::Users { users, .. } if done.users >= users => 1.0,
            Goal::Users { users, records } => {
                let records = records.map_or(0.0, |records| of(done.records, records).min(0.99));
                of(done.users, users).max(records)
            }
            Goal::Bytes(bytes) => of(done.bytes, bytes).min(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_large_user_is_seen_to_advance() {
        let done = |users, records| Counts {
            users,
            records,
            bytes: 0,
        };
        let goal = Goal::Users {
            users: 1,
            records: Some(1000),
        };
        assert!((goal.part(done(0, 500)) - 0.5).abs() < 1e-9);
        // An estimate may be too low.
        assert!((goal.part(done(0, 5000)) - 0.99).abs() < 1e-9);
        assert!((goal.part(done(1, 1)) - 1.0).abs() < 1e-9);
        let unknown = Goal::Users {
            users: 4,
            records: None,
        };
        assert!((unknown.part(done(1, 5000)) - 0.25).abs() < 1e-9);
    }
}
