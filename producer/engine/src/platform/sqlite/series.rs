//! High-frequency series: points of one measurement, in lines of bounded length.

use super::file::SqliteFile;
use super::reading::{Reading, each_row, malformed};
use super::{Whose, without_owner};
use crate::platform::json::{self, Fields, Object};
use crate::platform::unknown::ExportNotes;
use crate::platform::{Collection, ExportError, PlatformError};
use rusqlite::types::ValueRef;

/// Points per line, and bytes of points after which it ends: what a reader has to hold at once.
pub const POINTS_PER_LINE: usize = 50_000;
/// See [`POINTS_PER_LINE`].
pub const BYTES_PER_LINE: usize = 4 * 1024 * 1024;

/// Hands over the series of one namespace.
pub fn export(
    file: &SqliteFile,
    namespace: &str,
    whose: &dyn Fn(&str) -> Result<Whose, PlatformError>,
    seen: &ExportNotes,
    reading: &mut Reading<'_>,
) -> Result<(), ExportError> {
    file.must_have("series_data")?;
    let mut line = Line {
        namespace,
        measurement: String::new(),
        mine: true,
        points: Vec::new(),
        count: 0,
    };
    let sql = "SELECT event_id, delta_time, fields FROM series_data ORDER BY event_id, delta_time";
    each_row(file, sql, &mut |row| {
        let cell = |i| row.get_ref(i).map_err(|e| file.error(e));
        let measurement = json::text(cell(0)?)
            .map_err(|what| malformed(file, what))?
            .unwrap_or_default();
        if measurement != line.measurement {
            line.flush(reading)?;
            let whose = whose(&measurement)?;
            line.mine = matches!(whose, Whose::Mine);
            if matches!(whose, Whose::Nobody) {
                reading.lose(
                    Collection::Series.name(),
                    &file.path,
                    without_owner(&measurement),
                )?;
            }
            line.measurement = measurement.into_owned();
        }
        if !line.mine {
            return Ok(());
        }
        if line.is_full() {
            line.flush(reading)?;
        }
        let stored = json::text(cell(2)?);
        match stored.and_then(|fields| {
            point(
                cell(1).unwrap_or(ValueRef::Null),
                fields.as_deref().unwrap_or_default(),
                seen,
            )
        }) {
            Ok(point) => {
                line.add(&point);
            }
            Err(what) => {
                let what = format!("a point of {:?}: {what}; it was left out", line.measurement);
                reading.lose(Collection::Series.name(), &file.path, what)?;
            }
        }
        Ok(())
    })?;
    line.flush(reading)
}

struct Line<'a> {
    namespace: &'a str,
    measurement: String,
    /// Whether the measurement is the user's.
    mine: bool,
    points: Vec<u8>,
    count: usize,
}

impl Line<'_> {
    fn is_full(&self) -> bool {
        self.count == POINTS_PER_LINE || self.points.len() >= BYTES_PER_LINE
    }

    fn add(&mut self, point: &[u8]) {
        if self.count > 0 {
            self.points.push(b',');
        }
        self.points.extend_from_slice(point);
        self.count += 1;
    }

    fn flush(&mut self, reading: &mut Reading<'_>) -> Result<(), ExportError> {
        if self.count == 0 {
            return Ok(());
        }
        let mut record = Vec::from(&b"{\"measurement\":"[..]);
        record.extend_from_slice(json::quote(&self.measurement).as_bytes());
        record.extend_from_slice(b",\"namespace\":");
        record.extend_from_slice(json::quote(self.namespace).as_bytes());
        record.extend_from_slice(b",\"points\":[");
        record.append(&mut self.points);
        record.extend_from_slice(b"]}");
        self.count = 0;
        reading.record(Collection::Series, &record)
    }
}

/// The nearest whole number, unless there is none of that size.
pub fn whole(number: f64) -> Option<i64> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    let number = number.round();
    #[allow(clippy::cast_possible_truncation)]
    (-LIMIT..LIMIT).contains(&number).then_some(number as i64)
}

fn point(time: ValueRef<'_>, fields: &str, seen: &ExportNotes) -> Result<Vec<u8>, String> {
    let nanoseconds = match time {
        ValueRef::Integer(ns) => ns,
        // Restores of Pryv left a product of doubles, a fraction of a nanosecond off.
        ValueRef::Real(ns) => {
            whole(ns).ok_or("its time is beyond all that nanoseconds can be counted to")?
        }
        _ => return Err("its time is no number".to_owned()),
    };
    seen.time(nanoseconds);
    let mut object = Object::new();
    object.raw("time", &json::milliseconds(nanoseconds));
    for (key, value) in Fields::parse(fields)?.iter() {
        if key == "time" {
            return Err("it has a field called time".to_owned());
        }
        object.raw(key, value);
    }
    Ok(object.finish())
}
