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
