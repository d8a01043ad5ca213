//! Opens platforms: which engine keeps what.

use super::influx::Influx;
use super::s3::AttachmentStore;
use super::staging::{SeriesServer, Servers, Staging};
use super::{Platform, PlatformError, PlatformMode, postgres, rqlite, sqlite, write};
use crate::advice::Advice;
use crate::config::{Config, Engine};
use crate::observer::Observer;
use crate::regular;
use std::path::PathBuf;

/// Opens the platform that a configuration describes. Nothing is contacted or read yet.
///
/// # Errors
/// When an engine is one that this version cannot read.
pub fn open(config: &Config, mode: PlatformMode) -> Result<Box<dyn Platform>, PlatformError> {
    let users_dir = regular::real(&config.users_dir);
    if config.base_engine == Engine::Postgresql {
        return postgres_platform(config, mode, users_dir);
    }
    let index = sqlite_engines(
        config,
        mode == PlatformMode::None,
        Advice::BackUpWithoutIndex,
    )?;
    Ok(Box::new(beside(config, users_dir, index)?))
}

/// What is in the folders of users, and on the servers that may keep it instead.
fn beside(
    config: &Config,
    users_dir: PathBuf,
    index: Option<rqlite::Rqlite>,
) -> Result<sqlite::SqlitePlatform, PlatformError> {
    let platform = sqlite::SqlitePlatform::new(users_dir, index);
    let platform = platform.with_series(series_server(config)?);
    Ok(platform.with_bucket(bucket(config)?))
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
    let staging = || {
        let staging = match restoring.dry_run {
            true => Staging::look(&users_dir, restoring.archive_id),
            false => Staging::open(&users_dir, restoring.archive_id)?,
        };
        Ok::<_, write::RestoreError>(staging.with_servers(servers))
    };
    let (skip_platform, from_sqlite) = (restoring.skip_platform, restoring.from_sqlite);
    if config.base_engine == Engine::Postgresql {
        let mode = if skip_platform {
            PlatformMode::None
        } else {
            PlatformMode::Full
        };
        let (engines, index) = postgres_engines(config, mode, Advice::RestoreWithoutIndex)?;
        return Ok(Box::new(postgres::write::PostgresWriter::new(
            &config.postgres,
            engines,
            index,
            staging,
            from_sqlite,
            restoring.ask,
            restoring.observer,
        )?));
    }
    let index = sqlite_engines(config, skip_platform, Advice::RestoreWithoutIndex)?;
    Ok(Box::new(sqlite::write::SqliteWriter::new(
        &users_dir,
        index,
        staging()?,
        from_sqlite,
    )))
}

/// Checks that everything but the base is where a platform of the SQLite engine has it.
fn sqlite_engines(
    config: &Config,
    without_index: bool,
    without: Advice,
) -> Result<Option<rqlite::Rqlite>, PlatformError> {
    let supported = |kind: &str, engine: Engine, known: Engine| {
        if engine == known {
            Ok(())
        } else {
            Err(unsupported(kind, engine))
        }
    };
    supported("audit", config.audit_engine, Engine::Sqlite)?;
    if config.series_engine != Engine::Influxdb {
        supported("series", config.series_engine, Engine::Sqlite)?;
    }
    if config.file_engine != Engine::S3 {
        supported("file", config.file_engine, Engine::Filesystem)?;
    }
    if without_index {
        return Ok(None);
    }
    supported("platform", config.platform_engine, Engine::Rqlite)?;
    Ok(Some(index_server(config, without)?))
}

/// The platform whose base engine is PostgreSQL; anything else may be there too or in files.
fn postgres_platform(
    config: &Config,
    mode: PlatformMode,
    users_dir: PathBuf,
) -> Result<Box<dyn Platform>, PlatformError> {
    let (engines, index) = postgres_engines(config, mode, Advice::BackUpWithoutIndex)?;
    Ok(Box::new(postgres::PostgresPlatform::new(
        &config.postgres,
        engines,
        index,
        users_dir.clone(),
        beside(config, users_dir, None)?,
    )?))
}

/// Finds out which engines are in the database, and where the platform's own one is.
fn postgres_engines(
    config: &Config,
    mode: PlatformMode,
    without: Advice,
) -> Result<(postgres::DatabaseEngines, postgres::IndexPlace), PlatformError> {
    let inside = |kind: &str, engine: Engine, outside: Engine| match engine {
        Engine::Postgresql => Ok(true),
        _ if engine == outside => Ok(false),
        _ => Err(unsupported(kind, engine)),
    };
    let engines = postgres::DatabaseEngines {
        audit: inside("audit", config.audit_engine, Engine::Sqlite)?,
        series: match config.series_engine {
            Engine::Influxdb => false,
            engine => inside("series", engine, Engine::Sqlite)?,
        },
        files: match config.file_engine {
            Engine::S3 => false,
            engine => inside("file", engine, Engine::Filesystem)?,
        },
        audited: config.audit_active,
    };
    let index = match mode {
        PlatformMode::None => postgres::IndexPlace::None,
        _ if config.platform_engine == Engine::Postgresql => postgres::IndexPlace::Postgres,
        _ => postgres::IndexPlace::Rqlite(index_server(config, without)?),
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

fn unsupported(kind: &str, engine: Engine) -> PlatformError {
    PlatformError::Unsupported {
        what: format!("storages.{kind}.engine {}", engine.name()),
    }
}
