//! High-frequency series: points of one measurement, in lines of bounded length.

use super::copy::Row;
use super::names;
use super::values::{fixed, json_text, push_string};
use crate::platform::json::{self, Fields};
use crate::platform::sqlite::series::{BYTES_PER_LINE, POINTS_PER_LINE};
use crate::platform::unknown::ExportNotes;

/// The namespaces of users, and whose they are; `several` are those of names that more than one user bore.
fn owners(aliases: bool) -> String {
    format!(
        "WITH owners AS (SELECT 'user.' || name AS namespace, owner FROM ({}) names), \
         several AS (SELECT namespace FROM owners GROUP BY namespace HAVING count(*) > 1)",
        names::query(aliases)
    )
}

/// The points of all users, ordered by user. A series is kept under the name of its user, in earlier times too, or, when it was
/// restored by Pryv.io, under the user's id.
const OF_ONE: &str = "SELECT owner, s.user_id, s.event_id, s.delta_time, s.fields FROM series_data s JOIN (\
        SELECT namespace, min(owner) AS owner FROM owners GROUP BY namespace HAVING count(*) = 1 \
        UNION SELECT user_id, user_id FROM users_index) owners ON namespace = s.user_id{filter}";

/// The owner of each series that is kept under a name which several users had: that of its event, else the user who has the name now.
const DECIDED: &str = ", decided AS (SELECT m.namespace, m.event_id, coalesce(min(e.user_id), min(u.user_id)) AS owner \
    FROM (SELECT DISTINCT s.user_id AS namespace, s.event_id FROM series_data s JOIN several ON namespace = s.user_id) m \
    LEFT JOIN (SELECT namespace, 'event.' || id AS event_id, user_id FROM owners JOIN several USING (namespace) \
        JOIN events ON user_id = owner) e USING (namespace, event_id) \
    LEFT JOIN users_index u ON 'user.' || u.username = m.namespace GROUP BY m.namespace, m.event_id)";

const OF_SEVERAL: &str = " UNION ALL SELECT owner, s.user_id, s.event_id, s.delta_time, s.fields FROM decided d \
    JOIN series_data s ON s.user_id = d.namespace AND s.event_id = d.event_id{filter}";

/// The query for series; `aliases`: there is a table of them; `shared`: there are names that several users had.
pub fn query(aliases: bool, shared: bool) -> String {
    let (decided, of_several) = if shared {
        (DECIDED, OF_SEVERAL)
    } else {
        ("", "")
    };
    format!(
        "{}{decided} SELECT * FROM ({OF_ONE}{of_several}) points \
         ORDER BY owner COLLATE \"C\", user_id, event_id, delta_time",
        owners(aliases)
    )
}

/// The names that several users bore, without what is put before them, and the ids of these.
pub fn shared(aliases: bool) -> String {
    format!(
        "{} SELECT substr(namespace, 6), owner FROM owners JOIN several USING (namespace) ORDER BY 1",
        owners(aliases)
    )
}

/// The query for series under such names that belong to nobody.
pub fn without_owner(aliases: bool) -> String {
    format!(
        "{}{DECIDED} SELECT namespace, event_id FROM decided WHERE owner IS NULL LIMIT 1000",
        owners(aliases)
    )
}

/// A line that grows point by point.
#[derive(Default)]
pub struct SeriesLine {
    namespace: Vec<u8>,
    measurement: Vec<u8>,
    points: Vec<u8>,
    count: usize,
}

impl SeriesLine {
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
    pub fn add(&mut self, row: &Row, seen: &ExportNotes) -> Result<(), String> {
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
        let time = i64::from_be_bytes(time);
        seen.time(time);
        let time = json::milliseconds(time);
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
        let valid = names.iter().all(|n| std::str::from_utf8(n).is_ok());
        self.points.clear();
        self.count = 0;
        if valid {
            Ok(())
        } else {
            Err("its name is not UTF-8".to_owned())
        }
    }
}
