//! A state that is being written, user by user.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::files;

use super::{Entry, StateHeader, entries::put, file::MAGIC, place::UNFINISHED};

/// A state in the making.
pub struct StateWriter {
    out: Hashed,
}

/// State of a user after a run.
pub struct UserBlock {
    /// The number of the user's id.
    pub user: u64,
    /// That of the username.
    pub name: u64,
    /// Flags of the caller.
    pub flags: u8,
    /// How many measurements there are.
    pub measurements: u64,
    /// How many sections follow.
    pub sections: u8,
}

/// A state that is whole and not yet in its place.
pub struct Pending(NamedTempFile);

impl StateWriter {
    /// Begins, in `folder`.
    pub fn create(folder: &Path) -> io::Result<Self> {
        let file = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .tempfile_in(folder)?;
        // So that another run knows that somebody is at work on it.
        if !files::try_lock(file.as_file()) {
            return Err(io::Error::other("another process has locked the new state"));
        }
        let mut out = Hashed {
            file: BufWriter::with_capacity(1 << 18, file),
            digest: Sha256::new(),
        };
        out.write_all(MAGIC)?;
        Ok(StateWriter { out })
    }

    /// Begins a user, whose sections are to follow.
    pub fn user(&mut self, block: &UserBlock) -> io::Result<()> {
        self.out.write_all(&block.user.to_le_bytes())?;
        self.out.write_all(&block.name.to_le_bytes())?;
        self.out.write_all(&[block.flags])?;
        self.out.write_all(&block.measurements.to_le_bytes())?;
        self.out.write_all(&[block.sections])
    }

    /// A section of the user: `count` entries, which are to follow.
    pub fn section(&mut self, kind: u8, contents: bool, count: u64) -> io::Result<()> {
        self.out.write_all(&[kind, u8::from(contents)])?;
        self.out.write_all(&count.to_le_bytes())
    }

    /// An entry of the section.
    pub fn entry(&mut self, entry: Entry, contents: bool) -> io::Result<()> {
        put(&mut self.out, entry, contents)
    }

    /// Ends it.
    pub fn finish(mut self, header: &StateHeader) -> io::Result<Pending> {
        let json = serde_json::to_vec(header)?;
        self.out.write_all(&json)?;
        self.out.write_all(&(json.len() as u32).to_le_bytes())?;
        let digest = std::mem::take(&mut self.out.digest).finalize();
        self.out.file.write_all(&digest)?;
        let file = self.out.file.into_inner().map_err(|e| e.into_error())?;
        file.as_file().sync_all()?;
        Ok(Pending(file))
    }
}

impl Pending {
    /// Moves it to `path`, in the same file system, for good.
    pub fn put(self, path: &Path) -> io::Result<()> {
        files::close(self.0.persist(path).map_err(|e| e.error)?)?;
        match path.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }
}

/// A file whose digest is kept as it grows.
struct Hashed {
    file: BufWriter<NamedTempFile>,
    digest: Sha256,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all(bytes)?;
        self.digest.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
