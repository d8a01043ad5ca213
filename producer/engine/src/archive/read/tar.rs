//! A single tar file that holds a whole archive.

use std::{fs::File, sync::Arc};

use decryptor_wasm::{
    Result,
    open::Listed,
    volume::{LOOK, VolumeReading, require_tar},
};

use super::{error::unreadable, volumes::read_range};
use crate::storage::ReadAt;

/// The tar file, and the folder in it that is looked at.
#[derive(Clone)]
pub(super) struct Tar {
    name: String,
    pub(super) file: Arc<dyn ReadAt>,
    size: u64,
    /// Before the paths: that of a run, or nothing.
    prefix: String,
}

impl Tar {
    /// Takes a file.
    ///
    /// # Errors
    /// When it is no archive.
    pub(super) fn new(name: String, file: File) -> Result<Self> {
        let size = ReadAt::size(&file).map_err(|e| unreadable(&name, &e))?;
        let head = read_range(&file, &name, 0, LOOK)?;
        let tail = read_range(&file, &name, size.saturating_sub(LOOK), LOOK)?;
        require_tar(&name, &head, &tail)?;
        Ok(Tar {
            name,
            file: Arc::new(file),
            size,
            prefix: String::new(),
        })
    }

    /// The folder of a run in it, or of nothing.
    pub(super) fn below(&self, folder: &str) -> Self {
        let prefix = match folder.is_empty() {
            true => self.prefix.clone(),
            false => format!("{}{folder}/", self.prefix),
        };
        Tar {
            prefix,
            ..self.clone()
        }
    }

    /// The path of a file of the folder in the whole.
    pub(super) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// What finds its members.
    pub(super) fn reading(&self, scan: bool) -> VolumeReading {
        VolumeReading::of_tar(&self.name, self.size, scan)
    }

    /// Those of the folder among all files.
    pub(super) fn own(&self, mut all: Listed) -> Listed {
        if self.prefix.is_empty() {
            return all;
        }
        let own = |path: &str| path.strip_prefix(&self.prefix).map(str::to_owned);
        let files = all.files.iter();
        let files = files
            .filter_map(|(path, size)| Some((own(&path)?, size)))
            .collect();
        all.files = Arc::new(files);
        all.findings.retain_mut(|finding| match own(&finding.path) {
            Some(path) => {
                finding.path = path;
                true
            }
            None => false,
        });
        all
    }
}
