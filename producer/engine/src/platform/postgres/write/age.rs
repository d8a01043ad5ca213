//! How old a database is: what Pryv's migrations have not brought it yet, it cannot hold.

use crate::platform::PlatformError;
use crate::platform::postgres::connection::Connection;
use crate::platform::postgres::unknown::{MIGRATION as KNOWN, migration};
use crate::platform::write::Obstacle;

const ADVICE: &str = "start Pryv.io once, or run its bin/migrate.js, before you restore";

/// Features of a database that depend on its age.
pub struct Age {
    /// The last migration that it has seen.
    version: u32,
    /// Versions of accesses beside the accesses themselves (migration 1).
    pub versions: bool,
    /// Other names of users (migration 3).
    pub aliases: bool,
}

impl Age {
    /// Looks.
    pub fn read(connection: &Connection) -> Result<Self, PlatformError> {
        let one = |sql: &str| -> Result<String, PlatformError> {
            let rows = connection.rows(sql)?;
            Ok(rows
                .into_iter()
                .flatten()
                .flatten()
                .next()
                .unwrap_or_default())
        };
        let there = |name: &str| {
            let found = one(&format!("SELECT to_regclass('{name}')::text"))?;
            Ok::<_, PlatformError>(!found.is_empty())
        };
        // The first indexes take a version for a second access with the same token.
        let valid = "SELECT (SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass('accesses') AND attname = 'head_id') = 1 \
                     AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = to_regclass('accesses') AND indisunique AND NOT indisprimary \
                     AND pg_get_indexdef(indexrelid) NOT LIKE '%head_id%')";
        Ok(Self {
            version: migration(connection)?,
            versions: one(valid)? == "t",
            aliases: there("alias_index")?,
        })
    }

    /// Obstacles that follow from the age.
    pub fn obstacles(&self) -> Vec<Obstacle> {
        let mut all = Vec::new();
        if !self.versions {
            all.push(Obstacle::note(format!(
                "the tables and indexes of accesses are those of a database before Pryv's migrations, and do not take versions of accesses: {ADVICE}"
            )));
        }
        if !self.aliases {
            all.push(Obstacle::note(format!(
                "the database has no table of aliases, so that other names of users are left out: {ADVICE}"
            )));
        }
        if self.version < KNOWN && self.versions && self.aliases {
            all.push(Obstacle::note(format!(
                "the schema of the database has version {}, and the one that this tool writes for has {KNOWN}: what it has no columns for is left out and named; {ADVICE}",
                self.version
            )));
        }
        if self.version > KNOWN {
            all.push(Obstacle::note(format!(
                "the schema of the database has version {}, later than the one that this tool knows ({KNOWN}): what came since stays as the database sets it",
                self.version
            )));
        }
        all
    }
}
