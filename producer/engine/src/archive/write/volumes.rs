//! The volumes of an archive that is being written: each thread fills one of its own, and files follow one another in it.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, BufWriter, Read, Seek, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread::{self, ThreadId},
};

use decryptor_wasm::{
    layout::number_of,
    volume::{
        END, Member, VOLUMES, Volume, VolumeIndex, VolumeList, header, index_name, padding,
        volume_name,
    },
};
use sha2::{Digest, Sha256};

use super::ArchiveError;
use crate::{
    archive::{read::WholeVolume, sums::SumLine},
    digest::sha256_hex,
    files,
    limits::PIECE,
    text::hex,
    threads::lock,
};

#[cfg(test)]
mod tests;

/// Bytes of a file that wait in memory for its end. A header states the size: of a larger file it is written when the size is known.
const WAITING: usize = 4 * 1024 * 1024;

/// How the files of an archive lie in its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ArchiveLayout {
    /// Each by itself, as Pryv's own tool has them.
    #[default]
    Files,
    /// In volumes, which take no further file when they have so many bytes.
    Volumes(u64),
}

/// A volume that is written from its begin to its end: an object on its way into a store, or a pipe.
pub trait VolumeStream: Send {
    /// Appends bytes.
    fn write(&mut self, bytes: Vec<u8>) -> io::Result<()>;

    /// Ends it. One that goes away without that was given up.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// Begins the volume of a name.
pub type BeginStream = Box<dyn Fn(&str) -> io::Result<Box<dyn VolumeStream>> + Send + Sync>;

/// The volumes of an archive.
pub struct Volumes {
    /// The folder they are written to; of streams, the one for what waits.
    folder: PathBuf,
    /// Of volumes that are no files on disk.
    streams: Option<BeginStream>,
    /// Bytes after which a volume takes no further file.
    size: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The lowest number that one may have.
    first: u32,
    /// Numbers of the volumes.
    taken: BTreeSet<u32>,
    idle: Vec<OpenVolume>,
    /// Bytes of the files in all volumes.
    content: u64,
    ended: Vec<(Volume, SumLine)>,
}

/// A volume that files are added to.
struct OpenVolume {
    number: u32,
    /// Who had it last: a user's files follow one another when a thread goes on with its volume.
    thread: ThreadId,
    path: PathBuf,
    output: Output,
    digest: Sha256,
    /// Bytes so far, those that wait among them.
    size: u64,
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

/// A file on its way into a volume.
pub struct MemberWriter {
    volumes: Arc<Volumes>,
    path: String,
    state: Writing,
}

enum Writing {
    /// Its end is waited for.
    Waiting(Vec<u8>),
    /// It has a volume for itself until it ends.
    Streaming { volume: Box<OpenVolume>, size: u64 },
}

impl ArchiveLayout {
    /// Bytes of a volume where nothing else is said.
    pub const VOLUME_SIZE: u64 = 1 << 30;
}

impl Volumes {
    /// In `folder`; a volume takes no further file when it has `size` bytes.
    pub fn new(folder: &Path, size: u64) -> Self {
        Volumes {
            folder: folder.to_owned(),
            streams: None,
            size,
            state: Mutex::default(),
        }
    }

    /// One volume of that number, whatever is written into it, be it nothing.
    pub fn one(folder: &Path, number: u32) -> Self {
        let volumes = Volumes::new(folder, u64::MAX);
        let mut state = lock(&volumes.state);
        state.taken.extend((1..number).chain([number + 1]));
        drop(state);
        volumes
    }

    /// Goes on where `kept` lie in the folder already.
    pub fn beside(self, kept: Vec<WholeVolume>) -> Self {
        let mut state = lock(&self.state);
        for volume in kept {
            state.taken.extend(number_of(&volume.volume.name, ".tar"));
            let sizes = volume.members.iter().map(|member| member.size);
            state.content += sizes.sum::<u64>();
            state.ended.push((volume.volume, volume.sum));
        }
        drop(state);
        self
    }

    /// As streams; `first`: the number of the first; `folder`: on disk, for what waits.
    pub fn of_streams(folder: &Path, size: u64, first: u32, streams: BeginStream) -> Self {
        let state = State {
            first,
            ..State::default()
        };
        Volumes {
            streams: Some(streams),
            state: Mutex::new(state),
            ..Volumes::new(folder, size)
        }
    }

    /// Begins a file.
    pub fn member(self: &Arc<Self>, path: &str) -> MemberWriter {
        MemberWriter {
            volumes: self.clone(),
            path: path.to_owned(),
            state: Writing::Waiting(Vec::new()),
        }
    }

    /// Ends all volumes and writes their list. Returns a line for each of these files, in the order of the names, and the bytes that they
    /// have beside the files in them.
    pub fn end(&self) -> Result<(Vec<SumLine>, u64), ArchiveError> {
        let mut state = lock(&self.state);
        for volume in std::mem::take(&mut state.idle) {
            let ended = volume.end(&self.folder)?;
            state.ended.push(ended);
        }
        // Volumes are counted without a gap: where one is kept, those before it may have got no file.
        let last = state.taken.last().copied().unwrap_or(0);
        for number in 1..last {
            if state.taken.contains(&number) {
                continue;
            }
            let empty = OpenVolume::create(self, number)?.end(&self.folder)?;
            state.ended.push(empty);
        }
        let mut ended = std::mem::take(&mut state.ended);
        ended.sort_by(|a, b| {
            a.0.name
                .len()
                .cmp(&b.0.name.len())
                .then(a.0.name.cmp(&b.0.name))
        });
        let (volumes, mut lines): (Vec<Volume>, Vec<SumLine>) = ended.into_iter().unzip();
        let bytes: u64 = volumes.iter().map(|volume| volume.size).sum();
        let list = VolumeList::new(volumes).to_json()?;
        let beside = bytes.saturating_sub(state.content) + list.len() as u64;
        let path = self.folder.join(VOLUMES);
        files::write(&path, &list).map_err(|e| ArchiveError::io(&path, e))?;
        lines.push(SumLine::new(VOLUMES, &sha256_hex(&list)));
        lines.sort();
        Ok((lines, beside))
    }

    /// A volume that nobody is writing to: if possible that of the calling thread.
    fn take(&self) -> Result<OpenVolume, ArchiveError> {
        let thread = thread::current().id();
        let mut state = lock(&self.state);
        let own = state.idle.iter().position(|volume| volume.thread == thread);
        let any = state.idle.len().checked_sub(1);
        if let Some(at) = own.or(any) {
            return Ok(state.idle.swap_remove(at));
        }
        let number = state.free();
        state.taken.insert(number);
        drop(state);
        OpenVolume::create(self, number)
    }

    fn give_back(&self, mut volume: OpenVolume) -> Result<(), ArchiveError> {
        if volume.size < self.size {
            volume.thread = thread::current().id();
            lock(&self.state).idle.push(volume);
            return Ok(());
        }
        let ended = volume.end(&self.folder)?;
        lock(&self.state).ended.push(ended);
        Ok(())
    }
}

impl State {
    /// The lowest number that no volume has.
    fn free(&self) -> u32 {
        let mut taken = self.taken.iter();
        (self.first.max(1)..)
            .find(|number| taken.next() != Some(number))
            .unwrap_or(1)
    }
}

impl OpenVolume {
    fn create(volumes: &Volumes, number: u32) -> Result<Self, ArchiveError> {
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
    fn add(&mut self, path: &str, content: &[u8]) -> Result<(), ArchiveError> {
        let size = content.len() as u64;
        self.note(path, size)?;
        self.write(&header(path, size))?;
        self.write(content)?;
        self.write(&vec![0; padding(size)])
    }

    /// A line of the index, for the file that follows.
    fn note(&mut self, path: &str, size: u64) -> Result<(), ArchiveError> {
        self.members += 1;
        let line = VolumeIndex::line(&Member {
            path: path.to_owned(),
            offset: self.size,
            size,
        });
        let written = self.index.write_all(line.as_bytes());
        written.map_err(|e| self.failed(e))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.digest.update(bytes);
        self.waiting.extend_from_slice(bytes);
        self.size += bytes.len() as u64;
        match self.waiting.len() < PIECE {
            true => Ok(()),
            false => self.flush(),
        }
    }

    fn flush(&mut self) -> Result<(), ArchiveError> {
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
    fn write_ahead(&mut self, path: &str, offset: u64, bytes: &[u8]) -> Result<(), ArchiveError> {
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
    fn add_written(&mut self, path: &str, size: u64) -> Result<(), ArchiveError> {
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
    fn drop_ahead(&mut self) -> Result<(), ArchiveError> {
        match &mut self.output {
            Output::File(file) => file.set_len(self.size).map_err(|e| self.failed(e)),
            Output::Stream { spool, .. } => {
                *spool = None;
                Ok(())
            }
        }
    }

    /// Writes the index and the end mark.
    fn end(mut self, folder: &Path) -> Result<(Volume, SumLine), ArchiveError> {
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
        let sum = SumLine::new(&name, &hex(&self.digest.finalize()));
        match self.output {
            Output::File(file) => {
                files::close(file).map_err(|e| ArchiveError::io(&self.path, e))?;
            }
            Output::Stream { stream, .. } => stream.finish()?,
        }
        let volume = Volume {
            name,
            size: self.size,
            index,
            members: self.members,
        };
        Ok((volume, sum))
    }

    fn failed(&self, error: io::Error) -> ArchiveError {
        ArchiveError::io(&self.path, error)
    }
}

impl MemberWriter {
    /// Appends content.
    pub fn write(&mut self, content: &[u8]) -> Result<(), ArchiveError> {
        if let Writing::Waiting(waiting) = &mut self.state {
            if waiting.len() + content.len() <= WAITING {
                waiting.extend_from_slice(content);
                return Ok(());
            }
            let mut volume = Box::new(self.volumes.take()?);
            volume.flush()?;
            volume.write_ahead(&self.path, 0, waiting)?;
            let size = waiting.len() as u64;
            self.state = Writing::Streaming { volume, size };
        }
        if let Writing::Streaming { volume, size } = &mut self.state {
            volume.write_ahead(&self.path, *size, content)?;
            *size += content.len() as u64;
        }
        Ok(())
    }

    /// Ends the file.
    pub fn finish(self) -> Result<(), ArchiveError> {
        let (volume, size) = match self.state {
            Writing::Waiting(content) => {
                let mut volume = self.volumes.take()?;
                volume.add(&self.path, &content)?;
                (volume, content.len() as u64)
            }
            Writing::Streaming { mut volume, size } => {
                volume.add_written(&self.path, size)?;
                (*volume, size)
            }
        };
        lock(&self.volumes.state).content += size;
        self.volumes.give_back(volume)
    }

    /// Gives the file up.
    pub fn abandon(self) -> Result<(), ArchiveError> {
        match self.state {
            Writing::Waiting(_) => Ok(()),
            Writing::Streaming { mut volume, .. } => {
                volume.drop_ahead()?;
                self.volumes.give_back(*volume)
            }
        }
    }
}
