//! What is asked of InfluxDB around the tools that back it up and restore it.

use super::Influx;
use crate::platform::PlatformError;
use std::collections::BTreeSet;

/// The server's own.
const INTERNAL: &str = "_internal";

impl Influx {
    /// The server's version, as it tells it.
    ///
    /// # Errors
    /// When it does not answer, or does not tell.
    pub fn version(&self) -> Result<String, PlatformError> {
        let asked = self.agent.get(format!("{}/ping", self.url)).call();
        let answer =
            asked.map_err(|e| self.error(format!("{e}; check the address and that it runs")))?;
        let version = answer.headers().get("x-influxdb-version");
        let version = version.and_then(|version| version.to_str().ok());
        version
            .map(str::to_owned)
            .ok_or_else(|| self.error("it does not tell its version"))
    }

    /// The databases that are there now, but for the server's own.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn filled(&self) -> Result<BTreeSet<String>, PlatformError> {
        let mut all: BTreeSet<String> = self.databases_now()?.into_iter().collect();
        all.remove(INTERNAL);
        Ok(all)
    }

    /// Bytes on the server's disk.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn bytes(&self) -> Result<u64, PlatformError> {
        let rows = self.rows("SHOW STATS FOR 'shard'")?;
        // Of each shard the cells are numbers in the order of their names, of which the first is its size on the disk.
        let sizes = rows
            .iter()
            .filter_map(|row| row.cells.first()?.parse::<u64>().ok());
        Ok(sizes.sum())
    }
}
