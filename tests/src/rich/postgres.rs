//! The rows put into a database, as the server itself reads them from JSON.

use super::{RichUser, Row};
use crate::stage::Platform;

/// Fills the tables.
pub fn fill(platform: &Platform<'_>, users: &[RichUser]) {
    let mut script = String::new();
    for user in users {
        for (table, rows) in &user.tables {
            let all: Vec<String> = rows.iter().map(object).collect();
            let all = format!("'[{}]'", all.join(",").replace('\'', "''"));
            script += &match *table {
                // Milliseconds, as the other engine has them.
                "sessions" => format!(
                    "INSERT INTO sessions SELECT id, data, to_timestamp(expires / 1000.0) \
                     FROM jsonb_to_recordset({all}) AS r(id text, data jsonb, expires bigint);\n"
                ),
                "password_resets" => format!(
                    "INSERT INTO password_resets SELECT id, username, to_timestamp(expires / 1000.0) \
                     FROM jsonb_to_recordset({all}) AS r(id text, username text, expires bigint);\n"
                ),
                _ => format!(
                    "INSERT INTO {table} SELECT * FROM jsonb_populate_recordset(NULL::{table}, {all});\n"
                ),
            };
        }
        script += &format!(
            "INSERT INTO event_streams SELECT e.user_id, e.id, s.id, coalesce(t.path, s.id || '/') FROM events e \
             CROSS JOIN LATERAL jsonb_array_elements_text(e.stream_ids) s(id) \
             LEFT JOIN streams t ON t.user_id = e.user_id AND t.id = s.id \
             WHERE e.user_id = '{}' AND e.head_id IS NULL AND e.deleted IS NULL AND jsonb_typeof(e.stream_ids) = 'array';\n",
            user.id
        );
    }
    platform.sql(&script);
}

fn object(row: &Row) -> String {
    let parts: Vec<String> = row
        .iter()
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    format!("{{{}}}", parts.join(","))
}
