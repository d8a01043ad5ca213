//! Report of a raw dump.

use std::time::Duration;

use decryptor_wasm::manifest::Loss;
use serde::Serialize;

use super::Dumped;
use crate::{
    archive::{Finished, Sealing, page_sha256, script_sha256},
    failure::FailureKind,
    storage::Location,
};

/// The outcome of a raw dump.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Always `report`.
    pub event: &'static str,
    /// Always `raw`.
    pub backup_type: &'static str,
    /// Where the dump is.
    pub output: String,
    /// SHA-256 of `manifest.json` as stored.
    pub archive_id: String,
    /// SHA-256 of the page `decrypt-backup.html` that lies in it.
    pub page_sha256: String,
    /// The same of the script `decrypt-backup.mjs`.
    pub script_sha256: String,
    /// The public key of who signed it.
    pub signer: String,
    /// Stands for raw dumps of this platform.
    pub source: String,
    /// `recipients` or `passphrase`.
    pub encryption: &'static str,
    /// Names of the stores that it holds.
    pub stores: Vec<&'static str>,
    /// How many files of the platform.
    pub files: u64,
    /// Bytes of all files of the archive.
    pub bytes: u64,
    /// As of which moments the stores are.
    pub notes: Vec<String>,
    /// Items that could not be read.
    pub losses: Vec<Loss>,
    /// The number of losses that are not listed here.
    pub more_losses: u64,
    /// What was to be ended around the dump, and could not be: the core may still be stopped.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trouble: Vec<String>,
    /// Whole run.
    pub seconds: f64,
}

impl Report {
    /// Of a finished dump.
    pub(super) fn done(
        output: &Location,
        finished: &Finished,
        dumped: Dumped,
        trouble: Vec<String>,
        sealing: &Sealing,
        took: Duration,
    ) -> Self {
        let section = &dumped.section;
        let stores = [
            ("postgresql", section.postgresql.is_some()),
            ("rqlite", section.rqlite.is_some()),
            ("influxdb", section.influxdb.is_some()),
            ("users", section.trees.iter().any(|tree| tree == "users")),
            (
                "previews",
                section.trees.iter().any(|tree| tree == "previews"),
            ),
        ];
        Report {
            event: "report",
            backup_type: decryptor_wasm::raw::RAW,
            output: output.to_string(),
            archive_id: finished.id.clone(),
            page_sha256: page_sha256(),
            script_sha256: script_sha256(),
            signer: finished.signer.to_string(),
            source: finished.statement.source.clone(),
            encryption: match sealing {
                Sealing::Passphrase { .. } => "passphrase",
                Sealing::Recipients(_) | Sealing::None => "recipients",
            },
            stores: stores
                .iter()
                .filter(|(_, is)| *is)
                .map(|(name, _)| *name)
                .collect(),
            files: dumped.files,
            bytes: finished.bytes,
            notes: dumped.notes,
            losses: dumped.losses,
            more_losses: dumped.more,
            trouble,
            seconds: took.as_secs_f64(),
        }
    }

    /// Whether something was lost, or the platform may not be as it was: the dump is there all the same.
    #[must_use]
    pub fn problem(&self) -> Option<FailureKind> {
        let is_whole = self.trouble.is_empty() && self.losses.is_empty();
        (!is_whole).then_some(FailureKind::Losses)
    }
}
