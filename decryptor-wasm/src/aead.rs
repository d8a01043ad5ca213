//! The cipher behind one seam: AES-256-GCM by RustCrypto, always there, or by the host (Node.js, a browser) where that is faster.

use std::rc::Rc;

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{AeadInOut, Nonce, Tag},
};

use crate::{FileKey, Result};

/// Bytes that sealing adds: the GCM tag.
pub const TAG_LEN: usize = 16;

/// Opens the frames of one file.
pub trait Aead {
    /// Opens frame `index` in place: `frame` is ciphertext and tag, its front becomes the plaintext. `false`: not authentic, and
    /// the contents of `frame` are worthless.
    fn open_in_place(&mut self, index: u64, frame: &mut [u8]) -> bool;
}

/// A cipher of either kind. Readers of this one type are in the WASM file once.
pub type AnyAead = Box<dyn Aead>;

/// Makes the cipher of a file from its key.
pub type Cipher = Rc<dyn Fn(&FileKey) -> Result<AnyAead>>;

/// The core's own.
pub fn core_cipher() -> Cipher {
    Rc::new(|key| Ok(Box::new(RustAead::new(key))))
}

impl Aead for AnyAead {
    fn open_in_place(&mut self, index: u64, frame: &mut [u8]) -> bool {
        (**self).open_in_place(index, frame)
    }
}

/// The pure-Rust implementation.
pub struct RustAead(Aes256Gcm);

impl RustAead {
    /// The cipher of one file.
    pub fn new(key: &FileKey) -> Self {
        RustAead(Aes256Gcm::new(key.as_bytes().into()))
    }

    /// Appends the sealed form of `plaintext` (ciphertext, then tag) as frame `index`.
    pub fn seal(&self, index: u64, plaintext: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(plaintext);
        let tag = self
            .0
            .encrypt_inout_detached(&nonce(index), &[], (&mut out[start..]).into());
        match tag {
            Ok(tag) => out.extend_from_slice(&tag),
            // GCM refuses only plaintexts of 64 GiB and more; a frame has 64 KiB.
            Err(_) => unreachable!("a frame is far below the limit of GCM"),
        }
    }
}

impl Aead for RustAead {
    fn open_in_place(&mut self, index: u64, frame: &mut [u8]) -> bool {
        let Some(length) = frame.len().checked_sub(TAG_LEN) else {
            return false;
        };
        let (body, tag) = frame.split_at_mut(length);
        let Ok(tag) = Tag::<Aes256Gcm>::try_from(&*tag) else {
            return false;
        };
        self.0
            .decrypt_inout_detached(&nonce(index), &[], body.into(), &tag)
            .is_ok()
    }
}

/// Four zero bytes, then the frame's index as a big-endian 64-bit number.
fn nonce(index: u64) -> Nonce<Aes256Gcm> {
    let mut nonce = Nonce::<Aes256Gcm>::default();
    nonce[4..].copy_from_slice(&index.to_be_bytes());
    nonce
}
