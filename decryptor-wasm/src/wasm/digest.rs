//! SHA-256 and CRC-32 piece by piece: a browser has no CRC, and its SHA-256 takes whole buffers only.

use sha2::{Digest, Sha256 as Hasher};
use wasm_bindgen::prelude::*;

use crate::crc::Crc32;

/// A SHA-256 in the making.
#[wasm_bindgen]
#[derive(Default)]
pub struct Sha256(Hasher);

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
        self.0
            .finalize_reset()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// The CRC-32 (ISO 3309) of what gave `crc`, followed by `bytes`.
#[wasm_bindgen]
pub fn crc32(bytes: &[u8], crc: u32) -> u32 {
    let mut sum = Crc32::after(crc);
    sum.update(bytes);
    sum.value()
}
