//! Reading a volume from its first byte to its last: whether it is what a writer makes of the files in it, and nothing else.

use std::io::{self, BufReader, Read};

use decryptor_wasm::{
    Result,
    layout::most_bytes,
    volume::{
        BLOCK, END, HEADER_MOST, Member, MemberHeader, Volume, VolumeIndex, index_name, padding,
        read_header, volume_name,
    },
};
use sha2::{Digest, Sha256};

use super::{StoredFile, error::unreadable};
use crate::{archive::sums::SumLine, interrupt, limits::PIECE, text::hex};

/// A volume without a fault.
pub struct WholeVolume {
    /// Its entry in the list of volumes.
    pub volume: Volume,
    /// Its line in the sums.
    pub sum: SumLine,
    /// The files in it, in their order.
    pub members: Vec<MemberDigest>,
}

/// A file in a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberDigest {
    /// From the folder of the run.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the content.
    pub sha256: [u8; 32],
}

/// A volume that is being read.
struct Reading {
    file: BufReader<StoredFile>,
    digest: Sha256,
    size: u64,
    buffer: Vec<u8>,
}

impl WholeVolume {
    /// Reads volume `number`; none where a byte of it is not what a writer would make of its files. `seen` is told the bytes on the way.
    ///
    /// # Errors
    /// When the system refuses, or a signal came.
    pub fn read(
        file: StoredFile,
        number: u32,
        seen: &mut dyn FnMut(u64),
    ) -> Result<Option<WholeVolume>> {
        let name = volume_name(number);
        let failed = |e: io::Error| unreadable(&name, &e);
        let mut reading = Reading {
            file: BufReader::with_capacity(PIECE, file),
            digest: Sha256::new(),
            size: 0,
            buffer: vec![0; PIECE],
        };
        let (mut members, mut index) = (Vec::new(), String::new());
        loop {
            interrupt::check()?;
            let offset = reading.size;
            let Some(header) = reading.header().map_err(failed)? else {
                return Ok(None);
            };
            if header.path == index_name(number) {
                index += &VolumeIndex::last_line(offset, number);
                let whole = reading.ends(&header, index.as_bytes()).map_err(failed)?;
                return Ok(whole.then(|| reading.finish(name, offset, members)));
            }
            index += &VolumeIndex::line(&Member {
                path: header.path.clone(),
                offset,
                size: header.size,
            });
            let Some(sha256) = reading.content(header.size, seen).map_err(failed)? else {
                return Ok(None);
            };
            members.push(MemberDigest {
                path: header.path,
                size: header.size,
                sha256,
            });
        }
    }
}

impl Reading {
    /// The next header; none where there is another thing.
    fn header(&mut self) -> io::Result<Option<MemberHeader>> {
        let mut bytes = Vec::with_capacity(BLOCK);
        while bytes.len() < HEADER_MOST {
            let mut block = [0; BLOCK];
            if !self.take(&mut block)? {
                return Ok(None);
            }
            bytes.extend_from_slice(&block);
            if let Ok(Some(header)) = read_header(&bytes) {
                return Ok(Some(header));
            }
            if bytes[156] != b'x' {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// Reads a content and the zeros after it; none where it is cut.
    fn content(&mut self, size: u64, seen: &mut dyn FnMut(u64)) -> io::Result<Option<[u8; 32]>> {
        let (mut content, mut left) = (Sha256::new(), size);
        let mut buffer = std::mem::take(&mut self.buffer);
        while left > 0 {
            let most = usize::try_from(left)
                .unwrap_or(usize::MAX)
                .min(buffer.len());
            if !self.take(&mut buffer[..most])? || interrupt::came() != 0 {
                break;
            }
            content.update(&buffer[..most]);
            left -= most as u64;
            seen(most as u64);
        }
        self.buffer = buffer;
        let whole = left == 0 && self.zeros(padding(size))?;
        Ok(whole.then(|| content.finalize().into()))
    }

    /// Whether the rest is this index, and the end of a volume.
    fn ends(&mut self, header: &MemberHeader, index: &[u8]) -> io::Result<bool> {
        let fits = header.size == index.len() as u64 && header.size <= most_bytes(&header.path);
        if !fits {
            return Ok(false);
        }
        let mut found = vec![0; index.len()];
        Ok(self.take(&mut found)?
            && found == index
            && self.zeros(padding(header.size))?
            && self.zeros(END.len())?
            && self.file.read(&mut [0])? == 0)
    }

    fn zeros(&mut self, count: usize) -> io::Result<bool> {
        let mut found = vec![0; count];
        Ok(self.take(&mut found)? && found.iter().all(|byte| *byte == 0))
    }

    /// Fills `into`; false at the end of the file.
    fn take(&mut self, into: &mut [u8]) -> io::Result<bool> {
        match self.file.read_exact(into) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(e) => return Err(e),
        }
        self.digest.update(&*into);
        self.size += into.len() as u64;
        Ok(true)
    }

    fn finish(self, name: String, index: u64, members: Vec<MemberDigest>) -> WholeVolume {
        WholeVolume {
            sum: SumLine::new(&name, &hex(&self.digest.finalize())),
            volume: Volume {
                name,
                size: self.size,
                index,
                members: members.len() as u64,
            },
            members,
        }
    }
}
