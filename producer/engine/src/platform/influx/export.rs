//! The series of a user as records, and what is of nobody.

use super::call::Trouble;
use super::columns::Measurement;
use super::points::Found;
use super::{Influx, SeriesDatabase, identifier};
use crate::platform::reading::Reading;
use crate::platform::series::PointsLine;
use crate::platform::unknown::{CountUnit, ExportNotes, Unknown};
use crate::platform::username_owners::{Whose, without_owner};
use crate::platform::{Collection, ExportError, PlatformError, User};
use std::collections::HashSet;
use std::path::PathBuf;

/// The databases of the running platform begin so.
const OF_NAMES: &str = "user.";
const OTHER_POLICY: &str =
    "points of a retention policy that is not the default one, which Pryv.io does not read";

/// Tells whose a measurement of a namespace is.
type WhoseIs<'a> = dyn Fn(&str, &str) -> Result<Whose, PlatformError> + 'a;

impl Influx {
    /// Hands over the series of a user.
    ///
    /// # Errors
    /// When the server does not answer, or that of the sink.
    pub fn export(
        &self,
        whose: &WhoseIs<'_>,
        seen: &ExportNotes,
        reading: &mut Reading<'_>,
    ) -> Result<(), ExportError> {
        let there = self.databases()?;
        let mut namespaces: Vec<String> = reading.user.namespaces().collect();
        namespaces.retain(|namespace| there.contains(namespace));
        if namespaces.is_empty() {
            let place = self.path_of("");
            reading.absent(Collection::Series, &place, "no database of series is left")?;
        }
        for namespace in namespaces {
            match self.namespace(&namespace, whose, seen, reading) {
                // A user who is deleted meanwhile.
                Err(error) if self.is_gone(&namespace, &error)? => {
                    let name = Collection::Series.name();
                    let what = "the database was removed while it was read";
                    reading.lose(name, &self.path_of(&namespace), what)?;
                    reading.sink.incomplete(name);
                }
                done => done?,
            }
        }
        Ok(())
    }

    /// Whether an error is because a database is not there any more.
    fn is_gone(&self, database: &str, error: &ExportError) -> Result<bool, PlatformError> {
        let of_server = matches!(error, ExportError::Platform(PlatformError::Influxdb { .. }));
        // A server that does not answer does not do so now either: what it said first is told.
        let now = || self.once().databases_now();
        Ok(of_server && now().is_ok_and(|there| !there.contains(database)))
    }

    fn namespace(
        &self,
        namespace: &str,
        whose: &WhoseIs<'_>,
        seen: &ExportNotes,
        reading: &mut Reading<'_>,
    ) -> Result<(), ExportError> {
        for policy in self.policies(namespace)?.others {
            let from = format!("{}.{}./.*/", identifier(namespace), identifier(&policy));
            let points = self.count(&from).map_err(|e| e.of(self))?;
            if points > 0 {
                reading.sink.look_again();
            }
            let name = format!("influxdb/{policy}");
            seen.counted
                .add(name, OTHER_POLICY, CountUnit::Rows, points);
        }
        let measurements = self.measurements(namespace)?;
        for measurement in &measurements {
            match whose(namespace, &measurement.name)? {
                Whose::Mine => {
                    let from = [namespace, namespace];
                    self.measurement(from, measurement, seen, reading)?;
                }
                Whose::Others => {}
                Whose::Nobody => {
                    let what = without_owner(&measurement.name);
                    reading.lose(Collection::Series.name(), &self.path_of(namespace), what)?;
                }
            }
        }
        self.look_for_more(namespace, &measurements, reading)
    }

    /// Hands over the points that a database keeps under the name of a namespace.
    fn measurement(
        &self,
        [database, namespace]: [&str; 2],
        measurement: &Measurement,
        seen: &ExportNotes,
        reading: &mut Reading<'_>,
    ) -> Result<(), ExportError> {
        let mut line = PointsLine::default();
        let flush = |line: &mut PointsLine, reading: &mut Reading<'_>| {
            let record = line.take(namespace, &measurement.name);
            record.map_or(Ok(()), |record| reading.record(Collection::Series, &record))
        };
        let mut take = |found: Found<'_>| match found {
            Found::Point(time, point) => {
                if line.is_full() {
                    flush(&mut line, reading)?;
                }
                seen.time(time);
                line.add(point);
                Ok(())
            }
            Found::Lost(what) => {
                reading.lose(Collection::Series.name(), &self.path_of(namespace), what)
            }
        };
        let read = self.points(database, measurement, &mut take);
        read.map_err(|trouble: Trouble| trouble.of(self))?;
        flush(&mut line, reading)
    }

    /// Hands over what lies aside, as it will be in place.
    ///
    /// # Errors
    /// As [`Self::export`].
    pub fn export_aside(
        &self,
        database: &SeriesDatabase,
        reading: &mut Reading<'_>,
    ) -> Result<(), ExportError> {
        let Some(aside) = &database.aside else {
            return Ok(());
        };
        for measurement in self.measurements(aside)? {
            let from = [aside.as_str(), &database.name];
            self.measurement(from, &measurement, &ExportNotes::default(), reading)?;
        }
        Ok(())
    }

    /// Points that came while they were read may have values in fields that were not there before.
    fn look_for_more(
        &self,
        namespace: &str,
        before: &[Measurement],
        reading: &mut Reading<'_>,
    ) -> Result<(), ExportError> {
        for now in self.measurements(namespace)? {
            let same = |old: &&Measurement| old.name == now.name;
            if before.iter().find(same).is_some_and(|old| *old != now) {
                let what = format!(
                    "{:?}: fields came while it was read, and their values may be missing; run the backup again",
                    now.name
                );
                reading.lose(Collection::Series.name(), &self.path_of(namespace), what)?;
            }
        }
        Ok(())
    }

    /// A place for messages.
    fn path_of(&self, database: &str) -> PathBuf {
        PathBuf::from(format!("InfluxDB at {} {database}", self.address).trim_end())
    }

    /// Databases of names that no account bears or bore, with points in them. `now` tells the users who are there when it is asked,
    /// since somebody may have come meanwhile.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn without_owner(
        &self,
        users: &[User],
        now: &dyn Fn() -> Result<Vec<User>, PlatformError>,
    ) -> Result<Vec<Unknown>, PlatformError> {
        let mut left: Vec<String> = self.databases_now()?.into_iter().collect();
        left.retain(|name| name.starts_with(OF_NAMES));
        let mut without = |users: &[User]| {
            let known: HashSet<String> = users.iter().flat_map(User::namespaces).collect();
            left.retain(|name| !known.contains(name));
            left.is_empty()
        };
        if !without(users) {
            without(&now()?);
        }
        left.sort();
        let mut found = Vec::new();
        for name in left {
            let from = format!("{}../.*/", identifier(&name));
            let points = match self.count(&from) {
                Ok(points) => points,
                Err(trouble) => match trouble.of(self) {
                    error if self.is_gone(&name, &error)? => 0,
                    ExportError::Platform(error) => return Err(error),
                    other => return Err(self.error(other.to_string())),
                },
            };
            found.extend((points > 0).then(|| Unknown::series(&name, points)));
        }
        Ok(found)
    }
}
