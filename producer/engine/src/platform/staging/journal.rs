//! Restores that are decided and not yet done.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::syncfs;
use serde::{Deserialize, Serialize};

use super::place::{put, sync};
use super::servers::Servers;
use super::{marker, names, new_file, owner, refused, remove};
use crate::files;
use crate::platform::user_folder::folder;
use crate::platform::write::RestoreError;
use crate::platform::{PlatformError, User};

/// Name of a file that lies in a new folder until all are in place: it tells the new folder from the one that it replaces.
const MARKER: &str = ".pryv-backup-restored";
/// How the names of files begin that a restore makes anew; any other file in a user's folder stays.
const OURS: [&str; 6] = [
    "account-1.0.0.sqlite",
    "baseStorage-1.0.0.sqlite",
    "local-1.0.0.sqlite",
    "audit-1.0.0.sqlite",
    "series-1.0.0.sqlite",
    "attachments",
];

/// The decision that restores a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum JournalMark {
    /// The journal itself.
    Journal,
    /// A transaction of PostgreSQL, by its id.
    Transaction(String),
}

/// A user who is restored or will be, and what is to be done with the user's files.
#[derive(Debug)]
pub struct Journal {
    /// The user.
    pub user: User,
    /// The decision that restores the user.
    pub mark: JournalMark,
    pub(super) owners: Vec<String>,
    pub(super) servers: Servers,
    pub(super) base: PathBuf,
    pub(super) staged: PathBuf,
    pub(super) path: PathBuf,
}

/// As it is stored.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    user_id: String,
    username: String,
    mark: JournalMark,
    owners: Vec<String>,
}

impl Journal {
    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn read(base: &Path, path: &Path, servers: Servers) -> Result<Self, RestoreError> {
        let unreadable = |why: &dyn std::fmt::Display| {
            RestoreError::Platform(PlatformError::Record {
                path: path.to_owned(),
                what: format!(
                    "the journal of a restore cannot be read ({why}); remove it, then restore this user again, in place of what is there"
                ),
            })
        };
        let bytes = fs::read(path).map_err(|e| refused(path, e))?;
        let stored: Stored = serde_json::from_slice(&bytes).map_err(|e| unreadable(&e))?;
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let root = path.parent().unwrap_or(base);
        let staged = names::files_of(root, name, &stored.user_id)
            .ok_or_else(|| unreadable(&"it is of another user than its name says"))?;
        Ok(Self {
            staged,
            servers,
            base: base.to_owned(),
            path: path.to_owned(),
            user: User {
                user_id: stored.user_id,
                username: stored.username,
                ..User::default()
            },
            mark: stored.mark,
            owners: stored.owners,
        })
    }

    /// Everything staged is on the disk before any journal is. All of them lie in one folder.
    pub(super) fn write_all(journals: &[Self]) -> Result<(), RestoreError> {
        let mut last = None;
        for journal in journals {
            last = Some(journal.write_aside()?);
        }
        let (Some(file), Some(journal)) = (last, journals.last()) else {
            return Ok(());
        };
        let failed = |e| refused(&journal.aside(), e);
        syncfs(&file).map_err(|e| failed(e.into()))?;
        files::close(file).map_err(failed)?;
        for journal in journals {
            let aside = journal.aside();
            fs::rename(&aside, &journal.path).map_err(|e| refused(&aside, e))?;
        }
        sync(journal.path.parent().unwrap_or(&journal.path))
    }

    fn aside(&self) -> PathBuf {
        let root = self.path.parent().unwrap_or(&self.path);
        names::new_journal(root, &self.user.user_id)
    }

    fn write_aside(&self) -> Result<File, RestoreError> {
        for number in 0..self.owners.len() {
            let folder = self.staged.join(number.to_string());
            let marker = folder.join(MARKER);
            files::write(&marker, &[]).map_err(|e| refused(&marker, e))?;
            owner::give_all(&self.base, &folder)?;
        }
        let stored = Stored {
            user_id: self.user.user_id.clone(),
            username: self.user.username.clone(),
            mark: self.mark.clone(),
            owners: self.owners.clone(),
        };
        let aside = self.aside();
        let failed = |e| refused(&aside, e);
        let text = serde_json::to_vec(&stored).map_err(|e| failed(e.into()))?;
        let mut file = new_file(&aside)?;
        file.write_all(&text).map_err(failed)?;
        Ok(file)
    }

    /// Puts the folders and the databases in place, as far as they are not. Can be done again and again.
    ///
    /// # Errors
    /// When the disk or the server refuses; the journal stays, and the next run goes on.
    pub fn place(&self) -> Result<(), RestoreError> {
        for (number, owner) in self.owners.iter().enumerate() {
            let staged = self.staged.join(number.to_string());
            let Some(place) = folder(&self.base, owner) else {
                continue;
            };
            if !staged.exists() || place.join(MARKER).exists() {
                continue;
            }
            if let Some(parent) = place.parent() {
                owner::make(parent)?;
            }
            put(&staged, &place)?;
            // Files that Pryv.io opens in one way, whose previous version it would look for.
            if ["audit-1.0.0.sqlite", "local-1.0.0.sqlite"]
                .iter()
                .any(|name| place.join(name).exists())
            {
                marker::leave(&self.base)?;
            }
        }
        self.keep()?;
        self.servers.place(&self.staged)
    }

    /// Files that a restore does not know stay where they were.
    fn keep(&self) -> Result<(), RestoreError> {
        for previous in entries(&self.staged)? {
            let name = previous.file_name();
            let number = name.and_then(OsStr::to_str).and_then(names::number);
            let owner = number.and_then(|number| self.owners.get(number));
            let Some(place) = owner.and_then(|owner| folder(&self.base, owner)) else {
                continue;
            };
            for path in entries(&previous)? {
                let Some(name) = path.file_name() else {
                    continue;
                };
                let to = place.join(name);
                if name != OsStr::new(MARKER)
                    && !made_anew(name)
                    && fs::symlink_metadata(&to).is_err()
                {
                    fs::rename(&path, &to).map_err(|e| refused(&to, e))?;
                }
            }
        }
        Ok(())
    }

    /// Everything is done: removes what was replaced, and the journal.
    ///
    /// # Errors
    /// When the disk refuses; the journal stays, and the next run goes on.
    pub fn finish(self) -> Result<(), RestoreError> {
        remove(&self.staged)?;
        for owner in &self.owners {
            if let Some(place) = folder(&self.base, owner) {
                let marker = place.join(MARKER);
                match fs::remove_file(&marker) {
                    Err(e) if e.kind() != io::ErrorKind::NotFound => {
                        return Err(refused(&marker, e));
                    }
                    _ => {}
                }
            }
        }
        fs::remove_file(&self.path).map_err(|e| refused(&self.path, e))
    }

    /// The user is not restored: nothing was put in place, and nothing is left. The decision goes first, if it was written: without it the next
    /// run removes what lies aside, and what the notes there name. The other way round, a run that is killed in between would leave a decision with
    /// nothing to put in place.
    ///
    /// # Errors
    /// When the disk or the server refuses.
    pub fn undo(self) -> Result<(), RestoreError> {
        match fs::remove_file(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            removed => {
                removed.map_err(|e| refused(&self.path, e))?;
                sync(self.path.parent().unwrap_or(&self.path))?;
            }
        }
        self.servers.clear(&self.staged)
    }
}

fn made_anew(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    OURS.iter().any(|ours| {
        let rest = name.strip_prefix(ours);
        rest.is_some_and(|rest| matches!(rest, "" | "-wal" | "-shm" | "-journal"))
    })
}

/// Entries of a folder, which may be missing.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, RestoreError> {
    let failed = |e| refused(folder, e);
    match files::names(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        found => {
            let names = found.map_err(failed)?.into_iter();
            Ok(names.map(|name| folder.join(name)).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run that cannot remove what lies aside, or is killed before it has, leaves the notes and no decision.
    #[test]
    fn what_is_undone_loses_its_decision_first() {
        let base = tempfile::tempdir().unwrap();
        let staged = base.path().join("files-u");
        let note = staged.join("objects");
        fs::create_dir(&staged).unwrap();
        let bucket = r#"{"bucket":{"place":"s3://elsewhere/","mark":"m"}}"#;
        fs::write(&note, format!("{bucket}\n{{\"sent\":\"u/e/f\"}}\n")).unwrap();
        let path = base.path().join("journal-u");
        fs::write(&path, "{}").unwrap();
        let journal = || Journal {
            user: User::default(),
            mark: JournalMark::Journal,
            owners: Vec::new(),
            servers: Servers::default(),
            base: base.path().to_owned(),
            staged: staged.clone(),
            path: path.clone(),
        };
        let failed = journal().undo().unwrap_err();
        assert!(failed.to_string().contains("s3://elsewhere/"), "{failed}");
        assert!(!path.exists() && note.exists());
        fs::remove_file(&note).unwrap();
        journal().undo().unwrap();
        assert!(!staged.exists());
    }
}
