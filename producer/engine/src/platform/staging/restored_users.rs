//! The users that the restore of an archive has restored, until what all users share is written for all of them: the next run
//! goes on where a run was stopped in between.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::{names, new_file, place, refused};
use crate::files;
use crate::platform::write::RestoreError;
use crate::threads::lock;

/// The list, a file beside the journals.
pub struct RestoredUsers {
    path: PathBuf,
    /// The name that an earlier version gave it.
    previous: PathBuf,
    file: Mutex<Option<File>>,
}

/// A user who was restored, or whose transaction was not committed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoredEntry {
    /// The user.
    pub user_id: String,
    /// The transaction of PostgreSQL that restored the user, if it was committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<String>,
}

impl RestoredUsers {
    pub(super) fn new(root: &Path, archive_id: &str) -> Self {
        let [path, previous] = names::restored_users(root, archive_id);
        Self {
            path,
            previous,
            file: Mutex::default(),
        }
    }

    /// Adds a user; whether that outlives a crash is for [`Self::sync`].
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn add(&self, user_id: &str, transaction: Option<&str>) -> Result<(), RestoreError> {
        let failed = |e: io::Error| refused(&self.path, e);
        let mut file = lock(&self.file);
        let file = match &mut *file {
            Some(file) => file,
            none => none.insert(
                OpenOptions::new()
                    .create(true)
                    .append(true)
                    .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
                    .open(&self.path)
                    .map_err(failed)?,
            ),
        };
        let entry = RestoredEntry {
            user_id: user_id.to_owned(),
            transaction: transaction.map(str::to_owned),
        };
        let mut line = serde_json::to_vec(&entry).map_err(|e| failed(e.into()))?;
        line.push(b'\n');
        file.write_all(&line).map_err(failed)
    }

    /// Who was added stays so whatever happens to the machine.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sync(&self) -> Result<(), RestoreError> {
        if let Some(file) = &*lock(&self.file) {
            file.sync_data().map_err(|e| refused(&self.path, e))?;
            place::sync(self.path.parent().unwrap_or(&self.path))?;
        }
        Ok(())
    }

    /// The entries of the list. A last line that was cut is of a user who was not restored.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn entries(&self) -> Result<Vec<RestoredEntry>, RestoreError> {
        let mut all = Vec::new();
        for path in [&self.previous, &self.path] {
            let text = match fs::read_to_string(path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                other => other.map_err(|e| refused(path, e))?,
            };
            let entries = text.lines().map(serde_json::from_str);
            all.extend(entries.filter_map(Result::ok));
        }
        Ok(all)
    }

    /// Whether the restore of another archive was stopped here, and not taken up.
    #[must_use]
    pub fn other(&self) -> bool {
        let entries = self.path.parent().map(fs::read_dir);
        let Some(Ok(entries)) = entries else {
            return false;
        };
        entries.flatten().any(|entry| {
            let path = entry.path();
            let is_list = entry
                .file_name()
                .to_str()
                .is_some_and(names::is_restored_list);
            is_list && path != self.path && path != self.previous
        })
    }

    /// Takes users off the list for whom what all users share has been written.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn remove_entries(&self, users: &HashSet<String>) -> Result<(), RestoreError> {
        let failed = |e: io::Error| refused(&self.path, e);
        let mut left = self.entries()?;
        left.retain(|entry| !users.contains(&entry.user_id));
        let file = lock(&self.file).take();
        file.map_or(Ok(()), files::close).map_err(failed)?;
        let remove = |path: &Path| match fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(refused(path, e)),
            _ => Ok(()),
        };
        if left.is_empty() {
            remove(&self.path)?;
            return remove(&self.previous);
        }
        let mut lines = Vec::new();
        for entry in &left {
            serde_json::to_writer(&mut lines, entry).map_err(|e| failed(e.into()))?;
            lines.push(b'\n');
        }
        let aside = self.path.with_extension("tmp");
        let mut file = new_file(&aside)?;
        file.write_all(&lines).map_err(failed)?;
        files::store(file).map_err(failed)?;
        fs::rename(&aside, &self.path).map_err(failed)?;
        remove(&self.previous)
    }
}
