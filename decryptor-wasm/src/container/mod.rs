//! The `PRYVBKE1` container: a header with a salt, then frames sealed one by one (docs/format.md, "Encrypted files").

mod decoder;
mod encoder;
mod first;
mod header;

pub use crate::aead::TAG_LEN;
pub use decoder::FrameDecoder;
pub use encoder::{Encoder, FrameSealer};
pub use first::FirstFrame;
pub use header::{CHUNK, Header, MAGIC, SALT_LEN};

/// Largest plaintext of a frame that is accepted, so that a damaged length cannot ask for memory.
pub const MAX_CHUNK: usize = 16 * 1024 * 1024;
