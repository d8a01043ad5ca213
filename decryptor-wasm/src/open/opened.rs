//! An opened archive: the result of the walk.

use std::{collections::BTreeSet, sync::Arc};

use serde::Serialize;

use super::{
    kept_indexes::KeptIndexes,
    look::{RunSummary, summaries, to_json},
};
use crate::{
    Code, DataKey, Error, Manifest, Result, UserEntry,
    chain::{
        ChainKey, ChangeFiles, RunSequence, StateFiles, caution, is_full, run_of, state_manifest,
    },
    layout::PathKind,
    plan::{Finding, Plan, PlannedFile, PlannedFiles},
    signature::Signed,
};

/// A run that was opened: an archive by itself is its only one.
pub struct OpenedRun {
    /// Counted from 1.
    pub run: u32,
    /// Hex SHA-256 of `manifest.json` as stored.
    pub id: String,
    /// The key of its files; none where it is not encrypted.
    pub key: Option<DataKey>,
    /// `encryption.json` as it was when it was opened.
    pub envelope: Option<Vec<u8>>,
    /// True for files that were decrypted from an encrypted archive: the inventory then describes their content.
    pub decrypted: bool,
}

/// An opened archive, or the state of a chain: its manifests are read and authentic, and it is known what every file of it should be.
pub struct OpenedArchive {
    /// The runs that it is put together from, the one that was asked for first.
    pub runs: Vec<OpenedRun>,
    /// Its signer and the signed statement; none for an archive that nobody signs.
    pub signed: Option<Signed>,
    /// Its parsed `manifest.json`.
    pub manifest: Manifest,
    /// The content of `manifest.json`, with empty lists of users and of files; of a chain, of the state's.
    pub(super) manifest_rest: Vec<u8>,
    /// The files to read, and what was found wrong so far.
    pub plan: Plan,
    /// Of a chain.
    pub chain: Option<Arc<OpenedChain>>,
}

/// The state of a chain: its runs and the files that it consists of.
pub struct OpenedChain {
    /// The runs in their order.
    pub sequence: RunSequence,
    /// The run whose state it is.
    pub run: u32,
    pub(super) files: StateFiles,
    /// The manifests of the users.
    pub(super) manifests: StateFiles,
    pub(super) changes: ChangeFiles,
    /// The key for the numbers of tombstones.
    pub(super) key: Option<ChainKey>,
    /// The runs that were decrypted before; see [`OpenedRun::decrypted`].
    pub(super) decrypted: Vec<u32>,
    pub(super) kept: KeptIndexes,
}

/// A summary of an archive for its reader.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ArchiveSummary<'a> {
    id: &'a str,
    signer: Option<String>,
    encrypted: bool,
    decrypted: bool,
    /// The warning for an archive that holds no state by itself, and the advice that follows it.
    caution: Option<(String, Option<String>)>,
    chain: Option<ChainSummary>,
}

/// The part of a plan that concerns one user, or all of it.
#[derive(Serialize)]
struct PlanOf<'a> {
    inventoried: bool,
    files: Vec<PlannedFile>,
    manifests: Vec<PlannedFile>,
    findings: Vec<&'a Finding>,
    users: Vec<UserEntry>,
}

#[derive(Serialize)]
struct ChainSummary {
    run: u32,
    headline: String,
    lines: Vec<String>,
    runs: Vec<RunSummary>,
}

impl OpenedArchive {
    /// The run that was asked for.
    pub fn newest(&self) -> Option<&OpenedRun> {
        self.runs.first()
    }

    /// The archive id of that run: hex SHA-256 of its `manifest.json` as stored.
    pub fn id(&self) -> &str {
        self.newest().map_or("", |run| run.id.as_str())
    }

    /// True for an encrypted archive.
    pub fn is_encrypted(&self) -> bool {
        self.newest().is_some_and(|run| run.key.is_some())
    }

    /// True for files that were decrypted before, so that the inventory describes their content; false for the state of a chain.
    pub fn is_decrypted(&self) -> bool {
        self.chain.is_none() && self.newest().is_some_and(|run| run.decrypted)
    }

    /// True for an increment that was opened by itself: it holds only what changed since the previous run.
    pub fn is_increment(&self) -> bool {
        self.manifest.chain.is_some() && !is_full(&self.manifest)
    }

    /// The key of a run.
    pub fn key_of(&self, run: u32) -> Option<&DataKey> {
        let mut runs = self.runs.iter();
        runs.find(|one| one.run == run)?.key.as_ref()
    }

    /// The files to read, in the order of their paths.
    pub fn files(&self) -> &PlannedFiles {
        &self.plan.files
    }

    /// The files of a user.
    pub fn files_of(&self, user_id: &str) -> impl Iterator<Item = PlannedFile> + Clone + '_ {
        let files = self.files();
        files.within(files.of_user(user_id))
    }

    /// The content of `manifest.json` of the state of a chain, which lies nowhere; none of an archive by itself.
    ///
    /// # Errors
    /// Never in practice.
    pub fn state_manifest(&self) -> Result<Option<Vec<u8>>> {
        let of_state = |_| {
            state_manifest(
                &self.manifest_rest,
                &self.manifest.users,
                &self.manifest.losses,
            )
        };
        self.chain.as_ref().map(of_state).transpose()
    }

    /// Checks that `manifest.json` (hex SHA-256 of its stored bytes) is still the one that was opened.
    ///
    /// # Errors
    /// When it is not.
    pub fn require_manifest(&self, sha256: &str) -> Result<()> {
        match sha256 == self.id() {
            true => Ok(()),
            false => Err(Error::of(Code::BecameOther).at("manifest.json")),
        }
    }

    /// The summary without the plan, as JSON: `{id, signer, encrypted, decrypted, caution, chain: {run, headline, lines, runs}}`.
    ///
    /// # Errors
    /// Never in practice.
    pub fn summary(&self) -> Result<String> {
        let chain = self.chain.as_ref().map(|chain| ChainSummary {
            run: chain.run,
            headline: chain.sequence.headline(chain.run),
            lines: chain.sequence.lines(),
            runs: summaries(chain.sequence.index()),
        });
        to_json(&ArchiveSummary {
            id: self.id(),
            signer: self.signed.as_ref().map(|signed| signed.signer.to_string()),
            encrypted: self.is_encrypted(),
            decrypted: self.is_decrypted(),
            caution: caution(&self.manifest).map(|caution| (caution.to_string(), caution.advice())),
            chain,
        })
    }

    /// The plan, or what of it is of one user (id or name), as JSON.
    ///
    /// # Errors
    /// Never in practice.
    pub fn plan_json(&self, user: Option<&str>) -> Result<String> {
        let plan = &self.plan;
        let mut own = PlanOf {
            inventoried: plan.inventoried,
            files: Vec::new(),
            manifests: Vec::new(),
            findings: Vec::new(),
            users: Vec::new(),
        };
        let is_asked =
            |one: &UserEntry| user.is_none_or(|user| one.user_id == user || one.username == user);
        own.users
            .extend(plan.users.iter().filter(|one| is_asked(one)));
        let mut ids: BTreeSet<String> = BTreeSet::new();
        for one in &own.users {
            ids.insert(one.user_id.clone());
        }
        let of_user = |file: &PlannedFile| match file.user() {
            Some(id) => ids.contains(id),
            None => !file.jsonl,
        };
        let all = user.is_none();
        let files = plan.files.iter();
        own.files.extend(files.filter(|file| all || of_user(file)));
        let manifests = plan.manifests.iter();
        own.manifests
            .extend(manifests.filter(|file| all || of_user(file)));
        let tells = |finding: &Finding| {
            // Of a chain, the folder of the run is in front.
            let within = run_of(&finding.path).map_or("", |(_, within)| within);
            let mut parts = within.split('/');
            match (parts.next(), parts.next()) {
                (Some("users"), Some(id)) => ids.contains(id),
                _ => !PathKind::of(within).is_records(),
            }
        };
        let findings = plan.findings.iter();
        own.findings
            .extend(findings.filter(|finding| all || tells(finding)));
        to_json(&own)
    }
}
