//! A chain on disk, and the state at one of its runs as an archive like any other.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use decryptor_wasm::{
    BackupType, Code, DataKey, Envelope, Error, ErrorKind, Field, Manifest, Result,
    chain::{
        self as index, CHAIN, ChainKey, Changes, Fold, Index, Links, Opened, Part, Sieve, State,
        StateFile, StoredRun, UNNAMED, state, summed,
    },
    plan::{Finding, Plan, PlannedFile},
    reader::FileSummary,
    signature::{Demands, SIGNATURE, require_id},
};

use super::{Archive, Choice, Folder, ReadError};
use crate::{
    archive::{sha256_hex, sums},
    interrupt,
};

/// Folds that are kept for whoever reads the next file of the same collection.
const KEPT: usize = 8;

/// Where the state of a chain lies.
pub struct Chain {
    /// What is known of all runs.
    pub links: Links,
    /// Whose state it is.
    pub run: u32,
    /// The runs that the state needs, by their numbers.
    runs: BTreeMap<u32, Archive>,
    /// By path.
    files: HashMap<String, StateFile>,
    changes: Changes,
    key: Option<ChainKey>,
    folds: Mutex<VecDeque<(Place, Made)>>,
}

/// User id, collection, and the pass.
type Place = (String, String, u64);
/// A fold, made by whoever needs it first.
type Made = Arc<OnceLock<Result<Arc<Fold>>>>;

/// The runs of a chain, as far as they can be seen without a key.
///
/// # Errors
/// When the list of runs cannot be read.
pub fn links(folder: &Folder) -> Result<Links> {
    let index = Index::parse(&folder.read(CHAIN)?)?;
    let mut stored = Vec::new();
    for run in folder.runs()? {
        let of_run = folder.run(run);
        if of_run.has("manifest.json") {
            stored.push(StoredRun {
                run,
                manifest: of_run.read("manifest.json")?,
                signature: of_run.small(SIGNATURE)?,
                unnamed: of_run.has(UNNAMED),
            });
        }
    }
    Links::new(index, stored)
}

/// The error for a folder in which one run is encrypted and another is not.
///
/// # Errors
/// When the folder cannot be read.
pub fn mixed_runs(folder: &Folder) -> Result<Option<Error>> {
    let mut there = Vec::new();
    for run in folder.runs()? {
        let of_run = folder.run(run);
        let names = ["manifest.json", "encryption.json"].into_iter();
        let names: Vec<&str> = names.filter(|name| of_run.has(name)).collect();
        for name in &names {
            of_run.refuse_long(name)?;
        }
        let names = names.into_iter();
        there.extend(names.map(|name| match Index::path(run).as_str() {
            "" => name.to_owned(),
            path => format!("{path}/{name}"),
        }));
    }
    Ok(index::mixed(there.iter().map(String::as_str)))
}

/// The error for the first run of a chain whose list of runs is missing: it is not the state that the folder holds.
///
/// # Errors
/// When the folder cannot be read.
pub fn lost_index(folder: &Folder) -> Result<Option<Error>> {
    if folder.has(CHAIN) {
        return Ok(None);
    }
    let mut there = Vec::new();
    for run in folder.runs()?.into_iter().filter(|run| *run > 1) {
        let manifest = format!("{}/manifest.json", Index::path(run));
        there.extend(folder.has(&manifest).then_some(manifest));
    }
    if let Some(lost) = index::lost_index(there.iter().map(String::as_str)) {
        return Ok(Some(lost));
    }
    if folder.has(sums::SUMS) {
        for line in sums::texts(folder.open(sums::SUMS)?) {
            if let Some(lost) = index::lost_index(summed(&line?).into_iter()) {
                return Ok(Some(lost));
            }
        }
    }
    Ok(None)
}

impl Archive {
    /// Opens the state at a run of the chain in `folder`.
    pub(super) fn open_chain(
        folder: Folder,
        choice: Choice<'_>,
        unlock: &dyn Fn(&Envelope) -> Result<DataKey>,
    ) -> Result<Self> {
        let mut links = links(&folder)?;
        let at = links.choose(choice.at)?;
        let mut runs = BTreeMap::new();
        let (mut run, mut signer) = (at, None);
        loop {
            links.require(run, at)?;
            if let Some(listed) = links.run(run).filter(|_| run == at) {
                require_id(&listed.archive_id, choice.expect_id)?;
            }
            let archive = open_run(&folder, &links, run, at, choice.demands, unlock)?;
            if signer.is_none() {
                let said = choice.demands.signed(archive.signed.as_ref());
                let refused = |error| links.unexpected(error, choice.demands);
                signer = Some(said.map_err(refused)?);
            }
            let expected = &choice.demands.signers;
            links.opened(run, &archive.manifest, archive.signed.as_ref(), expected);
            links.require(run, at)?;
            let full = is_full(&archive);
            runs.insert(run, archive);
            if full {
                break;
            }
            run = links
                .before(run)
                .ok_or_else(|| Error::of(Code::RunMissing).with(Field::Run, run))?;
        }
        let root = root(&folder, runs.get(&at), runs.contains_key(&1))?;
        let mut state = join(folder, links, at, runs, choice.user)?;
        state.plan.findings.extend(signer);
        state.plan.findings.extend(root);
        Ok(state)
    }
}

/// What is to be said of the files at the root of a chain, which the run whose state is asked for lists.
fn root(folder: &Folder, newest: Option<&Archive>, first_opened: bool) -> Result<Vec<Finding>> {
    let Some(newest) = newest else {
        return Ok(Vec::new());
    };
    let listing = folder.list()?;
    let paths = || listing.iter().map(|(path, _)| path.as_str());
    let mut found = BTreeMap::new();
    for path in paths().filter(|path| index::is_companion(path)) {
        found.insert(path.to_owned(), sha256_hex(&folder.read(path)?));
    }
    Ok(index::root_findings(
        &newest.manifest,
        &found,
        paths(),
        first_opened,
    ))
}

fn is_full(archive: &Archive) -> bool {
    archive.manifest.backup_type == BackupType::Full
}

fn open_run(
    folder: &Folder,
    links: &Links,
    run: u32,
    at: u32,
    demands: &Demands,
    unlock: &dyn Fn(&Envelope) -> Result<DataKey>,
) -> Result<Archive> {
    let choice = Choice::new(demands);
    Archive::open_one(folder.run(run), choice, unlock).map_err(|error| match error.kind() {
        ErrorKind::Damaged => links.damaged(error, run, at),
        ErrorKind::Key => links.closed(error, run),
        _ => error,
    })
}

/// Makes one archive of the runs that a state needs.
fn join(
    folder: Folder,
    links: Links,
    at: u32,
    mut runs: BTreeMap<u32, Archive>,
    user: Option<&str>,
) -> Result<Archive> {
    let newest = runs
        .get(&at)
        .ok_or_else(|| Error::damaged("a chain without runs"))?;
    let (id, key) = (newest.id.clone(), newest.key.clone());
    let signed = newest.signed.clone();
    let inventoried = runs.values().all(|run| run.plan.inventoried);
    let numbers = newest.manifest.chain.as_ref().map(|link| link.key.clone());
    let opened = runs.iter_mut().map(|(run, archive)| {
        let plan = std::mem::take(&mut archive.plan);
        archive.plan.inventoried = plan.inventoried;
        let manifests = std::mem::take(&mut archive.manifests);
        Opened::new(*run, archive.manifest.clone(), plan, manifests)
    });
    let mut state = state(opened.collect(), user)?;
    state.findings.extend(links.remarks());
    let json = state.manifests.get("manifest.json").map(Vec::as_slice);
    let manifest = Manifest::parse(json.unwrap_or_default())?;
    let plan = Plan {
        inventoried,
        files: state.files.iter().map(planned).collect(),
        findings: std::mem::take(&mut state.findings),
        users: std::mem::take(&mut state.users),
    };
    let State {
        files,
        changes,
        manifests,
        ..
    } = state;
    let files = files.into_iter().map(|file| (file.path.clone(), file));
    let chain = Chain {
        links,
        run: at,
        runs,
        files: files.collect(),
        changes,
        key: numbers,
        folds: Mutex::default(),
    };
    Ok(Archive {
        folder,
        key,
        id,
        signed,
        manifest,
        plan,
        manifests,
        chain: Some(Box::new(chain)),
    })
}

/// A file of the state, as readers of archives know it.
fn planned(file: &StateFile) -> PlannedFile {
    let parts = || file.parts.iter().map(|part| &part.file);
    let records = file.collection.is_some();
    PlannedFile {
        path: file.path.clone(),
        user: file.user.clone(),
        jsonl: records,
        gzip: false,
        encrypted: parts().any(|part| part.encrypted),
        size: parts().map(|part| part.size).sum(),
        expected: parts()
            .next_back()
            .and_then(|part| part.expected.clone())
            .filter(|_| !records),
    }
}

impl Chain {
    /// The archive id of the first run.
    pub fn base(&self) -> &str {
        self.links.run(1).map_or("", |run| run.archive_id.as_str())
    }

    /// The only part of a file that is no records.
    pub(super) fn whole(&self, path: &str) -> Result<(&Archive, &PlannedFile)> {
        let file = self.file(path)?;
        let part = file.parts.last().ok_or_else(|| unknown(path))?;
        Ok((self.archive(part)?, &part.file))
    }

    fn file(&self, path: &str) -> Result<&StateFile> {
        self.files.get(path).ok_or_else(|| unknown(path))
    }

    fn archive(&self, part: &Part) -> Result<&Archive> {
        self.runs
            .get(&part.run)
            .ok_or_else(|| unknown(&part.file.path))
    }

    /// Passes on the content of a file of the state.
    pub(super) fn stream<E: ReadError>(
        &self,
        path: &str,
        hash: bool,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<FileSummary, E> {
        let file = self.file(path)?;
        let mut all = FileSummary {
            stored_size: 0,
            content_size: 0,
            output_size: 0,
            salt: None,
            chunk: None,
            records: None,
        };
        let mut add = |seen: FileSummary| {
            all.stored_size += seen.stored_size;
            all.content_size += seen.content_size;
            all.output_size += seen.output_size;
            if let Some(records) = seen.records {
                *all.records.get_or_insert(0) += records;
            }
        };
        let Some(collection) = &file.collection else {
            let (archive, part) = self.whole(path)?;
            let run = file.parts.last().map_or(1, |part| part.run);
            return archive
                .stream(part, false, hash, sink)
                .map_err(|e: E| e.map_archive(|e| of_run(run, e)));
        };
        let user = file.user.as_deref().unwrap_or_default();
        let passes = self.changes.passes(user, collection);
        for pass in 0..passes.max(1) {
            // Where no later run says anything, every record counts.
            let fold = match passes {
                0 => None,
                _ => Some(self.fold(user, collection, pass, passes)?),
            };
            for part in &file.parts {
                let archive = self.archive(part)?;
                let seen = match &fold {
                    Some(fold) => archive.sift(&part.file, hash, fold, part.run, sink),
                    None => archive.stream(&part.file, true, hash, sink),
                };
                add(seen.map_err(|e: E| e.map_archive(|e| of_run(part.run, e)))?);
            }
        }
        Ok(all)
    }

    /// Whether a later run says something of a collection.
    pub(super) fn changed(&self, user: &str, collection: &str) -> bool {
        self.changes.of(user, collection).next().is_some()
    }

    fn fold(&self, user: &str, collection: &str, pass: u64, passes: u64) -> Result<Arc<Fold>> {
        let place = (user.to_owned(), collection.to_owned(), pass);
        let cell = {
            let mut folds = self.folds.lock().unwrap_or_else(PoisonError::into_inner);
            match folds.iter().find(|(known, _)| *known == place) {
                Some((_, cell)) => cell.clone(),
                None => {
                    let cell = Made::default();
                    folds.push_back((place, cell.clone()));
                    if folds.len() > KEPT {
                        folds.pop_front();
                    }
                    cell
                }
            }
        };
        cell.get_or_init(|| self.make(user, collection, pass, passes).map(Arc::new))
            .clone()
    }

    fn make(&self, user: &str, collection: &str, pass: u64, passes: u64) -> Result<Fold> {
        let key = self
            .key
            .clone()
            .ok_or_else(|| Error::of(Code::NoTombstoneKey))?;
        let mut fold = Fold::new(key, collection, pass, passes);
        for (removed, part) in self.changes.of(user, collection) {
            let archive = self.archive(part)?;
            let told = archive.lines::<Error>(&part.file, true, &mut |line| {
                let told = match removed {
                    true => fold.removed(part.run, line.text),
                    false => fold.brought(part.run, line.text),
                };
                told.map_err(|e| {
                    Error::of(Code::LineUnreadable)
                        .with(Field::Number, line.number)
                        .because(&e)
                })
            });
            told.map_err(|e| of_run(part.run, e))?;
        }
        fold.close();
        Ok(fold)
    }
}

impl Archive {
    /// Passes on the lines of a file that stand, and judges the file.
    fn sift<E: ReadError>(
        &self,
        file: &PlannedFile,
        hash: bool,
        fold: &Fold,
        run: u32,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<FileSummary, E> {
        let (mut sieve, mut out) = (Sieve::default(), Vec::new());
        let (mut size, mut records) = (0, 0);
        let mut pass = |out: &mut Vec<u8>| -> Result<(), E> {
            size += out.len() as u64;
            records += memchr::memchr_iter(b'\n', out).count() as u64;
            let taken = if out.is_empty() { Ok(()) } else { sink(out) };
            out.clear();
            taken
        };
        let seen = self.uncounted::<E>(file, hash, &mut |piece| {
            interrupt::check()?;
            let sifted = sieve.push(fold, run, piece, &mut out);
            pass(&mut out)?;
            Ok(sifted?)
        })?;
        let lines = sieve.finish(fold, run, &mut out);
        pass(&mut out)?;
        let mut summary = self.counted(file, seen, lines.map_err(E::from))?;
        summary.output_size = size;
        summary.records = Some(records);
        Ok(summary)
    }
}

fn of_run(run: u32, error: Error) -> Error {
    error.in_run(run)
}

fn unknown(path: &str) -> Error {
    Error::damaged("not a file of this state").at(path)
}
