//! An opened archive, or the state of a chain: the folder, and what the core's walk found in it.

use std::{collections::BTreeMap, ops::Deref};

use decryptor_wasm::{
    DataKey, Envelope, Error, ErrorKind, Result, UserManifest,
    layout::MANIFEST,
    open::{OpenedArchive, Opening, Orphans, Outline, Request},
    plan::{Plan, PlannedFile},
};

use super::{Folder, drive::drive, stream::ReadFile};
use crate::interrupt;

/// An archive whose manifests are read and authentic, so that it is known what every file of it should be.
pub struct Archive {
    folder: Folder,
    opened: OpenedArchive,
}

impl Archive {
    /// Opens the archive in `folder`, or the state of the chain there; `unlock` gives the data key of each run, and is called for
    /// encrypted runs only.
    ///
    /// # Errors
    /// When it is not what is asked for, cannot be opened, or is damaged where it must be whole.
    pub fn open(
        folder: Folder,
        request: Request,
        unlock: impl Fn(&Envelope) -> Result<DataKey>,
    ) -> Result<Self> {
        let request = named(request, &folder);
        let opened = drive(&folder, Opening::new(request), &unlock)?;
        Ok(Archive { folder, opened })
    }

    /// Opens the run in `folder` by itself. The signature is checked; the caller asks who made it.
    ///
    /// # Errors
    /// The same.
    pub fn open_run(
        folder: Folder,
        request: Request,
        unlock: impl Fn(&Envelope) -> Result<DataKey>,
    ) -> Result<Self> {
        let request = named(request, &folder);
        let opened = drive(&folder, Opening::of_run(request), &unlock)?;
        Ok(Archive { folder, opened })
    }

    /// Where it lies.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The plan of what is to be read, for whoever wants less of it.
    pub fn plan_mut(&mut self) -> &mut Plan {
        &mut self.opened.plan
    }

    /// Leaves out attachments of events that are gone: the runs of a chain still have their files. An archive by itself is left as it is.
    ///
    /// # Errors
    /// When something else than damage keeps its events from being read.
    pub fn drop_orphans(&mut self) -> Result<()> {
        let mut orphans = Orphans::new(&self.opened);
        while let Some(path) = orphans.next_file() {
            let read = self.read_state_file::<Error>(&path, false, &mut |piece| {
                interrupt::check()?;
                orphans.push(piece)
            });
            if let Err(error) = read.and_then(|_| orphans.end()) {
                orphans.failed(error)?;
            }
        }
        self.opened.drop_orphans(&orphans);
        Ok(())
    }

    /// Reads the manifest of a user; none where it could not be read when the archive was opened.
    ///
    /// # Errors
    /// When it cannot be read now.
    pub fn user_manifest(&self, user_id: &str) -> Result<Option<Vec<u8>>> {
        let path = format!("users/{user_id}/user-manifest.json");
        let found = self.plan.manifests.find(&path);
        found.map(|file| self.content_of(&file)).transpose()
    }

    /// The content of `manifest.json`; of a chain, that of its state.
    ///
    /// # Errors
    /// When it cannot be read, or is another than when it was opened.
    pub fn manifest_json(&self) -> Result<Vec<u8>> {
        if let Some(of_state) = self.state_manifest()? {
            return Ok(of_state);
        }
        let key = self.newest().and_then(|run| run.key.as_ref());
        let stored = self.folder.read(MANIFEST)?;
        let read = ReadFile::of_manifest(key).whole(&stored)?;
        self.require_manifest(read.seen.sha256.as_deref().unwrap_or_default())?;
        Ok(read.bytes)
    }

    /// The whole content of a manifest.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn content_of(&self, file: &PlannedFile) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        self.stream::<Error>(file, false, true, &mut |piece| {
            content.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(content)
    }

    /// Where deleted streams of a user were, by their ids.
    ///
    /// # Errors
    /// When the user's manifest cannot be read.
    pub fn stream_paths(&self, user_id: &str) -> Result<BTreeMap<String, String>> {
        let manifest = match self.user_manifest(user_id)? {
            Some(json) => UserManifest::parse(&json, user_id)?,
            None => return Ok(BTreeMap::new()),
        };
        Ok(manifest.stream_paths)
    }
}

impl Deref for Archive {
    type Target = OpenedArchive;

    fn deref(&self) -> &OpenedArchive {
        &self.opened
    }
}

/// Looks at the archive or the chain in `folder`, as far as that needs no key.
///
/// # Errors
/// When there is no backup, or the list of its runs cannot be read.
pub fn outline(folder: &Folder) -> Result<Outline> {
    let name = folder.path().display().to_string();
    drive(folder, Opening::outline(name), &|_| {
        Err(ErrorKind::Key.code().into())
    })
}

fn named(mut request: Request, folder: &Folder) -> Request {
    request.name = folder.path().display().to_string();
    request
}
