//! Files of users on their way in: they are made aside, beside the users' folders, and put in place as whole folders.
//!
//! `BASE/.pryv-backup-restore/files-<userId>/<n>` becomes the folder of one owner: the user, or the namespace of a series. Once the
//! user is decided to be restored, a journal says so ([`Journal`]); whatever happens then, the next run finishes it. Without a journal
//! nothing was touched, and what lies aside is removed.

mod journal;
mod marker;
mod names;
mod object_note;
mod objects;
pub mod owner;
mod place;
mod restored_users;
mod series;
mod servers;
mod staged_user;

pub use journal::{Journal, JournalMark};
pub use restored_users::RestoredUsers;
pub use series::SeriesServer;
pub use servers::Servers;
pub use staged_user::StagedUser;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use decryptor_wasm::layout::is_safe_name;
use rustix::fs::OFlags;

use super::User;
use super::running;
use super::user_folder::folder;
use super::write::{Obstacle, RestoreError, Room};
use crate::files;

/// The folder beside those of the users.
const NAME: &str = ".pryv-backup-restore";

/// The place aside, locked for this process; it goes when nothing is left in it.
pub struct Staging {
    base: PathBuf,
    root: PathBuf,
    /// None when nothing is to be written.
    lock: Option<File>,
    /// The part of users that is not kept in files or in the database.
    servers: Servers,
    /// The folder above those that were made for this place, and are needed for nothing else.
    made: Option<PathBuf>,
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
        let is_missing = |path: &&Path| fs::symlink_metadata(path).is_err();
        let missing = base.ancestors().take_while(is_missing);
        staging.made = missing.last().and_then(Path::parent).map(Path::to_owned);
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
            servers: Servers::default(),
            made: None,
        }
    }

    /// The same, with parts of users on servers.
    #[must_use]
    pub fn with_servers(mut self, servers: Servers) -> Self {
        self.servers = servers;
        self
    }

    /// The parts of users that come to servers.
    #[must_use]
    pub fn servers(&self) -> &Servers {
        &self.servers
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
            databases: Vec::new(),
            objects: None,
            servers: self.servers.clone(),
            begun: false,
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
                let path = self.root.join(name);
                journals.push(Journal::read(&self.base, &path, self.servers.clone())?);
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
                self.servers.clear(&path)?;
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
        // Before anything is written it is known that it can be.
        if let Some(SeriesServer { server, .. }) = &self.servers.series {
            server.databases()?;
        }
        if let Some(bucket) = &self.servers.bucket {
            bucket.check()?;
        }
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
            // Nor does a folder of users in which nothing came to be.
            let made = self.made.as_deref();
            let mut folder = Some(self.base.as_path()).filter(|_| made.is_some());
            while let Some(path) = folder.filter(|path| Some(*path) != made) {
                if fs::remove_dir(path).is_err() {
                    break;
                }
                folder = path.parent();
            }
        }
    }
}

/// Decides that the users are restored: everything is on the disk, and so are the journals that say what is still to be done.
/// With [`JournalMark::Transaction`] they are restored only if that transaction is committed. Without any folder or database there is nothing to
/// decide.
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
