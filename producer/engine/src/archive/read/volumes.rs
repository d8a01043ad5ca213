//! The volumes in a folder: which members they have, and how these are read.

use std::sync::{Arc, Mutex};

use decryptor_wasm::{
    Result,
    open::Listed,
    volume::{Members, Place, VolumeReading},
};

use super::{error::unreadable, stored_file::StoredFile};
use crate::{interrupt, storage::ReadAt, threads::lock};

/// The volumes of a folder that was listed.
#[derive(Default)]
pub(super) struct Volumes {
    members: Members,
    /// Those that are open, by their numbers in `members`; the one that was opened last is the last.
    open: Mutex<Vec<(usize, Arc<dyn ReadAt>)>>,
}

/// Opens a file that is in no volume.
pub(super) type OpenFile<'o> = &'o dyn Fn(&str) -> Result<Arc<dyn ReadAt>>;

/// Volumes that are open at once: a process may open some hundreds of files.
const OPEN: usize = 64;

impl Volumes {
    /// Finds the members.
    pub(super) fn read(
        open_file: OpenFile<'_>,
        mut reading: VolumeReading,
    ) -> Result<(Self, Listed)> {
        let mut open: Option<(String, Arc<dyn ReadAt>)> = None;
        while let Some(range) = reading.next_range() {
            interrupt::check()?;
            if open.as_ref().is_none_or(|(path, _)| *path != range.path) {
                let file = open_file(&range.path)?;
                open = Some((range.path.clone(), file));
            }
            let Some((path, file)) = &open else { continue };
            reading.give(&read_range(&**file, path, range.offset, range.length)?);
        }
        let mut members = reading.finish();
        let listed = members.take_listed();
        let open = Mutex::default();
        Ok((Volumes { members, open }, listed))
    }

    /// Whether a file is a member.
    pub(super) fn has(&self, path: &str) -> bool {
        self.members.place(path).is_some()
    }

    /// The volume that a member lies in, and where.
    pub(super) fn place(&self, path: &str) -> Option<(String, u64)> {
        let place = self.members.place(path)?;
        Some((self.members.volume(place).to_owned(), place.offset))
    }

    /// Whether there are volumes, and they were read through.
    pub(super) fn are_scanned(&self) -> bool {
        self.members.has_volumes() && !self.members.indexed
    }

    /// Whether members are known from indexes, which anyone may have changed.
    pub(super) fn are_indexed(&self) -> bool {
        self.members.indexed
    }

    /// Opens a member; none where another file lies in its place. `open_file` opens a volume.
    pub(super) fn open(&self, open_file: OpenFile<'_>, path: &str) -> Result<Option<StoredFile>> {
        match self.members.place(path) {
            Some(place) => self.member(open_file, path, place),
            None => Ok(None),
        }
    }

    /// The content of the member at a place; none where another file lies.
    fn member(
        &self,
        open_file: OpenFile<'_>,
        path: &str,
        place: Place,
    ) -> Result<Option<StoredFile>> {
        let volume = self.members.volume(place);
        let known = lock(&self.open)
            .iter()
            .find(|(known, _)| *known == place.volume)
            .map(|(_, file)| file.clone());
        let file = match known {
            Some(file) => file,
            None => {
                let file = open_file(volume)?;
                let mut open = lock(&self.open);
                if open.len() >= OPEN {
                    open.remove(0);
                }
                open.push((place.volume, file.clone()));
                file
            }
        };
        let header = self.members.header(path, place);
        let length = header.len() as u64;
        if read_range(&*file, volume, place.offset, length)? != header {
            return Ok(None);
        }
        let start = place.offset + length;
        Ok(Some(StoredFile::new(file, start, place.size)))
    }
}

/// Bytes of a file; fewer at its end.
pub(super) fn read_range(
    file: &dyn ReadAt,
    path: &str,
    offset: u64,
    length: u64,
) -> Result<Vec<u8>> {
    let failed = |e: std::io::Error| unreadable(path, &e);
    let there = file.size().map_err(failed)?;
    let length = length.min(there.saturating_sub(offset));
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(&mut bytes[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(failed(e)),
        }
    }
    bytes.truncate(done);
    Ok(bytes)
}
