//! The volumes of an archive that is being written: each thread fills one of its own, and files follow one another in it.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
};

use decryptor_wasm::{
    layout::number_of,
    volume::{VOLUMES, Volume, VolumeList},
};

use self::open_volume::OpenVolume;
use super::ArchiveError;
use crate::{
    archive::{read::WholeVolume, sums::SumLine},
    digest::sha256_hex,
    files,
    threads::lock,
};

mod open_volume;
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

    /// Ends it; `sha256` is that of all its bytes. One that goes away without that was given up.
    fn finish(self: Box<Self>, sha256: &[u8; 32]) -> io::Result<()>;
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
        for number in state.first.max(1)..last {
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

    /// A volume to which `added` bytes of files have come.
    fn give_back(&self, mut volume: OpenVolume, added: u64) -> Result<(), ArchiveError> {
        let mut ended = None;
        let mut idle = None;
        if volume.size < self.size {
            volume.thread = thread::current().id();
            idle = Some(volume);
        } else {
            ended = Some(volume.end(&self.folder)?);
        }
        let mut state = lock(&self.state);
        state.content += added;
        state.idle.extend(idle);
        state.ended.extend(ended);
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
        match self.state {
            Writing::Waiting(ref content) => self.whole(content),
            Writing::Streaming { mut volume, size } => {
                volume.add_written(&self.path, size)?;
                self.volumes.give_back(*volume, size)
            }
        }
    }

    /// Writes a file that is `content`.
    pub fn whole(&self, content: &[u8]) -> Result<(), ArchiveError> {
        let mut volume = self.volumes.take()?;
        volume.add(&self.path, content)?;
        self.volumes.give_back(volume, content.len() as u64)
    }

    /// Gives the file up.
    pub fn abandon(self) -> Result<(), ArchiveError> {
        match self.state {
            Writing::Waiting(_) => Ok(()),
            Writing::Streaming { mut volume, .. } => {
                volume.drop_ahead()?;
                self.volumes.give_back(*volume, 0)
            }
        }
    }
}
