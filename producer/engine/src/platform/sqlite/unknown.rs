//! Tables and columns of the files that this version does not know. Columns of records travel under their own names; whatever else
//! has no place in an archive is counted.

use super::file::SqliteFile;
use super::schema::SchemaTables;
use crate::platform::PlatformError;
use crate::platform::json;
use crate::platform::unknown::{CountUnit, Counted};
use rusqlite::Row;
use rusqlite::types::ValueRef;

const TABLE: &str = "a table that this version does not know";
const COLUMN: &str =
    "a column that this version does not know, and for which an archive has no place";

/// Which columns of a file have a place in an archive.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Columns {
    /// Those of records.
    Travel,
    /// None but the known ones.
    Fixed,
}

/// Counts what a file holds besides the known. Whether there is anything.
pub fn look(
    file: &SqliteFile,
    known: &SchemaTables,
    columns: Columns,
    counted: &Counted,
) -> Result<bool, PlatformError> {
    let failed = |e| file.error(e);
    let name = file.path.file_name().unwrap_or_default().to_string_lossy();
    let mut found = false;
    let mut count = |what: &'static str, place: String, sql: String| {
        let rows: i64 = file.connection.query_row(&sql, [], |row| row.get(0))?;
        found |= rows > 0;
        counted.add(
            format!("{name}/{place}"),
            what,
            CountUnit::Rows,
            rows.unsigned_abs(),
        );
        Ok::<_, rusqlite::Error>(())
    };
    for (table, there) in super::schema::tables(&file.connection).map_err(failed)? {
        let from = identifier(&table);
        let Some(known) = known.get(&table) else {
            count(TABLE, table, format!("SELECT count(*) FROM {from}")).map_err(failed)?;
            continue;
        };
        if columns == Columns::Travel {
            continue;
        }
        for column in there.iter().filter(|column| !known.contains(column)) {
            let sql = format!("SELECT count({}) FROM {from}", identifier(column));
            count(COLUMN, format!("{table}.{column}"), sql).map_err(failed)?;
        }
    }
    Ok(found)
}

/// Columns of a table of records that are not known, and travel under their own names.
pub struct Further(Vec<String>);

impl Further {
    /// Looks.
    pub fn of(file: &SqliteFile, known: &SchemaTables, table: &str) -> Result<Self, PlatformError> {
        let there = super::schema::tables(&file.connection).map_err(|e| file.error(e))?;
        let mut columns = there.get(table).cloned().unwrap_or_default();
        let known = known.get(table);
        columns.retain(|column| known.is_some_and(|known| !known.contains(column)));
        Ok(Self(columns))
    }

    /// Columns to select behind the known ones.
    pub fn select(&self) -> String {
        let columns = self
            .0
            .iter()
            .map(|column| format!(", {}", identifier(column)));
        columns.collect()
    }

    /// Whether a member has this name.
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|column| column == name)
    }

    /// Adds those of a row that are not NULL; the first of them is the column with this number.
    pub fn add(
        &self,
        row: &Row<'_>,
        first: usize,
        object: &mut json::Object,
    ) -> Result<(), String> {
        for (i, name) in self.0.iter().enumerate() {
            let cell = row.get_ref(first + i).map_err(|e| e.to_string())?;
            let value = match cell {
                ValueRef::Null => continue,
                // As PostgreSQL writes bytes in JSON.
                ValueRef::Blob(bytes) => {
                    let hex = crate::text::hex(bytes);
                    json::quote(&format!("\\x{hex}"))
                }
                other => object.held(name, other)?,
            };
            let name = json::quote(name);
            object.raw(&name[1..name.len() - 1], &value);
        }
        Ok(())
    }
}

/// All rows of a file, whatever its tables are.
pub fn rows(file: &SqliteFile) -> Result<u64, PlatformError> {
    let failed = |e| file.error(e);
    let mut all = 0;
    for table in super::schema::tables(&file.connection)
        .map_err(failed)?
        .keys()
    {
        let sql = format!("SELECT count(*) FROM {}", identifier(table));
        let rows: i64 = file
            .connection
            .query_row(&sql, [], |row| row.get(0))
            .map_err(failed)?;
        all += rows.unsigned_abs();
    }
    Ok(all)
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
