//! The files that a driver lists, and the first look at them.

use super::{
    Answer, Listed, Need,
    exchange::{Exchange, misplaced},
};
use crate::{
    Code, Error, Result,
    layout::{INCREMENTS, PathKind, mixed, refuse_long, run_of},
    listing::FileList,
};

/// Asks for all files; with `scan`, the volumes are read through for that.
pub(super) async fn list(exchange: &Exchange, scan: bool) -> Result<Listed> {
    match exchange.ask(Need::Listing { scan }).await.1? {
        Answer::Listing(mut listed) => {
            exchange.know(listed.members.take());
            Ok(listed)
        }
        _ => Err(misplaced()),
    }
}

/// Refuses a folder that no archive has, before anything in it is read.
///
/// # Errors
/// When one run is encrypted and another is not, a file lies where the folder of the runs should be, or one that is to be read in one
/// piece is larger than any of its kind.
pub(super) fn check_listing(listing: &FileList) -> Result<()> {
    if let Some(mixed) = mixed(listing.iter().map(|(path, _)| path)) {
        return Err(mixed);
    }
    if listing.has(INCREMENTS) {
        return Err(Error::of(Code::IncrementsNotAFolder).at(INCREMENTS));
    }
    for (path, size) in listing.iter() {
        let within = run_of(&path).map_or(path.as_str(), |(_, within)| within);
        if matches!(
            PathKind::of(within),
            PathKind::Manifest | PathKind::Envelope | PathKind::Chain
        ) {
            refuse_long(&path, size)?;
        }
    }
    Ok(())
}
