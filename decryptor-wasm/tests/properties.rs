//! What holds for any content, cut into any pieces.
#![allow(clippy::unwrap_used)]

use decryptor_wasm::{
    DataKey, Error,
    aead::RustAead,
    container::{CHUNK, Encoder},
    reader::{FileReader, FileSummary, ReadOptions},
};
use libdeflater::{CompressionLvl, Compressor};
use proptest::{collection::vec, prelude::*};

fn key() -> DataKey {
    DataKey::from_bytes([9; 32])
}

/// Sizes around the borders of frames.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let sizes = prop_oneof![
        0..300usize,
        CHUNK - 2..CHUNK + 3,
        2 * CHUNK - 1..2 * CHUNK + 2,
        0..3 * CHUNK,
    ];
    (sizes, any::<u8>()).prop_map(|(size, seed)| {
        (0..size)
            .map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed) ^ (i >> 8) as u8)
            .collect()
    })
}

fn pieces() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![1..5usize, 1..2000usize, 1..100_000usize], 1..40)
}

/// The pieces of `bytes`, of these sizes in turn.
fn cut<'a>(bytes: &'a [u8], sizes: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut at = 0;
    let mut turn = sizes.iter().cycle();
    std::iter::from_fn(move || {
        let size = (*turn.next()?).min(bytes.len() - at);
        let piece = &bytes[at..at + size];
        at += size;
        (size > 0).then_some(piece)
    })
}

fn seal(content: &[u8], sizes: &[usize]) -> Vec<u8> {
    let mut encoder = Encoder::new(&key(), [3; 16]);
    let mut out = Vec::new();
    cut(content, sizes).for_each(|piece| encoder.push(piece, &mut out));
    encoder.finish(&mut out);
    out
}

fn read(
    stored: &[u8],
    sizes: &[usize],
    options: ReadOptions,
) -> Result<(Vec<u8>, FileSummary), (Vec<u8>, Error)> {
    let mut reader = FileReader::sealed(key(), options, |key| Ok(RustAead::new(key)));
    let mut out = Vec::new();
    for mut piece in cut(stored, sizes) {
        while !piece.is_empty() {
            let input = reader.input();
            let n = piece.len().min(input.len());
            input[..n].copy_from_slice(&piece[..n]);
            piece = &piece[n..];
            let processed = reader.process(n);
            loop {
                match reader.output() {
                    Ok([]) => break,
                    Ok(bytes) => out.extend_from_slice(bytes),
                    Err(error) => return Err((out, error)),
                }
            }
            if let Err(error) = processed {
                return Err((out, error));
            }
        }
    }
    match reader.finish() {
        Ok(summary) => Ok((out, summary)),
        Err(error) => Err((out, error)),
    }
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut compressor = Compressor::new(CompressionLvl::default());
    let mut out = vec![0; compressor.gzip_compress_bound(plain.len())];
    let length = compressor.gzip_compress(plain, &mut out).unwrap();
    out.truncate(length);
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn sealed_in_pieces_and_opened_in_pieces_is_what_it_was(
        content in content(), sealing in pieces(), opening in pieces(), buffer in 64..200_000usize,
    ) {
        let stored = seal(&content, &sealing);
        let (opened, summary) = read(&stored, &opening, ReadOptions { buffer, ..ReadOptions::default() }).unwrap();
        prop_assert!(opened == content);
        prop_assert_eq!(summary.stored_size, stored.len() as u64);
        prop_assert_eq!(summary.content_size, content.len() as u64);
    }

    #[test]
    fn a_cut_file_gives_its_beginning_and_an_error_unless_cut_between_frames(
        content in content(), opening in pieces(), at in any::<prop::sample::Index>(),
    ) {
        let stored = seal(&content, &[usize::MAX]);
        let cut = at.index(stored.len());
        let header = 67;
        let frame = 4 + CHUNK + 16;
        match read(&stored[..cut], &opening, ReadOptions::default()) {
            Ok((opened, _)) => {
                prop_assert!(cut >= header && (cut - header).is_multiple_of(frame), "cut at {}", cut);
                prop_assert!(content.starts_with(&opened));
            }
            Err((opened, _)) => prop_assert!(content.starts_with(&opened)),
        }
    }

    #[test]
    fn a_changed_byte_is_an_error_after_what_stood_before_it(
        content in content().prop_filter("has a frame", |c| !c.is_empty()), opening in pieces(),
        at in any::<prop::sample::Index>(), flip in 1..=255u8,
    ) {
        let mut stored = seal(&content, &[usize::MAX]);
        let at = at.index(stored.len());
        stored[at] ^= flip;
        match read(&stored, &opening, ReadOptions::default()) {
            Err((opened, _)) => {
                prop_assert!(content.starts_with(&opened));
                prop_assert!(opened.len() <= at);
            }
            // Another frame size changes nothing in a file of one frame; `judge` refuses it all the same.
            Ok((opened, summary)) => {
                prop_assert!(opened == content);
                prop_assert!(summary.chunk != Some(CHUNK));
            }
        }
    }

    #[test]
    fn records_in_any_number_of_members_come_out_and_are_counted(
        members in vec(vec(0..100_000u32, 0..400), 0..6), opening in pieces(), buffer in 64..200_000usize,
    ) {
        let text = |ids: &Vec<u32>| ids.iter().map(|id| format!("{{\"id\":{id},\"text\":\"é\"}}\n")).collect::<String>();
        let plain: String = members.iter().map(text).collect();
        let mut content: Vec<u8> = members.iter().flat_map(|ids| gzip(text(ids).as_bytes())).collect();
        if members.is_empty() {
            content = gzip(b"");
        }
        let stored = seal(&content, &[usize::MAX]);
        let options = ReadOptions { gunzip: true, lines: true, buffer };
        let (opened, summary) = read(&stored, &opening, options).unwrap();
        prop_assert!(opened == plain.as_bytes());
        prop_assert_eq!(summary.records, Some(members.iter().map(|m| m.len() as u64).sum()));
    }
}
