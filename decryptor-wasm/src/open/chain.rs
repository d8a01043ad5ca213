//! The walk over a chain: from the run that is asked for down to one that is full.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use super::{
    Answer, Need, OpenedArchive, Request, StateOfChain,
    desk::{Side, bytes, misplaced},
    listing::{Listing, has},
    run::{Place, ask_signature, folder_of, open_run, signature},
};
use crate::{
    BackupType, Code, Error, ErrorKind, Field, Manifest, Result,
    chain::{
        CHAIN, Index, Links, Opened, State, StateFile, StoredRun, UNNAMED, is_companion,
        root_findings, run_of, state,
    },
    layout::refuse_long,
    plan::{Finding, Plan, PlannedFile},
    signature::{SIGNATURE, require_id},
};

/// What lies in a chain's folder: the files of each run, by their paths within its folder, and what is of no run.
#[derive(Default)]
struct Folders {
    runs: Vec<(u32, Listing)>,
    strays: Vec<String>,
}

impl Folders {
    fn of(listing: Listing) -> Self {
        let mut folders = Folders::default();
        for (path, size) in listing {
            match run_of(&path) {
                Some((1, within)) if within == CHAIN => {}
                Some((run, within)) => {
                    let file = (within.to_owned(), size);
                    folders.of_run(run).push(file);
                }
                None => folders.strays.push(path),
            }
        }
        folders
    }

    /// The files of a run.
    fn of_run(&mut self, run: u32) -> &mut Listing {
        let at = match self.runs.binary_search_by_key(&run, |(known, _)| *known) {
            Ok(at) => at,
            Err(at) => {
                self.runs.insert(at, (run, Listing::new()));
                at
            }
        };
        &mut self.runs[at].1
    }
}

/// Opens the state at a run of a chain.
pub(super) async fn open(
    side: &Side,
    listing: Listing,
    request: &Request,
) -> Result<OpenedArchive> {
    let index = Index::parse(&bytes(side.stored(CHAIN).await, CHAIN)?)?;
    let mut folders = Folders::of(listing);
    let mut links = Links::new(index, stored_runs(side, &folders).await?)?;
    let at = links.choose(request.at)?;
    let root = folders.of_run(1).clone();
    let (mut runs, mut signer) = (Vec::new(), None);
    let mut run = at;
    loop {
        links.require(run, at)?;
        let id = links.run(run).map(|listed| listed.archive_id.clone());
        if let Some(id) = id.as_ref().filter(|_| run == at) {
            require_id(id, request.expect_id.as_deref())?;
        }
        let files = std::mem::take(folders.of_run(run));
        let place = Place::of(run, files, id.as_deref());
        let opened = open_run(side, place, request, None).await;
        let opened = opened.map_err(|error| match error.kind() {
            ErrorKind::Damaged => links.damaged(error, run, at),
            ErrorKind::Key => links.closed(error, run),
            _ => error,
        })?;
        if signer.is_none() {
            let said = request.demands.signed(opened.signed.as_ref());
            let refused = |error| links.unexpected(error, &request.demands);
            signer = Some(said.map_err(refused)?);
        }
        let expected = &request.demands.signers;
        links.opened(run, &opened.manifest, opened.signed.as_ref(), expected);
        links.require(run, at)?;
        let full = opened.manifest.backup_type == BackupType::Full;
        runs.push(opened);
        if full {
            break;
        }
        run = links
            .before(run)
            .ok_or_else(|| Error::of(Code::RunMissing).with(Field::Run, run))?;
    }
    let root = root_of(side, &root, &folders.strays, &runs).await?;
    let mut archive = join(links, at, runs, request.user.as_deref())?;
    archive.plan.findings.extend(signer);
    archive.plan.findings.extend(root);
    Ok(archive)
}

/// The runs that have a manifest, as far as they can be seen without a key.
async fn stored_runs(side: &Side, folders: &Folders) -> Result<Vec<StoredRun>> {
    let mut stored = Vec::new();
    for (run, files) in &folders.runs {
        let run = *run;
        if !has(files, "manifest.json") {
            continue;
        }
        let manifest = format!("{}manifest.json", folder_of(run));
        stored.push(StoredRun {
            run,
            manifest: bytes(side.stored(&manifest).await, &manifest)?,
            signature: match has(files, SIGNATURE) {
                true => Some(signature(ask_signature(side, run).await)?),
                false => None,
            },
            unnamed: has(files, UNNAMED),
        });
    }
    Ok(stored)
}

/// What is to be said of the files at the root, which the run that is asked for lists.
async fn root_of(
    side: &Side,
    root: &[(String, u64)],
    strays: &[String],
    runs: &[OpenedArchive],
) -> Result<Vec<Finding>> {
    let Some(newest) = runs.first() else {
        return Ok(Vec::new());
    };
    let mut found = BTreeMap::new();
    for (path, size) in root.iter().filter(|(path, _)| is_companion(path)) {
        refuse_long(path, *size)?;
        let path = path.clone();
        let (_, answer) = side.ask(Need::Digest { path: path.clone() }).await;
        match answer? {
            Answer::Digest(sha256) => drop(found.insert(path, sha256)),
            _ => return Err(misplaced()),
        }
    }
    let paths = root.iter().map(|(path, _)| path.as_str());
    let paths = paths.chain(strays.iter().map(String::as_str));
    let first_opened = runs
        .iter()
        .any(|run| run.newest().is_some_and(|run| run.run == 1));
    Ok(root_findings(&newest.manifest, &found, paths, first_opened))
}

/// Makes one archive of the runs that a state needs, newest first.
fn join(
    links: Links,
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
        let (manifest, plan) = (archive.manifest, archive.plan);
        opened.push(Opened::new(run.run, manifest, plan, archive.manifests));
        runs.push(run);
    }
    opened.reverse();
    let State {
        users,
        files,
        changes,
        mut findings,
        manifests,
    } = state(opened, user)?;
    findings.extend(links.remarks());
    let json = manifests.get("manifest.json").map(Vec::as_slice);
    let manifest = Manifest::parse(json.unwrap_or_default())?;
    let mut planned = Vec::with_capacity(files.len());
    for file in &files {
        planned.push(plan_of(file));
    }
    let mut decrypted = Vec::new();
    for run in runs.iter().filter(|run| run.decrypted) {
        decrypted.push(run.run);
    }
    Ok(OpenedArchive {
        signed,
        manifest,
        plan: Plan {
            inventoried,
            files: planned,
            findings,
            users,
        },
        manifests,
        chain: Some(Arc::new(StateOfChain {
            links,
            run: at,
            files,
            changes,
            key,
            decrypted,
            folds: Mutex::default(),
        })),
        runs,
    })
}

/// A file of the state, as readers of archives know it.
fn plan_of(file: &StateFile) -> PlannedFile {
    let parts = || file.parts.iter().map(|part| &part.file);
    let records = file.collection.is_some();
    let last = parts().next_back().filter(|_| !records);
    PlannedFile {
        path: file.path.clone(),
        user: file.user.clone(),
        jsonl: records,
        gzip: false,
        encrypted: parts().any(|part| part.encrypted),
        size: parts().map(|part| part.size).sum(),
        expected: last.and_then(|part| part.expected.clone()),
    }
}
