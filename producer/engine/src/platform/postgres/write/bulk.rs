//! Much into a platform that holds little: the indexes of its tables are dropped, and built again when the rows are in.
//!
//! All of it happens in the transaction of the rows, so the platform is never without its indexes: nobody sees that they are gone,
//! and a transaction that ends in any other way than by its commit has dropped nothing.

use crate::platform::PlatformError;
use crate::platform::postgres::connection::{Connection, literal};

/// Below this the indexes are not worth it.
const LEAST: u64 = 8 << 20;
/// How many times as much may be there already: building an index over a row costs a fraction of putting the row into it.
const THERE: u64 = 4;
/// How long others may keep the tables from us. The server's own vacuum gives way after a second.
const PATIENCE: &str = "5s";
/// Memory for building an index, unless the server has more for it.
const MEMORY: u64 = 256 << 20;

/// The tables of a platform without their indexes.
pub struct Bulk {
    indexes: Vec<TableIndex>,
    /// Tables that nobody else can see rows of: nothing is left to do about theirs when they are in.
    pub fresh: Vec<String>,
}

/// An index that was dropped: its name and that of its table, what makes it, and the constraint that it stands for.
#[derive(PartialEq, Eq, Debug)]
struct TableIndex {
    name: String,
    table: String,
    definition: String,
    constraint: Option<(String, String)>,
}

impl Bulk {
    /// Prepares the tables for so many `bytes`, in the transaction that the connection is in, where users who are to be replaced
    /// are gone already. `None` where that would not be
    /// faster; after an error (others use the tables, or they belong to another role) the transaction is spoiled.
    pub fn begin(
        connection: &Connection,
        tables: &[&str],
        bytes: u64,
        replace: bool,
    ) -> Result<Option<Self>, PlatformError> {
        if bytes < LEAST {
            return Ok(None);
        }
        let list: Vec<String> = tables.iter().map(|table| literal(table)).collect();
        let list = format!("ARRAY[{}]::regclass[]", list.join(", "));
        // Ordinary tables of ours, and how much is in them; who else is connected.
        let found = connection.rows(&format!(
            "SELECT bool_and(c.relkind = 'r' AND pg_has_role(c.relowner, 'USAGE')), sum(pg_relation_size(c.oid))::bigint, \
             (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usesysid IS NOT NULL \
               AND application_name <> 'pryv-backup') \
             FROM pg_class c WHERE c.oid = ANY({list})"
        ))?;
        let mut found = found.into_iter().flatten().flatten();
        let (ours, size, others) = (found.next(), found.next(), found.next());
        let size = size.and_then(|size| size.parse::<u64>().ok());
        if ours.as_deref() != Some("t") || size.is_none_or(|size| size > bytes * THERE) {
            return Ok(None);
        }
        connection.run(&format!(
            "SET LOCAL lock_timeout = '{PATIENCE}'; LOCK TABLE {} IN ACCESS EXCLUSIVE MODE; SET LOCAL lock_timeout = 0",
            tables.join(", ")
        ))?;
        let mut fresh = Vec::new();
        for table in tables {
            let some = connection.rows(&format!("SELECT EXISTS (SELECT FROM {table})"))?;
            if some.into_iter().flatten().flatten().next().as_deref() == Some("f") {
                fresh.push((*table).to_owned());
            }
        }
        // Who works with the users that are there is not to be kept waiting for all this.
        if (replace || fresh.len() < tables.len()) && others.as_deref() != Some("0") {
            return Ok(None);
        }
        let indexes = read(connection, &list)?;
        let mut statements: Vec<String> = indexes.iter().map(TableIndex::drop).collect();
        if !fresh.is_empty() {
            // Without what an earlier attempt may have left in their files.
            statements.push(format!("TRUNCATE {}", fresh.join(", ")));
        }
        connection.run(&statements.join("; "))?;
        Ok(Some(Self { indexes, fresh }))
    }

    /// Builds the indexes.
    pub fn end(&self, connection: &Connection, tables: &[&str]) -> Result<(), PlatformError> {
        connection.run(&format!(
            "SELECT set_config('maintenance_work_mem', \
             greatest(pg_size_bytes(current_setting('maintenance_work_mem')), {MEMORY}) / 1024 || 'kB', true)"
        ))?;
        for index in &self.indexes {
            connection.run(&index.create())?;
        }
        let list: Vec<String> = tables.iter().map(|table| literal(table)).collect();
        let built = read(
            connection,
            &format!("ARRAY[{}]::regclass[]", list.join(", ")),
        )?;
        if built != self.indexes {
            return Err(connection.error(
                "the indexes did not come out as they were; nothing was changed, see the server's log",
            ));
        }
        Ok(())
    }
}

impl TableIndex {
    fn drop(&self) -> String {
        match &self.constraint {
            Some((name, _)) => format!("ALTER TABLE {} DROP CONSTRAINT {name}", self.table),
            None => format!("DROP INDEX {}", self.name),
        }
    }

    fn create(&self) -> String {
        match &self.constraint {
            Some((name, definition)) => {
                format!(
                    "ALTER TABLE {} ADD CONSTRAINT {name} {definition}",
                    self.table
                )
            }
            None => self.definition.clone(),
        }
    }
}

/// The indexes that can be made again exactly as they are. Those about which something is said elsewhere (a comment, a tablespace,
/// a foreign key, a replica identity, …) are left in place.
fn read(connection: &Connection, tables: &str) -> Result<Vec<TableIndex>, PlatformError> {
    let rows = connection.rows(&format!(
        "SELECT i.indexrelid::regclass, i.indrelid::regclass, pg_get_indexdef(i.indexrelid), quote_ident(k.conname), \
           pg_get_constraintdef(k.oid) \
         FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid \
         LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x') \
         WHERE i.indrelid = ANY({tables}) AND i.indisvalid AND i.indisready AND NOT i.indisreplident AND NOT i.indisclustered \
           AND x.reltablespace = 0 AND NOT x.relispartition AND k.contype IS DISTINCT FROM 'x' \
           AND NOT EXISTS (SELECT FROM pg_constraint f WHERE f.contype = 'f' AND f.confrelid = i.indrelid) \
           AND NOT EXISTS (SELECT FROM pg_description d WHERE d.classoid = 'pg_class'::regclass AND d.objoid = i.indexrelid \
             OR d.classoid = 'pg_constraint'::regclass AND d.objoid = k.oid) \
           AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = i.indexrelid AND a.attstattarget >= 0) \
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid \
             AND d.deptype IN ('e', 'x')) \
         ORDER BY i.indrelid::regclass::text, i.indisprimary DESC, i.indexrelid::regclass::text"
    ))?;
    let indexes = rows.into_iter().filter_map(|row| {
        let mut texts = row.into_iter();
        let mut next = || texts.next().flatten();
        Some(TableIndex {
            name: next()?,
            table: next()?,
            definition: next()?,
            constraint: next().zip(next()),
        })
    });
    Ok(indexes.collect())
}
