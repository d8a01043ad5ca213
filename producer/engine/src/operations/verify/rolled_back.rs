//! Whether the newest run is there that this host remembers to have made where a backup lies.

use decryptor_wasm::{
    chain::RunSequence,
    plan::{Finding, Severity},
};

use super::without_key;
use crate::{
    archive::read::Folder,
    opening::ArchiveOptions,
    state::{self, Memory, Newest},
    storage::Location,
};

/// The run; none where an earlier state is asked for, or where nothing is remembered. Whoever cannot read what this host remembers verifies what is
/// there.
pub(super) fn newest(opening: &ArchiveOptions) -> Option<Newest> {
    let is_of_moment = match &opening.dir {
        Location::Store(address) => address.options.as_of.is_some(),
        Location::Folder(_) | Location::Stream(_) => false,
    };
    if opening.at.is_some() || is_of_moment {
        return None;
    }
    let state = state::folder(opening.expect.trust.state_dir.as_deref()).ok()?;
    Memory::new(&state).of(&opening.dir).ok().flatten()
}

/// Looks for it among the runs of a backup. Where another backup is, whoever stores them may have meant that.
pub(super) fn look(
    newest: &Newest,
    folder: &Folder,
    runs: Option<&RunSequence>,
) -> Option<Finding> {
    let runs: Vec<(u32, String)> = match runs {
        Some(sequence) => {
            let runs = sequence.index().runs.iter();
            runs.map(|run| (run.run, run.archive_id.clone())).collect()
        }
        // What has no manifest is refused by others.
        None => vec![(1, without_key::newest_id(folder, None).ok()?)],
    };
    let is_of_it = runs.first().is_some_and(|(_, id)| *id == newest.base);
    let message = newest.missing(runs.iter().map(|(run, id)| (*run, id.as_str())))?;
    Some(Finding {
        severity: match is_of_it {
            true => Severity::Error,
            false => Severity::Warning,
        },
        code: "rolled-back",
        path: String::new(),
        message,
    })
}
