//! The container: the published vector, identity under any cutting, and every flip and every cut noticed.
#![allow(clippy::unwrap_used, clippy::panic)]

use decryptor_wasm::{
    DataKey, Error, FileEntry,
    aead::RustAead,
    container::{CHUNK, Encoder, FrameSealer},
    plan::check_against_inventory,
    reader::{FileReader, FileSummary, ReadOptions, read_whole},
};

const VECTOR: &str = "50525956424b4531000000337b2276223a312c2273616c74223a22416749434167494341674943416749434167494341673d3d222c226368756e6b223a387d00000018b8dfc0948508e722ec9a7582606937e314c61f7cbe64a1d8000000145edcc8c58c657a3ae4216dc1853a2c93438bf57a";

fn key() -> DataKey {
    DataKey::from_bytes([1; 32])
}

fn reader(buffer: usize) -> FileReader<RustAead> {
    FileReader::sealed(
        key(),
        ReadOptions {
            buffer,
            ..ReadOptions::default()
        },
        |k| Ok(RustAead::new(k)),
    )
}

fn open(stored: &[u8], buffer: usize) -> Result<(Vec<u8>, FileSummary), Error> {
    read_whole(reader(buffer), stored)
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap())
        .collect()
}

fn sealed(plaintext: &[u8]) -> Vec<u8> {
    let mut stored = Vec::new();
    let mut encoder = Encoder::new(&key(), [7; 16]);
    encoder.push(plaintext, &mut stored);
    encoder.finish(&mut stored);
    stored
}

/// What an inventory would say of a sealed file.
fn entry(stored: &[u8], plaintext: &[u8]) -> FileEntry {
    let (_, summary) = open(stored, 0).unwrap();
    FileEntry {
        path: "x".into(),
        size: stored.len() as u64,
        sha256: String::new(),
        salt: summary.salt,
        content_size: plaintext.len() as u64,
        content_sha256: None,
        records: None,
    }
}

#[test]
fn the_published_vector_opens() {
    let stored = unhex(VECTOR);
    for buffer in [64, 100, 4096] {
        assert_eq!(
            open(&stored, buffer).unwrap().0,
            b"hello world\n",
            "buffer of {buffer}"
        );
    }
}

#[test]
fn what_was_sealed_in_any_pieces_opens_in_any_pieces() {
    let mut seed = 42u64;
    let mut next = |below: usize| {
        seed = seed
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (seed >> 33) as usize % below
    };
    for size in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 5 * CHUNK + 77] {
        let plaintext: Vec<u8> = (0..size).map(|_| next(256) as u8).collect();
        let mut stored = Vec::new();
        let mut encoder = Encoder::new(&key(), [9; 16]);
        let mut rest = plaintext.as_slice();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(1 + next(100_000)));
            encoder.push(piece, &mut stored);
            rest = after;
        }
        encoder.finish(&mut stored);
        for buffer in [1 + next(1000), 70_000, 1 << 20] {
            assert_eq!(
                open(&stored, buffer).unwrap().0,
                plaintext,
                "{size} bytes, buffer of {buffer}"
            );
        }
    }
}

#[test]
fn frames_sealed_one_by_one_equal_the_stream() {
    let plaintext = vec![5; CHUNK + 10];
    let sealer = FrameSealer::new(&key(), [7; 16]);
    let mut stored = sealer.header();
    sealer.seal(0, &plaintext[..CHUNK], &mut stored);
    sealer.seal(1, &plaintext[CHUNK..], &mut stored);
    assert_eq!(stored, sealed(&plaintext));
}

#[test]
fn every_flipped_byte_is_noticed() {
    let stored = unhex(VECTOR);
    for at in 0..stored.len() {
        for bit in 0..8 {
            let mut bad = stored.clone();
            bad[at] ^= 1 << bit;
            assert!(open(&bad, 64).is_err(), "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn every_cut_of_a_small_file_is_noticed_by_the_inventory_at_last() {
    // Not the published vector: an inventory comes with frames of 64 KiB only and would refuse it uncut.
    let stored = sealed(b"hello world\n");
    let expected = entry(&stored, b"hello world\n");
    for cut in 0..=stored.len() {
        let noticed = match open(&stored[..cut], 64) {
            Err(_) => true,
            Ok((_, summary)) => {
                check_against_inventory(&(&expected).into(), &summary, None, false).is_err()
            }
        };
        assert_eq!(noticed, cut < stored.len(), "cut at {cut}");
    }
}

#[test]
fn another_file_of_the_same_archive_is_not_this_one() {
    let one = sealed(b"one");
    let mut two = Vec::new();
    let mut encoder = Encoder::new(&key(), [8; 16]);
    encoder.push(b"two", &mut two);
    encoder.finish(&mut two);
    let (_, summary) = open(&two, 0).unwrap();
    assert!(
        check_against_inventory(&(&entry(&one, b"one")).into(), &summary, None, false).is_err()
    );
}

#[test]
fn what_stands_before_the_damage_is_given_out() {
    let plaintext = vec![5; 2 * CHUNK];
    let mut stored = sealed(&plaintext);
    let last = stored.len() - 1;
    stored[last] ^= 1;
    let mut reader = reader(1 << 20);
    reader.input()[..stored.len()].copy_from_slice(&stored);
    assert!(reader.process(stored.len()).is_err());
    assert_eq!(reader.output().unwrap(), &plaintext[..CHUNK]);
}
