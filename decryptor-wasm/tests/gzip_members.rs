//! Any records in any gzip members, sealed in any pieces, come back as they were, in whatever pieces they are read.
#![allow(clippy::unwrap_used, clippy::panic)]

use decryptor_wasm::{
    DataKey, Error,
    aead::RustAead,
    container::{CHUNK, Encoder, TAG_LEN},
    reader::{FileReader, FileSummary, ReadOptions},
};
use miniz_oxide::deflate::compress_to_vec;
use proptest::{collection::vec, prelude::*};

/// Stored bytes of a header of ours, and of what every frame adds.
const HEADER: usize = 12 + 55;
const FRAME: usize = 4 + TAG_LEN;

/// Sizes of nothing, a little, around frame boundaries, and anything up to several frames.
fn size() -> impl Strategy<Value = usize> {
    prop_oneof![
        0..100usize,
        (1..=4usize, 0..=6usize).prop_map(|(frames, off)| frames * CHUNK + off - 3),
        0..=4 * CHUNK,
    ]
}

/// Bytes that follow from `seed`; runs of one byte among them, as files have them.
fn bytes(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut made = Vec::with_capacity(size);
    while made.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let run = if state & 7 == 0 { 50 } else { 1 };
        made.extend(std::iter::repeat_n((state >> 32) as u8, run));
    }
    made.truncate(size);
    made
}

/// Lengths of pieces, used in turn.
fn pieces() -> impl Strategy<Value = Vec<usize>> {
    let piece = prop_oneof![
        1..20usize,
        1..5000usize,
        CHUNK - 2..CHUNK + 25,
        1..300_000usize
    ];
    // A piece of a byte or two among them would make the test crawl where all are so.
    vec(piece, 1..6).prop_map(|mut pieces| {
        pieces.push(40_000);
        pieces
    })
}

fn sealed(key: [u8; 32], salt: [u8; 16], plain: &[u8], pieces: &[usize]) -> Vec<u8> {
    let mut stored = Vec::new();
    let mut encoder = Encoder::new(&DataKey::from_bytes(key), salt);
    let mut rest = plain;
    for piece in pieces.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (now, later) = rest.split_at(rest.len().min(*piece));
        encoder.push(now, &mut stored);
        rest = later;
    }
    encoder.finish(&mut stored);
    stored
}

fn sealed_reader(key: [u8; 32], options: ReadOptions) -> FileReader<RustAead> {
    FileReader::sealed(DataKey::from_bytes(key), options, |k| Ok(RustAead::new(k)))
}

/// Reads as the hosts do: as much as there is, but at most as fits, until the file ends.
fn read(
    mut reader: FileReader<RustAead>,
    stored: &[u8],
    pieces: &[usize],
) -> Result<(Vec<u8>, FileSummary), Error> {
    let mut all = Vec::new();
    let mut rest = stored;
    for piece in pieces.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let input = reader.input();
        let n = input.len().min(*piece).min(rest.len());
        input[..n].copy_from_slice(&rest[..n]);
        rest = &rest[n..];
        reader.process(n)?;
        loop {
            let bytes = reader.output()?;
            if bytes.is_empty() {
                break;
            }
            all.extend_from_slice(bytes);
        }
    }
    Ok((all, reader.finish()?))
}

/// One gzip member (RFC 1952) with any of the optional fields of its header.
fn member(text: &[u8], level: u8, flags: u8) -> Vec<u8> {
    let mut bytes = vec![0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 3];
    if flags & 4 != 0 {
        bytes.extend_from_slice(b"\x05\0extra");
    }
    if flags & 8 != 0 {
        bytes.extend_from_slice(b"name\0");
    }
    if flags & 16 != 0 {
        bytes.extend_from_slice(b"comment\0");
    }
    if flags & 2 != 0 {
        let crc = crc32fast::hash(&bytes) as u16;
        bytes.extend_from_slice(&crc.to_le_bytes());
    }
    bytes.extend(compress_to_vec(text, level));
    bytes.extend_from_slice(&crc32fast::hash(text).to_le_bytes());
    bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
    bytes
}

/// A JSON object on one line.
fn record() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    let value = leaf.prop_recursive(3, 20, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(serde_json::Value::from),
            vec((any::<String>(), inner), 0..5)
                .prop_map(|pairs| serde_json::Value::Object(pairs.into_iter().collect())),
        ]
    });
    vec((any::<String>(), value), 0..4).prop_map(|pairs| {
        let object: serde_json::Map<_, _> = pairs.into_iter().collect();
        serde_json::Value::Object(object).to_string() + "\n"
    })
}

/// `text` as gzip members that begin and end anywhere, in the middle of a character too, and may hold nothing.
fn gzip(text: &[u8], cuts: &[(prop::sample::Index, u8, u8)]) -> Vec<u8> {
    let mut ends: Vec<usize> = cuts.iter().map(|c| c.0.index(text.len() + 1)).collect();
    ends.sort_unstable();
    ends.push(text.len());
    let mut start = 0;
    let mut file = Vec::new();
    for (end, (_, level, flags)) in ends.into_iter().zip(cuts.iter().cycle()) {
        file.extend(member(&text[start..end], *level, flags & 0b11110));
        start = end;
    }
    file
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_pieces_do_not_show_in_the_file(
        key: [u8; 32], salt: [u8; 16], seed: u64, size in size(), written in pieces(), read_in in pieces(), buffer in 1..400_000usize,
    ) {
        let plain = bytes(seed, size);
        let stored = sealed(key, salt, &plain, &written);
        prop_assert_eq!(stored.len(), HEADER + size.div_ceil(CHUNK) * FRAME + size);
        prop_assert!(stored == sealed(key, salt, &plain, &[usize::MAX]));
        let options = ReadOptions { buffer, ..ReadOptions::default() };
        prop_assert!(read(sealed_reader(key, options), &stored, &read_in).unwrap().0 == plain);
    }

    #[test]
    fn a_key_that_differs_in_one_bit_opens_nothing(
        key: [u8; 32], salt: [u8; 16], bit in 0..256usize, seed: u64, size in 1..2 * CHUNK,
    ) {
        let stored = sealed(key, salt, &bytes(seed, size), &[usize::MAX]);
        let mut other = key;
        other[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(read(sealed_reader(other, ReadOptions::default()), &stored, &[usize::MAX]).is_err());
    }

    #[test]
    fn records_come_back_from_sealed_gzip_members(
        records in vec(record(), 0..60), copies in 1..40usize,
        cuts in vec((any::<prop::sample::Index>(), 0..=9u8, any::<u8>()), 1..5),
        key: [u8; 32], salt: [u8; 16], read_in in pieces(), buffer in 1..200_000usize,
    ) {
        let text = records.concat().repeat(copies);
        let file = gzip(text.as_bytes(), &cuts);
        let stored = sealed(key, salt, &file, &[usize::MAX]);
        let options = ReadOptions { gunzip: true, lines: true, buffer };
        for (reader, bytes) in [
            (sealed_reader(key, options), &stored),
            (FileReader::cleartext(options), &file),
        ] {
            let (opened, summary) = read(reader, bytes, &read_in).unwrap();
            prop_assert!(opened == text.as_bytes());
            prop_assert_eq!(summary.records, Some((records.len() * copies) as u64));
            prop_assert_eq!(summary.content_size, file.len() as u64);
            prop_assert_eq!(summary.output_size, text.len() as u64);
        }
        let untouched = ReadOptions { buffer, ..ReadOptions::default() };
        prop_assert!(read(sealed_reader(key, untouched), &stored, &read_in).unwrap().0 == file);
        let plain = sealed(key, salt, text.as_bytes(), &[usize::MAX]);
        let lines = ReadOptions { lines: true, buffer, ..ReadOptions::default() };
        let (_, summary) = read(sealed_reader(key, lines), &plain, &read_in).unwrap();
        prop_assert_eq!(summary.records, Some((records.len() * copies) as u64));
    }
}
