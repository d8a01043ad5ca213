//! Series of a user on their way in: into files, or to the server that keeps them.

use rusqlite::types::Value;

use super::rows::{self, id};
use super::user::SqliteUser;
use crate::platform::Collection;
use crate::platform::json::Fields;
use crate::platform::write::RestoreError;

impl SqliteUser {
    /// Takes note of what the server of the series has no place for.
    pub(super) fn lack_all(&mut self, of_series: Vec<String>) {
        for what in of_series {
            self.lack(Collection::Series, what);
        }
    }

    /// Takes a line of a series.
    pub(super) fn points(&mut self, fields: &Fields<'_>) -> Result<(), RestoreError> {
        let measurement = id(fields, "measurement");
        let namespace = match fields.get("namespace") {
            Some(raw) => rows::string(raw),
            None => format!("user.{}", self.user.username),
        };
        let bad = |what: String| RestoreError::Record {
            collection: "series",
            what: format!("{measurement}: {what}"),
        };
        let points = rows::list(fields, "points").map_err(bad)?;
        let mut lacks = Vec::new();
        if let Some(writer) = &mut self.series {
            let aside = self.staged.series_aside(&namespace)?;
            writer.of_database(&aside, &mut |what| lacks.push(what))?;
        } else if !self.namespaces.contains(&namespace) {
            self.namespaces.push(namespace.clone());
        }
        for point in points {
            let point = Fields::parse(point.get()).map_err(bad)?;
            let time = point.get("time").unwrap_or_default();
            let time = rows::nanoseconds(time).ok_or_else(|| {
                bad(format!(
                    "{time:?} is neither a time in milliseconds nor an ISO time"
                ))
            })?;
            if let Some(writer) = &mut self.series {
                writer.add(&measurement, &point, &mut |what| lacks.push(what))?;
                continue;
            }
            let row = vec![
                Value::Text(measurement.clone()),
                Value::Integer(time),
                Value::Integer(time),
                Value::Text(rows::point(&point)),
            ];
            let sql = "INSERT OR REPLACE INTO series_data VALUES (?, ?, ?, ?)";
            let store = self.store("series", &namespace)?;
            store.insert(sql, row, "series", || measurement.clone())?;
        }
        self.lack_all(lacks);
        Ok(())
    }
}
