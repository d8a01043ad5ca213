//! Sealing: plaintext in, container bytes out.

use super::{CHUNK, Header, SALT_LEN, TAG_LEN};
use crate::{DataKey, aead::RustAead};

/// Seals the frames of one file in any order, so that several threads may share it.
pub struct FrameSealer {
    header: Header,
    aead: RustAead,
}

impl FrameSealer {
    /// `salt` must be random and new for every file: the file key and all nonces follow from it.
    pub fn new(data_key: &DataKey, salt: [u8; SALT_LEN]) -> Self {
        FrameSealer {
            header: Header { salt, chunk: CHUNK },
            aead: RustAead::new(&data_key.file_key(&salt)),
        }
    }

    /// The bytes before the first frame.
    pub fn header(&self) -> Vec<u8> {
        self.header.to_bytes()
    }

    /// Appends frame `index` (from 0) with `plaintext`: [`CHUNK`] bytes, fewer only in the last frame, never none.
    pub fn seal(&self, index: u64, plaintext: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&((plaintext.len() + TAG_LEN) as u32).to_be_bytes());
        self.aead.seal(index, plaintext, out);
    }
}

/// Seals a file from front to back.
pub struct Encoder {
    sealer: FrameSealer,
    pending: Vec<u8>,
    index: u64,
    started: bool,
}

impl Encoder {
    /// See [`FrameSealer::new`].
    pub fn new(data_key: &DataKey, salt: [u8; SALT_LEN]) -> Self {
        Encoder {
            sealer: FrameSealer::new(data_key, salt),
            pending: Vec::new(),
            index: 0,
            started: false,
        }
    }

    /// Takes any number of plaintext bytes and appends what is complete to `out`.
    pub fn push(&mut self, mut plaintext: &[u8], out: &mut Vec<u8>) {
        self.start(out);
        if !self.pending.is_empty() {
            let take = plaintext.len().min(CHUNK - self.pending.len());
            self.pending.extend_from_slice(&plaintext[..take]);
            plaintext = &plaintext[take..];
            if self.pending.len() < CHUNK {
                return;
            }
            let full = std::mem::take(&mut self.pending);
            self.frame(&full, out);
        }
        while plaintext.len() >= CHUNK {
            let (frame, rest) = plaintext.split_at(CHUNK);
            self.frame(frame, out);
            plaintext = rest;
        }
        self.pending.extend_from_slice(plaintext);
    }

    /// Appends the rest. An empty file is a header alone.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        self.start(out);
        if !self.pending.is_empty() {
            let last = std::mem::take(&mut self.pending);
            self.frame(&last, out);
        }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if !self.started {
            out.extend_from_slice(&self.sealer.header());
            self.started = true;
        }
    }

    fn frame(&mut self, plaintext: &[u8], out: &mut Vec<u8>) {
        self.sealer.seal(self.index, plaintext, out);
        self.index += 1;
    }
}
