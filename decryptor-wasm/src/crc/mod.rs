//! CRC-32 (ISO 3309), of gzip and of ZIP. Processors compute it with carry-less products, which WebAssembly lacks; there long
//! inputs are folded with XOR alone before tables take the rest.

#[cfg(any(test, target_arch = "wasm32"))]
mod fold;

/// A CRC-32 in the making.
#[derive(Debug, Clone, Copy, Default)]
pub struct Crc32(u32);

impl Crc32 {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on from the CRC of what came before.
    #[cfg(target_arch = "wasm32")]
    pub fn after(crc: u32) -> Self {
        Crc32(crc)
    }

    /// Adds bytes.
    #[cfg(target_arch = "wasm32")]
    pub fn update(&mut self, bytes: &[u8]) {
        self.0 = fold::crc32(bytes, self.0);
    }

    /// Adds bytes.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn update(&mut self, bytes: &[u8]) {
        let mut hasher = crc32fast::Hasher::new_with_initial(self.0);
        hasher.update(bytes);
        self.0 = hasher.finalize();
    }

    /// Of all bytes so far.
    pub fn value(self) -> u32 {
        self.0
    }
}
