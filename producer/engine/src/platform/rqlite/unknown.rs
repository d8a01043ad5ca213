//! Unknown data in an rqlite database, and whether its index leads to all of it.

use super::{QUERY, Rqlite};
use crate::platform::{IndexSink, PlatformError, PlatformLoss, Unknown};
use crate::text::count;

/// The table that Pryv.io keeps its entries in.
const TABLE: &str = "keyValue";

impl Rqlite {
    /// Lists what its database holds besides the known.
    ///
    /// # Errors
    /// When the server does not answer or has no leader.
    pub fn unknown(&self) -> Result<Vec<Unknown>, PlatformError> {
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let ask = |sql: &str| self.call(QUERY, &serde_json::json!([[sql]]));
        let mut found = Vec::new();
        let tables = "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' \
            AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY m.name, c.cid";
        let mut counts = Vec::new();
        for (table, column) in ask(tables)? {
            if table != TABLE {
                counts.push((table, None));
            } else if column != "key" && column != "value" {
                counts.push((table, Some(column)));
            }
        }
        counts.dedup();
        for (table, column) in counts {
            let counted = column.as_deref().map_or("*".to_owned(), quoted);
            let sql = format!(
                "SELECT CAST(count({counted}) AS TEXT), '' FROM {}",
                quoted(&table)
            );
            let rows = ask(&sql)?
                .first()
                .map_or(0, |(rows, _)| rows.parse().unwrap_or(0));
            if rows > 0 {
                let (name, what) = match column {
                    Some(column) => (
                        format!("rqlite/{table}.{column}"),
                        "a column that this version does not know",
                    ),
                    None => (
                        format!("rqlite/{table}"),
                        "a table that this version does not know",
                    ),
                };
                found.push(Unknown::rows(name, what, rows));
            }
        }
        Ok(found)
    }

    /// How many entries the primary-key index does not lead to: one that is damaged answers without an error. All of it is of one
    /// moment.
    fn unindexed(&self) -> Result<u64, PlatformError> {
        let sql = "SELECT CAST(count(*) AS TEXT), '' FROM keyValue AS t NOT INDEXED WHERE key > '' \
            AND NOT EXISTS (SELECT 1 FROM keyValue AS i WHERE i.key = t.key)";
        let rows = self.call(QUERY, &serde_json::json!([[sql]]))?;
        Ok(rows
            .first()
            .map_or(0, |(rows, _)| rows.parse().unwrap_or(0)))
    }

    /// Names as a loss what a damaged index hides.
    pub(super) fn check_index(&self, sink: &mut dyn IndexSink) -> Result<(), PlatformError> {
        let lost = self.unindexed()?;
        if lost > 0 {
            sink.loss(PlatformLoss {
                user_id: None,
                collection: Some("platform".to_owned()),
                path: Some(self.url.clone()),
                what: format!(
                    "the index of its table keyValue is damaged: {} not found through it and may be missing in the backup; see \
                     Pryv's bin/integrity-check.js --platform",
                    count(lost, "entry is", "entries are")
                ),
            });
        }
        Ok(())
    }
}
