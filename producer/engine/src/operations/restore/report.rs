//! Report of a restore.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{advice::Sentence, failure::FailureKind};

/// The outcome of a restore.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Always `report`.
    pub event: &'static str,
    /// The archive.
    pub archive_id: String,
    /// Nothing was written.
    pub dry_run: bool,
    /// Nothing but the backup was looked at.
    #[serde(skip)]
    pub verified_only: bool,
    /// Users whom an earlier run had committed, and whose files were put in place now.
    pub recovered: Vec<String>,
    /// Users whom an earlier run had not committed: they are as before it.
    pub undone: Vec<String>,
    /// Who signed the backup, and whether that is somebody who is expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed: Option<String>,
    /// Warnings for the operator.
    pub warnings: Vec<String>,
    /// Whether the platform has the secrets of the one that was backed up.
    pub secrets: SameSecrets,
    /// Files of the archive that this version does not know, and left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// One for each user of the archive.
    pub users: Vec<Restored>,
    /// Entries of the platform's own database that were written.
    pub platform: u64,
    /// Entries of it that were left out, and why.
    pub platform_left_out: BTreeMap<String, u64>,
    /// Entries of it that the archive has and the platform does not get, and why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub platform_lost: BTreeMap<String, u64>,
    /// Why what all users share could not be written to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform_failed: Option<Sentence>,
    /// Why the archive could not be moved or removed as it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive_failed: Option<String>,
    /// Whether the archive holds the configuration of the platform that was backed up, which is never restored.
    pub capsule: bool,
    /// Commands to run on the platform now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<String>,
    /// Where the archive is now; none when it was removed.
    pub archive: Option<String>,
    /// Whole run.
    pub seconds: f64,
}

/// What the trials came to.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SameSecrets {
    /// `services.mfa.methods.totp.secretsKey`, else `auth.adminAccessKey`: the second factors of the users open.
    pub second_factors: Same,
    /// `platform.piiHmacKey`: names in the platform's own database are hashed alike.
    pub hashed_names: Same,
}

/// Whether a secret is the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Same {
    /// The backup holds nothing that needs it.
    #[default]
    NotNeeded,
    /// It is.
    Same,
    /// It is another one, or none.
    Other,
}

impl SameSecrets {
    /// What will not work on the platform, and what to do before it is restored into.
    pub fn warnings(self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.second_factors == Same::Other {
            warnings.push(
                "second factors (TOTP) of users in this backup do not open with this platform's services.mfa.methods.totp.secretsKey (where that \
                 is not set, auth.adminAccessKey): these users could not sign in; set the key of the platform that was backed up first"
                    .to_owned(),
            );
        }
        if self.hashed_names == Same::Other {
            warnings.push(
                "names in this backup are hashed with another platform.piiHmacKey than this platform has: entries that only a hashed name \
                 leads to are lost; set the key of the platform that was backed up first"
                    .to_owned(),
            );
        }
        warnings
    }
}

/// Outcome of a restore for a user.
#[derive(Debug, Serialize, Clone)]
#[serde(rename_all = "camelCase")]
pub struct Restored {
    /// Pryv's user id.
    pub user_id: String,
    /// As the platform calls it now.
    pub username: String,
    /// Kind of the outcome.
    pub outcome: Outcome,
    /// Why, unless it was restored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Sentence>,
    /// Records by collection.
    pub records: BTreeMap<&'static str, u64>,
    /// Items for which the platform has no place, or which the archive lacks.
    pub losses: Vec<String>,
    /// Items that the archive lacks for a reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// An earlier run restored it, of which nothing else is known.
    #[serde(skip)]
    pub earlier: bool,
    /// Results of the check of hashes, when that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integrity: Option<Integrity>,
}

/// Kinds of outcomes for a user.
#[derive(Debug, Serialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It is on the platform as the archive has it.
    Restored,
    /// It would be restored.
    WouldBeRestored,
    /// It was left as it was.
    Skipped,
    /// It could not be restored, and is as before.
    Failed,
    /// It is restored, but not all of it is in place; the next run finishes it.
    Unfinished,
    /// It is not known whether it is restored, since nobody answered.
    Unknown,
}

/// Numbers of records by what their hash says.
#[derive(Debug, Default, Serialize, Clone)]
#[serde(rename_all = "camelCase")]
pub struct Integrity {
    /// As hashed.
    pub matching: u64,
    /// As hashed, but for the last digits of a duration.
    pub rounded: u64,
    /// Without a hash.
    pub unhashed: u64,
    /// Other than hashed, as they were when the backup was made.
    pub stale: u64,
    /// The first of these.
    pub stale_ids: Vec<String>,
    /// With a hash that cannot be checked.
    pub unknown: u64,
    /// The first of these.
    pub unknown_ids: Vec<String>,
}

impl Report {
    /// Whether a user was skipped, failed, or lost something, or may have in an earlier run, or the backup could not be removed or moved.
    #[must_use]
    pub fn problem(&self) -> Option<FailureKind> {
        let whole = |user: &Restored| user.outcome == Outcome::WouldBeRestored || user.is_whole();
        let after =
            self.shared_is_whole() && self.archive_failed.is_none() && self.left_out.is_empty();
        (!self.users.iter().all(whole) || !after).then_some(FailureKind::Losses)
    }

    /// Whether every user is restored as the archive has it.
    pub fn complete(&self) -> bool {
        self.shared_is_whole()
            && self.left_out.is_empty()
            && self.users.iter().all(Restored::is_whole)
    }

    fn shared_is_whole(&self) -> bool {
        self.platform_failed.is_none() && self.platform_lost.is_empty()
    }
}

impl Restored {
    fn is_whole(&self) -> bool {
        self.outcome == Outcome::Restored && self.losses.is_empty() && !self.earlier
    }
}
