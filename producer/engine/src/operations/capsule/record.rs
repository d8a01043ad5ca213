//! `capsule/capsule.json`: what a capsule holds, where it lay on its host, and what ran there.

use std::collections::BTreeMap;

use decryptor_wasm::layout::CAPSULE;
pub use decryptor_wasm::layout::CAPSULE_RECORD as RECORD;
use serde::{Deserialize, Serialize};

/// What a capsule says of itself.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CapsuleRecord {
    /// 1.
    pub v: u32,
    /// When it was taken: milliseconds since 1970.
    pub taken_at: i64,
    /// The programs that ran, by name.
    pub versions: BTreeMap<String, RunningVersion>,
    /// The last migration of Pryv's that each database has seen.
    pub migrations: BTreeMap<String, RunningVersion>,
    /// The files.
    pub files: Vec<CapsuleFile>,
    /// Links among them, which were followed.
    pub links: Vec<CapsuleLink>,
    /// Places that hold nothing, as they are not there.
    pub absent: Vec<String>,
    /// What could not be taken, and why.
    pub losses: Vec<String>,
}

/// The version of something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningVersion {
    /// None where it could not be learned.
    pub version: Option<String>,
    /// Why it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// A file of a capsule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapsuleFile {
    /// Its path in the capsule: `config/override-config.yml`.
    pub path: String,
    /// Where it lay.
    pub from: String,
    /// Its bytes.
    pub bytes: u64,
    /// The permissions, as a number: 0o640 is 416.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// When it was changed last: seconds since 1970.
    pub mtime: i64,
}

/// A link on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapsuleLink {
    /// Where it lay.
    pub from: String,
    /// Where it led, as it was written.
    pub to: String,
}

impl RunningVersion {
    /// One that was learned, or why it was not.
    pub fn of<E: std::fmt::Display>(learned: Result<String, E>) -> Self {
        match learned {
            Ok(version) => RunningVersion {
                version: Some(version),
                why: None,
            },
            Err(why) => RunningVersion {
                version: None,
                why: Some(why.to_string()),
            },
        }
    }
}

/// The path of a file in an archive.
pub fn stored(path: &str) -> String {
    format!("{CAPSULE}{path}")
}
