//! Chains: the host reads files and hands over what is in them, the core says what stands. Structured values cross as JSON text.
//!
//! To open the state at a run: [`mixed_runs`]; [`StoredRuns`] with all that are there, [`Chain::parse`], [`Chain::choose`]; then from that
//! run down, for each: [`Chain::require`], open its manifest, [`Chain::opened`], [`Chain::require`] again, [`Chain::plan`],
//! [`Chain::before`], until one is full; then [`Chain::root`] and [`Chain::state`]. To read a file of
//! the state whose collection has [`Chain::passes`]: for each pass a [`Fold`], told all of [`Chain::changes`] and closed, and a
//! [`Sieve`] for each part of the file.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use wasm_bindgen::prelude::*;

use super::{
    archive::{from_json, to_json},
    error::returned,
    signature::{Demands, Signed},
};
use crate::gather;
use crate::{
    Code, Error, Manifest, UserEntry,
    chain::{self, ChainKey, Changes, Cutter, Index, Links, Opened, StateFile, StoredRun},
    plan::{Finding, Plan, Severity, Storage},
};

/// The runs of a chain.
#[wasm_bindgen]
pub struct Chain {
    links: Links,
    /// Newest first.
    opened: Vec<Opened>,
    key: Option<ChainKey>,
    changes: Changes,
    /// What is to be said of the root.
    root: Vec<Finding>,
}

/// What lies in the folders of the runs.
#[wasm_bindgen]
#[derive(Default)]
pub struct StoredRuns(Vec<StoredRun>);

#[wasm_bindgen]
impl StoredRuns {
    /// None yet.
    #[wasm_bindgen(constructor)]
    pub fn new() -> StoredRuns {
        StoredRuns::default()
    }

    /// A run whose folder has a `manifest.json`: that, and `manifest.json.minisig` if it is there, as stored; `unnamed`: whether
    /// `.unnamed` is there.
    pub fn add(&mut self, run: u32, manifest: Vec<u8>, signature: Option<Vec<u8>>, unnamed: bool) {
        self.0.push(StoredRun {
            run,
            manifest,
            signature,
            unnamed,
        });
    }
}

/// The state at a run.
#[derive(Serialize)]
struct State<'s> {
    inventoried: bool,
    users: &'s [UserEntry],
    files: &'s [StateFile],
    findings: &'s [Finding],
    /// The content of `manifest.json` and of each `user-manifest.json`, by path.
    manifests: BTreeMap<&'s str, &'s str>,
}

#[wasm_bindgen]
impl Chain {
    /// Reads `chain.json`.
    pub fn parse(index: &[u8], runs: StoredRuns) -> Result<Chain, JsValue> {
        Ok(Chain {
            links: Links::new(Index::parse(index)?, runs.0)?,
            opened: Vec::new(),
            key: None,
            changes: Changes::default(),
            root: Vec::new(),
        })
    }

    /// How many runs there are.
    #[wasm_bindgen(getter)]
    pub fn count(&self) -> u32 {
        self.links.count()
    }

    /// A line for each run, as `--list` shows them.
    pub fn lines(&self) -> Vec<String> {
        self.links.lines()
    }

    /// Whose state it is, in a few words.
    pub fn headline(&self, at: u32) -> String {
        self.links.headline(at)
    }

    /// The run whose state is asked for: the newest, unless another is. Throws when there is no such run.
    pub fn choose(&mut self, at: Option<u32>) -> Result<u32, JsValue> {
        Ok(self.links.choose(at)?)
    }

    /// Throws when something is wrong with a run that the state of `at` needs.
    pub fn require(&self, run: u32, at: u32) -> Result<(), JsValue> {
        Ok(self.links.require(run, at)?)
    }

    /// The error to throw for a run that is damaged in another way.
    pub fn damaged(&self, error: &JsValue, run: u32, at: u32) -> JsValue {
        self.links.damaged(returned(error), run, at).into()
    }

    /// The error to throw for a run that the key does not open.
    pub fn closed(&self, error: &JsValue, run: u32) -> JsValue {
        self.links.closed(returned(error), run).into()
    }

    /// A run's manifest was opened, of which that is signed. Whether it is full, so that the state needs no run before it.
    pub fn opened(
        &mut self,
        run: u32,
        manifest: &[u8],
        signed: &Signed,
        demands: &Demands,
    ) -> Result<bool, JsValue> {
        let manifest = Manifest::parse(manifest)?;
        let expected = &demands.0.signers;
        self.links
            .opened(run, &manifest, signed.0.as_ref(), expected);
        Ok(manifest.backup_type != "incremental")
    }

    /// The run that an opened run follows; 0 for none.
    pub fn before(&self, run: u32) -> u32 {
        self.links.before(run).unwrap_or(0)
    }

    /// The error to throw for a run that `Demands.signed` refused.
    pub fn unexpected(&self, error: &JsValue, demands: &Demands) -> JsValue {
        self.links.unexpected(returned(error), &demands.0).into()
    }

    /// Holds the root against the planned runs. `found`: `{path: hex SHA-256}` of each of its files for which `isCompanion` holds;
    /// `listing`: that of the whole folder.
    pub fn root(&mut self, found: &str, listing: &str) -> Result<(), JsValue> {
        let listing: Vec<(String, u64)> = from_json(listing)?;
        if let Some(newest) = self.opened.first() {
            let paths = listing.iter().map(|(path, _)| path.as_str());
            let first = self.opened.iter().any(|opened| opened.run() == 1);
            self.root = chain::root_findings(newest.manifest(), &from_json(found)?, paths, first);
        }
        Ok(())
    }

    /// Plans a run, as `plan` does an archive; `damaged`: `{path: message, …}` of user manifests that could not be read.
    pub fn plan(
        &mut self,
        run: u32,
        json: &[u8],
        user_manifests: &str,
        listing: &str,
        key_check: Option<bool>,
        signed: &Signed,
        damaged: &str,
    ) -> Result<(), JsValue> {
        let manifest = Manifest::parse(json)?;
        let texts: HashMap<String, Option<String>> = from_json(user_manifests)?;
        let user_manifests: HashMap<String, Option<Vec<u8>>> = texts
            .into_iter()
            .map(|(path, text)| (path, text.map(String::into_bytes)))
            .collect();
        let listing: Vec<(String, u64)> = from_json(listing)?;
        let storage = key_check.map_or(Storage::Cleartext, |key_check| Storage::Sealed {
            key_check,
        });
        let mut plan: Plan = crate::plan::plan(
            &manifest,
            &user_manifests,
            &listing,
            storage,
            signed.0.as_ref(),
            None,
        )?;
        for (path, message) in from_json::<BTreeMap<String, String>>(damaged)? {
            if !plan.findings.iter().any(|found| found.path == path) {
                plan.findings.push(Finding {
                    severity: Severity::Error,
                    code: "damaged",
                    path,
                    message,
                });
            }
        }
        if self.opened.is_empty() {
            self.key = manifest.chain.as_ref().map(|link| link.key.clone());
        }
        let user_manifests = user_manifests.into_iter();
        let mut manifests: BTreeMap<String, Vec<u8>> =
            gather(user_manifests.filter_map(|(path, content)| Some((path, content?))));
        manifests.insert("manifest.json".to_owned(), json.to_vec());
        self.opened
            .push(Opened::new(run, manifest, plan, manifests));
        Ok(())
    }

    /// The state that the planned runs come to: `{inventoried, users, files: [{path, user, collection, parts: [{run, file}]}],
    /// findings, manifests}`.
    pub fn state(&mut self, only_user: Option<String>) -> Result<String, JsValue> {
        let mut runs = std::mem::take(&mut self.opened);
        runs.reverse();
        let inventoried = runs.iter().all(Opened::is_inventoried);
        let mut state = chain::state(runs, only_user.as_deref())?;
        state.findings.extend(self.links.remarks());
        state.findings.append(&mut self.root);
        let manifests = state.manifests.iter();
        let json = to_json(&State {
            inventoried,
            users: &state.users,
            files: &state.files,
            findings: &state.findings,
            manifests: gather(manifests.map(|(path, json)| {
                (path.as_str(), std::str::from_utf8(json).unwrap_or_default())
            })),
        })?;
        self.changes = state.changes;
        Ok(json)
    }

    /// How often the files of a collection are to be read; 0 when no later run says anything of it, so that all of it stands.
    pub fn passes(&self, user: &str, collection: &str) -> u32 {
        u32::try_from(self.changes.passes(user, collection)).unwrap_or(u32::MAX)
    }

    /// What a fold is to be told: `[[removed, {run, file}], …]`.
    pub fn changes(&self, user: &str, collection: &str) -> Result<String, JsValue> {
        let changes = self.changes.of(user, collection);
        to_json(&changes.collect::<Vec<_>>())
    }
}

/// What later runs say of a collection.
#[wasm_bindgen]
pub struct Fold {
    fold: chain::Fold,
    lines: Cutter,
}

#[wasm_bindgen]
impl Fold {
    /// Nothing is told yet.
    #[wasm_bindgen(constructor)]
    pub fn new(chain: &Chain, collection: &str, pass: u32, passes: u32) -> Result<Fold, JsValue> {
        let key = chain.key.clone();
        let key = key.ok_or_else(|| Error::of(Code::NoTombstoneKey))?;
        Ok(Fold {
            fold: chain::Fold::new(key, collection, pass.into(), passes.into()),
            lines: Cutter::default(),
        })
    }

    /// The next bytes of a file of run `run`; `removed`: of its tombstones.
    pub fn tell(&mut self, run: u32, removed: bool, bytes: &[u8]) -> Result<(), JsValue> {
        let fold = &mut self.fold;
        Ok(self.lines.push(bytes, &mut |line| match removed {
            true => fold.removed(run, line),
            false => fold.brought(run, line),
        })?)
    }

    /// The end of that file: how many lines it had.
    pub fn told(&mut self, run: u32, removed: bool) -> Result<f64, JsValue> {
        let fold = &mut self.fold;
        let lines = self.lines.finish(&mut |line| match removed {
            true => fold.removed(run, line),
            false => fold.brought(run, line),
        })?;
        Ok(lines as f64)
    }

    /// All is told.
    pub fn close(&mut self) {
        self.fold.close();
    }
}

/// Lets through the lines of a file that stand.
#[wasm_bindgen]
#[derive(Default)]
pub struct Sieve {
    sieve: chain::Sieve,
    lines: f64,
}

#[wasm_bindgen]
impl Sieve {
    /// For one file.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Sieve {
        Sieve::default()
    }

    /// The next bytes of a file of run `run`; what of them stands.
    pub fn push(&mut self, fold: &Fold, run: u32, bytes: &[u8]) -> Result<Vec<u8>, JsValue> {
        let mut out = Vec::new();
        self.sieve.push(&fold.fold, run, bytes, &mut out)?;
        Ok(out)
    }

    /// The end of the file; what is left of it.
    pub fn finish(&mut self, fold: &Fold, run: u32) -> Result<Vec<u8>, JsValue> {
        let mut out = Vec::new();
        self.lines = self.sieve.finish(&fold.fold, run, &mut out)? as f64;
        Ok(out)
    }

    /// How many lines the file had.
    #[wasm_bindgen(getter)]
    pub fn lines(&self) -> f64 {
        self.lines
    }
}

/// The warning, an error that is not thrown, about an archive that holds no state by itself; undefined for one that does.
#[wasm_bindgen]
pub fn caution(manifest: &[u8]) -> Result<JsValue, JsValue> {
    let caution = chain::caution(&Manifest::parse(manifest)?);
    Ok(caution.map_or(JsValue::UNDEFINED, JsValue::from))
}

/// The error for an archive without `chain.json` that is not to be opened by itself; undefined when it is. `listing`: `[[path, size], …]`; `sums`: the
/// lines of its `SHA256SUMS` that may tell of runs, if there is one.
#[wasm_bindgen(js_name = lostIndex)]
pub fn lost_index(listing: &str, sums: Option<String>) -> Result<JsValue, JsValue> {
    let listing: Vec<(String, u64)> = from_json(listing)?;
    let there = listing.iter().map(|(path, _)| path.as_str());
    let lost = chain::lost_index(
        there.chain(
            sums.iter()
                .flat_map(|sums| sums.lines())
                .filter_map(chain::summed),
        ),
    );
    Ok(lost.map_or(JsValue::UNDEFINED, JsValue::from))
}

/// Throws when nothing of a folder is to be read, because one run is encrypted and another is not. `listing`: `[[path, size], …]`.
#[wasm_bindgen(js_name = mixedRuns)]
pub fn mixed_runs(listing: &str) -> Result<(), JsValue> {
    let listing: Vec<(String, u64)> = from_json(listing)?;
    let mixed = chain::mixed(listing.iter().map(|(path, _)| path.as_str()));
    mixed.map_or(Ok(()), |error| Err(error.into()))
}

/// Whether a path at the root of a chain is that of a decryptor or a document.
#[wasm_bindgen(js_name = isCompanion)]
pub fn is_companion(path: &str) -> bool {
    chain::is_companion(path)
}

/// The run of a path of a chain: 1 for what lies at its root, 0 for what is of no run.
#[wasm_bindgen(js_name = runOf)]
pub fn run_of(path: &str) -> u32 {
    chain::run_of(path).map_or(0, |(run, _)| run)
}
