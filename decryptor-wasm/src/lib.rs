//! Decryption core of pryv-backup: the archive format, its keys, frames and checks.
//!
//! Pure computation: bytes in, bytes out. Files, clock, network, threads and randomness belong to the caller, so the same
//! code runs in the native tool, in Node.js and in a browser. The format is described in `docs/format.md`.
#![cfg_attr(not(target_arch = "wasm32"), forbid(unsafe_code))]
#![warn(clippy::too_many_lines)]
#![cfg_attr(target_arch = "wasm32", deny(unsafe_code))]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::cmp::Ordering;

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

/// The places of so many items in the order that `compare` gives, equal ones as they are. What lies in order already stays together: lists here
/// are mostly two or three that follow one another. One function for all: code to sort is large.
pub(crate) fn sorted(count: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<u32> {
    let mut order: Vec<u32> = Vec::with_capacity(count);
    order.extend(0..u32::try_from(count).unwrap_or(u32::MAX));
    let mut ends: Vec<usize> = Vec::new();
    for end in 1..=count {
        if end == count || compare(end - 1, end) == Ordering::Greater {
            ends.push(end);
        }
    }
    let mut merged: Vec<u32> = Vec::new();
    while ends.len() > 1 {
        merged.clear();
        merged.reserve_exact(count);
        let mut merged_ends = Vec::with_capacity(ends.len().div_ceil(2));
        for pair in ends.chunks(2) {
            let (middle, end) = (pair[0], pair[pair.len() - 1]);
            let (mut one, mut other) = (merged.len(), middle);
            while one < middle && other < end {
                let first = match compare(order[one] as usize, order[other] as usize) {
                    Ordering::Greater => &mut other,
                    _ => &mut one,
                };
                merged.push(order[*first]);
                *first += 1;
            }
            merged.extend_from_slice(&order[one..middle]);
            merged.extend_from_slice(&order[other..end]);
            merged_ends.push(end);
        }
        std::mem::swap(&mut order, &mut merged);
        ends = merged_ends;
    }
    order
}

/// Collects items one by one. `collect` sorts them first, and brings code to sort each type into the WASM file.
pub(crate) fn gather<C: Default + Extend<T>, T>(items: impl Iterator<Item = T>) -> C {
    let mut all = C::default();
    all.extend(items);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_sorted_and_equal_items_stay_in_their_order() {
        for count in [0_usize, 1, 2, 3, 7, 100, 1000] {
            for spread in [1, 2, 7, 1000] {
                let items: Vec<usize> = (0..count).map(|at| at * 7919 % 1009 % spread).collect();
                let order = sorted(count, &|one, other| items[one].cmp(&items[other]));
                let mut due: Vec<u32> = (0..count as u32).collect();
                due.sort_by_key(|at| items[*at as usize]);
                assert_eq!(order, due, "{count} items of {spread} kinds");
            }
        }
    }
}
