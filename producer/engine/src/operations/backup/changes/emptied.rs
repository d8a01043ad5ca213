//! Collections of which the previous run had many records and nothing is left: that may be meant, and is reported in any case.

use std::sync::atomic::{AtomicU64, Ordering};

use super::COLLECTIONS;
use crate::platform::{Collection, PlatformLoss, Shared};

/// When so many records of one kind are gone, it is reported.
const MANY: u64 = 1000;

/// Numbers of records then and now, of all users together.
#[derive(Default)]
pub struct Totals {
    had: [AtomicU64; COLLECTIONS.len()],
    has: [AtomicU64; COLLECTIONS.len()],
    /// A user was reported already.
    told: [AtomicU64; COLLECTIONS.len()],
}

impl Totals {
    /// Adds what is known of a user; the loss if all of many records are gone.
    pub fn add(&self, section: usize, gone: u64, now: u64) -> Option<PlatformLoss> {
        let collection = COLLECTIONS.get(section)?;
        self.had[section].fetch_add(gone + now, Ordering::Relaxed);
        self.has[section].fetch_add(now, Ordering::Relaxed);
        if gone < MANY || now > 0 {
            return None;
        }
        self.told[section].fetch_add(1, Ordering::Relaxed);
        Some(loss(
            collection.name(),
            &format!("the user has no {} any more", named(*collection)),
            gone,
        ))
    }

    /// The losses of users of whom each had few.
    pub fn losses(&self) -> impl Iterator<Item = PlatformLoss> {
        let of = |counts: &[AtomicU64], at: usize| counts[at].load(Ordering::Relaxed);
        COLLECTIONS
            .iter()
            .enumerate()
            .filter_map(move |(at, collection)| {
                let had = of(&self.had, at);
                let all = had >= MANY && of(&self.has, at) == 0 && of(&self.told, at) == 0;
                all.then(|| {
                    let what = format!("no user has any {} any more", named(*collection));
                    loss(collection.name(), &what, had)
                })
            })
    }
}

/// The loss if all entries of a kind are gone that a platform is never without, or many.
pub fn shared(kind: Shared, gone: u64) -> Option<PlatformLoss> {
    let least = match kind {
        Shared::Index | Shared::Keys => 1,
        Shared::Aliases => MANY,
        Shared::Sessions | Shared::PasswordResets => return None,
    };
    (gone >= least).then(|| {
        let what = format!("the platform has no {} any more", kind.stem());
        loss("platform", &what, gone)
    })
}

fn named(collection: Collection) -> &'static str {
    match collection {
        Collection::Audit => "audit trail",
        other => other.name(),
    }
}

fn loss(collection: &str, what: &str, gone: u64) -> PlatformLoss {
    PlatformLoss {
        user_id: None,
        collection: Some(collection.to_owned()),
        path: None,
        what: format!(
            "{what}, and the run before has {gone}: if nobody removed them, put the platform right; earlier runs of the chain have \
             them"
        ),
    }
}
