//! The database as the server's own tools dump it and put it back: the instant that it is read as of, and what a target must be.

use super::connection::{BEGIN, Connection, Server, literal};
use crate::config::Postgres;
use crate::platform::PlatformError;

/// All that is in the database and belongs to nobody's extension.
const RELATIONS: &str = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg_toast%' AND n.nspname NOT LIKE 'pg_temp%' \
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')";

/// The server's version, as it tells it: `15.6 (Debian 15.6-0+deb12u1)`.
///
/// # Errors
/// When the server does not answer as it should.
pub fn server_version(config: &Postgres) -> Result<String, PlatformError> {
    let server = Server::new(config)?;
    let connection = server.connect()?;
    let rows = connection.rows("SELECT current_setting('server_version')")?;
    let version = rows.into_iter().flatten().flatten().next();
    version.ok_or_else(|| server.error("it does not tell its version"))
}

/// A database that is dumped. The instant lasts as long as this.
pub struct DumpedDatabase {
    /// The name of the instant, for `pg_dump`.
    pub snapshot: String,
    /// When it is, in seconds since 1970.
    pub instant: f64,
    /// The server's version as a number.
    pub version: u32,
    /// Bytes of the database on the server's disk.
    pub bytes: u64,
    /// The roles that own something in it.
    pub owners: Vec<String>,
    _connection: Connection,
}

/// A database that a dump is to be put into.
pub struct TargetDatabase {
    /// The server's version as a number.
    pub version: u32,
    /// How many tables, indexes, sequences and so on are in it.
    pub relations: u64,
    /// Roles of the dump that are not there, or that whoever restores cannot give anything to.
    pub missing: Vec<String>,
}

impl DumpedDatabase {
    /// Connects, and fixes the instant.
    ///
    /// # Errors
    /// When the server does not answer as it should.
    pub fn open(config: &Postgres) -> Result<Self, PlatformError> {
        let server = Server::new(config)?;
        let connection = server.connect()?;
        connection.run(BEGIN)?;
        let rows = connection.rows(
            "SELECT pg_export_snapshot(), extract(epoch FROM now())::text, current_setting('server_version_num'), \
             pg_database_size(current_database())::text",
        )?;
        let mut cells = rows.into_iter().flatten().flatten();
        let mut next = || cells.next().unwrap_or_default();
        let snapshot = next();
        let instant = next().parse();
        let instant = instant.map_err(|_| server.error("it does not tell the time"))?;
        let version = next().parse();
        let version = version.map_err(|_| server.error("it does not tell its version"))?;
        let bytes = next().parse().unwrap_or_default();
        let owners = connection.rows(
            "SELECT DISTINCT pg_get_userbyid(c.relowner)::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg_toast%' \
             AND n.nspname NOT LIKE 'pg_temp%' ORDER BY 1",
        )?;
        Ok(DumpedDatabase {
            snapshot,
            instant,
            version,
            bytes,
            owners: owners.into_iter().flatten().flatten().collect(),
            _connection: connection,
        })
    }
}

impl TargetDatabase {
    /// Looks at the database.
    ///
    /// # Errors
    /// When the server does not answer as it should.
    pub fn look(config: &Postgres, owners: &[String]) -> Result<Self, PlatformError> {
        let server = Server::new(config)?;
        let connection = server.connect()?;
        let rows = connection.rows(&format!(
            "SELECT current_setting('server_version_num'), ({RELATIONS})::text"
        ))?;
        let mut cells = rows.into_iter().flatten().flatten();
        let mut number = || cells.next().and_then(|text| text.parse::<u64>().ok());
        let version = number().and_then(|number| u32::try_from(number).ok());
        let version = version.ok_or_else(|| server.error("it does not tell its version"))?;
        let relations = number().ok_or_else(|| server.error("it does not tell what it holds"))?;
        let mut missing = Vec::new();
        for owner in owners {
            let owner_name = literal(owner);
            let able = connection.rows(&format!(
                "SELECT 1 FROM pg_roles WHERE rolname = {owner_name} AND pg_has_role(current_user, oid, 'MEMBER')"
            ))?;
            if able.is_empty() {
                missing.push(owner.clone());
            }
        }
        Ok(TargetDatabase {
            version,
            relations,
            missing,
        })
    }
}
