//! Summarizes an archive or a chain as far as that needs no key, for a reader who is about to open it.

use serde::Serialize;

use super::{listing::check_listing, run::require_manifest};
use crate::{Code, Envelope, Error, Result, chain::Index, listing::FileList};

/// See the module.
#[derive(Debug, Clone, Serialize)]
pub struct KeylessSummary {
    /// The mode of the newest run's envelope; none when it is not encrypted.
    pub mode: Option<String>,
    /// The runs of a chain, as its index lists them; none for an archive by itself, or where the index cannot be read: opening it says why.
    pub runs: Vec<RunSummary>,
}

/// A run of a chain.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunSummary {
    run: u32,
    archive_id: String,
    kind: String,
    /// Milliseconds since 1970.
    made: i64,
    mode: Option<String>,
}

impl KeylessSummary {
    /// The same as JSON.
    ///
    /// # Errors
    /// Never in practice.
    pub fn to_json(&self) -> Result<String> {
        to_json(self)
    }
}

/// Looks at what lies in `name`: the files there, and what `encryption.json` and `chain.json` hold, as far as they are there.
///
/// # Errors
/// When it is no backup, or not to be read.
pub fn look(
    name: &str,
    listing: &FileList,
    envelope: Option<&[u8]>,
    index: Option<&[u8]>,
) -> Result<KeylessSummary> {
    require_manifest(name, listing)?;
    check_listing(listing)?;
    let mut mode = None;
    if let Some(json) = envelope {
        mode = Some(Envelope::parse(json)?.mode().name().to_owned());
    }
    let mut runs = Vec::new();
    if let Some(Ok(index)) = index.map(Index::parse) {
        runs = summaries(&index);
    }
    // Whether a chain is encrypted shows in what is there, not in what its list says.
    for run in &mut runs {
        run.mode = match &mode {
            Some(mode) => Some(run.mode.take().unwrap_or_else(|| mode.clone())),
            None => None,
        };
    }
    Ok(KeylessSummary {
        mode: runs.last().map_or(mode, |newest| newest.mode.clone()),
        runs,
    })
}

/// The runs as their list has them.
pub(super) fn summaries(index: &Index) -> Vec<RunSummary> {
    let mut runs = Vec::with_capacity(index.runs.len());
    for run in &index.runs {
        runs.push(RunSummary {
            run: run.run,
            archive_id: run.archive_id.clone(),
            kind: run.kind.name().to_owned(),
            made: run.created_at,
            mode: run.mode.clone(),
        });
    }
    runs
}

pub(super) fn to_json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::of(Code::Failed).because(&e))
}
