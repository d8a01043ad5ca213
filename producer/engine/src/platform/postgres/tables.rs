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
    /// Expression to select.
    pub expression: String,
    /// Its type as the server writes it.
    pub of: String,
    /// Its value in a row for which none is given.
    pub unset: Unset,
}

/// Value of a column in a row for which none is given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unset {
    /// NULL.
    Null,
    /// The default.
    Default,
    /// Nothing: such a row is refused.
    Refused,
    /// The server computes it; no other value is taken.
    Generated,
    /// The next number of a sequence.
    Identity,
}

impl Tables {
    /// Looks the tables up; all of them must be there.
    pub fn read(connection: &Connection, names: &[&str]) -> Result<Self, PlatformError> {
        let list: Vec<String> = names.iter().map(|name| literal(name)).collect();
        // A domain is what it is based on.
        let sql = format!(
            "WITH RECURSIVE bases AS (SELECT t.oid, t.oid AS base FROM pg_catalog.pg_type t \
               UNION ALL SELECT b.oid, t.typbasetype FROM bases b JOIN pg_catalog.pg_type t ON t.oid = b.base WHERE t.typtype = 'd') \
             SELECT n.name, a.attname, CASE WHEN base.typcategory <> 'A' THEN base.typname WHEN base.typelem IN ('json'::regtype, 'jsonb'::regtype) THEN 'json array' ELSE 'array' END, format_type(a.atttypid, a.atttypmod), a.attgenerated <> '', a.attidentity <> '', \
               a.atthasdef OR t.typdefault IS NOT NULL, a.attnotnull OR t.typnotnull \
             FROM unnest(ARRAY[{}]) AS n(name) \
             LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = to_regclass(n.name)::oid AND a.attnum > 0 AND NOT a.attisdropped \
             LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
             LEFT JOIN bases ON bases.oid = a.atttypid \
             LEFT JOIN pg_catalog.pg_type base ON base.oid = bases.base \
             WHERE base.typtype IS DISTINCT FROM 'd' ORDER BY n.name, a.attnum",
            list.join(", ")
        );
        let mut tables: HashMap<String, Vec<Column>> = HashMap::new();
        let mut missing = Vec::new();
        for row in connection.rows(&sql)? {
            let mut texts = row.into_iter();
            let mut next = || texts.next().flatten();
            let table = next().unwrap_or_default();
            let (Some(name), Some(base), Some(of)) = (next(), next(), next()) else {
                missing.push(table);
                continue;
            };
            let mut is = || next().as_deref() == Some("t");
            let unset = match [is(), is(), is(), is()] {
                [true, ..] => Unset::Generated,
                [_, true, ..] => Unset::Identity,
                [_, _, true, _] => Unset::Default,
                [.., true] => Unset::Refused,
                _ => Unset::Null,
            };
            let (kind, expression) = form(&name, &base);
            tables.entry(table).or_default().push(Column {
                name,
                kind,
                expression,
                of,
                unset,
            });
        }
        if missing.is_empty() {
            return all_rows(connection, names).map(|()| Self(tables));
        }
        Err(connection.error(format!(
            "there is no table {}; check that this is the database of a Pryv.io platform, and the search_path of its user",
            missing.join(", ")
        )))
    }

    /// Text on which reading the tables depends: the same for the same tables.
    pub fn described(&self) -> String {
        let read = |column: &Column| (column.name.clone(), column.kind, column.expression.clone());
        let tables = self.0.iter();
        let mut tables: Vec<(&String, Vec<_>)> = tables
            .map(|(name, columns)| (name, columns.iter().map(read).collect()))
            .collect();
        tables.sort_by_key(|(name, _)| name.as_str());
        format!("{tables:?}")
    }

    /// The columns of a table.
    pub fn columns(&self, table: &str) -> &[Column] {
        self.0.get(table).map_or(&[], Vec::as_slice)
    }
}

/// Checks that this user sees all rows of the tables, and of those that only newer databases have.
fn all_rows(connection: &Connection, names: &[&str]) -> Result<(), PlatformError> {
    let names = names.iter().chain(&["alias_index", "schema_migrations"]);
    let list: Vec<String> = names.map(|name| literal(name)).collect();
    let hidden = connection.pairs(&format!(
        "SELECT relname, quote_ident(current_user) FROM pg_catalog.pg_class WHERE relname IN ({}) \
         AND pg_catalog.pg_table_is_visible(oid) AND relrowsecurity AND row_security_active(oid) ORDER BY relname",
        list.join(", ")
    ))?;
    let Some((_, user)) = hidden.first() else {
        return Ok(());
    };
    let tables: Vec<&str> = hidden.iter().map(|(table, _)| table.as_str()).collect();
    Err(connection.error(format!(
        "row level security keeps rows of {} from this user: ALTER ROLE {user} BYPASSRLS, or connect as one who sees all rows",
        tables.join(", ")
    )))
}

/// In which form a column comes, and what to select for that.
fn form(name: &str, base: &str) -> (Kind, String) {
    let quoted = identifier(name);
    match base {
        "text" => (Kind::Text, quoted),
        "jsonb" => (Kind::Json, quoted),
        "float8" => (Kind::Double, quoted),
        "int4" => (Kind::Integer, quoted),
        "int8" => (Kind::Long, quoted),
        "bool" => (Kind::Bool, quoted),
        "json" => (Kind::Json, format!("to_jsonb({quoted})")),
        // Whatever somebody added or changed.
        "array" => (Kind::Array, format!("to_jsonb({quoted})")),
        "json array" => (Kind::JsonArray, format!("to_jsonb({quoted})")),
        _ => (Kind::Other, format!("to_jsonb({quoted})")),
    }
}
