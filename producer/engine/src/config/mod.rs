//! The settings of a Pryv.io platform that a backup needs, found where Pryv.io itself looks for them.

mod account;
mod apart;
mod attachment_bucket;
mod host_files;
mod influxdb;
mod layers;
mod pgpass;
mod postgres;
mod remarks;
pub mod rqlite_address;

use crate::pii::{Pii, PiiKey};
use crate::second_factor::SecondFactorKey;
pub use account::AccountField;
pub use apart::KeptApart;
pub use attachment_bucket::AttachmentBucket;
use decryptor_wasm::manifest::Engines;
pub use host_files::{HostFiles, HostFolder};
pub use influxdb::Influxdb;
use layers::Layers;
pub use postgres::{Password, Postgres, Roots, TlsMode};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Where a platform keeps what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `storages.base.engine`: streams, accesses, profile, webhooks, events, accounts.
    pub base_engine: Engine,
    /// `storages.audit.engine`.
    pub audit_engine: Engine,
    /// `audit.active`: whether there is anything new in the audit trail.
    pub audit_active: bool,
    /// `storages.series.engine`.
    pub series_engine: Engine,
    /// `storages.file.engine`: attachments.
    pub file_engine: Engine,
    /// `storages.platform.engine`: the index of unique and indexed account fields.
    pub platform_engine: Engine,
    /// `storages.engines.sqlite.path`: the folder of the users' folders.
    pub users_dir: PathBuf,
    /// `storages.engines.filesystem.previewsDirPath`: the folder of the previews.
    pub previews_dir: PathBuf,
    /// `storages.engines.rqlite.url`.
    pub rqlite_url: String,
    /// `storages.engines.rqlite.sslrootcert`, an addition to Pryv's keys, else the usual variable `SSL_CERT_FILE`: who signs its
    /// certificate.
    pub rqlite_authorities: Option<PathBuf>,
    /// `storages.engines.postgresql`.
    pub postgres: Postgres,
    /// `storages.engines.influxdb`.
    pub influxdb: Influxdb,
    /// `storages.engines.s3`, where attachments are there.
    pub attachment_bucket: Option<AttachmentBucket>,
    /// `platform.piiMode` and `platform.piiHmacKey`.
    pub pii: Pii,
    /// `services.mfa.methods.totp.secretsKey`, else what Pryv.io derives from `auth.adminAccessKey`: the key of second factors.
    pub second_factors: Option<SecondFactorKey>,
    /// Settings and folders that a restored platform needs as they are, and that no records hold.
    pub kept_apart: Vec<KeptApart>,
    /// What a new host needs beside the data.
    pub host_files: HostFiles,
    /// `core.id`: the name of this core among those of the platform.
    pub core_id: String,
    /// `dnsLess.publicUrl`, else `service.domain`, else `unknown`.
    pub domain: String,
    /// Fields of accounts: Pryv's own, and those of `custom.systemStreams.account`.
    pub account_fields: Vec<AccountField>,
    /// Ids of the data stores of `custom.dataStores`, which keep their data by themselves.
    pub data_stores: Vec<String>,
    /// Pryv's release, as the `package.json` of its folder says.
    pub release: Option<String>,
    /// The releases of Node.js that it wants, as that file says.
    pub wanted_node: Option<String>,
    /// `http.ip` and `http.port`: where a core that runs here answers.
    pub core_address: String,
    /// Whether anything was found that says where the platform is: otherwise all of this is Pryv's defaults.
    pub found: bool,
    /// The files of the operator that were read.
    pub files: Vec<PathBuf>,
}

/// The storage engines of Pryv.io.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Files of SQLite, one folder per user.
    Sqlite,
    /// A PostgreSQL database.
    Postgresql,
    /// Plain files.
    Filesystem,
    /// An S3 bucket.
    S3,
    /// An InfluxDB 1.x server.
    Influxdb,
    /// An rqlite server.
    Rqlite,
}

impl Engine {
    /// The name used in configurations and manifests.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgresql => "postgresql",
            Self::Filesystem => "filesystem",
            Self::S3 => "s3",
            Self::Influxdb => "influxdb",
            Self::Rqlite => "rqlite",
        }
    }
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A configuration file cannot be read.
    #[error("cannot read configuration file {path}: {what}")]
    File {
        /// The file.
        path: PathBuf,
        /// The defect.
        what: String,
    },
    /// A setting has a value that means nothing.
    #[error("{key} is {value} in {origin}: {advice}")]
    Value {
        /// The setting.
        key: String,
        /// Its value.
        value: String,
        /// The file, or `the environment`, that sets it.
        origin: String,
        /// Advice.
        advice: String,
    },
}

impl Config {
    /// Reads the settings of the platform in `pryv_root`, highest first: `config/override-config.yml`, the environment
    /// (`a__b__c`, and libpq's variables where no setting says otherwise), `config_file` (else the variable `config`, else `config/<NODE_ENV>-config.yml`), Pryv's default
    /// paths, `config/default-config.yml`, Pryv's documented defaults. No checkout of Pryv is needed.
    ///
    /// # Errors
    /// When a file cannot be read or a setting names an unknown engine; the error names key and file.
    pub fn load(
        pryv_root: &Path,
        config_file: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let layers = Layers::load(pryv_root, config_file, env)?;
        let package = package(pryv_root).unwrap_or_default();
        let engine = |kind: &str, known: &[Engine]| {
            let key = format!("storages.{kind}.engine");
            let found = layers.text(&key)?;
            known
                .iter()
                .copied()
                .find(|e| e.name() == found.value)
                .ok_or_else(|| {
                    let names: Vec<_> = known.iter().map(|e| e.name()).collect();
                    found.error(
                        &key,
                        &format!("unknown engine, use one of {}", names.join(", ")),
                    )
                })
        };
        use Engine::{Filesystem, Influxdb, Postgresql, Rqlite, S3, Sqlite};
        let key = "eventFiles.engine.modulePath";
        if let Some(module) = layers.find(key)? {
            return Err(module.error(key, "custom attachment modules cannot be read, remove it or copy the attachments to files"));
        }
        let key = "storages.engines.sqlite.path";
        let path = layers.text(key)?;
        if path.value.is_empty() || path.value == "REPLACE ME" {
            return Err(path.error(key, "set it to the folder of the users' data"));
        }
        let domain = match layers.find("dnsLess.publicUrl")? {
            Some(url) if !url.value.is_empty() => Some(url),
            _ => layers
                .find("service.domain")?
                .filter(|found| !found.value.is_empty()),
        };
        let file_engine = engine("file", &[Filesystem, S3, Postgresql])?;
        Ok(Self {
            base_engine: engine("base", &[Postgresql, Sqlite])?,
            audit_engine: engine("audit", &[Sqlite, Postgresql])?,
            audit_active: layers
                .find("audit.active")?
                .is_none_or(|found| found.value != "false"),
            series_engine: engine("series", &[Postgresql, Sqlite, Influxdb])?,
            file_engine,
            attachment_bucket: (file_engine == S3)
                .then(|| AttachmentBucket::find(&layers))
                .transpose()?,
            platform_engine: engine("platform", &[Rqlite, Postgresql])?,
            users_dir: pryv_root.join(path.value),
            previews_dir: pryv_root.join(
                layers
                    .text("storages.engines.filesystem.previewsDirPath")?
                    .value,
            ),
            postgres: Postgres::find(&layers, pryv_root)?,
            influxdb: influxdb::Influxdb::find(&layers, pryv_root)?,
            rqlite_url: layers.text("storages.engines.rqlite.url")?.value,
            rqlite_authorities: layers
                .find("storages.engines.rqlite.sslrootcert")?
                .filter(|found| !found.value.is_empty())
                .map(|found| pryv_root.join(found.value))
                .or_else(|| Some(layers.variable("SSL_CERT_FILE")?.value.into())),
            pii: pii(&layers)?,
            second_factors: apart::second_factors(&layers)?,
            kept_apart: apart::kept_apart(&layers, pryv_root)?,
            host_files: HostFiles::find(&layers, pryv_root),
            core_id: layers
                .find("core.id")?
                .map_or_else(|| "single".to_owned(), |found| found.value),
            domain: domain.map_or_else(|| "unknown".to_owned(), |found| found.value),
            found: layers.found,
            files: layers.files.clone(),
            account_fields: account::fields(&layers.list("custom.systemStreams.account")),
            data_stores: data_stores(&layers.list("custom.dataStores")),
            release: package["version"].as_str().map(str::to_owned),
            wanted_node: package["engines"]["node"].as_str().map(str::to_owned),
            core_address: core_address(&layers)?,
        })
    }

    /// Whether any engine keeps its data in the folder of the users.
    #[must_use]
    pub fn has_files(&self) -> bool {
        let engines = [self.base_engine, self.audit_engine, self.series_engine];
        engines.contains(&Engine::Sqlite) || self.file_engine == Engine::Filesystem
    }

    /// The engines, as a manifest names them.
    #[must_use]
    pub fn engines(&self) -> Engines {
        let of = |engine: Engine| engine.name().to_owned();
        Engines {
            base: of(self.base_engine),
            audit: of(self.audit_engine),
            series: of(self.series_engine),
            file: of(self.file_engine),
            platform: of(self.platform_engine),
        }
    }
}

/// Where a core that runs here answers.
fn core_address(layers: &Layers) -> Result<String, ConfigError> {
    let part = |key: &str, usual: &str| -> Result<String, ConfigError> {
        let found = layers.find(key)?;
        Ok(found.map_or_else(|| usual.to_owned(), |found| found.value))
    };
    let (ip, port) = (part("http.ip", "127.0.0.1")?, part("http.port", "3000")?);
    Ok(format!("{ip}:{port}"))
}

/// Names of the data stores.
fn data_stores(all: &[Value]) -> Vec<String> {
    let named = all.iter().enumerate().map(|(at, store)| {
        let id = store["id"].as_str().or_else(|| store["name"].as_str());
        id.map_or_else(|| at.to_string(), str::to_owned)
    });
    named.collect()
}

/// `package.json` of the folder, where that is one of Pryv's releases.
fn package(pryv_root: &Path) -> Option<Value> {
    let text = std::fs::read(pryv_root.join("package.json")).ok()?;
    let package: Value = serde_json::from_slice(&text).ok()?;
    let is_pryvs = package["name"].as_str()?.contains("pryv");
    is_pryvs.then_some(package)
}

/// A platform without the setting is older than it, and names users as they are called.
fn pii(layers: &Layers) -> Result<Pii, ConfigError> {
    let (key, mode) = ("platform.piiHmacKey", "platform.piiMode");
    let Some(found) = layers.find(mode)? else {
        return Ok(Pii::Cleartext);
    };
    match found.value.as_str() {
        "hashed" => {}
        "cleartext" => return Ok(Pii::Cleartext),
        _ => return Err(found.error(mode, "use hashed or cleartext")),
    }
    match layers.find(key)?.filter(|found| !found.value.is_empty()) {
        Some(found) => match PiiKey::parse(&found.value) {
            Some(key) => Ok(Pii::Hashed(Some(key))),
            None => Err(found.error(key, "use the base64 of 32 bytes")),
        },
        None => Ok(Pii::Hashed(None)),
    }
}

#[cfg(test)]
mod tests;
