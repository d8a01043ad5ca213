//! Opening: a walk over the frames of one file, in place, whatever pieces its bytes come in.

use super::{Header, TAG_LEN};
use crate::{Code, DataKey, Error, Field, FileKey, Result, aead::Aead};

/// Makes the cipher of a file from its key.
type Opener<A> = Box<dyn Fn(&FileKey) -> Result<A>>;

/// Opens the frames of one file in order. It keeps no plaintext: frames are opened inside the caller's buffer and packed at its
/// front; at most one cut frame is carried over to the next call.
pub struct FrameDecoder<A> {
    data_key: DataKey,
    open: Opener<A>,
    state: State<A>,
    carry: Vec<u8>,
    frames: u64,
    short: bool,
}

enum State<A> {
    Header,
    Frames { header: Header, aead: A },
}

impl<A: Aead> FrameDecoder<A> {
    /// `open` makes the cipher from a file's key once its header is known.
    pub fn new(data_key: DataKey, open: impl Fn(&FileKey) -> Result<A> + 'static) -> Self {
        FrameDecoder {
            data_key,
            open: Box::new(open),
            state: State::Header,
            carry: Vec::new(),
            frames: 0,
            short: false,
        }
    }

    /// Begins another file of the same archive.
    pub fn restart(&mut self) {
        self.state = State::Header;
        self.carry.clear();
        self.frames = 0;
        self.short = false;
    }

    /// The header, once it was read.
    pub fn header(&self) -> Option<&Header> {
        match &self.state {
            State::Header => None,
            State::Frames { header, .. } => Some(header),
        }
    }

    /// Bytes of a cut frame (or header) that belong before the next bytes of the file: put them at the front of the buffer.
    pub fn take_carry(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.carry)
    }

    /// Opens every whole frame in `buffer` and packs the plaintext at its front. Returns the plaintext's length and, when a frame
    /// failed, the error; the plaintext before it is authentic.
    pub fn open_in_place(&mut self, buffer: &mut [u8]) -> (usize, Result<()>) {
        let mut at = 0;
        let mut out = 0;
        let result = self.walk(buffer, &mut at, &mut out);
        self.carry.extend_from_slice(&buffer[at..]);
        (out, result)
    }

    fn walk(&mut self, buffer: &mut [u8], at: &mut usize, out: &mut usize) -> Result<()> {
        if matches!(self.state, State::Header) {
            let Some((header, length)) = Header::read(buffer)? else {
                return Ok(());
            };
            let aead = (self.open)(&self.data_key.file_key(&header.salt))?;
            self.state = State::Frames { header, aead };
            *at = length;
        }
        let State::Frames { header, aead } = &mut self.state else {
            return Ok(());
        };
        while let Some(prefix) = buffer.get(*at..*at + 4) {
            let length = u32::from_be_bytes([prefix[0], prefix[1], prefix[2], prefix[3]]) as usize;
            let plain = plain_length(header, self.frames, self.short, length)?;
            let start = *at + 4;
            let Some(frame) = buffer.get_mut(start..start + length) else {
                break;
            };
            if !aead.open_in_place(self.frames, frame) {
                return Err(of_frame(Code::FrameForged, self.frames));
            }
            buffer.copy_within(start..start + plain, *out);
            *out += plain;
            *at = start + length;
            self.frames += 1;
            // Only the last frame of a file is not full.
            self.short = plain < header.chunk;
        }
        Ok(())
    }

    /// The next frame, of `length` bytes, was opened by the caller (or refused): the same checks as if it had been opened here.
    /// Returns how many bytes it held.
    pub fn opened_elsewhere(&mut self, length: usize, authentic: bool) -> Result<usize> {
        let State::Frames { header, .. } = &self.state else {
            return Err(of_frame(Code::HeaderCut, self.frames));
        };
        let plain = plain_length(header, self.frames, self.short, length)?;
        if !authentic {
            return Err(of_frame(Code::FrameForged, self.frames));
        }
        self.frames += 1;
        self.short = plain < header.chunk;
        Ok(plain)
    }

    /// To be called at the end of the file: an error when it ends inside the header or a frame. `pending`: bytes that were taken by
    /// [`FrameDecoder::take_carry`] and not given back.
    pub fn finish(&self, pending: usize) -> Result<()> {
        match self.state {
            State::Header => Err(Code::HeaderCut.into()),
            State::Frames { .. } if pending > 0 || !self.carry.is_empty() => {
                Err(of_frame(Code::FrameCut, self.frames))
            }
            State::Frames { .. } => Ok(()),
        }
    }
}

/// Plaintext bytes of a frame of `length` bytes at this place of the file, if there can be one.
fn plain_length(header: &Header, index: u64, after_short: bool, length: usize) -> Result<usize> {
    // No writer makes an empty frame, so one of 16 bytes is as wrong as one that is too long.
    if length <= TAG_LEN || length > header.chunk + TAG_LEN || after_short {
        return Err(of_frame(Code::FrameLength, index));
    }
    Ok(length - TAG_LEN)
}

fn of_frame(code: Code, index: u64) -> Error {
    Error::of(code).with(Field::Number, index)
}
