//! Help for browsers, which do these slowly or not at all: SHA-256 and CRC-32 piece by piece, and fast compression (LZ4).

use sha2::Digest;
use wasm_bindgen::prelude::*;

use crate::{Code, Error, Result, crc::Crc32, hex};

/// A SHA-256 in the making.
#[wasm_bindgen]
#[derive(Default)]
pub struct Sha256(sha2::Sha256);

#[wasm_bindgen]
impl Sha256 {
    /// Of nothing yet.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Sha256 {
        Sha256::default()
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest in hex; a new one begins.
    pub fn finish(&mut self) -> String {
        hex(&self.0.finalize_reset())
    }
}

/// The CRC-32 (ISO 3309) of what gave `crc`, followed by `bytes`.
#[wasm_bindgen]
pub fn crc32(bytes: &[u8], crc: u32) -> u32 {
    let mut sum = Crc32::after(crc);
    sum.update(bytes);
    sum.value()
}

/// The bytes, packed.
#[wasm_bindgen]
pub fn pack(bytes: &[u8]) -> Vec<u8> {
    lz4_flex::compress_prepend_size(bytes)
}

/// The bytes that were packed.
#[wasm_bindgen]
pub fn unpack(packed: &[u8]) -> Result<Vec<u8>> {
    lz4_flex::decompress_size_prepended(packed).map_err(|e| Error::of(Code::Failed).because(&e))
}
