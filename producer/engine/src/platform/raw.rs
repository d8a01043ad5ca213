//! The stores of a platform as a whole, for dumps by the tools that come with them.

use super::influx::Influx;
pub use super::rqlite::Rqlite as IndexServer;
use super::{PlatformError, open};
use crate::advice::Advice;
use crate::config::{Config, Engine};

pub use super::postgres::raw::{DumpedDatabase, TargetDatabase, server_version};
pub use super::sqlite::copied::{BESIDE, copy, is_database};

/// Whether anything of the platform is in PostgreSQL.
#[must_use]
pub fn has_database(config: &Config) -> bool {
    let engines = [
        config.base_engine,
        config.audit_engine,
        config.series_engine,
        config.file_engine,
        config.platform_engine,
    ];
    engines.contains(&Engine::Postgresql)
}

/// The server of the platform's own database, where that is rqlite.
///
/// # Errors
/// When its address is none.
pub fn rqlite(config: &Config) -> Result<Option<IndexServer>, PlatformError> {
    match config.platform_engine {
        Engine::Rqlite => open::index_server(config, Advice::RunRqlite).map(Some),
        _ => Ok(None),
    }
}

/// The server of the series, where that is their engine.
///
/// # Errors
/// When its address is none.
pub fn influx(config: &Config) -> Result<Option<Influx>, PlatformError> {
    open::series_server(config)
}
