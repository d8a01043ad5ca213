//! One user on its way in.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::PathBuf;

use decryptor_wasm::layout::is_safe_name;

use super::journal::{Journal, JournalMark};
use super::objects::StagedObjects;
use super::series::{self, SeriesServer};
use super::servers::Servers;
use super::{place, refused};
use crate::files;
use crate::limits::PIECE;
use crate::platform::influx::{PointsWriter, SeriesDatabase};
use crate::platform::reading::Reading;
use crate::platform::s3::ObjectName;
use crate::platform::user_folder::folder;
use crate::platform::write::RestoreError;
use crate::platform::{ExportError, User};

/// A user whose files are being made aside; dropped without [`Journal::finish`], nothing of it stays.
pub struct StagedUser {
    pub(super) base: PathBuf,
    pub(super) root: PathBuf,
    pub(super) journal: PathBuf,
    pub(super) user: User,
    /// Owners of the numbered folders.
    pub(super) owners: Vec<String>,
    /// Databases of series, and what takes their place.
    pub(super) databases: Vec<SeriesDatabase>,
    /// Attachments that come into a bucket.
    pub(super) objects: Option<StagedObjects>,
    pub(super) servers: Servers,
    /// What an earlier run left there is gone.
    pub(super) begun: bool,
    pub(super) done: bool,
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
                self.begin()?;
                self.owners.push(owner.to_owned());
                self.owners.len() - 1
            }
        };
        let path = self.root.join(number.to_string());
        fs::create_dir_all(&path).map_err(|e| refused(&path, e))?;
        Ok(path)
    }

    /// Removes what an earlier run left, before anything is made.
    fn begin(&mut self) -> Result<(), RestoreError> {
        if !self.begun {
            self.servers.clear(&self.root)?;
            self.begun = true;
        }
        Ok(())
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
        let nameless = || RestoreError::Record {
            collection: "attachments",
            what: format!("{event_id:?}/{file_id:?} is not the name of a file"),
        };
        if self.objects.is_some() {
            let name = ObjectName::of(&self.user.user_id, event_id, file_id);
            let name = name.ok_or_else(nameless)?;
            self.begin()?;
            return match &mut self.objects {
                Some(objects) => objects.attachment(&self.root, name, content),
                None => Ok(()),
            };
        }
        if !is_safe_name(event_id) || !is_safe_name(file_id) {
            return Err(nameless());
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
        let objects = self.objects.as_ref();
        self.owners.is_empty()
            && self.databases.is_empty()
            && objects.is_none_or(StagedObjects::is_empty)
    }

    pub(super) fn journal(&self, mark: &JournalMark) -> Journal {
        Journal {
            user: self.user.clone(),
            mark: mark.clone(),
            owners: self.owners.clone(),
            servers: self.servers.clone(),
            base: self.base.clone(),
            staged: self.root.clone(),
            path: self.journal.clone(),
        }
    }
}

impl StagedUser {
    /// The way to the server; none where series are elsewhere.
    #[must_use]
    pub fn points_writer(&self) -> Option<PointsWriter> {
        let series = self.servers.series.as_ref()?;
        Some(PointsWriter::new(&series.server, series.kinds))
    }

    /// The databases of the user that are there give way, even when nothing comes in their place.
    ///
    /// # Errors
    /// When the server does not answer, or the disk refuses.
    pub fn replace_series(&mut self) -> Result<(), RestoreError> {
        let Some(SeriesServer { server, .. }) = self.servers.series.clone() else {
            return Ok(());
        };
        let before = self.databases.len();
        for namespace in self.user.namespaces() {
            self.databases.extend(server.plan(&namespace, false)?);
        }
        match self.databases.len() == before {
            true => Ok(()),
            false => self.note(),
        }
    }

    /// The attachments of the user that are in a bucket give way, where that is to be.
    ///
    /// # Errors
    /// When the bucket does not answer, or holds some that are not to be replaced.
    pub fn replace_objects(&mut self, replace: bool) -> Result<(), RestoreError> {
        let Some(bucket) = &self.servers.bucket else {
            return Ok(());
        };
        let objects = StagedObjects::look(bucket, &self.user.user_id)?;
        if !replace && objects.has_some() {
            return Err(RestoreError::AlreadyThere {
                what: format!(
                    "{} holds attachments of this user already",
                    bucket.place(&format!("{}/", self.user.user_id))
                ),
            });
        }
        self.objects = Some(objects);
        Ok(())
    }

    /// All attachments have come.
    ///
    /// # Errors
    /// When the bucket or the disk refuses.
    pub fn end_objects(&mut self) -> Result<(), RestoreError> {
        if self.objects.is_none() {
            return Ok(());
        }
        self.begin()?;
        match &mut self.objects {
            Some(objects) => objects.finish(&self.root),
            None => Ok(()),
        }
    }

    /// The database in which the series of a namespace come, made when it is first asked for.
    ///
    /// # Errors
    /// When the server or the disk refuses.
    pub fn series_aside(&mut self, namespace: &str) -> Result<String, RestoreError> {
        let known = self.databases.iter().position(|one| one.name == namespace);
        if let Some(aside) = known.and_then(|at| self.databases[at].aside.clone()) {
            return Ok(aside);
        }
        let planned = match &self.servers.series {
            Some(SeriesServer { server, .. }) => server.plan(namespace, true)?,
            None => None,
        };
        let Some((database, aside)) = planned.and_then(|one| Some((one.clone(), one.aside?)))
        else {
            return Err(RestoreError::Conflict {
                what: "the platform has no server of series".to_owned(),
            });
        };
        if let Some(at) = known {
            self.databases.remove(at);
        }
        self.databases.push(database.clone());
        self.note()?;
        if let Some(SeriesServer { server, .. }) = &self.servers.series {
            server.make_aside(&database)?;
        }
        Ok(aside)
    }

    /// Reads the series back, as a backup would.
    ///
    /// # Errors
    /// As an export has them.
    pub fn read_series(&self, reading: &mut Reading<'_>) -> Result<(), ExportError> {
        let Some(SeriesServer { server, .. }) = &self.servers.series else {
            return Ok(());
        };
        let mut all = self.databases.iter();
        all.try_for_each(|database| server.export_aside(database, reading))
    }

    fn note(&mut self) -> Result<(), RestoreError> {
        self.begin()?;
        series::note(&self.root, &self.databases)
    }
}

impl Drop for StagedUser {
    fn drop(&mut self) {
        if !self.done && self.begun {
            // What cannot be removed now is removed by the next run.
            self.objects = None;
            let _ = self.servers.clear(&self.root);
        }
    }
}
