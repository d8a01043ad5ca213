//! Lists an archive or a chain and its runs, as far as that needs no key.

use std::sync::Arc;

use super::{
    Listed, chain,
    exchange::Exchange,
    listing::{check_listing, list},
    run::require_manifest,
    walk::find_lost_index,
};
use crate::{Error, Result, chain::RunSequence, finding::Finding, listing::FileList};

/// See the module.
pub struct Outline {
    /// Every file with its size in bytes.
    pub listing: Arc<FileList>,
    /// What is wrong with the volumes.
    pub findings: Vec<Finding>,
    /// The runs of a chain; none for an archive by itself.
    pub runs: Option<RunSequence>,
    /// The error for the first run of a chain whose list of runs is missing: its state would pass for the newest.
    pub lost: Option<Error>,
}

/// Walks over what a driver will list.
pub(super) async fn outline(exchange: Exchange, name: String) -> Result<Outline> {
    let Listed {
        files: listing,
        findings,
        ..
    } = list(&exchange, false).await?;
    require_manifest(&name, &listing)?;
    check_listing(&listing)?;
    let (mut runs, mut lost) = (None, None);
    if let Some(index) = chain::index(&exchange, &listing).await? {
        let stored = chain::stored_runs(&exchange, &listing).await?;
        runs = Some(RunSequence::new(index, stored)?);
    } else {
        lost = find_lost_index(&exchange, &listing).await?;
    }
    Ok(Outline {
        listing,
        findings,
        runs,
        lost,
    })
}
