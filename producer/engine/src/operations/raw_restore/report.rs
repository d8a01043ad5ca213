//! Report of a raw dump that was put back.

use decryptor_wasm::{manifest::Loss, raw::RawSection};
use serde::Serialize;

use crate::{archive::read::Archive, failure::FailureKind, findings, limits::MAX_NAMED_LOSSES};

/// The outcome.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Always `report`.
    pub event: &'static str,
    /// SHA-256 of `manifest.json` as stored.
    pub archive_id: String,
    /// Nothing was written.
    pub dry_run: bool,
    /// Who signed the dump.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed: Option<String>,
    /// Names of the stores that were restored.
    pub stores: Vec<&'static str>,
    /// How many files of the platform.
    pub files: u64,
    /// What is worth knowing.
    pub warnings: Vec<String>,
    /// What is missing in the dump, or could not be put back as it was.
    pub losses: Vec<String>,
    /// Those that are not named.
    pub more_losses: u64,
    /// Whole run.
    pub seconds: f64,
}

impl Report {
    /// Before anything is restored.
    pub(super) fn of(archive: &Archive, section: &RawSection, dry_run: bool) -> Self {
        let stores = [
            ("postgresql", section.postgresql.is_some()),
            ("rqlite", section.rqlite.is_some()),
            ("influxdb", section.influxdb.is_some()),
            ("files", !section.trees.is_empty()),
        ];
        let lost = |loss: &Loss| {
            let path = loss.path.as_deref().unwrap_or_default();
            format!("{path}: lost when the dump was made: {}", loss.what)
        };
        let losses = &archive.manifest.losses;
        let named = losses.len() as u64;
        Report {
            event: "report",
            archive_id: archive.id().to_owned(),
            dry_run,
            signed: findings::signed(archive).map(str::to_owned),
            stores: stores
                .iter()
                .filter(|(_, is)| *is)
                .map(|(name, _)| *name)
                .collect(),
            files: 0,
            warnings: Vec::new(),
            losses: losses.iter().map(lost).collect(),
            more_losses: archive
                .manifest
                .loss_count
                .unwrap_or_default()
                .saturating_sub(named),
            seconds: 0.0,
        }
    }

    /// Notes what could not be put back as it was.
    pub(super) fn lose(&mut self, what: String) {
        match self.losses.len() < MAX_NAMED_LOSSES {
            true => self.losses.push(what),
            false => self.more_losses += 1,
        }
    }

    /// Whether anything is not as it was.
    #[must_use]
    pub fn problem(&self) -> Option<FailureKind> {
        (!self.losses.is_empty() || self.more_losses > 0).then_some(FailureKind::Losses)
    }
}
