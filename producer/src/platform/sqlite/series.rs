//! High-frequency series: points of one measurement, in lines of bounded length.

use super::file::SqliteFile;
use super::reading::{Reading, each_row, malformed};
use crate::platform::json::{self, Fields, Object};
use crate::platform::{Collection, ExportError};
use rusqlite::types::ValueRef;

/// Points per line: what a reader has to hold at once.
const POINTS_PER_LINE: usize = 50_000;

/// Hands over the series of one namespace.
pub fn export(
    file: &SqliteFile,
    namespace: &str,
    reading: &mut Reading<'_>,
) -> Result<(), ExportError> {
    if !file.has_table("series_data")? {
        return Ok(());
    }
    let mut line = Line {
        namespace,
        measurement: String::new(),
        points: Vec::new(),
    };
    let sql = "SELECT event_id, delta_time, fields FROM series_data ORDER BY event_id, delta_time";
    each_row(file, sql, &mut |row| {
        let cell = |i| row.get_ref(i).map_err(|e| file.error(e));
        let measurement = json::text(cell(0)?)
            .map_err(|what| malformed(file, what))?
            .unwrap_or_default();
        if measurement != line.measurement || line.points.len() == POINTS_PER_LINE {
            line.flush(reading)?;
            line.measurement = measurement.into_owned();
        }
        let stored = json::text(cell(2)?);
        match stored.and_then(|fields| {
            point(
                cell(1).unwrap_or(ValueRef::Null),
                fields.as_deref().unwrap_or_default(),
            )
        }) {
            Ok(point) => line.points.push(point),
            Err(what) => {
                let what = format!("a point of {:?}: {what}; it was left out", line.measurement);
                reading.lose(Collection::Series.name(), &file.path, what);
            }
        }
        Ok(())
    })?;
    line.flush(reading)
}

struct Line<'a> {
    namespace: &'a str,
    measurement: String,
    points: Vec<Vec<u8>>,
}

impl Line<'_> {
    fn flush(&mut self, reading: &mut Reading<'_>) -> Result<(), ExportError> {
        if self.points.is_empty() {
            return Ok(());
        }
        let mut record = Vec::from(&b"{\"measurement\":"[..]);
        record.extend_from_slice(json::quote(&self.measurement).as_bytes());
        record.extend_from_slice(b",\"namespace\":");
        record.extend_from_slice(json::quote(self.namespace).as_bytes());
        record.extend_from_slice(b",\"points\":[");
        for (i, point) in self.points.drain(..).enumerate() {
            if i > 0 {
                record.push(b',');
            }
            record.extend_from_slice(&point);
        }
        record.extend_from_slice(b"]}");
        reading.record(Collection::Series, &record)
    }
}

fn point(time: ValueRef<'_>, fields: &str) -> Result<Vec<u8>, String> {
    let nanoseconds = match time {
        ValueRef::Integer(ns) => ns,
        // What restores of Pryv left: a product of doubles, a fraction of a nanosecond off.
        #[allow(clippy::cast_possible_truncation)]
        ValueRef::Real(ns) => ns.round() as i64,
        _ => return Err("its time is no number".to_owned()),
    };
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
