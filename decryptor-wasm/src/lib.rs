//! Decryption core of pryv-backup: the archive format, its keys, frames and checks.
//!
//! Pure computation: bytes in, bytes out. Files, clock, network, threads and randomness belong to the caller, so the same
//! code runs in the native tool, in Node.js and in a browser. The format is described in `docs/format.md`.
#![cfg_attr(not(target_arch = "wasm32"), forbid(unsafe_code))]
#![warn(clippy::too_many_lines)]
#![cfg_attr(target_arch = "wasm32", deny(unsafe_code))]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod aead;
pub mod chain;
pub mod container;
mod crc;
pub mod envelope;
mod error;
pub mod finding;
pub mod gzip;
pub mod integrity;
pub mod json;
pub mod jsonl;
mod keys;
pub mod layout;
pub mod limits;
pub mod listing;
pub mod manifest;
mod object;
pub mod open;
pub mod plan;
pub mod raw;
pub mod reader;
pub mod record_number;
pub mod signature;
mod unicode;
pub mod volume;
#[cfg(target_arch = "wasm32")]
mod wasm;

pub use envelope::{Envelope, Kdf, Mode};
pub use error::{Code, Error, ErrorKind, Field, Result, Value};
pub use keys::{
    DataKey, FileKey, PrivateKey, PublicKey, RandomSource, Spelling, passphrase_of_file,
    private_key_needs_passphrase,
};
pub use listing::FileList;
pub use manifest::{
    BackupType, FileEntry, Inventory, Loss, Manifest, UserEntry, UserList, UserManifest, UserStats,
    plain_manifest,
};

/// Lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)].into());
        text.push(DIGITS[usize::from(byte & 15)].into());
    }
    text
}

/// Collects items one by one. `collect` sorts them first, and brings code to sort each type into the WASM file.
pub(crate) fn gather<C: Default + Extend<T>, T>(items: impl Iterator<Item = T>) -> C {
    let mut all = C::default();
    all.extend(items);
    all
}
