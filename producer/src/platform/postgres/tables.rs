//! Which columns the tables have: it differs with the age of the database, and so does their order.

use super::connection::{Connection, identifier, literal};
use super::values::Kind;
use crate::platform::PlatformError;
use std::collections::HashMap;

/// The tables that are read.
pub struct Tables(HashMap<String, Vec<Column>>);

/// A column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// In which form it comes.
    pub kind: Kind,
    /// What to select.
    pub expression: String,
}

impl Tables {
    /// Looks the tables up; all of them must be there.
    pub fn read(connection: &Connection, names: &[&str]) -> Result<Self, PlatformError> {
        let list: Vec<String> = names.iter().map(|name| literal(name)).collect();
        let sql = format!(
            "SELECT n.name, a.attname, t.typname FROM unnest(ARRAY[{}]) AS n(name) \
             LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = to_regclass(n.name)::oid AND a.attnum > 0 AND NOT a.attisdropped \
             LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid ORDER BY n.name, a.attnum",
            list.join(", ")
        );
        let mut tables: HashMap<String, Vec<Column>> = HashMap::new();
        let mut missing = Vec::new();
        for row in connection.rows(&sql)? {
            let mut texts = row.into_iter();
            let table = texts.next().flatten().unwrap_or_default();
            match (texts.next().flatten(), texts.next().flatten()) {
                (Some(name), Some(of)) => {
                    tables.entry(table).or_default().push(column(name, &of));
                }
                _ => missing.push(table),
            }
        }
        if missing.is_empty() {
            return Ok(Self(tables));
        }
        Err(connection.error(format!(
            "there is no table {}; check that this is the database of a Pryv.io platform, and the search_path of its user",
            missing.join(", ")
        )))
    }

    /// All of it as text, the same for the same tables.
    pub fn described(&self) -> String {
        let mut tables: Vec<_> = self.0.iter().collect();
        tables.sort_by_key(|(name, _)| name.as_str());
        format!("{tables:?}")
    }

    /// The columns of a table.
    pub fn columns(&self, table: &str) -> &[Column] {
        self.0.get(table).map_or(&[], Vec::as_slice)
    }
}

fn column(name: String, of: &str) -> Column {
    let quoted = identifier(&name);
    let (kind, expression) = match of {
        "text" => (Kind::Text, quoted),
        "jsonb" => (Kind::Json, quoted),
        "float8" => (Kind::Double, quoted),
        "int4" => (Kind::Integer, quoted),
        "int8" => (Kind::Long, quoted),
        "bool" => (Kind::Bool, quoted),
        // Whatever somebody added.
        _ => (Kind::Json, format!("to_jsonb({quoted})")),
    };
    Column {
        name,
        kind,
        expression,
    }
}
