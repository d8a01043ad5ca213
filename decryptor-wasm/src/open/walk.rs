//! Begins the walk: tells an archive by itself from a chain, and opens it.

use std::sync::Arc;

use super::{
    Listed, OpenedArchive, Request, chain,
    exchange::Exchange,
    listing::{check_listing, list},
    run::{self, RunFolder, folder_of},
};
use crate::{
    Code, Error, ErrorKind, Result, hex,
    layout::{CHAIN, VOLUMES, lost_index, run_of},
    listing::FileList,
    plan::{Finding, Severity},
};

use sha2::{Digest, Sha256};

const SUMS: &str = "SHA256SUMS";

/// The walk over what a driver will list.
pub(super) async fn open(exchange: Exchange, request: Request) -> Result<OpenedArchive> {
    let mut indexes = Indexes::default();
    loop {
        let listed = indexes.list(&exchange).await?;
        // Called in one place: each further call would add its code to the WASM file again.
        let opened = open_listed(&exchange, listed, &request).await;
        if indexes.hold(&opened) {
            return opened;
        }
    }
}

/// The walk over one run by itself.
pub(super) async fn open_run_alone(exchange: Exchange, request: Request) -> Result<OpenedArchive> {
    let mut indexes = Indexes::default();
    loop {
        let listed = indexes.list(&exchange).await?;
        let opened = open_first(&exchange, listed, &request).await;
        if indexes.hold(&opened) {
            return opened;
        }
    }
}

/// Whether the indexes of volumes can be believed. Where something is amiss for which one may be to blame, the volumes are read through.
#[derive(Default)]
struct Indexes {
    /// Indexes were believed: the SHA-256 of the listing that they gave of each run.
    believed: Option<Vec<(u32, String)>>,
    /// What was found wrong with the volumes then.
    findings: Vec<Finding>,
}

impl Indexes {
    async fn list(&mut self, exchange: &Exchange) -> Result<Listed> {
        let before = self.believed.take();
        let mut listed = list(exchange, before.is_some()).await?;
        if let Some(before) = &before {
            for (run, digest) in digests(&listed.files) {
                let known = before.iter().find(|(known, _)| *known == run);
                if known.is_some_and(|(_, known)| *known != digest) {
                    let path = folder_of(run) + VOLUMES;
                    let error = Error::of(Code::VolumeIndexes);
                    listed.findings.push(Finding::damage(&path, &error));
                }
            }
            let known = std::mem::take(&mut self.findings).into_iter();
            for finding in known.filter(|finding| finding.code.starts_with("volume-index")) {
                listed.findings.push(finding);
            }
        }
        if listed.indexed {
            self.believed = Some(digests(&listed.files));
            self.findings.clone_from(&listed.findings);
        }
        Ok(listed)
    }

    fn hold(&self, opened: &Result<OpenedArchive>) -> bool {
        let whole = match opened {
            Ok(opened) => {
                let mut findings = opened.plan.findings.iter();
                findings.all(|finding| finding.severity != Severity::Error)
            }
            Err(error) => error.kind() != ErrorKind::Damaged,
        };
        whole || self.believed.is_none()
    }
}

/// The SHA-256 of the listing of each run.
fn digests(files: &FileList) -> Vec<(u32, String)> {
    let mut runs: Vec<(u32, Sha256)> = Vec::new();
    for (path, size) in files.iter() {
        let Some((run, within)) = run_of(&path) else {
            continue;
        };
        // Those of a run follow one another, mostly.
        let at = match runs.iter().rposition(|(known, _)| *known == run) {
            Some(at) => at,
            None => {
                runs.push((run, Sha256::new()));
                runs.len() - 1
            }
        };
        runs[at].1.update(within.as_bytes());
        runs[at].1.update(size.to_be_bytes());
    }
    let digests = runs.into_iter();
    crate::gather(digests.map(|(run, digest)| (run, hex(&digest.finalize()))))
}

async fn open_listed(
    exchange: &Exchange,
    listed: Listed,
    request: &Request,
) -> Result<OpenedArchive> {
    let Listed {
        files, findings, ..
    } = listed;
    check_listing(&files)?;
    let mut opened = match chain::index(exchange, &files).await? {
        Some(index) => chain::open(exchange, index, &files, request).await?,
        None => open_alone(exchange, files, request).await?,
    };
    add_findings(&mut opened, findings);
    Ok(opened)
}

async fn open_first(
    exchange: &Exchange,
    listed: Listed,
    request: &Request,
) -> Result<OpenedArchive> {
    let listing = of_first_run(&listed.files);
    check_listing(&listing)?;
    let place = RunFolder::alone(listing, request.expect_id.as_deref());
    let mut opened = run::open_alone(exchange, place, request).await?;
    add_findings(&mut opened, listed.findings);
    Ok(opened)
}

/// Adds what is wrong with the volumes of the runs that were opened.
fn add_findings(opened: &mut OpenedArchive, mut findings: Vec<Finding>) {
    let runs = &opened.runs;
    let is_opened = |number| runs.iter().any(|run| run.run == number);
    findings.retain(|finding| run_of(&finding.path).is_none_or(|(run, _)| is_opened(run)));
    opened.plan.findings.append(&mut findings);
}

/// The error for the first run of a chain whose list of runs is missing: the other runs are there, or `SHA256SUMS` names them.
pub(super) async fn find_lost_index(
    exchange: &Exchange,
    listing: &FileList,
) -> Result<Option<Error>> {
    let lost = lost_index(listing.iter().map(|(path, _)| path));
    if lost.is_some() || !listing.has(SUMS) {
        return Ok(lost);
    }
    exchange.read_lines(SUMS).await.1?;
    exchange.lost_chain()
}

/// Opens an archive by itself, or the first run of a chain whose list of runs is lost.
async fn open_alone(
    exchange: &Exchange,
    listing: Arc<FileList>,
    request: &Request,
) -> Result<OpenedArchive> {
    let lost = find_lost_index(exchange, &listing).await?;
    let listing = match &lost {
        Some(lost) if request.at != Some(1) => return Err(lost.clone()),
        Some(_) => of_first_run(&listing),
        None => listing,
    };
    let place = RunFolder::alone(listing, request.expect_id.as_deref());
    let mut opened = run::open_alone(exchange, place, request).await?;
    let findings = &mut opened.plan.findings;
    findings.push(request.demands.alone(opened.signed.as_ref(), request.at)?);
    if let Some(lost) = lost {
        findings.push(Finding {
            severity: Severity::Warning,
            code: "missing",
            path: CHAIN.to_owned(),
            message: lost.to_string(),
        });
    }
    Ok(opened)
}

/// Keeps only the files of the first run.
fn of_first_run(listing: &Arc<FileList>) -> Arc<FileList> {
    if listing.below("increments/").is_empty() {
        return listing.clone();
    }
    let files = listing.iter();
    let files = files.filter(|(path, _)| matches!(run_of(path), Some((1, _))));
    Arc::new(files.collect())
}
