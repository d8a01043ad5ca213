//! Report of a backup.

use std::time::Duration;

use crate::storage::Location;

use decryptor_wasm::{
    BackupType,
    manifest::{Loss, UserStats},
};
use serde::Serialize;

use crate::{
    archive::{Finished, Sealing, page_sha256, script_sha256},
    failure::FailureKind,
    operations::capsule::CapsuleContents,
    platform::{Shared, User},
};

/// The outcome of a backup.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Always `report`: with `--json`, lines of progress may come before it.
    pub event: &'static str,
    /// Where the archive is; empty on a dry run.
    pub output: String,
    /// SHA-256 of `manifest.json` as stored.
    pub archive_id: String,
    /// SHA-256 of the page `decrypt-backup.html` that lies in an encrypted archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_sha256: Option<String>,
    /// The same of the script `decrypt-backup.mjs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script_sha256: Option<String>,
    /// The public key of who signed the backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    /// Which platform it is of, as later backups of it say too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Which core of that platform it is of, where it has a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub core: Option<String>,
    /// Nothing was written.
    pub dry_run: bool,
    /// `recipients`, `passphrase` or `none`.
    pub encryption: &'static str,
    /// Number of users.
    pub users: usize,
    /// Sums over the users.
    pub records: UserStats,
    /// Counts of the records that belong to no user.
    pub platform: PlatformCounts,
    /// Bytes of all files of the archive.
    pub bytes: u64,
    /// Items that could not be read.
    pub losses: Vec<Loss>,
    /// Items that were left out and are no loss, because `--accept-loss` names them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accepted_losses: Vec<Loss>,
    /// Other facts worth knowing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Settings and folders that a restored platform needs as they are, and that the backup does not hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_held: Vec<String>,
    /// What it holds of the platform's configuration, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capsule: Option<CapsuleContents>,
    /// The number of losses that are not listed here, but in the users' own manifests.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_losses: u64,
    /// Secrets of the platform (and sessions) that were left out because the archive is not encrypted.
    pub withheld: u64,
    /// Of a run with `--incremental`: what it is in its chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain: Option<ChainReport>,
    /// Outcome of reading the backup again, when that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<crate::operations::verify::report::Report>,
    /// Whole run.
    pub seconds: f64,
}

/// A run of a chain.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChainReport {
    /// Its number, from 1.
    pub run: u32,
    /// `full` or `incremental`.
    pub kind: BackupType,
    /// Why a full run was made where an increment was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_full: Option<String>,
    /// Its folder, relative to that of the chain; empty for the first.
    pub path: String,
    /// The archive id of the run before.
    pub parent: Option<String>,
    /// Users who are no more.
    pub removed_users: Vec<String>,
    /// That the newest run which this host remembers was not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rolled_back: Option<String>,
}

/// Numbers of records that belong to no user.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlatformCounts {
    /// Unique and indexed values of accounts.
    pub index: u64,
    /// Other entries of the platform's own database.
    pub keys: u64,
    /// Other names of users.
    pub aliases: u64,
    /// Who is logged in.
    pub sessions: u64,
    /// Who asked for a new password.
    pub password_resets: u64,
    /// Records of the audit trails of users who are no more.
    #[serde(skip_serializing_if = "is_zero")]
    pub kept_audit: u64,
}

impl PlatformCounts {
    /// From what was counted, in the order of [`Shared::ALL`].
    pub fn of(counts: &[u64; Shared::ALL.len()]) -> Self {
        let of = |kind: Shared| counts[kind as usize];
        PlatformCounts {
            index: of(Shared::Index),
            keys: of(Shared::Keys),
            aliases: of(Shared::Aliases),
            sessions: of(Shared::Sessions),
            password_resets: of(Shared::PasswordResets),
            kept_audit: 0,
        }
    }
}

impl Report {
    /// Of a finished backup.
    pub fn done(
        output: &Location,
        finished: &Finished,
        (users, records): (usize, UserStats),
        losses: Vec<Loss>,
        sealing: &Sealing,
        took: Duration,
    ) -> Self {
        Report {
            event: "report",
            output: output.to_string(),
            archive_id: finished.id.clone(),
            page_sha256: (!matches!(sealing, Sealing::None)).then(page_sha256),
            script_sha256: (!matches!(sealing, Sealing::None)).then(script_sha256),
            signer: Some(finished.signer.to_string()),
            source: Some(finished.statement.source.clone()),
            core: finished.statement.core.clone(),
            dry_run: false,
            encryption: encryption(sealing),
            users,
            records,
            platform: PlatformCounts::default(),
            bytes: 0,
            losses,
            accepted_losses: Vec::new(),
            notes: Vec::new(),
            not_held: Vec::new(),
            capsule: None,
            more_losses: 0,
            withheld: 0,
            chain: None,
            verified: None,
            seconds: took.as_secs_f64(),
        }
    }

    /// Of a run that only looked.
    pub fn dry_run(users: &[User], sealing: &Sealing) -> Self {
        Report {
            event: "report",
            output: String::new(),
            archive_id: String::new(),
            page_sha256: None,
            script_sha256: None,
            signer: None,
            source: None,
            core: None,
            dry_run: true,
            encryption: encryption(sealing),
            users: users.len(),
            records: UserStats::default(),
            platform: PlatformCounts::default(),
            bytes: 0,
            losses: Vec::new(),
            accepted_losses: Vec::new(),
            notes: Vec::new(),
            not_held: Vec::new(),
            capsule: None,
            more_losses: 0,
            withheld: 0,
            chain: None,
            verified: None,
            seconds: 0.0,
        }
    }

    /// Whether the archive turned out to be damaged, or something was lost.
    #[must_use]
    pub fn problem(&self) -> Option<FailureKind> {
        let verified = self.verified.as_ref();
        let verified = verified.and_then(crate::operations::verify::report::Report::problem);
        let lost = !self.losses.is_empty() || self.rolled_back().is_some();
        verified.or(lost.then_some(FailureKind::Losses))
    }

    /// That the newest run which this host remembers was not there.
    pub fn rolled_back(&self) -> Option<&str> {
        self.chain.as_ref()?.rolled_back.as_deref()
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn encryption(sealing: &Sealing) -> &'static str {
    match sealing {
        Sealing::None => "none",
        Sealing::Recipients(_) => "recipients",
        Sealing::Passphrase { .. } => "passphrase",
    }
}
