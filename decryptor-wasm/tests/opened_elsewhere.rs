//! Frames that the host opened: counted and judged like those that are opened here.
#![allow(clippy::unwrap_used, clippy::panic)]

use decryptor_wasm::{
    DataKey,
    aead::RustAead,
    container::{CHUNK, Encoder},
    reader::{FileReader, ReadOptions},
};

const TAG: usize = 16;

/// A reader that has read the header of a sealed file and whose own cipher is never asked.
fn after_header() -> FileReader<RustAead> {
    let key = DataKey::from_bytes([1; 32]);
    let mut header = Vec::new();
    Encoder::new(&key, [7; 16]).finish(&mut header);
    let mut reader = FileReader::sealed(key, ReadOptions::default(), |key| Ok(RustAead::new(key)));
    reader.input()[..header.len()].copy_from_slice(&header);
    reader.process(header.len()).unwrap();
    reader
}

#[test]
fn frames_are_counted() {
    let mut reader = after_header();
    let header = reader.finish().unwrap().stored_size;
    assert_eq!(reader.frame_opened(CHUNK + TAG, true).unwrap(), CHUNK);
    assert_eq!(reader.frame_opened(5 + TAG, true).unwrap(), 5);
    let summary = reader.finish().unwrap();
    assert_eq!(summary.content_size, CHUNK as u64 + 5);
    assert_eq!(summary.output_size, CHUNK as u64 + 5);
    assert_eq!(
        summary.stored_size,
        header + (4 + CHUNK + TAG + 4 + 5 + TAG) as u64
    );
}

#[test]
fn what_could_not_be_opened_is_refused() {
    let error = after_header().frame_opened(CHUNK + TAG, false).unwrap_err();
    assert!(error.to_string().contains("fails its authentication"));
}

#[test]
fn a_frame_after_a_short_one_or_of_a_wrong_length_is_refused() {
    for (before, length) in [
        (None, TAG),
        (None, CHUNK + TAG + 1),
        (Some(5 + TAG), 5 + TAG),
    ] {
        let mut reader = after_header();
        if let Some(before) = before {
            reader.frame_opened(before, true).unwrap();
        }
        let error = reader.frame_opened(length, true).unwrap_err();
        assert!(error.to_string().contains("impossible length"), "{error}");
    }
}

#[test]
fn no_frame_comes_before_the_header() {
    let mut reader = FileReader::sealed(
        DataKey::from_bytes([1; 32]),
        ReadOptions::default(),
        |key| Ok(RustAead::new(key)),
    );
    assert!(reader.frame_opened(CHUNK + TAG, true).is_err());
}
