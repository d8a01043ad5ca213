//! Exhaustive: every flipped bit and every cut of sealed files is noticed with the data key alone, but for cuts between two frames,
//! which the inventory notices.
#![allow(clippy::unwrap_used, clippy::panic)]

use decryptor_wasm::{
    DataKey, Error, FileEntry,
    aead::RustAead,
    container::{CHUNK, Encoder, Header, TAG_LEN},
    plan::{Expected, check_against_inventory},
    reader::{FileReader, FileSummary, ReadOptions, read_whole},
};

/// Stored bytes of the header of our files.
const HEADER: usize = 12 + 55;

fn key() -> DataKey {
    DataKey::from_bytes([0x5a; 32])
}

fn open(stored: &[u8]) -> Result<(Vec<u8>, FileSummary), Error> {
    let options = ReadOptions {
        buffer: stored.len() + 1,
        ..ReadOptions::default()
    };
    let reader = FileReader::sealed(key(), options, |k| Ok(RustAead::new(k)));
    read_whole(reader, stored)
}

/// A file of frames of `chunk` bytes, as the format allows any size.
fn sealed_in(chunk: usize, plain: &[u8]) -> Vec<u8> {
    let header = Header {
        salt: [0xa5; 16],
        chunk,
    };
    let aead = RustAead::new(&key().file_key(&header.salt));
    let mut stored = header.to_bytes();
    for (index, frame) in plain.chunks(chunk).enumerate() {
        stored.extend_from_slice(&((frame.len() + TAG_LEN) as u32).to_be_bytes());
        aead.seal(index as u64, frame, &mut stored);
    }
    stored
}

/// Where a file of such frames may be cut so that whole frames remain.
fn boundaries(stored: &[u8], chunk: usize) -> Vec<usize> {
    let header = 12 + u32::from_be_bytes(stored[8..12].try_into().unwrap()) as usize;
    (header..stored.len())
        .step_by(4 + chunk + TAG_LEN)
        .collect()
}

#[test]
fn every_bit_and_every_cut_of_small_frames() {
    // Last frames that are full, hold one byte, or lie between.
    for (chunk, length) in [(16, 48), (16, 33), (16, 39), (500, 1100)] {
        let plain: Vec<u8> = (0..length).map(|i| i as u8).collect();
        let stored = sealed_in(chunk, &plain);
        assert_eq!(open(&stored).unwrap().0, plain);
        let mut flips = 0;
        for at in 0..stored.len() {
            for bit in 0..8 {
                let mut bad = stored.clone();
                bad[at] ^= 1 << bit;
                assert!(open(&bad).is_err(), "byte {at}, bit {bit}");
                flips += 1;
            }
        }
        assert_eq!(flips, stored.len() * 8);
        let unnoticed: Vec<usize> = (0..stored.len())
            .filter(|cut| *cut > 0 && open(&stored[..*cut]).is_ok())
            .collect();
        assert_eq!(unnoticed, boundaries(&stored, chunk));
        for more in [&[0][..], &[0; 4], &stored[stored.len() - 21..]] {
            assert!(open(&[&stored, more].concat()).is_err(), "{more:?} added");
        }
    }
}

/// JSON allows many; the header has no tag, so that only one may be read.
#[test]
fn other_spellings_of_the_header() {
    let stored = sealed_in(16, &[7; 40]);
    let start = boundaries(&stored, 16)[0];
    let spelled = |json: &str| {
        let length = (json.len() as u32).to_be_bytes();
        [
            b"PRYVBKE1",
            length.as_slice(),
            json.as_bytes(),
            &stored[start..],
        ]
        .concat()
    };
    let json = std::str::from_utf8(&stored[12..start]).unwrap();
    assert_eq!(spelled(json), stored);
    assert!(open(&stored).is_ok());
    let salt = &json[7..json.len() - 12];
    for other in [
        format!("{json} "),
        json.replace(':', ": "),
        json.replace("\"v\":1", "\"v\":1,\"w\":2"),
        json.replace("chunk", "chun\\u006b"),
        format!("{{\"chunk\":16,{salt},\"v\":1}}"),
    ] {
        let parsed: serde_json::Value = serde_json::from_str(&other).unwrap();
        assert_eq!(parsed["chunk"], 16, "{other}");
        assert!(open(&spelled(&other)).is_err(), "{other}");
    }
}

#[test]
fn every_frame_in_another_place() {
    let stored = sealed_in(16, &[7; 64]);
    let frame = 4 + 16 + TAG_LEN;
    let start = stored.len() - 4 * frame;
    let frames: Vec<&[u8]> = stored[start..].chunks(frame).collect();
    let header = &stored[..start];
    for from in 0..4 {
        for to in 0..4 {
            let mut swapped = frames.clone();
            swapped.swap(from, to);
            let mut doubled = frames.clone();
            doubled.insert(to, frames[from]);
            let mut dropped = frames.clone();
            dropped.remove(from);
            assert_eq!(
                open(&[header, &swapped.concat()].concat()).is_err(),
                from != to
            );
            assert!(open(&[header, &doubled.concat()].concat()).is_err());
            // Without its last frame a file is cut between frames; that is the inventory's to tell.
            assert_eq!(
                open(&[header, &dropped.concat()].concat()).is_err(),
                from != 3
            );
        }
    }
}

/// A file as we write them, of two frames, with its inventory entry but without its digest: it must do without.
#[test]
fn flips_and_cuts_of_a_real_file() {
    let plain: Vec<u8> = (0..CHUNK + 40).map(|i| (i % 251) as u8).collect();
    let mut stored = Vec::new();
    let mut encoder = Encoder::new(&key(), [0xa5; 16]);
    encoder.push(&plain, &mut stored);
    encoder.finish(&mut stored);
    let (opened, summary) = open(&stored).unwrap();
    assert!(opened == plain);
    let expected = FileEntry {
        path: "x".into(),
        size: stored.len() as u64,
        sha256: String::new(),
        salt: summary.salt.clone(),
        content_size: plain.len() as u64,
        content_sha256: None,
        records: None,
    };
    let expected = Expected::from(&expected);
    check_against_inventory(&expected, &summary, None, false).unwrap();
    let noticed = |file: &[u8]| match open(file) {
        Err(_) => true,
        Ok((_, summary)) => check_against_inventory(&expected, &summary, None, false).is_err(),
    };

    let second = boundaries(&stored, CHUNK)[1];
    // Everywhere but in the midst of the first frame, where one byte in sixty-four stands for them.
    let mere = HEADER + 20..second - 32;
    let places = || (0..stored.len()).filter(|at| !mere.contains(at) || at % 64 == at / 64 % 64);
    let mut bad = stored.clone();
    for at in places() {
        let bits = if mere.contains(&at) {
            at % 8..at % 8 + 1
        } else {
            0..8
        };
        for bit in bits {
            bad[at] ^= 1 << bit;
            assert!(noticed(&bad), "byte {at}, bit {bit}");
            bad[at] ^= 1 << bit;
        }
    }
    assert!(bad == stored);
    for cut in places() {
        let opened = open(&stored[..cut]);
        let boundary = cut == HEADER || cut == second;
        assert_eq!(opened.is_ok(), boundary, "cut at {cut}");
        let told = opened
            .is_ok_and(|(_, cut)| check_against_inventory(&expected, &cut, None, false).is_err());
        assert_eq!(told, boundary, "cut at {cut}: the inventory's part");
    }
}
