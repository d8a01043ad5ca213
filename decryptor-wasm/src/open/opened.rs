//! What the walk comes to.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use serde::Serialize;

use super::look::{LookedRun, looked, to_json};
use crate::{
    DataKey, Manifest, Result, UserEntry,
    chain::{ChainKey, Changes, Fold, Links, StateFile, caution, run_of},
    layout::PathKind,
    plan::{Finding, Plan, PlannedFile},
    signature::Signed,
};

/// A run that was opened: an archive by itself is its only one.
pub struct OpenedRun {
    /// Counted from 1.
    pub run: u32,
    /// Hex SHA-256 of `manifest.json` as stored.
    pub id: String,
    /// What opens its files; none where it is not encrypted.
    pub key: Option<DataKey>,
    /// `encryption.json` as it was when it was opened.
    pub envelope: Option<Vec<u8>>,
    /// Whether this is what was decrypted of an archive: its inventory counts with the content then.
    pub decrypted: bool,
}

/// An opened archive, or the state of a chain: its manifests are read and authentic, and it is known what every file of it should be.
pub struct OpenedArchive {
    /// The runs that it is put together from, the one that was asked for first.
    pub runs: Vec<OpenedRun>,
    /// Who signed it; none for an archive that nobody signs.
    pub signed: Option<Signed>,
    /// What it says of itself.
    pub manifest: Manifest,
    /// What is to be read, and what is wrong already.
    pub plan: Plan,
    /// The content of `manifest.json` and of every readable `user-manifest.json`, by path.
    pub manifests: BTreeMap<String, Vec<u8>>,
    /// Of a chain.
    pub chain: Option<Arc<StateOfChain>>,
}

/// A fold, by user id, collection, and pass.
type KeptFold = ((String, String, u64), Arc<Fold>);

/// Where the state of a chain lies.
pub struct StateOfChain {
    /// What is known of all runs.
    pub links: Links,
    /// Whose state it is.
    pub run: u32,
    /// In the order of their paths.
    pub(super) files: Vec<StateFile>,
    pub(super) changes: Changes,
    /// What the numbers of tombstones are made with.
    pub(super) key: Option<ChainKey>,
    /// The runs that were decrypted before; see [`OpenedRun::decrypted`].
    pub(super) decrypted: Vec<u32>,
    /// The last ones, since the files of a collection are read one after the other.
    pub(super) folds: Mutex<Vec<KeptFold>>,
}

/// All that is to be said of an archive.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    id: &'a str,
    signer: Option<String>,
    encrypted: bool,
    decrypted: bool,
    /// What is to be said of an archive that holds no state by itself, and the advice that follows it.
    caution: Option<(String, Option<String>)>,
    chain: Option<ToldChain>,
}

/// What of a plan is of one user, or all of it.
#[derive(Serialize)]
struct PlanOf<'a> {
    inventoried: bool,
    files: Vec<&'a PlannedFile>,
    findings: Vec<&'a Finding>,
    users: Vec<&'a UserEntry>,
}

#[derive(Serialize)]
struct ToldChain {
    run: u32,
    headline: String,
    lines: Vec<String>,
    runs: Vec<LookedRun>,
}

impl OpenedArchive {
    pub(super) fn alone(
        run: OpenedRun,
        signed: Option<Signed>,
        manifest: Manifest,
        plan: Plan,
    ) -> Self {
        OpenedArchive {
            runs: vec![run],
            signed,
            manifest,
            plan,
            manifests: BTreeMap::new(),
            chain: None,
        }
    }

    /// The run that was asked for.
    pub fn newest(&self) -> Option<&OpenedRun> {
        self.runs.first()
    }

    /// All that is to be said of it but the plan, as JSON: `{id, signer, encrypted, decrypted, caution, chain: {run, headline, lines, runs}}`.
    ///
    /// # Errors
    /// Never in practice.
    pub fn told(&self) -> Result<String> {
        let newest = self.newest();
        let encrypted = newest.is_some_and(|run| run.key.is_some());
        let chain = self.chain.as_ref().map(|chain| ToldChain {
            run: chain.run,
            headline: chain.links.headline(chain.run),
            lines: chain.links.lines(),
            runs: looked(chain.links.index()),
        });
        to_json(&Told {
            id: newest.map_or("", |run| run.id.as_str()),
            signer: self.signed.as_ref().map(|signed| signed.signer.to_string()),
            encrypted,
            decrypted: chain.is_none() && newest.is_some_and(|run| run.decrypted),
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
        let of_user = |file: &PlannedFile| match &file.user {
            Some(id) => ids.contains(id),
            None => !file.jsonl,
        };
        let all = user.is_none();
        let files = plan.files.iter();
        own.files.extend(files.filter(|file| all || of_user(file)));
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
