//! Databases on their way in: they are made aside, under names of their own, and put in place when their user is decided to be restored.
//! No database can be renamed, so that putting one in place copies its points.

use super::points::Found;
use super::{Influx, PointsWriter, identifier};
use crate::platform::PlatformError;
use crate::platform::json::Fields;
use crate::random::SystemRandom;
use crate::text::hex;
use decryptor_wasm::RandomSource;
use serde::{Deserialize, Serialize};

/// The names of databases that lie aside begin so.
const ASIDE: &str = "pryv-backup-restore.";

/// A database of a user, and what takes its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeriesDatabase {
    /// Its name.
    pub name: String,
    /// The name of the new one, until it is in place; without one, it only goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aside: Option<String>,
    /// The default retention policy that it had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    policy: Option<Policy>,
}

/// A retention policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Policy {
    name: String,
    duration: String,
    shards: String,
    replicas: String,
}

impl Policy {
    /// As a part of a statement that makes a database.
    fn clause(&self) -> String {
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric());
        let parts = [&self.duration, &self.shards, &self.replicas];
        // From the server, or from a journal that anybody may have written.
        if !parts.into_iter().all(|part| plain(part)) {
            return String::new();
        }
        format!(
            " WITH DURATION {} REPLICATION {} SHARD DURATION {} NAME {}",
            self.duration,
            self.replicas,
            self.shards,
            identifier(&self.name)
        )
    }
}

/// The retention policies of a database.
pub(super) struct Policies {
    default: Option<Policy>,
    /// The names of the others.
    pub others: Vec<String>,
}

impl Influx {
    /// The retention policies of a database.
    pub(super) fn policies(&self, database: &str) -> Result<Policies, PlatformError> {
        let mut found = Policies {
            default: None,
            others: Vec::new(),
        };
        let statement = format!("SHOW RETENTION POLICIES ON {}", identifier(database));
        for row in self.rows(&statement)? {
            let cells: Result<[String; 5], _> = row.cells.try_into();
            let [name, duration, shards, replicas, is_default] =
                cells.map_err(|_| self.error("it does not tell the retention policies"))?;
            match is_default == "true" {
                false => found.others.push(name),
                true => {
                    found.default = Some(Policy {
                        name,
                        duration,
                        shards,
                        replicas,
                    });
                }
            }
        }
        Ok(found)
    }

    /// What is to become of a database: with `new`, another takes its place. None when there is nothing to do.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn plan(&self, name: &str, new: bool) -> Result<Option<SeriesDatabase>, PlatformError> {
        let there = self.databases()?.contains(name);
        let policy = match there && new {
            true => self.policies(name)?.default,
            false => None,
        };
        let aside = match new {
            true => {
                let mut number = [0; 16];
                SystemRandom
                    .fill(&mut number)
                    .map_err(|e| self.error(e.to_string()))?;
                Some(format!("{ASIDE}{}", hex(&number)))
            }
            false => None,
        };
        Ok((there || new).then(|| SeriesDatabase {
            name: name.to_owned(),
            aside,
            policy,
        }))
    }

    /// Makes what lies aside.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn make_aside(&self, database: &SeriesDatabase) -> Result<(), PlatformError> {
        match &database.aside {
            Some(aside) => self.create(aside, database),
            None => Ok(()),
        }
    }

    fn create(&self, name: &str, like: &SeriesDatabase) -> Result<(), PlatformError> {
        let policy = like.policy.as_ref().map(Policy::clause).unwrap_or_default();
        self.run(&format!("CREATE DATABASE {}{policy}", identifier(name)))
    }

    /// Removes what lies aside. It is asked for once, whatever signals came.
    ///
    /// # Errors
    /// When the server does not do it.
    pub fn drop_aside(&self, databases: &[SeriesDatabase]) -> Result<(), PlatformError> {
        let server = self.once();
        let all = databases
            .iter()
            .filter_map(|database| database.aside.as_ref());
        // Notes may name what no restore has made.
        for aside in all.filter(|aside| aside.starts_with(ASIDE)) {
            server.run(&format!("DROP DATABASE {}", identifier(aside)))?;
        }
        Ok(())
    }

    /// Puts databases in place, as far as they are not. Can be done again and again.
    ///
    /// # Errors
    /// When the server refuses, or when the new points are not all there; what lies aside stays.
    pub fn place(&self, databases: &[SeriesDatabase]) -> Result<(), PlatformError> {
        let there = self.databases_now()?;
        for database in databases {
            // Asked once: what a slow server did not answer it may still do later, when the new points are there.
            let drop = || {
                let statement = format!("DROP DATABASE {}", identifier(&database.name));
                self.once().run(&statement)
            };
            let Some(aside) = &database.aside else {
                drop()?;
                continue;
            };
            // It is in place.
            if !there.contains(aside) {
                continue;
            }
            drop()?;
            self.create(&database.name, database)?;
            self.copy(aside, &database.name)?;
            if self.totals(aside)? != self.totals(&database.name)? {
                return Err(self.error(format!(
                    "points of {} are missing after they were copied from {aside}",
                    database.name
                )));
            }
            self.run(&format!("DROP DATABASE {}", identifier(aside)))?;
        }
        Ok(())
    }

    fn copy(&self, from: &str, to: &str) -> Result<(), PlatformError> {
        let mut writer = PointsWriter::new(self, true);
        let mut lost = None;
        writer.of_database(to, &mut |_| {})?;
        for measurement in self.measurements(from)? {
            let read = self.points(from, &measurement, &mut |found| {
                let mut lose = |what: String| {
                    lost.get_or_insert(what);
                };
                match found {
                    Found::Point(_, point) => {
                        let point = String::from_utf8_lossy(point);
                        let fields = Fields::parse(&point).map_err(|what| self.error(what))?;
                        writer.add(&measurement.name, &fields, &mut lose)?;
                    }
                    Found::Lost(what) => lose(what),
                }
                Ok(())
            });
            read.map_err(|trouble| self.plain(trouble))?;
        }
        writer.flush(&mut |what| {
            lost.get_or_insert(what);
        })?;
        lost.map_or(Ok(()), |what| Err(self.error(what)))
    }

    /// How many values each field of each measurement has.
    fn totals(&self, database: &str) -> Result<Vec<(String, Vec<String>)>, PlatformError> {
        let statement = format!("SELECT count(*) FROM {}../.*/", identifier(database));
        let rows = self.rows(&statement)?.into_iter();
        Ok(rows.map(|row| (row.name, row.cells)).collect())
    }
}
