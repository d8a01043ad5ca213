//! One file of an archive on its way to its place: sealed where the archive is, digested as it passes.

use std::{
    fs::File,
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use base64ct::{Base64, Encoding};
use decryptor_wasm::{DataKey, FileEntry, container::Encoder, layout::PathKind};
use sha2::{Digest, Sha256};

use super::{
    ArchiveError,
    tar::{TarMember, TarWriter},
    volumes::{ArchiveLayout, MemberWriter, Volumes},
};
use crate::archive::read::WholeVolume;
use crate::files;
use crate::limits::PIECE;
use crate::text::hex;

/// Where the files of an archive are written.
pub struct FileStorage {
    /// Its folder.
    pub folder: PathBuf,
    /// For the files that may lie in volumes; none where all are separate.
    pub volumes: Option<Arc<Volumes>>,
    /// Where all files go into a single tar file.
    pub tar: Option<Arc<TarWriter>>,
}

impl FileStorage {
    /// In `folder`, which is there.
    pub fn new(folder: &Path, layout: ArchiveLayout) -> Self {
        FileStorage::beside(folder, layout, Vec::new())
    }

    /// In `folder`, where these volumes lie already.
    pub fn beside(folder: &Path, layout: ArchiveLayout, kept: Vec<WholeVolume>) -> Self {
        let volumes = match layout {
            ArchiveLayout::Files => None,
            ArchiveLayout::Volumes(size) => Some(Arc::new(Volumes::new(folder, size).beside(kept))),
        };
        FileStorage {
            folder: folder.to_owned(),
            volumes,
            tar: None,
        }
    }

    /// Into a single tar file; what it needs for a while, in `folder`.
    pub fn in_tar(folder: &Path, out: Box<dyn Write + Send>) -> Result<Self, ArchiveError> {
        Ok(FileStorage {
            tar: Some(Arc::new(TarWriter::new(folder, out)?)),
            ..FileStorage::new(folder, ArchiveLayout::Files)
        })
    }
}

/// Takes the content of one file and stores it.
pub struct FileWriter {
    path: String,
    place: Place,
    /// Bytes that are written next.
    waiting: Vec<u8>,
    sealing: Option<Sealing>,
    stored: Sha256,
    stored_size: u64,
    content_size: u64,
}

enum Place {
    /// A separate file.
    Separate { disk_path: PathBuf, file: File },
    /// In a volume.
    Member(MemberWriter),
    /// In a single tar file.
    Tar(TarMember),
}

struct Sealing {
    encoder: Encoder,
    salt: [u8; 16],
    content: Sha256,
}

impl FileWriter {
    /// Creates `path` (relative, with `/`) in `storage`, sealed with `key` if there is one.
    pub fn create(
        storage: &FileStorage,
        path: &str,
        key: Option<&DataKey>,
    ) -> Result<Self, ArchiveError> {
        let volumes = storage.volumes.as_ref();
        let volumes = volumes.filter(|_| !PathKind::of(path).is_separate());
        let tar = storage.tar.as_ref().filter(|_| !TarWriter::is_last(path));
        let place = match (volumes, tar) {
            (Some(volumes), _) => Place::Member(volumes.member(path)),
            (None, Some(tar)) => Place::Tar(tar.member(path)),
            (None, None) => create(storage.folder.join(path))?,
        };
        let sealing = key
            .map(|key| {
                let mut salt = [0; 16];
                getrandom::fill(&mut salt).map_err(|e| ArchiveError::Random(e.to_string()))?;
                Ok::<_, ArchiveError>(Sealing {
                    encoder: Encoder::new(key, salt),
                    salt,
                    content: Sha256::new(),
                })
            })
            .transpose()?;
        Ok(FileWriter {
            path: path.to_owned(),
            place,
            waiting: Vec::new(),
            sealing,
            stored: Sha256::new(),
            stored_size: 0,
            content_size: 0,
        })
    }

    /// Appends content.
    pub fn write(&mut self, content: &[u8]) -> Result<(), ArchiveError> {
        self.content_size += content.len() as u64;
        match &mut self.sealing {
            Some(sealing) => {
                sealing.content.update(content);
                sealing.encoder.push(content, &mut self.waiting);
            }
            None => self.waiting.extend_from_slice(content),
        }
        if self.waiting.len() >= PIECE {
            self.store()?;
        }
        Ok(())
    }

    /// Ends the file and says what an inventory says of it.
    pub fn finish(mut self, records: Option<u64>) -> Result<FileEntry, ArchiveError> {
        let (mut salt, mut content_sha256) = (None, None);
        if let Some(sealing) = self.sealing.take() {
            sealing.encoder.finish(&mut self.waiting);
            salt = Some(Base64::encode_string(&sealing.salt));
            content_sha256 = Some(hex(&sealing.content.finalize()));
        }
        self.store()?;
        match self.place {
            Place::Separate { disk_path, file } => {
                files::close(file).map_err(|e| ArchiveError::io(&disk_path, e))?;
            }
            Place::Member(member) => member.finish()?,
            Place::Tar(member) => member.finish()?,
        }
        Ok(FileEntry {
            path: self.path,
            size: self.stored_size,
            sha256: hex(&self.stored.finalize()),
            salt,
            content_size: self.content_size,
            content_sha256,
            records,
        })
    }

    /// Gives the file up and removes what was written of it.
    pub fn abandon(self) -> Result<(), ArchiveError> {
        match self.place {
            Place::Separate { disk_path, file } => {
                drop(file);
                std::fs::remove_file(&disk_path).map_err(|e| ArchiveError::io(&disk_path, e))
            }
            Place::Member(member) => member.abandon(),
            Place::Tar(_) => Ok(()),
        }
    }

    fn store(&mut self) -> Result<(), ArchiveError> {
        self.stored.update(&self.waiting);
        self.stored_size += self.waiting.len() as u64;
        match &mut self.place {
            Place::Separate { disk_path, file } => {
                let written = file.write_all(&self.waiting);
                written.map_err(|e| ArchiveError::io(disk_path, e))?;
            }
            Place::Member(member) => member.write(&self.waiting)?,
            Place::Tar(member) => member.write(&self.waiting)?,
        }
        self.waiting.clear();
        Ok(())
    }
}

fn create(disk_path: PathBuf) -> Result<Place, ArchiveError> {
    let at = |source| ArchiveError::io(&disk_path, source);
    let mut file = File::create_new(&disk_path);
    // The first file of a folder makes it.
    if let (Err(e), Some(parent)) = (&file, disk_path.parent())
        && e.kind() == ErrorKind::NotFound
    {
        std::fs::create_dir_all(parent).map_err(at)?;
        file = File::create_new(&disk_path);
    }
    let file = file.map_err(at)?;
    Ok(Place::Separate { disk_path, file })
}

/// For serialisers.
impl Write for FileWriter {
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        FileWriter::write(self, content).map_err(|error| match error {
            ArchiveError::Io { source, .. } => source,
            other => io::Error::other(other),
        })?;
        Ok(content.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
