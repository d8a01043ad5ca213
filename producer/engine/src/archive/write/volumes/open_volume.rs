//! One volume that files are added to.

use std::{
    fs::File,
    io::{self, BufWriter, Read, Seek, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    thread::{self, ThreadId},
};

use decryptor_wasm::volume::{
    END, Member, Volume, VolumeIndex, header, index_name, padding, volume_name,
};
use sha2::{Digest, Sha256};

use super::{ArchiveError, VolumeStream, Volumes};
use crate::{archive::sums::SumLine, files, limits::PIECE, text::hex};

/// A volume that files are added to.
pub(super) struct OpenVolume {
    pub(super) number: u32,
    /// Who had it last: a user's files follow one another when a thread goes on with its volume.
    pub(super) thread: ThreadId,
    path: PathBuf,
    output: Output,
    digest: Sha256,
    /// Bytes so far, those that wait among them.
    pub(super) size: u64,
    /// Bytes that are written next.
    waiting: Vec<u8>,
    /// The lines of the index, in a file without a name.
    index: BufWriter<File>,
    members: u64,
}

/// Where the bytes of a volume go.
enum Output {
    File(File),
    Stream {
        stream: Box<dyn VolumeStream>,
        /// The content of a file whose size is not known yet, in a file without a name.
        spool: Option<File>,
    },
}

impl OpenVolume {
    pub(super) fn create(volumes: &Volumes, number: u32) -> Result<Self, ArchiveError> {
        let (folder, name) = (&volumes.folder, volume_name(number));
        let path = folder.join(&name);
        let at = |e| ArchiveError::io(&path, e);
        let output = match &volumes.streams {
            Some(begin) => Output::Stream {
                stream: begin(&name)?,
                spool: None,
            },
            None => {
                let mut options = File::options();
                let file = options.read(true).write(true).create_new(true).open(&path);
                Output::File(file.map_err(at)?)
            }
        };
        let index = tempfile::tempfile_in(folder).map_err(at)?;
        Ok(OpenVolume {
            number,
            thread: thread::current().id(),
            output,
            digest: Sha256::new(),
            size: 0,
            waiting: Vec::new(),
            index: BufWriter::new(index),
            members: 0,
            path,
        })
    }

    /// Adds a file.
    pub(super) fn add(&mut self, path: &str, content: &[u8]) -> Result<(), ArchiveError> {
        let size = content.len() as u64;
        self.note(path, size)?;
        self.write(&header(path, size))?;
        self.write(content)?;
        self.write(&vec![0; padding(size)])
    }

    /// A line of the index, for the file that follows.
    pub(super) fn note(&mut self, path: &str, size: u64) -> Result<(), ArchiveError> {
        self.members += 1;
        let line = VolumeIndex::line(&Member {
            path: path.to_owned(),
            offset: self.size,
            size,
        });
        let written = self.index.write_all(line.as_bytes());
        written.map_err(|e| self.failed(e))
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.digest.update(bytes);
        self.waiting.extend_from_slice(bytes);
        self.size += bytes.len() as u64;
        match self.waiting.len() < PIECE {
            true => Ok(()),
            false => self.flush(),
        }
    }

    pub(super) fn flush(&mut self) -> Result<(), ArchiveError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let at = self.size - self.waiting.len() as u64;
        match &mut self.output {
            Output::File(file) => {
                let written = file.write_all_at(&self.waiting, at);
                written.map_err(|e| ArchiveError::io(&self.path, e))?;
                self.waiting.clear();
            }
            Output::Stream { stream, .. } => stream.write(std::mem::take(&mut self.waiting))?,
        }
        Ok(())
    }

    /// Writes `bytes` behind the end, where the content of a file comes to lie that is added when its size is known.
    pub(super) fn write_ahead(
        &mut self,
        path: &str,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), ArchiveError> {
        let at = self.size + header(path, 0).len() as u64 + offset;
        let written = match &mut self.output {
            Output::File(file) => file.write_all_at(bytes, at),
            Output::Stream { spool, .. } => {
                let folder = self.path.parent().unwrap_or(Path::new("."));
                let spool = match spool.take() {
                    Some(there) => Ok(spool.insert(there)),
                    None => tempfile::tempfile_in(folder).map(|made| spool.insert(made)),
                };
                spool.and_then(|spool| spool.write_all_at(bytes, offset))
            }
        };
        written.map_err(|e| ArchiveError::io(&self.path, e))
    }

    /// Adds the file whose content was written ahead.
    pub(super) fn add_written(&mut self, path: &str, size: u64) -> Result<(), ArchiveError> {
        self.note(path, size)?;
        self.write(&header(path, size))?;
        self.flush()?;
        let mut piece = vec![0; PIECE];
        let (begin, end) = (self.size, self.size + size);
        while self.size < end {
            let most = piece.len().min((end - self.size) as usize);
            let piece = &mut piece[..most];
            let (read, streams) = match &self.output {
                Output::File(file) => (file.read_exact_at(piece, self.size), false),
                Output::Stream { spool, .. } => {
                    let spool = spool.as_ref().ok_or(io::ErrorKind::NotFound);
                    let at = self.size - begin;
                    let read = spool.map_err(io::Error::from);
                    (read.and_then(|spool| spool.read_exact_at(piece, at)), true)
                }
            };
            read.map_err(|e| self.failed(e))?;
            if streams {
                self.write(piece)?;
            } else {
                self.digest.update(&*piece);
                self.size += most as u64;
            }
        }
        if let Output::Stream { spool, .. } = &mut self.output {
            *spool = None;
        }
        self.write(&vec![0; padding(size)])
    }

    /// Forgets what was written ahead of the end.
    pub(super) fn drop_ahead(&mut self) -> Result<(), ArchiveError> {
        match &mut self.output {
            Output::File(file) => file.set_len(self.size).map_err(|e| self.failed(e)),
            Output::Stream { spool, .. } => {
                *spool = None;
                Ok(())
            }
        }
    }

    /// Writes the index and the end mark.
    pub(super) fn end(mut self, folder: &Path) -> Result<(Volume, SumLine), ArchiveError> {
        let index = self.size;
        let last = VolumeIndex::last_line(index, self.number);
        let lines = self.index.stream_position();
        let lines = lines.map_err(|e| self.failed(e))?;
        let size = lines + last.len() as u64;
        self.write(&header(&index_name(self.number), size))?;
        let empty = tempfile::tempfile_in(folder).map_err(|e| self.failed(e))?;
        let written = std::mem::replace(&mut self.index, BufWriter::new(empty)).into_inner();
        let mut written = written.map_err(|e| self.failed(e.into_error()))?;
        written.rewind().map_err(|e| self.failed(e))?;
        let mut piece = vec![0; PIECE];
        loop {
            match written.read(&mut piece).map_err(|e| self.failed(e))? {
                0 => break,
                n => self.write(&piece[..n])?,
            }
        }
        self.write(last.as_bytes())?;
        self.write(&vec![0; padding(size)])?;
        self.write(&END)?;
        self.flush()?;
        let name = volume_name(self.number);
        let digest: [u8; 32] = self.digest.finalize().into();
        let sum = SumLine::new(&name, &hex(&digest));
        match self.output {
            Output::File(file) => {
                files::close(file).map_err(|e| ArchiveError::io(&self.path, e))?;
            }
            Output::Stream { stream, .. } => stream.finish(&digest)?,
        }
        let volume = Volume {
            name,
            size: self.size,
            index,
            members: self.members,
        };
        Ok((volume, sum))
    }

    pub(super) fn failed(&self, error: io::Error) -> ArchiveError {
        ArchiveError::io(&self.path, error)
    }
}
