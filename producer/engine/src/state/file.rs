//! A state, read back.
//!
//! `PRYVSTA1`, then for each user its block, then the header as JSON, its length (4 bytes), and the SHA-256 of all before it. A block:
//! user and name (numbers, 8 bytes each), flags (1), number of measurements (8), number of sections (1), and of each section its kind
//! (1), whether contents are there (1), the number of entries (8), and the entries in order. All numbers are little-endian.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
};

use super::{StateHeader, Stored, VERSION};
use crate::digest;
use crate::limits::PIECE;

/// How a state begins.
pub const MAGIC: &[u8; 8] = b"PRYVSTA1";
/// Length and digest, at the end.
const TAIL: u64 = 4 + 32;
/// A header is never longer.
const LONGEST: u64 = 64 * 1024;

/// The state of a run.
pub struct State {
    /// Run that it is of.
    pub header: StateHeader,
    file: Arc<File>,
    /// Where the block of each user begins.
    users: HashMap<u64, u64>,
}

/// State of a user.
#[derive(Default)]
pub struct KnownUser {
    /// The number of the username.
    pub name: u64,
    /// See [`super::UserBlock`].
    pub flags: u8,
    /// How many measurements there are.
    pub measurements: u64,
    /// The entries of each kind.
    pub sections: Vec<(u8, Stored)>,
}

impl State {
    /// Reads a state; `None` when there is none.
    ///
    /// # Errors
    /// A sentence, when it is damaged.
    pub fn open(path: &Path) -> Result<Option<Self>, String> {
        match File::open(path) {
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(None)
            }
            Err(e) => Err(e.to_string()),
            Ok(file) => Self::read(file).map(Some),
        }
    }

    fn read(file: File) -> Result<Self, String> {
        let said = |e: io::Error| e.to_string();
        let damaged = || "it is damaged".to_owned();
        let size = file.metadata().map_err(said)?.len();
        let file = Arc::new(file);
        let end = size.checked_sub(TAIL).ok_or_else(damaged)?;
        let mut tail = [0; TAIL as usize];
        file.read_exact_at(&mut tail, end).map_err(said)?;
        let (length, digest) = tail.split_first_chunk().ok_or_else(damaged)?;
        let length = u64::from(u32::from_le_bytes(*length));
        let blocks = end.checked_sub(length).filter(|_| length <= LONGEST);
        let blocks = blocks.ok_or_else(damaged)?;
        let mut json = vec![0; length as usize];
        file.read_exact_at(&mut json, blocks).map_err(said)?;
        if sha256(&file, end + 4).map_err(said)?.as_slice() != digest {
            return Err(damaged());
        }
        let header: StateHeader = serde_json::from_slice(&json)
            .ok()
            .filter(|header: &StateHeader| header.v == VERSION)
            .ok_or("it is of another version of pryv-backup")?;
        let mut users = HashMap::new();
        let mut at = MAGIC.len() as u64;
        let mut reader = reader(&file, at, 1 << 20);
        while at < blocks {
            let (user, _) = block(&mut reader, &file).map_err(said)?;
            if users.insert(user, at).is_some() {
                return Err("two users have one number".to_owned());
            }
            at = reader.stream_position().map_err(said)?;
        }
        Ok(State {
            header,
            file,
            users,
        })
    }

    /// State of the user with this number.
    pub fn user(&self, number: u64) -> io::Result<Option<KnownUser>> {
        let Some(at) = self.users.get(&number) else {
            return Ok(None);
        };
        let mut reader = reader(&self.file, *at, 512);
        block(&mut reader, &self.file).map(|(_, known)| Some(known))
    }

    /// The numbers of all users.
    pub fn users(&self) -> impl Iterator<Item = u64> + '_ {
        self.users.keys().copied()
    }
}

impl KnownUser {
    /// The entries of a kind; none when there never were any.
    pub fn section(&self, kind: u8) -> Option<&Stored> {
        let found = self.sections.iter().find(|(of, _)| *of == kind);
        found.map(|(_, stored)| stored)
    }
}

/// Reads a block, and goes to its end.
fn block(reader: &mut BufReader<At>, file: &Arc<File>) -> io::Result<(u64, KnownUser)> {
    let user = number(reader)?;
    let mut known = KnownUser {
        name: number(reader)?,
        flags: byte(reader)?,
        measurements: number(reader)?,
        sections: Vec::new(),
    };
    for _ in 0..byte(reader)? {
        let (kind, contents, count) = (byte(reader)?, byte(reader)? == 1, number(reader)?);
        let offset = reader.stream_position()?;
        let stored = Stored::new(file.clone(), offset, count, contents);
        known.sections.push((kind, stored));
        reader.seek_relative((count * Stored::width(contents)) as i64)?;
    }
    Ok((user, known))
}

fn byte(reader: &mut impl Read) -> io::Result<u8> {
    let mut byte = [0];
    reader.read_exact(&mut byte)?;
    Ok(byte[0])
}

fn number(reader: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    reader.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// A place in a file that several threads read.
struct At(Arc<File>, u64);

fn reader(file: &Arc<File>, at: u64, capacity: usize) -> BufReader<At> {
    BufReader::with_capacity(capacity, At(file.clone(), at))
}

impl Read for At {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.0.read_at(buffer, self.1)?;
        self.1 += n as u64;
        Ok(n)
    }
}

impl Seek for At {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let moved = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.1.checked_add_signed(by),
            SeekFrom::End(_) => None,
        };
        self.1 = moved.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.1)
    }
}

/// The digest of the first `size` bytes.
fn sha256(file: &Arc<File>, size: u64) -> io::Result<[u8; 32]> {
    let mut input = At(file.clone(), 0).take(size);
    let mut buffer = vec![0; PIECE];
    digest::sha256(&mut input, &mut buffer, |e| e, &mut |_| Ok(()))
}
