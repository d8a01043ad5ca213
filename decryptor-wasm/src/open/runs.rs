//! The beginning of the walk: what lies there, and whether it is an archive by itself or a chain.

use super::{
    Answer, Need, OpenedArchive, Request, chain,
    desk::{Side, misplaced},
    run::{Place, open_run},
};
use crate::{
    Error, Result,
    chain::{CHAIN, INCREMENTS, lost_index, mixed, run_of},
    layout::{PathKind, refuse_long},
    plan::{Finding, Severity},
};

const SUMS: &str = "SHA256SUMS";

/// Paths with `/`, and sizes.
pub(super) type Listing = Vec<(String, u64)>;

/// Whether there is a file of that path.
pub(super) fn has(listing: &[(String, u64)], path: &str) -> bool {
    listing.iter().any(|(known, _)| known == path)
}

/// The walk over what a driver will list.
pub(super) async fn open(side: Side, request: Request) -> Result<OpenedArchive> {
    let listing = listed(side.ask(Need::Listing).await)?;
    judge_listing(&listing)?;
    if has(&listing, CHAIN) {
        chain::open(&side, listing, &request).await
    } else {
        open_alone(&side, listing, &request).await
    }
}

pub(super) fn listed((_, answer): (u32, Result<Answer>)) -> Result<Listing> {
    match answer? {
        Answer::Listing(listing) => Ok(listing),
        _ => Err(misplaced()),
    }
}

/// What can be said of a folder before anything in it is read.
///
/// # Errors
/// When one run is encrypted and another is not, a file lies where the folder of the runs should be, or one that is to be read in one
/// piece is larger than any of its kind.
pub(super) fn judge_listing(listing: &[(String, u64)]) -> Result<()> {
    if let Some(mixed) = mixed(listing.iter().map(|(path, _)| path.as_str())) {
        return Err(mixed);
    }
    for (path, size) in listing {
        if path == INCREMENTS {
            return Err(Error::damaged(format!(
                "{INCREMENTS} is not a folder, although the runs of a chain lie there: remove it or copy the backup again"
            )));
        }
        let within = run_of(path).map_or(path.as_str(), |(_, within)| within);
        if matches!(
            PathKind::of(within),
            PathKind::Manifest | PathKind::Envelope | PathKind::Chain
        ) {
            refuse_long(path, *size)?;
        }
    }
    Ok(())
}

/// Opens an archive by itself, or the first run of a chain whose list of runs is lost.
async fn open_alone(side: &Side, listing: Listing, request: &Request) -> Result<OpenedArchive> {
    let mut lost = lost_index(listing.iter().map(|(path, _)| path.as_str()));
    if lost.is_none() && has(&listing, SUMS) {
        side.read_lines(SUMS).await.1?;
        lost = side.lines()?.lost();
    }
    let listing = match &lost {
        Some(lost) if request.at != Some(1) => return Err(lost.clone()),
        Some(_) => of_first_run(listing),
        None => listing,
    };
    let place = Place::alone(listing, request.expect_id.as_deref());
    let mut opened = open_run(side, place, request, request.user.as_deref()).await?;
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

/// What of a chain's folder is of its first run.
fn of_first_run(mut listing: Listing) -> Listing {
    listing.retain(|(path, _)| matches!(run_of(path), Some((1, _))));
    listing
}
