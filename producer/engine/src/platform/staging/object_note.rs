//! The note of the attachments of a user that are on their way into a bucket: each is named before it is sent.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::place::sync;
use super::{new_file, refused};
use crate::files;
use crate::platform::s3::{AttachmentStore, ObjectName};
use crate::platform::write::RestoreError;

/// Its name.
const NOTE: &str = "objects";

/// A line of the note.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NoteLine {
    /// Where the bucket is, and what comes before the names; and the mark that all objects of the note carry.
    Bucket {
        /// Where it is.
        place: String,
        /// See [`AttachmentStore::put`].
        mark: String,
    },
    /// An attachment that is sent to its place, in one request.
    Sent(ObjectName),
    /// The same, in many.
    SentInParts(ObjectName),
    /// Other content of an attachment, and its name aside.
    Aside(ObjectName, String),
    /// An attachment that goes when the user is restored.
    Old(ObjectName),
}

/// What a note says.
#[derive(Default)]
pub struct NotedObjects {
    /// What all that was put carries.
    pub mark: String,
    /// What was sent to its place, in one request.
    pub sent: BTreeSet<ObjectName>,
    /// The same, in many.
    pub in_parts: BTreeSet<ObjectName>,
    /// What came aside, and its name there.
    pub aside: Vec<(ObjectName, String)>,
    /// What goes when the user is restored.
    pub old: Vec<ObjectName>,
}

/// A note that is written; it is open until all have come.
pub struct ObjectNote {
    path: PathBuf,
    file: Option<File>,
}

impl ObjectNote {
    /// Begins one in the folder of the user's files aside.
    pub fn begin(root: &Path, store: &AttachmentStore, mark: &str) -> Result<Self, RestoreError> {
        let path = path(root);
        fs::create_dir_all(root).map_err(|e| refused(root, e))?;
        let mut note = Self {
            file: Some(new_file(&path)?),
            path,
        };
        note.write(&NoteLine::Bucket {
            place: store.place(""),
            mark: mark.to_owned(),
        })?;
        sync(root)?;
        Ok(note)
    }

    /// Appends a line, durably.
    pub fn write(&mut self, line: &NoteLine) -> Result<(), RestoreError> {
        let failed = |e| refused(&self.path, e);
        let mut text = serde_json::to_vec(line).map_err(|e| failed(e.into()))?;
        text.push(b'\n');
        match &mut self.file {
            Some(file) => {
                file.write_all(&text).map_err(failed)?;
                file.sync_data().map_err(failed)
            }
            None => Err(failed(io::ErrorKind::BrokenPipe.into())),
        }
    }

    /// Ends it: there may be as many users as are committed together.
    pub fn end(&mut self) -> Result<(), RestoreError> {
        let file = self.file.take();
        let closed = file.map_or(Ok(()), files::close);
        closed.map_err(|e| refused(&self.path, e))
    }
}

/// Its place.
pub fn path(root: &Path) -> PathBuf {
    root.join(NOTE)
}

/// Removes it.
pub fn remove(root: &Path) -> Result<(), RestoreError> {
    let path = path(root);
    fs::remove_file(&path).map_err(|e| refused(&path, e))
}

/// What the note of a user names, and where it is.
pub fn read<'s>(
    root: &Path,
    store: Option<&'s AttachmentStore>,
) -> Result<Option<(&'s AttachmentStore, NotedObjects)>, RestoreError> {
    let path = path(root);
    let text = match fs::read(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|e| refused(&path, e))?,
    };
    let mut noted = NotedObjects::default();
    let mut place = None;
    // A last line that was cut is of what was not sent.
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let Some(line) = line.strip_suffix(b"\n") else {
            continue;
        };
        match serde_json::from_slice(line).map_err(|e| refused(&path, e.into()))? {
            NoteLine::Bucket {
                place: bucket,
                mark,
            } => {
                place = Some(bucket);
                noted.mark = mark;
            }
            NoteLine::Sent(name) => drop(noted.sent.insert(name)),
            NoteLine::SentInParts(name) => drop(noted.in_parts.insert(name)),
            NoteLine::Aside(name, number) => noted.aside.push((name, number)),
            NoteLine::Old(name) => noted.old.push(name),
        }
    }
    match (store, place) {
        (Some(store), Some(place)) if store.place("") == place => Ok(Some((store, noted))),
        // Nothing was sent yet.
        (_, None) => Ok(None),
        (_, Some(place)) => Err(RestoreError::Conflict {
            what: format!(
                "{} names attachments that an earlier restore has sent to {}, and storages.file.engine or storages.engines.s3 is another now: \
                 set it as it was for one more restore, or remove the attachments and the file",
                path.display(),
                place
            ),
        }),
    }
}
