//! Compares what a run of a chain finds with what the run before has left: only what is new or differs goes into the archive, what
//! is gone is named there, and what is there now is noted for the next run.

mod emptied;
mod merge;
mod record;
mod shared;
mod sink;
mod user;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Mutex,
};

use decryptor_wasm::chain::{ChainKey, number};

pub use shared::SharedChanges;

use self::user::OpenUser;
use super::collect::Collector;
use crate::threads::lock;
use crate::{
    archive::ArchiveWriter,
    platform::{Collection, ExportExtent, Mark, PlatformLoss, SinkError, Target, User, UserTarget},
    state::{KnownUser, State, StateWriter},
};

/// The collections of records, each of which is a section of a user's block.
const COLLECTIONS: [Collection; 8] = Collection::ALL;
/// The section of attachments.
const ATTACHMENTS: usize = COLLECTIONS.len();
/// The section of what files look like.
const LOOKS: usize = ATTACHMENTS + 1;
/// How many sections there are.
const SECTIONS: usize = LOOKS + 1;
/// The next run has to bring the user whole.
const WHOLE: u8 = 1;
/// An attachment is missing in the archive: the next run is to try again.
const LOST_ATTACHMENTS: u8 = 2;

/// A run of a chain.
pub struct Changes<'a> {
    archive: &'a ArchiveWriter,
    collector: &'a Collector<'a>,
    key: ChainKey,
    /// That of the run before; none in a full run.
    state: Option<&'a State>,
    mark: &'a Mark,
    folder: PathBuf,
    /// None when there is no place for it.
    out: Mutex<Option<StateWriter>>,
    /// Whether what is noted here has to be kept; a full run by itself goes on without.
    needed: bool,
    unkept: Mutex<Option<String>>,
    misfit: Mutex<Option<String>>,
    totals: emptied::Totals,
}

impl<'a> Changes<'a> {
    /// A run. Notes for the next one, and entries that become many meanwhile, go into `folder`; its error says why there is no place for them.
    /// `needed`: the run fails where the state cannot be kept.
    ///
    /// # Errors
    /// When the state cannot be written, and is needed.
    pub fn new(
        collector: &'a Collector<'a>,
        key: &ChainKey,
        state: Option<&'a State>,
        mark: &'a Mark,
        folder: Result<&Path, &str>,
        needed: bool,
    ) -> Result<Self, SinkError> {
        let changes = Changes {
            archive: collector.archive,
            collector,
            key: key.clone(),
            state,
            mark,
            folder: folder.unwrap_or(Path::new("")).to_owned(),
            out: Mutex::default(),
            needed,
            unkept: Mutex::new(folder.err().map(str::to_owned)),
            misfit: Mutex::default(),
            totals: emptied::Totals::default(),
        };
        if let Ok(folder) = folder {
            let out = StateWriter::create(folder).map_err(|e| changes.failed(&e));
            *lock(&changes.out) = changes.spare(out)?;
        }
        Ok(changes)
    }

    /// Whether only changes go into the archive.
    fn is_increment(&self) -> bool {
        self.state.is_some()
    }

    /// Whether records of a collection tell which transaction wrote them.
    fn tells(&self, collection: Collection) -> bool {
        self.mark.transaction.is_some() && self.mark.told.contains(&collection)
    }

    /// The number of a user.
    fn user(&self, user: &User) -> u64 {
        user_number(&self.key, &user.user_id)
    }

    /// Entries that are known of a user, if the user was in the previous run.
    fn known(&self, number: u64) -> io::Result<Option<KnownUser>> {
        self.state.map_or(Ok(None), |state| state.user(number))
    }

    /// Why the changes cannot be told from what is known: a full run is needed.
    pub fn misfit(&self) -> Option<String> {
        lock(&self.misfit).take()
    }

    /// The state for the next run, when all users are written; otherwise the reason why it could not be kept.
    pub fn into_state(self) -> Result<StateWriter, String> {
        for loss in self.totals.losses() {
            self.collector.lose(loss);
        }
        let unkept = lock(&self.unkept).take();
        let out = lock(&self.out).take();
        out.filter(|_| unkept.is_none())
            .ok_or_else(|| unkept.unwrap_or_default())
    }

    /// Adds to what is noted.
    fn write(&self, add: impl FnOnce(&mut StateWriter) -> io::Result<()>) -> Result<(), SinkError> {
        let mut out = lock(&self.out);
        let added = out.as_mut().map_or(Ok(()), add);
        added.map_err(|e| self.failed(&e))
    }

    /// A failure of the state.
    fn failed(&self, error: &io::Error) -> SinkError {
        Unkept(format!("{}: {error}", self.folder.display())).into()
    }

    /// Whether this run still takes notes.
    fn notes(&self) -> bool {
        self.needed || lock(&self.unkept).is_none()
    }

    /// Goes on without the state, if it failed and is not needed.
    fn spare<T>(&self, noted: Result<T, SinkError>) -> Result<Option<T>, SinkError> {
        match noted {
            Err(error) if !self.needed && error.is::<Unkept>() => {
                lock(&self.unkept).get_or_insert_with(|| error.to_string());
                Ok(None)
            }
            noted => noted.map(Some),
        }
    }

    fn does_not_fit(&self, why: &str) -> SinkError {
        lock(&self.misfit).get_or_insert_with(|| why.to_owned());
        why.into()
    }
}

/// The state cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[error(
    "what this run is to remember cannot be kept: {0}; make room there, or keep it in another folder"
)]
struct Unkept(String);

/// The number of a user.
pub fn user_number(key: &ChainKey, user_id: &str) -> u64 {
    number(key, "users", &[user_id])
}

/// The number of all that belongs to no user.
pub fn shared_number(key: &ChainKey) -> u64 {
    number::<&str>(key, "platform", &[])
}

impl Target for Changes<'_> {
    fn begin<'b>(&'b self, user: &'b User) -> Result<Box<dyn UserTarget + 'b>, SinkError> {
        let open = OpenUser::new(self, user).map_err(|e| self.failed(&e))?;
        Ok(Box::new(open))
    }

    fn lose(&self, loss: PlatformLoss) {
        self.collector.lose(loss);
    }

    fn since(&self) -> Option<u64> {
        self.state.and_then(|state| state.header.transaction)
    }

    fn need(&self, user: &User) -> ExportExtent {
        // One that cannot be read now fails when it is begun.
        match self.known(self.user(user)) {
            Ok(Some(known)) if known.flags & WHOLE != 0 => ExportExtent::Whole,
            Ok(Some(known)) if known.flags & LOST_ATTACHMENTS != 0 => {
                ExportExtent::ChangesAndAttachments
            }
            Ok(Some(_)) => ExportExtent::Changes,
            _ => ExportExtent::Whole,
        }
    }
}
