//! Opening: envelope, key, manifests, and the plan of what is to be read.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use decryptor_wasm::{
    BackupType, Code, DataKey, Envelope, Error, ErrorKind, Field, FileEntry, Manifest, Result,
    UserManifest,
    chain::CHAIN,
    layout::PathKind,
    plan::{Finding, Plan, PlannedFile, Severity, Storage, UserManifests, judge_manifest, plan},
    signature::{Demands, SIGNATURE, Signed, require_id},
};

use super::{Chain, Content, Folder, ReadFile, lost_index, mixed_runs};
use crate::archive::sha256_hex;
use crate::threads;

/// Which archive, and what of it.
#[derive(Debug, Clone, Copy)]
pub struct Choice<'a> {
    /// What is asked of it.
    pub demands: &'a Demands,
    /// User id or username: leave out everything of the others.
    pub user: Option<&'a str>,
    /// The archive's id as noted when it was made; of a chain, that of the run.
    pub expect_id: Option<&'a str>,
    /// Of a chain: the run whose state is wanted, if not the newest.
    pub at: Option<u32>,
}

impl<'a> Choice<'a> {
    /// All of an archive.
    pub fn new(demands: &'a Demands) -> Self {
        Choice {
            demands,
            user: None,
            expect_id: None,
            at: None,
        }
    }
}

/// User manifests that a thread is worth.
const LEAST_MANIFESTS: usize = 64;

/// The content of each user manifest by path, and the paths of those that are damaged.
type Read = (BTreeMap<String, Vec<u8>>, BTreeSet<String>);

/// An opened archive: its manifests are read and authentic, and it is known what every file of it should be.
pub struct Archive {
    pub(super) folder: Folder,
    pub(super) key: Option<DataKey>,
    /// Hex SHA-256 of `manifest.json` as stored.
    pub id: String,
    /// Who signed it; none for an archive that nobody signs.
    pub signed: Option<Signed>,
    /// What the archive says of itself.
    pub manifest: Manifest,
    /// What is to be read, and what is wrong already.
    pub plan: Plan,
    /// The content of `manifest.json` and of every readable `user-manifest.json`, by path.
    pub manifests: BTreeMap<String, Vec<u8>>,
    /// Of the state of a chain: the runs that it is put together from.
    pub chain: Option<Box<Chain>>,
}

impl Archive {
    /// Opens the archive in `folder`, or the state of the chain there; `unlock` gives the data key of each run, and is called for what
    /// is encrypted only.
    pub fn open(
        folder: Folder,
        choice: Choice<'_>,
        unlock: impl Fn(&Envelope) -> Result<DataKey>,
    ) -> Result<Self> {
        if let Some(mixed) = mixed_runs(&folder)? {
            return Err(mixed);
        }
        if folder.has(CHAIN) {
            return Archive::open_chain(folder, choice, &unlock);
        }
        let Some(lost) = lost_index(&folder)? else {
            return Archive::open_expected(folder, choice, &unlock);
        };
        if choice.at != Some(1) {
            return Err(lost);
        }
        let mut first = Archive::open_expected(folder.run(1), choice, &unlock)?;
        first.plan.findings.push(Finding {
            severity: Severity::Warning,
            code: "missing",
            path: CHAIN.to_owned(),
            message: lost.to_string(),
        });
        Ok(first)
    }

    /// Opens the archive in `folder` by itself, and asks who made it.
    pub fn open_expected(
        folder: Folder,
        choice: Choice<'_>,
        unlock: &dyn Fn(&Envelope) -> Result<DataKey>,
    ) -> Result<Self> {
        let mut archive = Archive::open_one(folder, choice, unlock)?;
        let finding = choice.demands.alone(archive.signed.as_ref(), choice.at)?;
        archive.plan.findings.push(finding);
        Ok(archive)
    }

    /// Opens the archive in `folder`, be it one run of a chain. That its signature holds is checked; who made it, whoever calls this asks.
    pub fn open_one(
        folder: Folder,
        choice: Choice<'_>,
        unlock: &dyn Fn(&Envelope) -> Result<DataKey>,
    ) -> Result<Self> {
        let listing = folder.list()?;
        let has = |name: &str| listing.iter().any(|(path, _)| path == name);
        require_manifest(&folder, &listing)?;
        let stored = folder.read("manifest.json")?;
        let id = sha256_hex(&stored);
        require_id(&id, choice.expect_id)?;
        let mut envelope = has("encryption.json")
            .then(|| Envelope::parse(&folder.read("encryption.json")?))
            .transpose()?;
        choice.demands.storage(envelope.is_some())?;
        if let Some(envelope) = &mut envelope {
            envelope.proven_by(&stored);
        }
        let key = envelope.as_ref().map(unlock).transpose()?;
        let storage = envelope
            .as_ref()
            .map_or(Storage::Cleartext, |e| Storage::Sealed {
                key_check: e.has_key_check(),
            });
        let opened = ReadFile::of_manifest(key.as_ref())
            .whole(&stored)
            .map_err(|error| match &envelope {
                Some(envelope) => envelope.manifest_error(error, &stored),
                None => error.at("manifest.json"),
            })?;
        let manifest = Manifest::parse(&opened.bytes)?;
        judge_manifest(&manifest, &opened.seen.summary)?;
        if let Some(envelope) = &envelope {
            envelope.agrees_with(&manifest)?;
        }
        let minisig = folder.small(SIGNATURE)?;
        let signed = Signed::check(&manifest, &stored, minisig.as_deref(), key.is_some())?;
        let mut archive = Archive {
            folder,
            key,
            id,
            signed,
            manifest,
            plan: Plan::default(),
            manifests: BTreeMap::new(),
            chain: None,
        };
        let ((contents, damaged), findings) = archive.user_manifests(&listing)?;
        archive.plan = plan(
            &archive.manifest,
            &UserManifests {
                contents: &contents,
                damaged: &damaged,
            },
            &listing,
            storage,
            archive.signed.as_ref(),
            choice.user,
        )?;
        let told = archive.plan.findings.iter().map(|told| told.path.clone());
        let told: BTreeSet<String> = told.collect();
        let untold = findings.into_iter();
        let untold = untold.filter(|finding| !told.contains(&finding.path));
        archive.plan.findings.extend(untold);
        archive.manifests = contents;
        archive
            .manifests
            .insert("manifest.json".into(), opened.bytes);
        Ok(archive)
    }

    /// Where it lies.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// What opens its files.
    pub fn key(&self) -> Option<&DataKey> {
        self.key.as_ref()
    }

    /// Whether it is sealed.
    pub fn encrypted(&self) -> bool {
        self.key.is_some()
    }

    /// Whether this is what was decrypted of an archive: its inventory counts with the content then.
    pub fn opened(&self) -> bool {
        !self.encrypted() && self.manifest.encrypted == Some(true)
    }

    /// Whether it holds only what has changed since the run before it: a run of a chain, opened by itself.
    pub fn is_increment(&self) -> bool {
        self.manifest.chain.is_some() && self.manifest.backup_type == BackupType::Incremental
    }

    /// The files to read.
    pub fn files(&self) -> &[PlannedFile] {
        &self.plan.files
    }

    /// Those of a user.
    pub fn files_of(&self, user_id: &str) -> &[PlannedFile] {
        // They are in the order of their paths.
        let folder = format!("users/{user_id}/");
        let files = self.files();
        let from = files.partition_point(|file| file.path < folder);
        let count = files[from..]
            .iter()
            .take_while(|file| file.path.starts_with(&folder))
            .count();
        &files[from..from + count]
    }

    /// Where deleted streams of a user were, by their ids.
    pub fn stream_paths(&self, user_id: &str) -> BTreeMap<String, String> {
        let path = format!("users/{user_id}/user-manifest.json");
        let manifest = self.manifests.get(&path);
        let manifest = manifest.and_then(|json| UserManifest::parse(json, &path).ok());
        manifest.map_or_else(BTreeMap::new, |manifest| manifest.stream_paths)
    }

    /// Reads every user manifest and holds it against the inventory of the manifest.
    fn user_manifests(&self, listing: &[(String, u64)]) -> Result<(Read, Vec<Finding>)> {
        let expected: HashMap<&str, &FileEntry> = self
            .manifest
            .inventory
            .iter()
            .flat_map(|inventory| &inventory.files)
            .map(|entry| (entry.path.as_str(), entry))
            .collect();
        let paths: Vec<&str> = listing
            .iter()
            .map(|(path, _)| path.as_str())
            .filter(|path| matches!(PathKind::of(path), PathKind::UserManifest { .. }))
            .collect();
        let read = |paths: &[&str]| -> Vec<Result<Vec<u8>>> {
            let paths = paths.iter();
            paths
                .map(|path| self.user_manifest(path, expected.get(path).copied()))
                .collect()
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let share = paths.len().div_ceil(cores).max(LEAST_MANIFESTS);
        let shares: Vec<&[&str]> = paths.chunks(share).collect();
        let contents = threads::map(&shares, |share| read(share));
        let (mut found, mut damaged) = (BTreeMap::new(), BTreeSet::new());
        let mut findings = Vec::new();
        for (path, content) in paths.into_iter().zip(contents.into_iter().flatten()) {
            match content {
                Ok(content) => drop(found.insert(path.to_owned(), content)),
                Err(error) if error.kind() != ErrorKind::Damaged => return Err(error.within(path)),
                Err(error) => {
                    damaged.insert(path.to_owned());
                    findings.push(Finding {
                        severity: Severity::Error,
                        code: "damaged",
                        path: path.to_owned(),
                        message: error.within(path).to_string(),
                    });
                }
            }
        }
        Ok(((found, damaged), findings))
    }

    fn user_manifest(&self, path: &str, expected: Option<&FileEntry>) -> Result<Vec<u8>> {
        let stored = self.folder.read(path)?;
        let Content { bytes, seen } = ReadFile::of_manifest(self.key.as_ref()).whole(&stored)?;
        seen.judge(expected, self.opened())?;
        Ok(bytes)
    }
}

/// An error that says what the folder is instead, when it is no archive or no whole one. `listing`: its files.
pub fn require_manifest(folder: &Folder, listing: &[(String, u64)]) -> Result<()> {
    let has = |name: &str| listing.iter().any(|(path, _)| path == name);
    let at = folder.path().display();
    let code = if has("manifest.json") {
        return Ok(());
    } else if listing.is_empty() {
        Code::FolderEmpty
    } else if !has("encryption.json") {
        Code::NotABackup
    } else {
        Code::Unfinished
    };
    Err(Error::of(code).with(Field::Path, at.to_string()))
}
