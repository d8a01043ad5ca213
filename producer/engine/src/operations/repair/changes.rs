//! Files that take the place of others. All are written aside first and are on the disk before the first one is moved, so that an archive
//! is at no time worse than before.

use std::{
    fs::{self, File},
    io::{Read, Write},
    path::PathBuf,
    sync::Mutex,
};

use decryptor_wasm::chain::run_of;
use sha2::{Digest, Sha256};

use crate::{
    archive::{
        ArchiveError,
        listed_files::ReplaceError,
        read::Folder,
        sums::SUMS,
        write::{remove, sync},
    },
    failure::Failure,
    files, interrupt,
    limits::PIECE,
    regular,
    storage::Upload,
    threads::lock,
};

/// See the module.
pub(super) struct Changes {
    archive: Folder,
    staging: PathBuf,
    staged: Mutex<Vec<Change>>,
}

struct Change {
    /// Where it was written.
    aside: PathBuf,
    /// From the root of the archive.
    path: String,
    /// For people.
    lines: Vec<String>,
}

impl Changes {
    /// For an archive; all is written aside in `staging`. What a repair that died left there is removed.
    pub fn begin(archive: &Folder, staging: PathBuf) -> Result<Self, Failure> {
        let changes = Changes {
            archive: archive.clone(),
            staging,
            staged: Mutex::default(),
        };
        changes.clear()?;
        Ok(changes)
    }

    fn clear(&self) -> Result<(), ArchiveError> {
        match regular::is_there(&self.staging) {
            true => remove(&self.staging).map_err(|e| ArchiveError::io(&self.staging, e)),
            false => Ok(()),
        }
    }

    /// A new place aside.
    pub fn aside(&self) -> Result<PathBuf, Failure> {
        let at = |e| ArchiveError::io(&self.staging, e);
        fs::create_dir_all(&self.staging).map_err(at)?;
        let name = tempfile::Builder::new()
            .prefix("file-")
            .tempdir_in(&self.staging);
        Ok(name.map_err(at)?.keep())
    }

    /// Takes a file that was written aside for the place of `path`.
    pub fn take(&self, aside: PathBuf, path: &str, lines: Vec<String>) {
        let path = path.to_owned();
        lock(&self.staged).push(Change { aside, path, lines });
    }

    /// Writes a file for the place of `path`.
    pub fn write(&self, bytes: &[u8], path: &str, line: String) -> Result<(), Failure> {
        let aside = self.aside()?.join("file");
        let at = |e| ArchiveError::io(&aside, e);
        let mut file = File::create_new(&aside).map_err(at)?;
        file.write_all(bytes).map_err(at)?;
        files::close(file).map_err(at)?;
        self.take(aside, path, vec![line]);
        Ok(())
    }

    /// The same with a file of a copy; false where its digest is not `due`.
    pub fn copy(
        &self,
        from: &Folder,
        source: &str,
        due: &[u8; 32],
        path: &str,
        line: String,
    ) -> Result<bool, Failure> {
        let aside = self.aside()?.join("file");
        let at = |e| ArchiveError::io(&aside, e);
        let mut file = File::create_new(&aside).map_err(at)?;
        let mut read = from.open(source)?;
        let mut digest = Sha256::new();
        let mut piece = vec![0; PIECE];
        loop {
            interrupt::check()?;
            let n = read
                .read(&mut piece)
                .map_err(|e| Failure::failed(format!("{source}: {e}")))?;
            if n == 0 {
                break;
            }
            digest.update(&piece[..n]);
            file.write_all(&piece[..n]).map_err(at)?;
        }
        files::close(file).map_err(at)?;
        if <[u8; 32]>::from(digest.finalize()) != *due {
            return Ok(false);
        }
        self.take(aside, path, vec![line]);
        Ok(true)
    }

    /// Puts all files into their places; returns the lines.
    pub fn commit(&self) -> Result<Vec<String>, Failure> {
        let mut staged = std::mem::take(&mut *lock(&self.staged));
        let is_sums = |change: &Change| run_of(&change.path).is_some_and(|(_, of)| of == SUMS);
        staged.sort_by(|a, b| (is_sums(a), &a.path).cmp(&(is_sums(b), &b.path)));
        let mut lines = Vec::new();
        if !staged.is_empty() {
            sync(&self.staging)?;
        }
        for change in staged {
            match self.archive.upload(&change.path)? {
                Some(upload) => send(upload, &change)?,
                None => self.place(&change)?,
            }
            lines.extend(change.lines);
        }
        self.clear()?;
        if self.archive.store().is_none() {
            sync(self.archive.path())?;
        }
        Ok(lines)
    }

    /// Moves a file into its place on the disk.
    fn place(&self, change: &Change) -> Result<(), ArchiveError> {
        let place = self.archive.path().join(&change.path);
        let at = |e| ArchiveError::io(&place, e);
        if let Some(above) = place.parent() {
            fs::create_dir_all(above).map_err(at)?;
        }
        if let Ok(now) = fs::symlink_metadata(&place) {
            fs::set_permissions(&change.aside, now.permissions()).map_err(at)?;
        }
        fs::rename(&change.aside, &place).map_err(at)
    }
}

/// Puts a file into a store.
fn send(mut upload: Upload, change: &Change) -> Result<(), Failure> {
    let at = |e| ArchiveError::io(&change.aside, e);
    let failed = |e| Failure::from(ReplaceError::Store(e));
    let mut file = File::open(&change.aside).map_err(at)?;
    let mut digest = Sha256::new();
    let mut piece = vec![0; PIECE];
    loop {
        interrupt::check()?;
        let n = file.read(&mut piece).map_err(at)?;
        if n == 0 {
            break;
        }
        digest.update(&piece[..n]);
        upload.write(&piece[..n]).map_err(failed)?;
    }
    upload.finish(&digest.finalize().into()).map_err(failed)
}

impl Drop for Changes {
    fn drop(&mut self) {
        // The next repair, or the next run, does it otherwise.
        let _ = self.clear();
    }
}
