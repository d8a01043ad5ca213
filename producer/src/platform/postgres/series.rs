//! High-frequency series: points of one measurement, in lines of bounded length.

use super::copy::Row;
use super::values::{fixed, json_text, push_string};
use crate::platform::json::{self, Fields};
use crate::platform::sqlite::series::{BYTES_PER_LINE, POINTS_PER_LINE};

/// The points of all users, ordered by user. A series is kept under the name of its user or, when it was restored by Pryv.io,
/// under the user's id.
const CURRENT: &str = "WITH owners AS (\
    SELECT 'user.' || username AS namespace, user_id AS owner FROM users_index UNION SELECT user_id, user_id FROM users_index) \
    SELECT owner, s.user_id, s.event_id, s.delta_time, s.fields FROM series_data s JOIN owners ON namespace = s.user_id{filter}";

/// What is kept under names that users gave up. Several may have borne one: then the event tells whose the series is.
const FORMER: &str = " UNION ALL SELECT owner, s.user_id, s.event_id, s.delta_time, s.fields FROM (\
        SELECT DISTINCT 'user.' || (f.value #>> '{}') AS namespace, f.user_id AS owner FROM account_fields f \
        WHERE f.field = 'username' AND jsonb_typeof(f.value) = 'string' \
            AND NOT EXISTS (SELECT FROM users_index u WHERE u.username = f.value #>> '{}')) names \
    JOIN series_data s ON s.user_id = namespace \
    JOIN events e ON e.user_id = owner AND s.event_id = 'event.' || e.id{filter}";

/// What to read, where users were `renamed` or not.
pub fn query(renamed: bool) -> String {
    let former = if renamed { FORMER } else { "" };
    format!(
        "SELECT * FROM ({CURRENT}{former}) points ORDER BY owner COLLATE \"C\", user_id, event_id, delta_time"
    )
}

/// Whether users were renamed.
pub const RENAMED: &str = "SELECT EXISTS (SELECT FROM account_fields f WHERE f.field = 'username' AND jsonb_typeof(f.value) = 'string' \
    AND NOT EXISTS (SELECT FROM users_index u WHERE u.username = f.value #>> '{}'))";

/// A line that grows point by point.
#[derive(Default)]
pub struct Line {
    namespace: Vec<u8>,
    measurement: Vec<u8>,
    points: Vec<u8>,
    count: usize,
}

impl Line {
    /// Whether the point of this row belongs to another line, so that this one has to be written first.
    pub fn ends_before(&self, row: &Row) -> bool {
        self.count == POINTS_PER_LINE
            || self.points.len() >= BYTES_PER_LINE
            || (self.count > 0
                && (row.get(1) != Some(self.namespace.as_slice())
                    || row.get(2) != Some(self.measurement.as_slice())))
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds the point of a row.
    ///
    /// # Errors
    /// A sentence, when the row is malformed.
    pub fn add(&mut self, row: &Row) -> Result<(), String> {
        if self.count == 0 {
            self.namespace = row.get(1).unwrap_or_default().to_vec();
            self.measurement = row.get(2).unwrap_or_default().to_vec();
        }
        let named = |what: &str| {
            let measurement = String::from_utf8_lossy(row.get(2).unwrap_or_default());
            format!("a point of {measurement:?}: {what}")
        };
        let time = fixed(row.get(3).unwrap_or_default()).map_err(|what| named(&what))?;
        let fields = row.get(4).map_or(Ok(&b""[..]), json_text);
        let fields = fields.map_err(|what| named(&what))?;
        let inner = fields.strip_prefix(b"{").and_then(|f| f.strip_suffix(b"}"));
        let inner = inner.ok_or_else(|| named("its fields are no JSON object"))?;
        let text = std::str::from_utf8(fields).map_err(|_| named("its text is not UTF-8"))?;
        // Parsed only where the name occurs, as a field or elsewhere.
        if text.contains("\"time\"") && Fields::parse(text)?.get("time").is_some() {
            return Err(named("it has a field called time"));
        }
        if self.count > 0 {
            self.points.push(b',');
        }
        let time = json::milliseconds(i64::from_be_bytes(time));
        self.points.extend_from_slice(b"{\"time\":");
        self.points.extend_from_slice(time.as_bytes());
        if !inner.is_empty() {
            self.points.push(b',');
            self.points.extend_from_slice(inner);
        }
        self.points.push(b'}');
        self.count += 1;
        Ok(())
    }

    /// Appends the record, and is empty again.
    ///
    /// # Errors
    /// A sentence, when its names are malformed.
    pub fn write(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        out.extend_from_slice(b"{\"measurement\":");
        push_string(&self.measurement, out);
        out.extend_from_slice(b",\"namespace\":");
        push_string(&self.namespace, out);
        out.extend_from_slice(b",\"points\":[");
        out.extend_from_slice(&self.points);
        out.extend_from_slice(b"]}");
        let names = [&self.measurement, &self.namespace];
        let sound = names.iter().all(|n| std::str::from_utf8(n).is_ok());
        self.points.clear();
        self.count = 0;
        if sound {
            Ok(())
        } else {
            Err("its name is not UTF-8".to_owned())
        }
    }
}
