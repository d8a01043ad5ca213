//! Checks the demands of the tables on rows beyond those of Pryv.io: columns that somebody added, and triggers.

use super::feed::{Table, table};
use super::rows::{Layout, Layouts, may_be_left_out};
use crate::platform::postgres::TABLES;
use crate::platform::postgres::connection::{Connection, literal};
use crate::platform::postgres::shape::camel_case;
use crate::platform::postgres::tables::{Column, Tables, Unset};
use crate::platform::postgres::values::Kind;
use crate::platform::write::{Ask, Obstacle, RestoreError};
use crate::platform::{Collection, PlatformError};

/// Columns that every row is given.
const ALWAYS: [&str; 4] = ["user_id", "id", "eventid", "path"];
/// Columns that are written in tables for which there is no [`Table`].
const OTHERS: [(&str, &str); 4] = [
    ("sessions", "id, data, expires"),
    ("password_resets", "id, username, expires"),
    ("alias_index", "alias, user_id"),
    ("platform_kv", "key, value"),
];

/// The tables of a database, and who knows what is to come into them.
pub struct TableDemands<'a> {
    /// A connection.
    pub connection: &'a Connection,
    /// Their columns.
    pub tables: &'a Tables,
    /// Their names.
    pub names: &'a [&'a str],
    /// Facts about the records of the archive.
    pub ask: &'a Ask<'a>,
}

impl TableDemands<'_> {
    /// How records become rows, and what keeps them from it.
    pub fn look(&self) -> Result<(Layouts, Vec<Obstacle>), RestoreError> {
        let (mut layouts, mut obstacles) = (Vec::new(), self.fixed());
        for (name, collection) in TABLES {
            debug_assert_eq!(table(collection).name(), name);
            let columns = self.columns(name, collection, &mut obstacles)?;
            let defaults = self.defaults(name, &columns)?;
            let default = |column: &Column| {
                let known = defaults.iter().find(|(name, _)| *name == column.name);
                let known = known.map(|(_, value)| value.clone());
                known.or_else(|| (column.kind == Kind::Bool).then(|| "f".to_owned()))
            };
            layouts.push((collection, Layout::new(collection, &columns, default)));
        }
        layouts.retain(|(of, _)| self.names.contains(&table(*of).name()));
        obstacles.extend(self.triggers()?);
        Ok((layouts, obstacles))
    }

    /// Columns of which something can be written. One with a default that no record speaks of is left to the database.
    fn columns(
        &self,
        name: &str,
        collection: Collection,
        obstacles: &mut Vec<Obstacle>,
    ) -> Result<Vec<&Column>, RestoreError> {
        let mut columns = Vec::new();
        for column in self.tables.columns(name) {
            let own = ALWAYS.contains(&column.name.as_str()) || may_be_left_out(column);
            let names = [camel_case(&column.name), column.name.as_str()];
            let written = match column.unset {
                Unset::Default if !own => (self.ask)(collection, names)?.some,
                Unset::Refused if !own => {
                    if !(self.ask)(collection, names)?.all {
                        obstacles.push(lacking(name, column));
                    }
                    true
                }
                _ => true,
            };
            if written {
                columns.push(column);
            }
        }
        Ok(columns)
    }

    /// The defaults of columns that a backup may leave out.
    fn defaults(
        &self,
        table: &str,
        columns: &[&Column],
    ) -> Result<Vec<(String, String)>, PlatformError> {
        let with = columns
            .iter()
            .filter(|c| may_be_left_out(c) && c.unset == Unset::Default);
        let names: Vec<String> = with.map(|c| literal(&c.name)).collect();
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let expressions = self.connection.pairs(&format!(
            "SELECT a.attname, coalesce(pg_get_expr(d.adbin, d.adrelid), pg_get_expr(t.typdefaultbin, 0)) \
             FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
             LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
             WHERE a.attrelid = to_regclass({}) AND a.attname IN ({})",
            literal(table),
            names.join(", ")
        ))?;
        let (names, expressions): (Vec<String>, Vec<String>) = expressions
            .into_iter()
            .map(|(name, expression)| (name, format!("({expression})::text")))
            .unzip();
        let sql = format!("SELECT {}", expressions.join(", "));
        let values = self.connection.rows(&sql)?.into_iter().flatten();
        let all = names.into_iter().zip(values);
        Ok(all
            .filter_map(|(name, value)| Some((name, value?)))
            .collect())
    }

    /// Columns that must have a value, in tables of which always the same columns are written.
    fn fixed(&self) -> Vec<Obstacle> {
        let fixed = Table::ALL.map(|table| (table.name(), table.columns()));
        let fixed = fixed.into_iter().chain(OTHERS);
        let fixed = fixed.filter(|(_, written)| !written.is_empty());
        fixed
            .flat_map(|(name, written)| {
                let columns = self.tables.columns(name).iter();
                columns
                    .filter(move |column| {
                        column.unset == Unset::Refused
                            && written.split(", ").all(|known| known != column.name)
                    })
                    .map(move |column| lacking(name, column))
            })
            .collect()
    }

    /// Triggers and rules may change rows, or keep them out.
    fn triggers(&self) -> Result<Option<Obstacle>, PlatformError> {
        let list: Vec<String> = self.names.iter().map(|name| literal(name)).collect();
        let rows = self.connection.rows(&format!(
            "SELECT f.kind || ' ' || f.name || ' of table ' || c.relname FROM pg_class c JOIN ( \
               SELECT 'trigger' AS kind, tgname AS name, tgrelid AS of FROM pg_trigger WHERE NOT tgisinternal AND tgenabled IN ('O', 'A') \
               UNION ALL SELECT 'rule', rulename, ev_class FROM pg_rewrite WHERE ev_type <> '1' AND ev_enabled IN ('O', 'A') \
             ) f ON f.of = c.oid WHERE c.oid = ANY(ARRAY[{}]::regclass[]::oid[]) ORDER BY 1",
            list.join(", ")
        ))?;
        let all: Vec<String> = rows.into_iter().flatten().flatten().collect();
        Ok(Obstacle::triggers(&all))
    }
}

/// A column that cannot be left without a value, and is given none.
fn lacking(table: &str, column: &Column) -> Obstacle {
    Obstacle::fatal(format!(
        "the column {} of table {table}, of type {}, must have a value and has no default, and the backup has records without it: give it one \
             (ALTER TABLE {table} ALTER COLUMN {} SET DEFAULT ...), and restore again",
        column.name, column.of, column.name
    ))
}
