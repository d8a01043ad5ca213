//! Data on a platform that is not in a backup of it: unknown to this version, or of nobody.

use super::PlatformLoss;
use crate::text::count;
use crate::threads::lock;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Something that is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// Its name in reports, and for `--accept-loss`.
    pub name: String,
    /// One sentence of what it is and how much of it there is.
    pub what: String,
}

impl Unknown {
    /// Something that has rows.
    pub fn rows(name: impl Into<String>, what: &str, rows: u64) -> Self {
        Self {
            name: name.into(),
            what: format!("{what}; its {} left out", were(CountUnit::Rows, rows)),
        }
    }

    /// A database that has come further than this version knows.
    pub fn migration(number: u32, known: u32) -> Self {
        Self {
            name: format!("migration/{number}"),
            what: format!(
                "the schema of the database has come to this migration, and this version knows {known} of them: whether what it \
                 changed is all in the backup is not known"
            ),
        }
    }

    /// A plug-in of the configuration that keeps its data elsewhere.
    pub fn data_store(id: &String) -> Self {
        Self {
            name: format!("dataStores/{id}"),
            what: "a data store of the configuration (custom.dataStores), whose data lie where this version does not look; left out"
                .to_owned(),
        }
    }

    /// Points that are kept under a name that no account bears.
    pub fn series(namespace: &str, points: u64) -> Self {
        let points = count(points, "point is", "points are");
        Self {
            name: format!("series/{namespace}"),
            what: format!(
                "{points} kept under this name, which no account bears or bore; left out"
            ),
        }
    }

    /// Objects in the bucket of attachments that are of nobody.
    pub fn objects(name: String, objects: u64) -> Self {
        let objects = count(objects, "object", "objects");
        Self {
            name,
            what: format!(
                "{objects} in the bucket of attachments, of no user who is in the index of users; left out"
            ),
        }
    }

    /// Data of a user who is not in the index.
    pub fn stranger(user_id: &str, rows: u64, files: u64) -> Self {
        let (rows, files) = (count(rows, "row", "rows"), count(files, "file", "files"));
        Self {
            name: format!("users/{user_id}"),
            what: format!(
                "{rows} and {files} of a user who is not in the index of users; left out"
            ),
        }
    }
}

impl From<Unknown> for PlatformLoss {
    fn from(unknown: Unknown) -> Self {
        Self {
            user_id: None,
            collection: None,
            path: Some(unknown.name),
            what: unknown.what,
        }
    }
}

/// Notes of an export.
#[derive(Default)]
pub struct ExportNotes {
    /// Unknown data that files of many users have in common.
    pub counted: Counted,
    /// Points whose time Pryv's own tool cannot restore.
    fractions: AtomicBool,
    /// Rows of users who are not in the index, where all rows were passed by.
    strangers: Mutex<Option<BTreeMap<String, u64>>>,
}

impl ExportNotes {
    /// Takes note of how many rows there are of which users who are not in the index.
    pub fn note_strangers(&self, rows: BTreeMap<String, u64>) {
        *lock(&self.strangers) = Some(rows);
    }

    /// What was noted of such users; none where not all rows were passed by.
    pub fn strangers(&self) -> Option<BTreeMap<String, u64>> {
        lock(&self.strangers).clone()
    }

    /// Takes note of the time of a point, in nanoseconds.
    pub fn time(&self, nanoseconds: i64) {
        #[allow(clippy::cast_precision_loss)]
        let there_and_back = nanoseconds as f64 / 1e6 * 1e6;
        if there_and_back.fract() != 0.0 {
            self.fractions.store(true, Ordering::Relaxed);
        }
    }

    /// In words.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.fractions.load(Ordering::Relaxed) {
            notes.push(
                "points of series have times below the millisecond that Pryv's own bin/backup.js does not round: it drops all series of \
                 such a user when it restores into PostgreSQL; restore this backup with pryv-backup"
                    .to_owned(),
            );
        }
        notes
    }
}

/// Unit of a count.
#[derive(Clone, Copy)]
pub enum CountUnit {
    /// Rows of a table.
    Rows,
    /// Bytes of a file.
    Bytes,
    /// Files of a folder, or links.
    Files,
}

/// A number of things that were left out.
fn were(unit: CountUnit, number: u64) -> String {
    let (one, many) = match unit {
        CountUnit::Rows => ("row was", "rows were"),
        CountUnit::Bytes => ("byte was", "bytes were"),
        CountUnit::Files => ("file was", "files were"),
    };
    count(number, one, many)
}

/// Unknown data that files of many users have in common, by name.
#[derive(Default)]
pub struct Counted(Mutex<BTreeMap<String, Sum>>);

/// See [`Counted`].
struct Sum {
    what: &'static str,
    unit: CountUnit,
    number: u64,
    places: u64,
}

impl Counted {
    /// Adds something of one place, unless there is nothing in it.
    pub fn add(&self, name: String, what: &'static str, unit: CountUnit, number: u64) {
        if number == 0 {
            return;
        }
        let mut all = lock(&self.0);
        let sum = all.entry(name).or_insert(Sum {
            what,
            unit,
            number: 0,
            places: 0,
        });
        sum.number += number;
        sum.places += 1;
    }

    /// All of it, ordered by name.
    pub fn take(&self) -> Vec<Unknown> {
        let all = std::mem::take(&mut *lock(&self.0)).into_iter();
        all.map(|(name, sum)| Unknown {
            name,
            what: format!(
                "{}, in {}; its {} left out",
                sum.what,
                count(sum.places, "place", "places"),
                were(sum.unit, sum.number)
            ),
        })
        .collect()
    }
}
