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
        ChainKey, ChangeFiles, RunSequence, StateFiles, caution, is_companion, is_full, run_of,
        state_manifest,
    },
    gather,
    layout::{PathKind, collision},
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
    /// Its `manifest.json`; of the files of its inventory, only companions.
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
    inventoried: bool,
    /// How many there are of each.
    users: usize,
    files: usize,
    manifests: usize,
    /// Stored bytes of the files, and those of compressed ones.
    bytes: u64,
    compressed: u64,
    /// Stored bytes of the largest file that is not compressed, and of the largest that is.
    largest: [u64; 2],
    has_platform: bool,
    findings: &'a [Finding],
}

/// The part of a plan that concerns one user.
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

    /// Of a chain: the run that brought the file of the state at a path, the newest if several did.
    pub fn brought_by(&self, path: &str) -> Option<u32> {
        let files = &self.chain.as_ref()?.files;
        let file = files.get(files.find(path)?)?;
        file.parts.last().map(|part| part.run)
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

    /// The content of `manifest.json`, with empty lists of users and of files; of a chain, of the state's.
    pub fn manifest_rest(&self) -> &[u8] {
        &self.manifest_rest
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

    /// Two planned files, or two folders above them, that would be one on disk; see [`crate::layout::collision`]. `gunzip`: files are written
    /// without their `.gz`; `user`: those of one user (id or name) are.
    pub fn collision(
        &self,
        user: Option<&str>,
        gunzip: bool,
        caseless: bool,
    ) -> Option<[String; 2]> {
        let all = self.files();
        let ids = user.map(|user| self.ids_of(user));
        for places in all.by_user() {
            let first = all.get(places.start);
            let owner = first.as_ref().and_then(PlannedFile::user);
            if let (Some(ids), Some(owner)) = (&ids, owner)
                && !ids.contains(owner)
            {
                continue;
            }
            let mut files: Vec<PlannedFile> = Vec::with_capacity(places.len());
            files.extend(all.within(places));
            let names = files.iter();
            let names = names.map(|file| (file.path.as_str(), file.output_name(gunzip)));
            // Those of a user are in a folder of their own.
            let found = collision(names, caseless);
            if found.is_some() {
                return found;
            }
        }
        let folders = self.plan.users.ids().map(|id| format!("users/{id}"));
        // An id that is listed twice is one folder all the same.
        let folders: BTreeSet<String> = gather(folders.filter(|_| user.is_none()));
        let folders = folders.iter().map(String::as_str);
        collision(folders.map(|folder| (folder, folder)), caseless)
    }

    /// The ids of the users with an id or name.
    fn ids_of(&self, user: &str) -> BTreeSet<String> {
        let users = self.plan.users.iter();
        let asked = users.filter(|one| one.user_id == user || one.username == user);
        gather(asked.map(|one| one.user_id))
    }

    /// The summary without users and files, as JSON: `{id, signer, encrypted, decrypted, caution, chain: {run, headline, lines, runs}, inventoried,
    /// users, files, manifests, bytes, compressed, largest, findings}`.
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
        let (mut bytes, mut compressed, mut largest) = (0_u64, 0_u64, [0_u64; 2]);
        for (path, size) in self.files().sizes() {
            let is_gzip = path.ends_with(".gz");
            bytes = bytes.saturating_add(size);
            compressed = compressed.saturating_add(if is_gzip { size } else { 0 });
            let most = &mut largest[usize::from(is_gzip)];
            *most = size.max(*most);
        }
        to_json(&ArchiveSummary {
            id: self.id(),
            signer: self.signed.as_ref().map(|signed| signed.signer.to_string()),
            encrypted: self.is_encrypted(),
            decrypted: self.is_decrypted(),
            caution: caution(&self.manifest).map(|caution| (caution.to_string(), caution.advice())),
            chain,
            inventoried: self.plan.inventoried,
            users: self.plan.users.len(),
            files: self.files().len(),
            manifests: self.plan.manifests.len(),
            bytes,
            compressed,
            largest,
            has_platform: !self.files().below("platform/").is_empty(),
            findings: &self.plan.findings,
        })
    }

    /// A part of a list as JSON: so many items from a place on of `users`, `files` or `manifests`; of any other, none.
    ///
    /// # Errors
    /// Never in practice.
    pub fn page(&self, list: &str, from: usize, count: usize) -> Result<String> {
        let plan = &self.plan;
        let files = |files: &PlannedFiles| {
            let mut page: Vec<PlannedFile> = Vec::new();
            let to = from.saturating_add(count).min(files.len());
            page.extend(files.within(from.min(to)..to));
            to_json(&page)
        };
        match list {
            "files" => files(&plan.files),
            "manifests" => files(&plan.manifests),
            "users" => {
                let mut page: Vec<UserEntry> = Vec::new();
                let to = from.saturating_add(count);
                page.extend((from..to).map_while(|at| plan.users.get(at)));
                to_json(&page)
            }
            _ => to_json(&[(); 0]),
        }
    }

    /// The planned file at a path, as JSON.
    ///
    /// # Errors
    /// Never in practice.
    pub fn file_json(&self, path: &str) -> Result<Option<String>> {
        let found = self.files().find(path);
        found.map(|file| to_json(&file)).transpose()
    }

    /// What the plan has of one user (id or name), with the files that belong neither to a user nor to the platform, as JSON.
    ///
    /// # Errors
    /// Never in practice.
    pub fn plan_of(&self, user: &str) -> Result<String> {
        let plan = &self.plan;
        let ids = self.ids_of(user);
        let mut own = PlanOf {
            inventoried: plan.inventoried,
            files: Vec::new(),
            manifests: Vec::new(),
            findings: Vec::new(),
            users: Vec::new(),
        };
        let users = plan.users.iter();
        own.users
            .extend(users.filter(|one| ids.contains(&one.user_id)));
        let of_users = plan.files.below("users/");
        let (before, after) = (0..of_users.start, of_users.end..plan.files.len());
        let shared = |file: &PlannedFile| is_companion(&file.path);
        own.files.extend(plan.files.within(before).filter(shared));
        for id in &ids {
            let places = plan.files.of_user(id);
            own.files.extend(plan.files.within(places));
            let places = plan.manifests.of_user(id);
            own.manifests.extend(plan.manifests.within(places));
        }
        own.files.extend(plan.files.within(after).filter(shared));
        let tells = |finding: &Finding| {
            // Of a chain, the folder of the run is in front.
            let within = run_of(&finding.path).map_or("", |(_, within)| within);
            let mut parts = within.split('/');
            match (parts.next(), parts.next()) {
                (Some("users"), Some(id)) => ids.contains(id),
                _ => !PathKind::of(within).is_shared(),
            }
        };
        let findings = plan.findings.iter();
        own.findings.extend(findings.filter(|one| tells(one)));
        to_json(&own)
    }
}
