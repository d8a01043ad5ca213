//! Whether a chain is the one that this host has made, up to the run that it made last.

use decryptor_wasm::Error;

use super::{super::Prepared, Run};
use crate::{
    archive::{ChainFolder, Host, Proof},
    failure::Failure,
    state::StateFolder,
};

/// Checks that this host, or a signer whom the operator expects, has signed the chain.
pub fn prove(prepared: &Prepared<'_>, chain: &ChainFolder) -> Result<Proof, Failure> {
    if chain.newest().is_none() {
        return Ok(Proof::default());
    }
    let expected = prepared.options.trust.pinned(prepared.observer)?;
    Ok(chain.prove(&Host {
        signer: prepared.home.key.signer(),
        expected: &expected,
        source: &prepared.source,
    })?)
}

impl Run<'_> {
    /// The warning for when the newest run that this host remembers is not there.
    pub(super) fn rolled_back(&self) -> Result<Option<String>, Failure> {
        let remembered = self.memory.of(&self.prepared.output);
        let remembered = remembered.map_err(|e| self.unkept(&e))?;
        let runs = self.chain.runs.iter();
        let runs = runs.map(|known| (known.run, known.archive_id.as_str()));
        Ok(remembered.and_then(|newest| newest.missing(runs)))
    }

    /// Why a full run is needed after one that somebody else signed.
    pub(super) fn foreign(&self, run: u32) -> Result<String, Failure> {
        let signer = self.prepared.home.key.signer();
        let knows = |place: &StateFolder| place.knows(self.base(""), signer.as_str());
        if self.place.as_ref().is_ok_and(knows) {
            return Err(Error::damaged(format!(
                "run {run} in {} is signed by another key than the runs that this host made there: somebody put it in; nothing was added to this chain: use another copy of it, or begin a new one",
                self.prepared.output
            ))
            .into());
        }
        Ok(format!(
            "run {run} is signed by another key than that of this host, which has made no run of this chain with it"
        ))
    }
}
