//! Whom the restore of an archive has made to stand, until what all users share was told of everybody: a run that is stopped
//! in between is taken up by the next one.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use super::refused;
use crate::platform::lock;
use crate::platform::write::RestoreError;

const ENDING: &str = "begun";

/// The list, a file beside the journals.
pub struct Begun {
    path: PathBuf,
    file: Mutex<Option<File>>,
}

/// A user who stands, or did not come to.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The user.
    pub user_id: String,
    /// The transaction of PostgreSQL that made it stand, if that one was committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<String>,
}

impl Begun {
    pub(super) fn new(root: &Path, archive_id: &str) -> Self {
        let name: String = archive_id.chars().take(32).collect();
        Self {
            path: root.join(name).with_extension(ENDING),
            file: Mutex::default(),
        }
    }

    /// Adds a user.
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
                    .open(&self.path)
                    .map_err(failed)?,
            ),
        };
        let entry = Entry {
            user_id: user_id.to_owned(),
            transaction: transaction.map(str::to_owned),
        };
        let mut line = serde_json::to_vec(&entry).map_err(|e| failed(e.into()))?;
        line.push(b'\n');
        file.write_all(&line).map_err(failed)
    }

    /// Who is on the list. A last line that was cut is of a user who did not come to stand.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn entries(&self) -> Result<Vec<Entry>, RestoreError> {
        let text = match fs::read_to_string(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|e| refused(&self.path, e))?,
        };
        let lines = text.lines();
        Ok(lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect())
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
            path != self.path && path.extension().is_some_and(|e| e == ENDING)
        })
    }

    /// What all users share was told of these: they are on the list no longer.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn settle(&self, users: &HashSet<String>) -> Result<(), RestoreError> {
        let failed = |e: io::Error| refused(&self.path, e);
        let mut left = self.entries()?;
        left.retain(|entry| !users.contains(&entry.user_id));
        *lock(&self.file) = None;
        if left.is_empty() {
            return match fs::remove_file(&self.path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed(e)),
                _ => Ok(()),
            };
        }
        let mut lines = Vec::new();
        for entry in &left {
            serde_json::to_writer(&mut lines, entry).map_err(|e| failed(e.into()))?;
            lines.push(b'\n');
        }
        let aside = self.path.with_extension("tmp");
        let mut file = File::create(&aside).map_err(failed)?;
        file.write_all(&lines).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        fs::rename(&aside, &self.path).map_err(failed)
    }
}
