//! Opening an archive that is only read.

use decryptor_wasm::{open::Request, signature::Demands};

use crate::{
    archive::read::{Archive, Folder},
    failure::Failure,
    observer::Observer,
    secrets::{Keys, Secrets},
    storage::Location,
    trust::Expect,
};

/// Which archive is opened, and with what.
#[derive(Debug, Clone, Default)]
pub struct ArchiveOptions {
    /// Where it is.
    pub dir: Location,
    /// Secrets that open it.
    pub keys: Keys,
    /// Conditions that it must meet.
    pub expect: Expect,
    /// Of a chain: the state at this run, counted from 1; none: the newest.
    pub at: Option<u32>,
    /// Only this user, by id or name.
    pub user: Option<String>,
}

impl ArchiveOptions {
    /// The conditions that the archive must meet.
    ///
    /// # Errors
    /// When a file of signers cannot be read, or what is asked contradicts itself.
    pub fn demands(&self, observer: &dyn Observer) -> Result<Demands, Failure> {
        self.expect.demands(self.keys.given(), observer)
    }

    /// Which part of the archive is opened, and what is asked of it.
    pub fn request(&self, demands: Demands) -> Request {
        Request {
            user: self.user.clone(),
            at: self.at,
            expect_id: self.expect.id.clone(),
            ..Request::of(demands)
        }
    }

    /// Opens an archive or the state of a chain, the whole of it or what concerns one user.
    ///
    /// # Errors
    /// When it is not what is asked for, cannot be opened, or is damaged where it must be whole.
    pub fn open(&self, observer: &dyn Observer) -> Result<Archive, Failure> {
        let demands = self.demands(observer)?;
        let secrets = Secrets::new(&self.keys, observer);
        Ok(Archive::open(
            Folder::at(&self.dir)?,
            self.request(demands),
            |envelope| secrets.unlock(envelope),
        )?)
    }
}
