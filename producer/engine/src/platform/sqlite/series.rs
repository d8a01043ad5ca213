//! High-frequency series in a file.

use super::file::SqliteFile;
use super::reading::{Reading, each_row, malformed};
use crate::platform::json::{self, Fields, Object};
pub use crate::platform::series::{BYTES_PER_LINE, POINTS_PER_LINE};
use crate::platform::series::{PointsLine, whole};
use crate::platform::unknown::ExportNotes;
use crate::platform::username_owners::{Whose, without_owner};
use crate::platform::{Collection, ExportError, PlatformError};
use rusqlite::types::ValueRef;

/// Hands over the series of one namespace.
pub fn export(
    file: &SqliteFile,
    namespace: &str,
    whose: &dyn Fn(&str) -> Result<Whose, PlatformError>,
    seen: &ExportNotes,
    reading: &mut Reading<'_>,
) -> Result<(), ExportError> {
    file.must_have("series_data")?;
    let (mut line, mut current, mut mine) = (PointsLine::default(), String::new(), true);
    let flush = |line: &mut PointsLine, of: &str, reading: &mut Reading<'_>| {
        let record = line.take(namespace, of);
        record.map_or(Ok(()), |record| reading.record(Collection::Series, &record))
    };
    let sql = "SELECT event_id, delta_time, fields FROM series_data ORDER BY event_id, delta_time";
    each_row(file, sql, &mut |row| {
        let cell = |i| row.get_ref(i).map_err(|e| file.error(e));
        let measurement = json::text(cell(0)?)
            .map_err(|what| malformed(file, what))?
            .unwrap_or_default();
        if measurement != current {
            flush(&mut line, &current, reading)?;
            let whose = whose(&measurement)?;
            mine = matches!(whose, Whose::Mine);
            if matches!(whose, Whose::Nobody) {
                reading.lose(
                    Collection::Series.name(),
                    &file.path,
                    without_owner(&measurement),
                )?;
            }
            current = measurement.into_owned();
        }
        if !mine {
            return Ok(());
        }
        if line.is_full() {
            flush(&mut line, &current, reading)?;
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
                let what = format!("a point of {current:?}: {what}; it was left out");
                reading.lose(Collection::Series.name(), &file.path, what)?;
            }
        }
        Ok(())
    })?;
    flush(&mut line, &current, reading)
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
