//! The walk over a chain: from the run that is asked for down to one that is full.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Answer, Need, OpenedArchive, OpenedChain, Request,
    exchange::{Exchange, bytes, misplaced},
    kept_indexes::KeptIndexes,
    run::{RunFolder, ask_signature, folder_of, none_yet, open_run, signature},
};
use crate::{
    Code, Error, ErrorKind, Field, Manifest, Result, UserList,
    chain::{
        CHAIN, ChainState, Index, RunSequence, StateRun, StoredRun, UNNAMED, is_companion, is_full,
        root_findings, run_of, state, state_manifest,
    },
    layout::{PathKind, RUN, refuse_long},
    listing::FileList,
    plan::{Finding, Plan},
    signature::{SIGNATURE, require_id},
};

/// The files in the folder of a chain: those of each run, by their paths within its folder, and those of no run.
#[derive(Default)]
struct ChainListing {
    runs: Vec<(u32, FileList)>,
    strays: Vec<String>,
}

impl ChainListing {
    fn of(listing: &FileList) -> Self {
        let mut folders = ChainListing::default();
        let list_themselves = list_themselves(listing);
        for (path, size) in listing.iter() {
            match run_of(&path) {
                Some((1, CHAIN)) if list_themselves => folders.strays.push(path),
                Some((_, within)) if PathKind::of(within) == PathKind::Chain => {}
                Some((1, _)) => folders.of_run(1).push(&path, size),
                Some((run, within)) => {
                    folders.of_run(run).push(within, size);
                }
                None => folders.strays.push(path),
            }
        }
        folders
    }

    /// The files of the first run that lie at the root beside its data: decryptors, documents, and what is none of the format.
    fn root(&mut self) -> FileList {
        let is_at_root =
            |path: &str| matches!(PathKind::of(path), PathKind::Companion | PathKind::Stray);
        let files = self.of_run(1).iter();
        files.filter(|(path, _)| is_at_root(path)).collect()
    }

    /// The files of a run.
    fn of_run(&mut self, run: u32) -> &mut FileList {
        let at = match self.runs.binary_search_by_key(&run, |(known, _)| *known) {
            Ok(at) => at,
            Err(at) => {
                self.runs.insert(at, (run, FileList::default()));
                at
            }
        };
        &mut self.runs[at].1
    }
}

/// Whether the runs of a chain list themselves, as in an object store: then nothing but their own `run.json` counts.
fn list_themselves(listing: &FileList) -> bool {
    listing.has(RUN)
}

/// The list of the runs of a chain: `chain.json`, or where the runs list themselves, what they say. None for an archive by itself, and for a
/// chain that has lost its list.
pub(super) async fn index(exchange: &Exchange, listing: &FileList) -> Result<Option<Index>> {
    if !list_themselves(listing) {
        return match listing.has(CHAIN) {
            true => Index::parse(&bytes(exchange.stored(CHAIN).await, CHAIN)?).map(Some),
            false => Ok(None),
        };
    }
    let mut finished = runs_there(listing);
    finished.retain(RunThere::is_signed);
    if !(finished.first().is_some_and(|run| run.run == 1) && finished.len() > 1) {
        return Ok(None);
    }
    let mut listed = Vec::new();
    for run in finished.iter().filter(|run| run.lists_itself()) {
        let path = folder_of(run.run) + RUN;
        let mut of_run = Index::parse(&bytes(exchange.stored(&path).await, &path)?)
            .map_err(|error| error.at(&path))?;
        listed.append(&mut of_run.runs);
    }
    Ok(Some(Index::new(listed)))
}

/// Opens the state at a run of a chain.
pub(super) async fn open(
    exchange: &Exchange,
    index: Index,
    listing: &FileList,
    request: &Request,
) -> Result<OpenedArchive> {
    let mut sequence = RunSequence::new(index, stored_runs(exchange, listing).await?)?;
    let mut folders = ChainListing::of(listing);
    let at = sequence.choose(request.at)?;
    let root = folders.root();
    let (mut runs, mut signer) = (Vec::new(), None);
    let mut only = none_yet(request);
    let mut run = at;
    loop {
        sequence.require(run, at)?;
        let id = sequence.run(run).map(|listed| listed.archive_id.clone());
        if let Some(id) = id.as_ref().filter(|_| run == at) {
            require_id(id, request.expect_id.as_deref())?;
        }
        let files = std::mem::take(folders.of_run(run));
        let place = RunFolder::of(run, Arc::new(files), id.as_deref());
        let opened = open_run(exchange, place, request, &mut only).await;
        let opened = opened.map_err(|error| match error.kind() {
            ErrorKind::Damaged => sequence.damaged(error, run, at),
            ErrorKind::Key => sequence.closed(error, run),
            _ => error,
        })?;
        if signer.is_none() {
            let said = request.demands.signed(opened.signed.as_ref());
            let refused = |error| sequence.unexpected(error, &request.demands);
            signer = Some(said.map_err(refused)?);
        }
        let expected = &request.demands.signers;
        sequence.opened(run, &opened.manifest, opened.signed.as_ref(), expected);
        sequence.require(run, at)?;
        let full = is_full(&opened.manifest);
        runs.push(opened);
        if full {
            break;
        }
        run = sequence
            .before(run)
            .ok_or_else(|| Error::of(Code::RunMissing).with(Field::Run, run))?;
    }
    let root = root_of(exchange, &root, &folders.strays, &runs).await?;
    let mut archive = join(sequence, at, runs, request.user.as_deref())?;
    archive.plan.findings.extend(signer);
    archive.plan.findings.extend(root);
    Ok(archive)
}

/// A run, and which of [`NAMES`] lie in its folder.
struct RunThere {
    run: u32,
    has: [bool; 4],
}

const NAMES: [&str; 4] = ["manifest.json", SIGNATURE, UNNAMED, RUN];

impl RunThere {
    /// Whether a run that lists itself was written to its end: its signature comes last.
    fn is_signed(&self) -> bool {
        self.has[1]
    }

    fn lists_itself(&self) -> bool {
        self.has[3]
    }
}

fn runs_there(listing: &FileList) -> Vec<RunThere> {
    let mut there: Vec<RunThere> = Vec::new();
    for (path, _) in listing.iter() {
        let Some((run, within)) = run_of(&path) else {
            continue;
        };
        let Some(name) = NAMES.iter().position(|name| *name == within) else {
            continue;
        };
        let at = match there.binary_search_by_key(&run, |known| known.run) {
            Ok(at) => at,
            Err(at) => {
                let has = [false; 4];
                there.insert(at, RunThere { run, has });
                at
            }
        };
        there[at].has[name] = true;
    }
    there
}

/// The runs that have a manifest, as far as they can be seen without a key; and those of which nothing but the signature is left.
pub(super) async fn stored_runs(exchange: &Exchange, listing: &FileList) -> Result<Vec<StoredRun>> {
    let list_themselves = list_themselves(listing);
    let mut stored = Vec::new();
    for there in runs_there(listing) {
        let run = there.run;
        let [has_manifest, is_signed, unnamed, lists_itself] = there.has;
        let unnamed = match list_themselves {
            true => !is_signed,
            false => unnamed,
        };
        let of_signature = list_themselves && is_signed && !lists_itself;
        if !(has_manifest || of_signature) {
            continue;
        }
        // Of one that was not finished nothing is read, however much there is of it.
        let is_read = has_manifest && !(unnamed && list_themselves);
        let manifest = format!("{}manifest.json", folder_of(run));
        stored.push(StoredRun {
            run,
            manifest: match is_read {
                true => bytes(exchange.stored(&manifest).await, &manifest)?,
                false => Vec::new(),
            },
            signature: match is_signed {
                true => Some(signature(ask_signature(exchange, run).await)?),
                false => None,
            },
            unnamed,
        });
    }
    Ok(stored)
}

/// Compares the files at the root with those that the requested run lists.
async fn root_of(
    exchange: &Exchange,
    root: &FileList,
    strays: &[String],
    runs: &[OpenedArchive],
) -> Result<Vec<Finding>> {
    let Some(newest) = runs.first() else {
        return Ok(Vec::new());
    };
    let mut found = BTreeMap::new();
    for (path, size) in root.iter().filter(|(path, _)| is_companion(path)) {
        refuse_long(&path, size)?;
        let (_, answer) = exchange.ask(Need::Digest { path: path.clone() }).await;
        match answer? {
            Answer::Digest(sha256) => drop(found.insert(path, sha256)),
            _ => return Err(misplaced()),
        }
    }
    let paths: Vec<String> = root.iter().map(|(path, _)| path).collect();
    let paths = paths.iter().chain(strays).map(String::as_str);
    let first_opened = runs
        .iter()
        .any(|run| run.newest().is_some_and(|run| run.run == 1));
    Ok(root_findings(&newest.manifest, &found, paths, first_opened))
}

/// Makes one archive of the runs that a state needs, newest first.
fn join(
    sequence: RunSequence,
    at: u32,
    archives: Vec<OpenedArchive>,
    user: Option<&str>,
) -> Result<OpenedArchive> {
    let inventoried = archives.iter().all(|archive| archive.plan.inventoried);
    let (mut runs, mut opened, mut signed) = (Vec::new(), Vec::new(), None);
    let mut key = None;
    for archive in archives {
        if opened.is_empty() {
            key = archive.manifest.chain.as_ref().map(|link| link.key.clone());
            signed = archive.signed;
        }
        let Some(run) = archive.runs.into_iter().next() else {
            continue;
        };
        opened.push(StateRun::new(
            run.run,
            archive.manifest,
            archive.plan,
            archive.manifest_rest,
        ));
        runs.push(run);
    }
    opened.reverse();
    let ChainState {
        users,
        files,
        changes,
        mut findings,
        manifests,
        manifest_rest,
        losses,
    } = state(opened, user)?;
    findings.extend(sequence.remarks());
    let manifest_rest = state_manifest(&manifest_rest, &UserList::default(), &losses)?;
    let mut manifest = Manifest::parse(&manifest_rest)?;
    manifest.users.clone_from(&users);
    let plan = Plan {
        inventoried,
        files: files.planned(),
        manifests: manifests.planned(),
        findings,
        users,
    };
    let mut decrypted = Vec::new();
    for run in runs.iter().filter(|run| run.decrypted) {
        decrypted.push(run.run);
    }
    Ok(OpenedArchive {
        signed,
        manifest,
        plan,
        manifest_rest,
        chain: Some(Arc::new(OpenedChain {
            sequence,
            run: at,
            files,
            manifests,
            changes,
            key,
            decrypted,
            kept: KeptIndexes::default(),
        })),
        runs,
    })
}
