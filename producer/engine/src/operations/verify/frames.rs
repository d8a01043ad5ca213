//! The frames of a sealed file, as far as they show without the key.

use std::io::{Read, Seek, SeekFrom};

use decryptor_wasm::{
    Code, Error, Field, Result,
    container::{Header, TAG_LEN},
};

use crate::archive::read::StoredFile;

/// Bytes of the longest header, its first 12 bytes included.
const HEADER: usize = 4096 + 12;

/// Whether the frames of a sealed file fit together; what is in them shows with the key only.
pub(super) fn check(file: &mut StoredFile, size: u64, path: &str) -> Result<()> {
    let seek = |file: &mut StoredFile, at: u64| {
        file.seek(SeekFrom::Start(at))
            .map_err(|e| Error::of(Code::UnreadableFile).at(path).because(&e))
    };
    seek(file, 0)?;
    let mut start = vec![0; HEADER.min(size as usize)];
    read_whole(file, &mut start, path)?;
    let Some((header, length)) = Header::read(&start)? else {
        return Err(Code::HeaderCut.into());
    };
    let (mut at, mut index, mut short) = (length as u64, 0_u64, false);
    while at < size {
        let wrong = |code| Err(Error::of(code).with(Field::Number, index));
        if size - at < 4 {
            return wrong(Code::FrameCut);
        }
        seek(file, at)?;
        let mut prefix = [0; 4];
        read_whole(file, &mut prefix, path)?;
        let frame = u32::from_be_bytes(prefix) as usize;
        if frame <= TAG_LEN || frame > header.chunk + TAG_LEN || short {
            return wrong(Code::FrameLength);
        }
        short = frame < header.chunk + TAG_LEN;
        at += 4 + frame as u64;
        if at > size {
            return wrong(Code::FrameCut);
        }
        index += 1;
    }
    Ok(())
}

fn read(file: &mut StoredFile, into: &mut [u8], path: &str) -> Result<usize> {
    loop {
        match file.read(into) {
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            read => {
                return read.map_err(|e| Error::of(Code::UnreadableFile).at(path).because(&e));
            }
        }
    }
}

fn read_whole(file: &mut StoredFile, into: &mut [u8], path: &str) -> Result<()> {
    let mut done = 0;
    while done < into.len() {
        match read(file, &mut into[done..], path)? {
            0 => return Err(Code::BecameShorter.into()),
            n => done += n,
        }
    }
    Ok(())
}
