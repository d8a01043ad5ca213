//! An archive that goes as a single tar file: each file follows when its size is known, the manifest and an index come last.

use std::{
    fs::File,
    io::{self, BufWriter, Read, Seek, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use decryptor_wasm::{
    layout::{MANIFEST, PathKind, SUMS, most_bytes},
    signature::SIGNATURE,
    volume::{END, Member, VolumeIndex, header, index_name, padding},
};

use super::ArchiveError;
use crate::{limits::PIECE, storage::Stream, threads::lock};

/// Bytes of a file that wait in memory for its end. Of a larger one they wait in a file without a name.
const WAITING: usize = 4 * 1024 * 1024;

/// A tar file that is being written.
pub struct TarWriter {
    /// For files that go away.
    folder: PathBuf,
    out: Mutex<Out>,
}

struct Out {
    out: BufWriter<Box<dyn Write + Send>>,
    /// Bytes so far.
    size: u64,
    /// The lines of the index, in a file without a name.
    index: BufWriter<File>,
}

/// A file on its way into the tar file.
pub struct TarMember {
    tar: Arc<TarWriter>,
    path: String,
    content: Content,
}

enum Content {
    Memory(Vec<u8>),
    Disk { file: File, size: u64 },
}

impl TarWriter {
    /// To `out`; what has to wait for that, waits in `folder`.
    pub fn new(folder: &Path, out: Box<dyn Write + Send>) -> Result<Self, ArchiveError> {
        let index = tempfile::tempfile_in(folder).map_err(|e| ArchiveError::io(folder, e))?;
        Ok(TarWriter {
            folder: folder.to_owned(),
            out: Mutex::new(Out {
                out: BufWriter::with_capacity(PIECE, out),
                size: 0,
                index: BufWriter::new(index),
            }),
        })
    }

    /// Whether the file comes at the end: it is made in a folder before.
    pub fn is_last(path: &str) -> bool {
        matches!(
            PathKind::of(path),
            PathKind::Sums | PathKind::Signature | PathKind::Manifest
        )
    }

    /// Begins a file.
    pub fn member(self: &Arc<Self>, path: &str) -> TarMember {
        TarMember {
            tar: self.clone(),
            path: path.to_owned(),
            content: Content::Memory(Vec::new()),
        }
    }

    /// Adds what comes last, of the files in `folder`, and ends the tar file.
    pub fn end(&self, folder: &Path) -> Result<(), ArchiveError> {
        for name in [SUMS, SIGNATURE, MANIFEST] {
            let place = folder.join(name);
            let at = |e| ArchiveError::io(&place, e);
            let mut file = File::open(&place).map_err(at)?;
            let size = file.metadata().map_err(at)?.len();
            self.add(name, size, &mut file)?;
        }
        let written = self.out().end();
        written.map_err(failed)
    }

    fn add(&self, path: &str, size: u64, content: &mut dyn Read) -> Result<(), ArchiveError> {
        let added = self.out().add(path, size, content);
        added.map_err(failed)
    }

    fn out(&self) -> std::sync::MutexGuard<'_, Out> {
        lock(&self.out)
    }
}

impl Out {
    fn add(&mut self, path: &str, size: u64, content: &mut dyn Read) -> io::Result<()> {
        let line = VolumeIndex::line(&Member {
            path: path.to_owned(),
            offset: self.size,
            size,
        });
        self.index.write_all(line.as_bytes())?;
        self.file(path, size, content)
    }

    fn file(&mut self, path: &str, size: u64, content: &mut dyn Read) -> io::Result<()> {
        let header = header(path, size);
        self.out.write_all(&header)?;
        if io::copy(&mut content.take(size), &mut self.out)? != size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let padding = padding(size);
        self.out.write_all(&END[..padding])?;
        self.size += header.len() as u64 + size + padding as u64;
        Ok(())
    }

    /// Writes the index, unless no reader would take one of its length, and the end mark.
    fn end(&mut self) -> io::Result<()> {
        let name = index_name(1);
        self.index
            .write_all(VolumeIndex::last_line(self.size, 1).as_bytes())?;
        let size = self.index.stream_position()?;
        if size + (header(&name, size).len() + padding(size) + END.len()) as u64
            <= most_bytes(&name)
        {
            self.index.rewind()?;
            let mut index = self.index.get_ref().try_clone()?;
            self.file(&name, size, &mut index)?;
        }
        self.out.write_all(&END)?;
        self.out.flush()
    }
}

impl TarMember {
    /// Appends content.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        let folder = &self.tar.folder;
        let at = |e| ArchiveError::io(folder, e);
        if let Content::Memory(waiting) = &mut self.content {
            if waiting.len() + bytes.len() <= WAITING {
                waiting.extend_from_slice(bytes);
                return Ok(());
            }
            let mut file = tempfile::tempfile_in(folder).map_err(at)?;
            file.write_all(waiting).map_err(at)?;
            let size = waiting.len() as u64;
            self.content = Content::Disk { file, size };
        }
        if let Content::Disk { file, size } = &mut self.content {
            file.write_all(bytes).map_err(at)?;
            *size += bytes.len() as u64;
        }
        Ok(())
    }

    /// Ends the file: it follows those that ended before.
    pub fn finish(self) -> Result<(), ArchiveError> {
        match self.content {
            Content::Memory(bytes) => {
                let size = bytes.len() as u64;
                self.tar.add(&self.path, size, &mut bytes.as_slice())
            }
            Content::Disk { mut file, size } => {
                let rewound = file.rewind();
                rewound.map_err(|e| ArchiveError::io(&self.tar.folder, e))?;
                self.tar.add(&self.path, size, &mut file)
            }
        }
    }
}

fn failed(error: io::Error) -> ArchiveError {
    ArchiveError::io(Path::new(Stream::OUTPUT), error)
}

#[cfg(test)]
mod tests {
    use decryptor_wasm::volume::VolumeReading;

    use super::*;

    /// Bytes that are there when the writer is gone.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            lock(&self.0).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn files_of_every_size_are_found_and_the_manifest_is_last() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::default();
        let tar = TarWriter::new(folder.path(), Box::new(kept.clone())).unwrap();
        let tar = Arc::new(tar);
        let long = format!("users/u/attachments/{}", "y".repeat(150));
        let sizes = [
            ("users/u/streams.jsonl", 0),
            ("users/u/attachments/exact", WAITING),
            ("users/u/attachments/large", WAITING + 1),
            (&long, 2 * WAITING + 513),
        ];
        for (path, size) in sizes {
            let mut member = tar.member(path);
            for piece in vec![path.len() as u8; size].chunks(700_000) {
                member.write(piece).unwrap();
            }
            member.finish().unwrap();
        }
        let mut given_up = tar.member("users/u/attachments/gone");
        given_up.write(&vec![1; WAITING + 1]).unwrap();
        drop(given_up);
        for name in [SUMS, SIGNATURE, MANIFEST] {
            assert!(TarWriter::is_last(name));
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        tar.end(folder.path()).unwrap();
        let bytes = lock(&kept.0).clone();
        for scan in [false, true] {
            let mut reading = VolumeReading::of_tar("x", bytes.len() as u64, scan);
            while let Some(range) = reading.next_range() {
                let from = range.offset as usize;
                let to = bytes.len().min(from.saturating_add(range.length as usize));
                reading.give(&bytes[from..to]);
            }
            let members = reading.finish();
            assert!(members.findings.is_empty(), "{:?}", members.findings);
            assert_eq!(members.files.len(), sizes.len() + 3);
            let offset = |path: &str| members.place(path).unwrap().offset;
            let last = members.files.iter().map(|(path, _)| offset(&path)).max();
            assert_eq!(last, Some(offset(MANIFEST)));
            for (path, size) in sizes {
                let place = members.place(path).unwrap();
                assert_eq!(place.size, size as u64);
                let start = place.offset as usize + members.header(path, place).len();
                let content = &bytes[start..start + size];
                assert!(content.iter().all(|byte| *byte == path.len() as u8));
            }
        }
    }
}
