//! `manifest.json` and `user-manifest.json`: what an archive says of itself, and the inventory that makes it tamper-evident.

mod expected;
mod inventory;
mod items;
mod packed;
mod plain;
mod reading;
mod user;
mod users;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Code, Error, Field, Result, container::MAGIC, record_number::ChainKey};

pub(crate) use expected::Entries;
pub use expected::Expected;
pub use inventory::InventoryFiles;
pub(crate) use packed::{PackedFields, put_number, put_text};
pub use plain::plain_manifest;
pub(crate) use reading::ManifestReading;
pub use user::UserManifest;
pub use users::{UserList, UsersById};

/// The only format version there is.
pub const FORMAT_VERSION: u32 = 1;

/// `manifest.json`: written last, so its presence says that the archive is complete. Unknown keys are tolerated.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase")]
pub struct Manifest {
    /// Always [`FORMAT_VERSION`].
    pub format_version: u32,
    /// Pryv's release; until rc.33 Pryv's own tool writes the version of its storage component here, and so does ours where the
    /// release cannot be found.
    #[serde(default)]
    pub core_version: String,
    /// Engine and domain of the platform.
    #[serde(default)]
    pub config: PlatformConfig,
    /// Whether the archive holds everything or the changes since another one.
    #[serde(default)]
    pub backup_type: BackupType,
    /// Milliseconds since the epoch.
    #[serde(default)]
    pub backup_timestamp: i64,
    /// Seconds since the epoch, with a fraction.
    #[serde(default)]
    pub snapshot_before: Option<f64>,
    /// One entry per user, in processing order.
    #[serde(default)]
    pub users: UserList,
    /// Anything but a literal `false` means gzip.
    #[serde(default = "yes")]
    pub compressed: bool,
    /// The tool that made the archive; absent in archives of Pryv's own tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub producer: Option<Producer>,
    /// Whether the archive was sealed when it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
    /// The way in which the platform database was treated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<PlatformSection>,
    /// Its place in a chain, of every run but the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<Link>,
    /// Users whom the run before had and the platform has no longer, by their ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed_users: Vec<String>,
    /// The losses, platform-wide and per user: data that could not be read when the archive was made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<Loss>,
    /// Data that was left out and is no loss, because the operator knows of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted_losses: Vec<Loss>,
    /// When the backup was made, in milliseconds since 1970; of a copy, when what it was copied from was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<i64>,
    /// The signer of the run; see [`crate::signature::Signer`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    /// The platform that the run is of: 32 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The core of the platform that the run is of; see [`crate::signature::is_core_name`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core: Option<String>,
    /// The number of losses that this manifest and those of the users name or count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_count: Option<u64>,
    /// Of every run of a chain but the first: what travels in the clear at the root of the chain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub companions: Vec<Companion>,
    /// All files but the users' own, this one, its signature, `encryption.json` and `SHA256SUMS`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<Inventory>,
}

/// The part of a platform that a run holds: `full` or `incremental` in JSON. A reader takes any other word for `full`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "&'static str")]
pub enum BackupType {
    /// Everything.
    #[default]
    Full,
    /// The changes since the run before it.
    Incremental,
}

crate::object::objects!(
    Manifest,
    Companion,
    Link,
    PlatformConfig,
    Producer,
    PlatformSection,
    Engines,
    Loss,
    GoneAttachment,
    UserEntry,
    UserStats,
    Chunks,
    Inventory,
    FileEntry
);

impl BackupType {
    /// The word for it in JSON and in what is signed.
    pub fn name(self) -> &'static str {
        match self {
            BackupType::Full => "full",
            BackupType::Incremental => "incremental",
        }
    }
}

impl From<String> for BackupType {
    fn from(word: String) -> Self {
        match word == BackupType::Incremental.name() {
            true => BackupType::Incremental,
            false => BackupType::Full,
        }
    }
}

impl From<BackupType> for &'static str {
    fn from(of: BackupType) -> Self {
        of.name()
    }
}

/// A decryptor or a document at the root of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Companion {
    /// Its name.
    pub path: String,
    /// Hex SHA-256.
    pub sha256: String,
}

/// `manifest.chain`, in every run but the first: its place in the chain, sealed with the rest of the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Link {
    /// Counted from 1.
    pub run: u32,
    /// The archive id of the run before.
    pub parent: String,
    /// The archive id of the first.
    pub base: String,
    /// The key for the numbers of tombstones: that of the run before, unless this one is full.
    pub key: ChainKey,
}

fn yes() -> bool {
    true
}

/// `manifest.config`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct PlatformConfig {
    /// `postgresql` or `sqlite`.
    #[serde(default)]
    pub engine: String,
    /// Public address of the platform, or `unknown`.
    #[serde(default)]
    pub domain: String,
}

/// `manifest.producer`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Producer {
    /// Name of the tool.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// `manifest.platform`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase")]
pub struct PlatformSection {
    /// `full`, `pryv` (the entries that Pryv's own tool exports) or `none`.
    pub mode: String,
    /// The form in which those entries name users: `cleartext` or `hashed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pii_mode: Option<String>,
    /// The engines in which the platform kept its data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engines: Option<Engines>,
    /// The number of the last migration of Pryv's that the database has seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migration: Option<u32>,
}

/// `manifest.platform.engines`: the names of Pryv's storage engines.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Engines {
    /// Streams, accesses, profile, webhooks, events, accounts.
    pub base: String,
    /// Audit trail.
    pub audit: String,
    /// High-frequency series.
    pub series: String,
    /// Attachments.
    pub file: String,
    /// The platform's own entries.
    pub platform: String,
}

/// Something that could not be read when the archive was made.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(remote = "Self", rename_all = "camelCase")]
pub struct Loss {
    /// The user concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The collection concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// The file concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// One sentence.
    pub what: String,
}

/// An attachment that an event lists and that was deleted with it while the backup was made.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(remote = "Self", rename_all = "camelCase")]
pub struct GoneAttachment {
    /// The event.
    pub event_id: String,
    /// The file.
    pub id: String,
}

/// The keys of a user that `manifest.users[]` and `user-manifest.json` share.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase")]
pub struct UserEntry {
    /// Pryv's user id, the name of the folder under `users/`.
    pub user_id: String,
    /// Current username.
    #[serde(default)]
    pub username: String,
    /// Other names that lead to the user or did: a rename leaves the name before as one. Series may be kept under them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_names: Vec<String>,
    /// Milliseconds since the epoch.
    #[serde(default)]
    pub backup_timestamp: i64,
    /// Numbers of records.
    #[serde(default)]
    pub stats: UserStats,
    /// Names of the chunk files.
    #[serde(default)]
    pub chunks: Chunks,
    /// In an increment: this is all there is of the user, and what earlier runs say counts no longer.
    #[serde(default, skip_serializing_if = "is_false")]
    pub whole: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// Numbers of records per collection; series counts measurements, attachments counts files.
#[derive(Debug, Clone, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(remote = "Self", default)]
pub struct UserStats {
    #[allow(missing_docs)]
    pub streams: u64,
    #[allow(missing_docs)]
    pub accesses: u64,
    #[allow(missing_docs)]
    pub profile: u64,
    #[allow(missing_docs)]
    pub webhooks: u64,
    #[allow(missing_docs)]
    pub events: u64,
    #[allow(missing_docs)]
    pub audit: u64,
    #[allow(missing_docs)]
    pub series: u64,
    #[allow(missing_docs)]
    pub attachments: u64,
}

impl UserStats {
    /// Each number with its name.
    pub fn by_name(&self) -> [(&'static str, u64); 8] {
        [
            ("streams", self.streams),
            ("accesses", self.accesses),
            ("profile", self.profile),
            ("webhooks", self.webhooks),
            ("events", self.events),
            ("audit", self.audit),
            ("series", self.series),
            ("attachments", self.attachments),
        ]
    }
}

/// Chunk file names, without folder.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Chunks {
    /// Files in `events/`.
    #[serde(default)]
    pub events: Vec<String>,
    /// Files in `audit/`; absent where no audit engine is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<Vec<String>>,
}

/// A list of files, each bound by size and digest.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Inventory {
    /// Always 1.
    pub v: u32,
    /// The files.
    pub files: InventoryFiles,
}

/// One file of an inventory.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(remote = "Self", rename_all = "camelCase")]
pub struct FileEntry {
    /// From the archive's root, with `/`.
    pub path: String,
    /// Stored bytes.
    pub size: u64,
    /// Hex SHA-256 of the stored bytes.
    pub sha256: String,
    /// Base64 salt of the container header; only for sealed files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<String>,
    /// Bytes before sealing (gzip bytes for a compressed file).
    pub content_size: u64,
    /// Hex SHA-256 of the bytes before sealing; only for sealed files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_sha256: Option<String>,
    /// JSON lines; only for record files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<u64>,
}

impl Manifest {
    /// Reads `manifest.json` (decrypted). Errors: damaged JSON, or a format version that is not known.
    pub fn parse(json: &[u8]) -> Result<Self> {
        if json.starts_with(MAGIC) {
            return Err(Error::of(Code::EnvelopeMissing).at("encryption.json"));
        }
        let manifest: Manifest = parse(json, "manifest.json")?;
        if manifest.format_version != FORMAT_VERSION {
            return Err(Error::of(Code::ManifestVersion)
                .at("manifest.json")
                .with(Field::Found, manifest.format_version));
        }
        Ok(manifest)
    }
}

fn parse<T: DeserializeOwned>(json: &[u8], path: &str) -> Result<T> {
    serde_json::from_slice(json)
        .map_err(|e| Error::of(Code::ManifestUnreadable).at(path).because(&e))
}
