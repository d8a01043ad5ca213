//! What is said of the backups of several cores.

use jiff::Timestamp;
use serde::Serialize;

use super::{
    look::NewestRun,
    problem::{FleetProblem, worst},
    user_core::UserInNoBackup,
    users::UserOnCores,
};
use crate::{advice::Sentence, failure::FailureKind, storage::Location};

/// The backups of all cores.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fleet {
    /// The place that was looked at.
    pub place: String,
    /// The cores, in the order of their prefixes.
    pub cores: Vec<FleetCore>,
    /// Of what the platform itself says of its cores; none where no backup with it was opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<PlatformCores>,
    /// Users who are in the backups of several cores; of very many only some.
    pub users_on_two_cores: Vec<UserOnCores>,
    /// How many more there are at least.
    pub more_users_on_two_cores: usize,
    /// Users whom the platform knows and who are in no backup that is new enough; of very many only some.
    pub users_in_no_backup: Vec<UserInNoBackup>,
    /// How many more there are.
    pub more_users_in_no_backup: u64,
    /// What is wrong.
    pub problems: Vec<FleetProblem>,
    /// What else is to be known.
    pub notes: Vec<Sentence>,
}

/// A core, and the newest of its backups.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetCore {
    /// The name of its prefix.
    pub prefix: String,
    /// The name that was signed; none where its runs name no core.
    pub core: Option<String>,
    /// How many archives and chains it has.
    pub archives: usize,
    /// Its newest good run.
    pub newest: Option<FleetRun>,
}

/// The newest good run of a core.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetRun {
    /// The archive or chain that it is in.
    pub place: String,
    /// Of a chain: its number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<u32>,
    /// SHA-256 of `manifest.json` as stored.
    pub archive_id: String,
    /// When it was made, as it was signed: RFC 3339.
    pub made: String,
    /// The same in milliseconds since 1970.
    #[serde(skip)]
    pub created: i64,
    /// How old it is.
    pub age_seconds: i64,
    /// Bytes of all that lies in that place.
    pub bytes: u64,
    /// How many users it has; none where it was not opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<usize>,
    /// How many losses it names.
    pub losses: u64,
    /// Of which platform it is.
    pub source: String,
    /// Who signed it.
    pub signer: String,
    /// Whether that is somebody who is expected.
    pub pinned: bool,
}

/// Which backup told what the platform says of its cores.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlatformCores {
    /// The prefix.
    pub prefix: String,
    /// When it was made.
    pub made: String,
    /// How many names of users the platform sends to a core, other names of theirs among them.
    pub names: u64,
    /// The cores that it knows.
    pub cores: Vec<String>,
}

impl Fleet {
    /// Of a place, as long as nothing was looked at.
    pub(super) fn of(place: &Location) -> Self {
        Fleet {
            place: place.to_string(),
            cores: Vec::new(),
            platform: None,
            users_on_two_cores: Vec::new(),
            more_users_on_two_cores: 0,
            users_in_no_backup: Vec::new(),
            more_users_in_no_backup: 0,
            problems: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// What keeps the backups from being complete.
    #[must_use]
    pub fn problem(&self) -> Option<FailureKind> {
        worst(&self.problems)
    }
}

impl FleetRun {
    /// As it was found.
    pub(super) fn of(run: &NewestRun, now: i64) -> Self {
        let statement = &run.signed.statement;
        FleetRun {
            place: run.place.to_string(),
            run: run.chain.then_some(statement.run),
            archive_id: statement.id.clone(),
            made: moment(statement.created),
            created: statement.created,
            age_seconds: now.saturating_sub(statement.created).max(0) / 1000,
            bytes: run.bytes,
            users: run.users,
            losses: statement.losses,
            source: statement.source.clone(),
            signer: run.signed.signer.to_string(),
            pinned: run.pinned,
        }
    }
}

/// RFC 3339, in seconds.
pub fn moment(milliseconds: i64) -> String {
    Timestamp::from_second(milliseconds.div_euclid(1000))
        .map_or_else(|_| "an unknown time".to_owned(), |time| time.to_string())
}
