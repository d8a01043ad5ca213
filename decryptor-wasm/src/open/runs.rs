//! The beginning of the walk: what lies there, and whether it is an archive by itself or a chain.

use super::{
    Need, OpenedArchive, Request, chain,
    desk::Side,
    listing::{Listing, check_listing, has, listed},
    run::{Place, open_run},
};
use crate::{
    Result,
    layout::{CHAIN, lost_index, run_of},
    plan::{Finding, Severity},
};

const SUMS: &str = "SHA256SUMS";

/// The walk over what a driver will list.
pub(super) async fn open(side: Side, request: Request) -> Result<OpenedArchive> {
    let listing = listed(side.ask(Need::Listing).await)?;
    check_listing(&listing)?;
    if has(&listing, CHAIN) {
        chain::open(&side, listing, &request).await
    } else {
        open_alone(&side, listing, &request).await
    }
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
