//! Files of users on their way in: they are made aside, beside the users' folders, and put in place as whole folders.
//!
//! `BASE/.pryv-backup-restore/<userId>/<n>` becomes the folder of one owner: the user, or the namespace of a series. Once the
//! user is decided to stand, a journal says so ([`Journal`]); whatever happens then, the next run finishes it. Without a journal
//! nothing was touched, and what lies aside is removed.

mod journal;

pub use journal::{Journal, Mark};

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use decryptor_wasm::layout::is_safe_name;
use rustix::fs::{FlockOperation, flock};

use super::User;
use super::attachments::folder;
use super::write::RestoreError;

/// The folder beside those of the users.
const NAME: &str = ".pryv-backup-restore";
/// Bytes of an attachment that are written at once.
const PIECE: usize = 256 * 1024;

/// The place aside, locked for this process.
pub struct Staging {
    base: PathBuf,
    root: PathBuf,
    _lock: File,
}

impl Staging {
    /// Takes the place in the folder of all users, which is made when it is missing.
    ///
    /// # Errors
    /// When another restore is at work there, or when the folder cannot be written.
    pub fn open(base: &Path) -> Result<Self, RestoreError> {
        let root = base.join(NAME);
        fs::create_dir_all(&root).map_err(|e| refused(&root, e))?;
        let path = root.join("lock");
        let lock = File::create(&path).map_err(|e| refused(&path, e))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            RestoreError::Conflict {
                what: format!(
                    "another restore is at work in {}; wait for it",
                    base.display()
                ),
            }
        })?;
        Ok(Self {
            base: base.to_owned(),
            root,
            _lock: lock,
        })
    }

    /// Begins a user.
    ///
    /// # Errors
    /// When the id names no folder, or when the place cannot be written.
    pub fn begin(&self, user: &User) -> Result<Staged, RestoreError> {
        if !is_safe_name(&user.user_id) || folder(&self.base, &user.user_id).is_none() {
            return Err(RestoreError::Conflict {
                what: format!(
                    "the user id {:?} names no folder; nothing was restored for it",
                    user.user_id
                ),
            });
        }
        let root = self.root.join(&user.user_id);
        remove(&root)?;
        fs::create_dir_all(&root).map_err(|e| refused(&root, e))?;
        Ok(Staged {
            base: self.base.clone(),
            journal: self.root.join(format!("{}.json", user.user_id)),
            root,
            user: user.clone(),
            owners: Vec::new(),
            done: false,
        })
    }

    /// The journals that a run left behind.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn journals(&self) -> Result<Vec<Journal>, RestoreError> {
        let mut journals = Vec::new();
        let failed = |e| refused(&self.root, e);
        for entry in fs::read_dir(&self.root).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|e| e == "json") {
                journals.push(Journal::read(&self.base, &path)?);
            }
        }
        journals.sort_by(|a, b| a.user.user_id.cmp(&b.user.user_id));
        Ok(journals)
    }

    /// Removes what lies aside of users whom no journal names.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn sweep(&self) -> Result<usize, RestoreError> {
        let failed = |e| refused(&self.root, e);
        let mut removed = 0;
        for entry in fs::read_dir(&self.root).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.is_dir() && !path.with_extension("json").exists() {
                remove(&path)?;
                removed += 1;
            } else if path.extension().is_some_and(|e| e == "tmp") {
                fs::remove_file(&path).map_err(|e| refused(&path, e))?;
            }
        }
        Ok(removed)
    }

    /// Bytes that the disk of the users has left for this user.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn room(&self) -> Result<u64, RestoreError> {
        let disk = rustix::fs::statvfs(&self.root).map_err(|e| refused(&self.root, e.into()))?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}

/// A user whose files are being made aside; dropped without [`Journal::finish`], nothing of it stays.
pub struct Staged {
    base: PathBuf,
    root: PathBuf,
    journal: PathBuf,
    user: User,
    /// Whose folder each numbered one becomes.
    owners: Vec<String>,
    done: bool,
}

impl Staged {
    /// The folder that becomes that of `owner`, made when it is first asked for.
    ///
    /// # Errors
    /// When the owner names no folder, or when it cannot be made.
    pub fn folder(&mut self, owner: &str) -> Result<PathBuf, RestoreError> {
        let number = match self.owners.iter().position(|known| known == owner) {
            Some(number) => number,
            None => {
                if !is_safe_name(owner) || folder(&self.base, owner).is_none() {
                    return Err(RestoreError::Record {
                        collection: "series",
                        what: format!("the namespace {owner:?} names no folder"),
                    });
                }
                self.owners.push(owner.to_owned());
                self.owners.len() - 1
            }
        };
        let path = self.root.join(number.to_string());
        fs::create_dir_all(&path).map_err(|e| refused(&path, e))?;
        Ok(path)
    }

    /// Whether the platform has a folder of this owner.
    #[must_use]
    pub fn stands(&self, owner: &str) -> bool {
        folder(&self.base, owner).is_some_and(|path| path.exists())
    }

    /// Stores an attachment of an event.
    ///
    /// # Errors
    /// When a name is not that of a file, when it is there already, or when the disk refuses.
    pub fn attachment(
        &mut self,
        event_id: &str,
        file_id: &str,
        content: &mut dyn Read,
    ) -> Result<(), RestoreError> {
        if !is_safe_name(event_id) || !is_safe_name(file_id) {
            return Err(RestoreError::Record {
                collection: "attachments",
                what: format!("{event_id:?}/{file_id:?} is not the name of a file"),
            });
        }
        let owner = self.user.user_id.clone();
        let folder = self.folder(&owner)?.join("attachments").join(event_id);
        fs::create_dir_all(&folder).map_err(|e| refused(&folder, e))?;
        let path = folder.join(file_id);
        let mut file = File::create_new(&path).map_err(|e| refused(&path, e))?;
        let mut buffer = vec![0; PIECE];
        loop {
            let n = match content.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => {
                    return Err(e
                        .downcast()
                        .map_or_else(|e| refused(&path, e), RestoreError::Archive));
                }
            };
            file.write_all(&buffer[..n])
                .map_err(|e| refused(&path, e))?;
        }
    }

    /// Decides that the user stands: everything is on the disk, and so is the journal that says what is still to be done.
    /// With [`Mark::Transaction`] it stands only if that transaction does. Without any folder there is nothing to decide.
    ///
    /// # Errors
    /// When the disk refuses; then nothing was decided.
    pub fn decide(mut self, mark: Mark) -> Result<Option<Journal>, RestoreError> {
        if self.owners.is_empty() {
            return Ok(None);
        }
        let journal = Journal {
            user: self.user.clone(),
            mark,
            owners: self.owners.clone(),
            base: self.base.clone(),
            staged: self.root.clone(),
            path: self.journal.clone(),
        };
        journal.write()?;
        self.done = true;
        Ok(Some(journal))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.done {
            // What cannot be removed now is removed by the next run.
            let _ = fs::remove_dir_all(&self.root);
        }
    }
}

/// Removes a folder that may be missing.
fn remove(path: &Path) -> Result<(), RestoreError> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(refused(path, e)),
        _ => Ok(()),
    }
}

/// What the system refused.
pub fn refused(path: &Path, source: io::Error) -> RestoreError {
    RestoreError::Write {
        path: path.to_owned(),
        source,
    }
}
