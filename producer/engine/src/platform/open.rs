//! Opens platforms: which engine keeps what.

use super::influx::Influx;
use super::s3::AttachmentStore;
use super::staging::{SeriesServer, Servers, Staging};
use super::{Platform, PlatformError, PlatformMode, postgres, rqlite, sqlite, write};
use crate::advice::Advice;
use crate::config::{Config, Engine};
use crate::observer::Observer;
use crate::regular;

/// Opens the platform that a configuration describes. Nothing is contacted or read yet.
///
/// # Errors
/// When the configuration names a mix that Pryv.io cannot run.
pub fn open(config: &Config, mode: PlatformMode) -> Result<Box<dyn Platform>, PlatformError> {
    let users_dir = regular::real(&config.users_dir);
    let (engines, index) = engines(config, mode, Advice::BackUpWithoutIndex)?;
    let (index, of_files) = index.beside(engines);
    let files = sqlite::SqlitePlatform::new(users_dir.clone(), of_files)
        .with_series(series_server(config)?)
        .with_bucket(bucket(config)?);
    if !engines.any() {
        return Ok(Box::new(files));
    }
    let server = &config.postgres;
    Ok(Box::new(postgres::PostgresPlatform::new(
        server, engines, index, users_dir, files,
    )?))
}

/// Facts about a restore that a platform has to know when it is opened for it.
#[derive(Clone, Copy)]
pub struct Restoring<'a> {
    /// The id of the archive.
    pub archive_id: &'a str,
    /// The archive comes from the SQLite engine.
    pub from_sqlite: bool,
    /// The series of the archive come from InfluxDB: their numbers say whether they are integers.
    pub from_influxdb: bool,
    /// The platform's own database is left alone.
    pub skip_platform: bool,
    /// Nothing is to be written.
    pub dry_run: bool,
    /// Facts about the records of the archive.
    pub ask: &'a write::Ask<'a>,
    /// Hears what is waited for.
    pub observer: &'a dyn Observer,
}

/// Opens the platform that a configuration describes as one that takes users.
///
/// # Errors
/// When an engine is one that this version cannot write, when the platform cannot be reached, or when another restore is at work
/// there.
pub fn open_writer<'a>(
    config: &Config,
    restoring: Restoring<'a>,
) -> Result<Box<dyn write::PlatformWriter + 'a>, write::RestoreError> {
    let users_dir = regular::real(&config.users_dir);
    let servers = Servers {
        series: series_server(config)?.map(|server| SeriesServer {
            server,
            kinds: restoring.from_influxdb,
        }),
        bucket: bucket(config)?,
    };
    let mode = match restoring.skip_platform {
        true => PlatformMode::None,
        false => PlatformMode::Full,
    };
    let (engines, index) = engines(config, mode, Advice::RestoreWithoutIndex)?;
    let (index, of_files) = index.beside(engines);
    let files = || {
        let staging = match restoring.dry_run {
            true => Staging::look(&users_dir, restoring.archive_id),
            false => Staging::open(&users_dir, restoring.archive_id)?,
        };
        let staging = staging.with_servers(servers);
        let from_sqlite = restoring.from_sqlite;
        let writer = sqlite::write::SqliteWriter::new(&users_dir, of_files, staging, from_sqlite);
        Ok::<_, write::RestoreError>(writer)
    };
    if !engines.any() {
        return Ok(Box::new(files()?));
    }
    Ok(Box::new(postgres::write::PostgresWriter::new(
        &config.postgres,
        engines,
        index,
        files,
        restoring.ask,
        restoring.observer,
    )?))
}

/// Finds out what is in the database, and where the platform's own one is.
fn engines(
    config: &Config,
    mode: PlatformMode,
    without: Advice,
) -> Result<(postgres::DatabaseEngines, postgres::IndexPlace), PlatformError> {
    let inside = |engine: Engine| engine == Engine::Postgresql;
    let engines = postgres::DatabaseEngines {
        base: inside(config.base_engine),
        audit: inside(config.audit_engine),
        series: inside(config.series_engine),
        files: inside(config.file_engine),
        audited: config.audit_active,
    };
    let without_base = |kind, instead| PlatformError::WithoutBase { kind, instead };
    if engines.series && !engines.base {
        // storages/index.ts connects for a base only, and the series have no connection of their own.
        return Err(without_base("series", "sqlite or influxdb"));
    }
    let index = match mode {
        PlatformMode::None => postgres::IndexPlace::None,
        _ if !inside(config.platform_engine) => {
            postgres::IndexPlace::Rqlite(index_server(config, without)?)
        }
        _ if engines.base => postgres::IndexPlace::Postgres,
        _ => return Err(without_base("platform", "rqlite")),
    };
    Ok((engines, index))
}

/// The server of the series, where that is their engine.
pub(super) fn series_server(config: &Config) -> Result<Option<Influx>, PlatformError> {
    match config.series_engine {
        Engine::Influxdb => Influx::new(&config.influxdb).map(Some),
        _ => Ok(None),
    }
}

/// The bucket of the attachments, where that is their engine.
fn bucket(config: &Config) -> Result<Option<AttachmentStore>, PlatformError> {
    let bucket = config.attachment_bucket.as_ref();
    bucket.map(AttachmentStore::new).transpose()
}

pub(super) fn index_server(
    config: &Config,
    without: Advice,
) -> Result<rqlite::Rqlite, PlatformError> {
    let authorities = config.rqlite_authorities.as_deref();
    rqlite::Rqlite::new(&config.rqlite_url, authorities, without)
}
