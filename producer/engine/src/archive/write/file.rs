//! One file of an archive on its way to its place: sealed where the archive is, digested as it passes.

use std::{
    cell::RefCell,
    fs::File,
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use base64ct::{Base64, Encoding};
use decryptor_wasm::{
    DataKey, FileEntry,
    container::{CHUNK, Encoder, FrameSealer, SALT_LEN},
    layout::PathKind,
};
use sha2::{Digest, Sha256};

use super::{
    ArchiveError,
    tar::{TarMember, TarWriter},
    volumes::{ArchiveLayout, MemberWriter, Volumes},
};
use crate::archive::read::WholeVolume;
use crate::digest::sha256_hex;
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
    key: Option<DataKey>,
    state: State,
    content_size: u64,
}

enum State {
    /// All content so far. Most files are small: their end comes before there is enough for one frame.
    Small(Vec<u8>),
    Large(Box<Large>),
}

/// A file that goes on piece by piece.
struct Large {
    /// Bytes that are written next.
    waiting: Vec<u8>,
    sealing: Option<Sealing>,
    stored: Sha256,
    stored_size: u64,
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
    salt: [u8; SALT_LEN],
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
        Ok(FileWriter {
            path: path.to_owned(),
            place,
            key: key.cloned(),
            state: State::Small(Vec::new()),
            content_size: 0,
        })
    }

    /// Appends content.
    pub fn write(&mut self, content: &[u8]) -> Result<(), ArchiveError> {
        self.content_size += content.len() as u64;
        if let State::Small(small) = &mut self.state {
            if small.len() + content.len() <= CHUNK {
                small.extend_from_slice(content);
                return Ok(());
            }
            let mut large = Large::new(self.key.as_ref())?;
            large.push(small);
            self.state = State::Large(Box::new(large));
        }
        if let State::Large(large) = &mut self.state {
            large.push(content);
            if large.waiting.len() >= PIECE {
                large.store(&mut self.place)?;
            }
        }
        Ok(())
    }

    /// Ends the file and says what an inventory says of it.
    pub fn finish(self, records: Option<u64>) -> Result<FileEntry, ArchiveError> {
        let stored = match self.state {
            State::Small(content) => finish_small(&content, self.key.as_ref(), self.place)?,
            State::Large(large) => large.finish(self.place)?,
        };
        Ok(FileEntry {
            path: self.path,
            size: stored.size,
            sha256: stored.sha256,
            salt: stored.salt.map(|salt| Base64::encode_string(&salt)),
            content_size: self.content_size,
            content_sha256: stored.content_sha256,
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
}

/// Facts about a file that is written.
struct Stored {
    size: u64,
    sha256: String,
    salt: Option<[u8; SALT_LEN]>,
    content_sha256: Option<String>,
}

thread_local! {
    /// For the sealed form of small files.
    static SEALED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    /// See [`salt`].
    static SALTS: RefCell<Vec<[u8; SALT_LEN]>> = const { RefCell::new(Vec::new()) };
}

/// Writes a file of one frame at most.
fn finish_small(
    content: &[u8],
    key: Option<&DataKey>,
    place: Place,
) -> Result<Stored, ArchiveError> {
    let Some(key) = key else {
        place.write_all(content)?;
        return Ok(Stored {
            size: content.len() as u64,
            sha256: sha256_hex(content),
            salt: None,
            content_sha256: None,
        });
    };
    let salt = salt()?;
    let sealer = FrameSealer::new(key, salt);
    SEALED.with_borrow_mut(|sealed| {
        sealed.clear();
        sealed.extend_from_slice(&sealer.header());
        if !content.is_empty() {
            sealer.seal(0, content, sealed);
        }
        place.write_all(sealed)?;
        Ok(Stored {
            size: sealed.len() as u64,
            sha256: sha256_hex(sealed),
            salt: Some(salt),
            content_sha256: Some(sha256_hex(content)),
        })
    })
}

impl Large {
    fn new(key: Option<&DataKey>) -> Result<Self, ArchiveError> {
        let sealing = |key| {
            let salt = salt()?;
            Ok::<_, ArchiveError>(Sealing {
                encoder: Encoder::new(key, salt),
                salt,
                content: Sha256::new(),
            })
        };
        Ok(Large {
            waiting: Vec::new(),
            sealing: key.map(sealing).transpose()?,
            stored: Sha256::new(),
            stored_size: 0,
        })
    }

    fn push(&mut self, content: &[u8]) {
        match &mut self.sealing {
            Some(sealing) => {
                sealing.content.update(content);
                sealing.encoder.push(content, &mut self.waiting);
            }
            None => self.waiting.extend_from_slice(content),
        }
    }

    fn store(&mut self, place: &mut Place) -> Result<(), ArchiveError> {
        self.stored.update(&self.waiting);
        self.stored_size += self.waiting.len() as u64;
        place.write(&self.waiting)?;
        self.waiting.clear();
        Ok(())
    }

    fn finish(mut self, mut place: Place) -> Result<Stored, ArchiveError> {
        let (mut salt, mut content_sha256) = (None, None);
        if let Some(sealing) = self.sealing.take() {
            sealing.encoder.finish(&mut self.waiting);
            salt = Some(sealing.salt);
            content_sha256 = Some(hex(&sealing.content.finalize()));
        }
        self.store(&mut place)?;
        place.finish()?;
        Ok(Stored {
            size: self.stored_size,
            sha256: hex(&self.stored.finalize()),
            salt,
            content_sha256,
        })
    }
}

/// A new salt, for one file. They are no secrets, and the system is asked for several at once.
fn salt() -> Result<[u8; SALT_LEN], ArchiveError> {
    SALTS.with_borrow_mut(|salts| {
        if let Some(salt) = salts.pop() {
            return Ok(salt);
        }
        let mut random = [[0; SALT_LEN]; 32];
        let filled = getrandom::fill(random.as_flattened_mut());
        filled.map_err(|e| ArchiveError::Random(e.to_string()))?;
        let [first, others @ ..] = random;
        salts.extend(others);
        Ok(first)
    })
}

impl Place {
    fn write(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        match self {
            Place::Separate { disk_path, file } => {
                let written = file.write_all(bytes);
                written.map_err(|e| ArchiveError::io(disk_path, e))
            }
            Place::Member(member) => member.write(bytes),
            Place::Tar(member) => member.write(bytes),
        }
    }

    fn finish(self) -> Result<(), ArchiveError> {
        match self {
            Place::Separate { disk_path, file } => {
                files::close(file).map_err(|e| ArchiveError::io(&disk_path, e))
            }
            Place::Member(member) => member.finish(),
            Place::Tar(member) => member.finish(),
        }
    }

    /// Writes the whole file.
    fn write_all(mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        if let Place::Member(member) = self {
            return member.whole(bytes);
        }
        self.write(bytes)?;
        self.finish()
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
