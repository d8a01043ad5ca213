//! The state that this host keeps of a run: put aside before the run is committed, and kept with it.

use std::io;

use decryptor_wasm::chain::IndexRun;

use super::{Run, preconditions};
use crate::{
    advice::Advice,
    archive::Finished,
    failure::Failure,
    observer::Level,
    state::{State, StateHeader, StateWriter, remove_forgotten},
};

/// Follows the reason why the state cannot be kept.
const MAKE_WRITABLE: &str = "; the state of the chain is kept there: make it writable";

/// The state for the next run, or the reason why there is none.
pub(super) type Noted = Result<StateWriter, String>;

impl Run<'_> {
    /// The state that this host keeps of the newest run; otherwise the reason why a full run is needed.
    pub(super) fn known(&mut self, newest: &IndexRun) -> Result<Result<State, String>, Failure> {
        preconditions::refuse_narrower(self.prepared, &self.chain)?;
        let base = self.base(&newest.archive_id).to_owned();
        let Ok(place) = &mut self.place else {
            return Ok(Err("this host remembers nothing".to_owned()));
        };
        let loaded = place.load(&base, &newest.archive_id);
        let state = match loaded.map_err(|e| self.unkept(&e))? {
            Ok(state) => state,
            Err(what) => return Ok(Err(what)),
        };
        let header = &state.header;
        if self.only(&header.key) != header.user {
            return Err(preconditions::other_user(self.prepared));
        }
        let covers = self.covers();
        let other = header.covers.iter().find(|of| !covers.contains(of));
        let other = other.or_else(|| covers.iter().find(|of| !header.covers.contains(of)));
        if let Some((name, _)) = other {
            return Ok(Err(format!("not the same as in the run before: {name}")));
        }
        if let Some(what) = self.mark.too_far(header.transaction) {
            return Ok(Err(what));
        }
        if let Some(what) = preconditions::sealed_otherwise(self.prepared, &self.chain)? {
            return Ok(Err(what.to_owned()));
        }
        Ok(Ok(state))
    }

    pub(super) fn unkept(&self, error: &io::Error) -> Failure {
        Failure::failed(format!(
            "{}: {error}{MAKE_WRITABLE}",
            self.memory.folder().display()
        ))
        .advise(Advice::OtherStateDir)
    }

    /// Warns when nothing could be remembered, so that the next run cannot be an increment.
    pub(super) fn warn(&self) {
        if let (Err(why), Ok(_)) = (&self.place, &self.prepared.home.folder) {
            let text = format!("{why}; an incremental run into this folder will be a full one");
            self.prepared.observer.tell_minor(Level::Warning, text);
        }
    }

    /// Puts what the next run is to know aside, until this one is committed.
    pub(super) fn propose(&mut self, noted: Noted, header: &StateHeader) -> Result<(), Failure> {
        let kept = match (noted, &mut self.place) {
            (Ok(noted), Ok(place)) => {
                let noted = noted.finish(header);
                let proposed = noted.and_then(|noted| place.propose(&header.base, noted));
                proposed.map_err(|e| format!("{}: {e}", place.folder().display()))
            }
            (Err(why), _) => Err(why),
            (Ok(_), Err(why)) => Err(why.clone()),
        };
        match kept {
            Err(why) if self.needed => {
                Err(Failure::failed(format!("{why}{MAKE_WRITABLE}")).advise(Advice::OtherStateDir))
            }
            Err(why) => {
                self.place = Err(why);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// The run is committed.
    pub(super) fn commit_state(&mut self, base: &str) {
        let Ok(place) = &mut self.place else { return };
        if let Err(error) = place.commit(base) {
            let folder = place.folder().display();
            let text = format!("{folder}: {error}; the next run will be a full one");
            self.prepared.observer.warn(&text);
        }
    }

    /// Takes note of this run, so that the next one notices when it is gone.
    pub(super) fn remember(&self, finished: &Finished) {
        let Ok(place) = &self.place else { return };
        let (base, run) = (&finished.statement.base, finished.statement.run);
        let output = &self.prepared.output;
        if let Err(error) = self.memory.put(output, base, &finished.id, run) {
            let folder = self.memory.folder().display();
            let text =
                format!("{folder}: {error}; the next run cannot tell whether this one is gone");
            self.prepared.observer.warn(&text);
        }
        // A state that cannot be removed now is removed after the next run.
        let _ = remove_forgotten(place.folder(), &self.memory);
    }
}
