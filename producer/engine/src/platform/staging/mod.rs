//! Files of users on their way in: they are made aside, beside the users' folders, and put in place as whole folders.
//!
//! `BASE/.pryv-backup-restore/files-<userId>/<n>` becomes the folder of one owner: the user, or the namespace of a series. Once the
//! user is decided to be restored, a journal says so ([`Journal`]); whatever happens then, the next run finishes it. Without a journal
//! nothing was touched, and what lies aside is removed.

mod journal;
mod marker;
mod names;
pub mod owner;
mod place;
mod restored_users;

pub use journal::{Journal, JournalMark};
pub use restored_users::RestoredUsers;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use decryptor_wasm::layout::is_safe_name;
use rustix::fs::OFlags;

use super::User;
use super::running;
use super::user_folder::folder;
use super::write::{Obstacle, RestoreError, Room};
use crate::files;
use crate::limits::PIECE;

/// The folder beside those of the users.
const NAME: &str = ".pryv-backup-restore";

/// The place aside, locked for this process; it goes when nothing is left in it.
pub struct Staging {
    base: PathBuf,
    root: PathBuf,
    /// None when nothing is to be written.
    lock: Option<File>,
    /// The users that this restore has restored.
    pub restored_users: RestoredUsers,
}

impl Staging {
    /// Takes the place in the folder of all users, which is made when it is missing, for the restore of an archive.
    ///
    /// # Errors
    /// When another restore is at work there, or when the folder cannot be written.
    pub fn open(base: &Path, archive_id: &str) -> Result<Self, RestoreError> {
        let mut staging = Self::look(base, archive_id);
        let root = &staging.root;
        let path = root.join(names::LOCK);
        loop {
            owner::make(root)?;
            place::is_ours(base, root)?;
            let lock = new_file(&path)?;
            if !files::try_lock(&lock) {
                return Err(RestoreError::Conflict {
                    what: format!(
                        "another restore is at work in {}; wait for it",
                        base.display()
                    ),
                });
            }
            // One that has ended meanwhile may have taken the file away.
            let same = match (lock.metadata(), fs::symlink_metadata(&path)) {
                (Ok(ours), Ok(there)) => ours.ino() == there.ino(),
                _ => false,
            };
            if same {
                staging.lock = Some(lock);
                return Ok(staging);
            }
        }
    }

    /// Looks at the place without touching anything.
    #[must_use]
    pub fn look(base: &Path, archive_id: &str) -> Self {
        let root = base.join(NAME);
        Self {
            base: base.to_owned(),
            restored_users: RestoredUsers::new(&root, archive_id),
            root,
            lock: None,
        }
    }

    /// Begins a user.
    ///
    /// # Errors
    /// When the id names no folder, or when the place cannot be written.
    pub fn begin(&self, user: &User) -> Result<StagedUser, RestoreError> {
        if !is_safe_name(&user.user_id) || folder(&self.base, &user.user_id).is_none() {
            return Err(RestoreError::Conflict {
                what: format!(
                    "the user id {:?} names no folder; nothing was restored for it",
                    user.user_id
                ),
            });
        }
        Ok(StagedUser {
            base: self.base.clone(),
            journal: names::journal(&self.root, &user.user_id),
            root: names::files(&self.root, &user.user_id),
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
        if !place::is_ours(&self.base, &self.root)? {
            return Ok(journals);
        }
        for (name, is_dir) in self.entries()? {
            if !is_dir && names::is_journal(&name) {
                journals.push(Journal::read(&self.base, &self.root.join(name))?);
            }
        }
        journals.sort_by(|a, b| a.user.user_id.cmp(&b.user.user_id));
        Ok(journals)
    }

    /// Files and folders in the place aside: their names, and whether they are folders.
    fn entries(&self) -> Result<Vec<(String, bool)>, RestoreError> {
        let failed = |e| refused(&self.root, e);
        let mut entries = Vec::new();
        for name in files::names(&self.root).map_err(failed)? {
            let kind = match fs::symlink_metadata(self.root.join(&name)) {
                // Another restore has moved it meanwhile.
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                about => about.map_err(failed)?.file_type(),
            };
            if let Ok(name) = name.into_string()
                && (kind.is_dir() || kind.is_file())
            {
                entries.push((name, kind.is_dir()));
            }
        }
        Ok(entries)
    }

    /// Removes the unfinished files of users whom no journal names. Files that no restore has made stay.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_unfinished(&self) -> Result<usize, RestoreError> {
        let mut removed = 0;
        for (name, is_dir) in self.entries()? {
            let path = self.root.join(&name);
            if is_dir && names::is_left(&self.root, &name) {
                remove(&path)?;
                removed += 1;
            } else if !is_dir && names::is_new_journal(&name) {
                fs::remove_file(&path).map_err(|e| refused(&path, e))?;
            }
        }
        Ok(removed)
    }

    /// Tells what speaks against writing this much here.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn obstacles(&self, room: Room) -> Result<Vec<Obstacle>, RestoreError> {
        let mut obstacles = Vec::new();
        let left = self.room()?;
        if left < room.likely {
            let fatal = left < room.least;
            let (much, what) = match fatal {
                true => (room.least, "at least"),
                false => (room.likely, "about"),
            };
            let what = format!(
                "{} has {:.1} MB left and {what} {:.1} MB are needed; make room",
                self.base.display(),
                megabytes(left),
                megabytes(much)
            );
            obstacles.push(match fatal {
                true => Obstacle::fatal(what),
                false => Obstacle::note(what),
            });
        }
        obstacles.extend(running::holders(&self.base).into_iter().map(|process| {
            let who = format!("{} (process {})", process.program, process.id);
            match process.is_core() {
                true => Obstacle::core(format!("{who} has files of {} open", self.base.display())),
                false => Obstacle::note(format!(
                    "{who} has files of {} open: what it reads is being replaced",
                    self.base.display()
                )),
            }
        }));
        if self.restored_users.other() {
            obstacles.push(Obstacle::note(
                "an earlier restore of another backup was stopped before the platform's own entries of its users were written: restore that one again to finish it",
            ));
        }
        let waiting = self.journals()?.len();
        if waiting > 0 {
            obstacles.push(Obstacle::note(format!(
                "an earlier restore was stopped while {waiting} users were put in place; the next restore finishes or undoes that first"
            )));
        }
        Ok(obstacles)
    }

    /// Bytes that the disk of the users has left for this user.
    fn room(&self) -> Result<u64, RestoreError> {
        let there = self.root.ancestors().find(|path| path.exists());
        let disk = rustix::fs::statvfs(there.unwrap_or(Path::new("/")))
            .map_err(|e| refused(&self.root, e.into()))?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if self.lock.is_some() {
            // Nobody else has the lock. A folder that is not empty stays for the next run.
            let _ = fs::remove_file(self.root.join(names::LOCK));
            let _ = fs::remove_dir(&self.root);
        }
    }
}

/// A user whose files are being made aside; dropped without [`Journal::finish`], nothing of it stays.
pub struct StagedUser {
    base: PathBuf,
    root: PathBuf,
    journal: PathBuf,
    user: User,
    /// Owners of the numbered folders.
    owners: Vec<String>,
    done: bool,
}

impl StagedUser {
    /// The folder that becomes that of `owner`, made when it is first asked for.
    ///
    /// # Errors
    /// When the owner names no folder, or when it cannot be made.
    pub fn folder(&mut self, owner: &str) -> Result<PathBuf, RestoreError> {
        let number = match self.owners.iter().position(|known| known == owner) {
            Some(number) => number,
            None => {
                let place = folder(&self.base, owner).filter(|_| is_safe_name(owner));
                let place = place.ok_or_else(|| RestoreError::Record {
                    collection: "series",
                    what: format!("the namespace {owner:?} names no folder"),
                })?;
                place::check(&place, self.root.parent().unwrap_or(&self.base))?;
                if self.owners.is_empty() {
                    remove(&self.root)?;
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
    pub fn has_folder(&self, owner: &str) -> bool {
        folder(&self.base, owner).is_some_and(|path| fs::symlink_metadata(path).is_ok())
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
                Ok(0) => return files::close(file).map_err(|e| refused(&path, e)),
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

    /// Whether there is nothing to put in place.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }

    fn journal(&self, mark: &JournalMark) -> Journal {
        Journal {
            user: self.user.clone(),
            mark: mark.clone(),
            owners: self.owners.clone(),
            base: self.base.clone(),
            staged: self.root.clone(),
            path: self.journal.clone(),
        }
    }
}

/// Decides that the users are restored: everything is on the disk, and so are the journals that say what is still to be done.
/// With [`JournalMark::Transaction`] they are restored only if that transaction is committed. Without any folder there is nothing to decide.
///
/// # Errors
/// When the disk refuses; then nothing was decided.
pub fn decide(mut all: Vec<StagedUser>, mark: &JournalMark) -> Result<Vec<Journal>, RestoreError> {
    all.retain(|staged| !staged.is_empty());
    let journals: Vec<Journal> = all.iter().map(|staged| staged.journal(mark)).collect();
    if let Err(error) = Journal::write_all(&journals) {
        for journal in journals {
            // A journal that cannot be removed now belongs to a transaction that will never be.
            let _ = journal.undo();
        }
        return Err(error);
    }
    for staged in &mut all {
        staged.done = true;
    }
    Ok(journals)
}

impl Drop for StagedUser {
    fn drop(&mut self) {
        if !self.done && !self.owners.is_empty() {
            // Files that cannot be removed now are removed by the next run.
            let _ = fs::remove_dir_all(&self.root);
        }
    }
}

/// A file in the place aside, empty and open to be written; one that is there is emptied, unless it is a link.
fn new_file(path: &Path) -> Result<File, RestoreError> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
        .map_err(|e| refused(path, e))
}

#[allow(clippy::cast_precision_loss)]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Removes a folder that may be missing.
fn remove(path: &Path) -> Result<(), RestoreError> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(refused(path, e)),
        _ => Ok(()),
    }
}

/// The error for a refusal of the system.
pub fn refused(path: &Path, source: io::Error) -> RestoreError {
    RestoreError::Write {
        path: path.to_owned(),
        source,
    }
}
