//! Incremental gzip (RFC 1952) of any number of members, as several compressors one after another write it.

use std::ops::Range;

use miniz_oxide::inflate::{
    TINFLStatus,
    core::{DecompressorOxide, decompress, inflate_flags::TINFL_FLAG_HAS_MORE_INPUT},
};

use crate::{Code, Error, Result, crc::Crc32, limits::INFLATION};

/// Sizes of the ring that inflated bytes pass through; powers of two, at least deflate's 32 KiB window.
const SMALLEST_RING: usize = 32 * 1024;
const LARGEST_RING: usize = 256 * 1024;

/// Inflates a gzip file piece by piece; checks the CRC and length of every member.
pub struct Gunzip {
    stage: Stage,
    inflater: Box<DecompressorOxide>,
    ring: Vec<u8>,
    at: usize,
    crc: Crc32,
    size: u32,
    pending: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Before the first member.
    Start,
    /// Between two members: the file may end here.
    Between,
    Body,
    Trailer,
}

impl Gunzip {
    /// `stored`: about how many bytes there are to inflate. Any number inflates all the same; a ring for few is made faster.
    pub fn new(stored: usize) -> Self {
        let ring = stored.saturating_mul(INFLATION).min(LARGEST_RING);
        Gunzip {
            stage: Stage::Start,
            inflater: Box::default(),
            ring: vec![0; ring.next_power_of_two().max(SMALLEST_RING)],
            at: 0,
            crc: Crc32::new(),
            size: 0,
            pending: Vec::new(),
        }
    }

    /// Begins another file.
    pub fn restart(&mut self) {
        self.stage = Stage::Start;
        self.pending.clear();
    }

    /// Takes some of `input` and makes at most 256 KiB of inflated bytes: how many it took, and where [`Gunzip::inflated`] has
    /// the made ones. Call again with the rest until both are nothing.
    pub fn step(&mut self, input: &[u8]) -> Result<(usize, Range<usize>)> {
        let mut used = 0;
        loop {
            match self.stage {
                Stage::Start | Stage::Between => {
                    if used == input.len() {
                        return Ok((used, 0..0));
                    }
                    let before = self.pending.len();
                    // Headers are short: they are gathered whole before they are read.
                    let take = (input.len() - used).min(64 * 1024);
                    self.pending.extend_from_slice(&input[used..used + take]);
                    match member_header(&self.pending)? {
                        Some(length) => {
                            used += length - before;
                            self.begin_member();
                        }
                        None if self.pending.len() > 128 * 1024 => return Err(not_gzip()),
                        None => used += take,
                    }
                }
                Stage::Body => {
                    let start = self.at;
                    let (status, taken, made) = decompress(
                        &mut self.inflater,
                        &input[used..],
                        &mut self.ring,
                        start,
                        TINFL_FLAG_HAS_MORE_INPUT,
                    );
                    used += taken;
                    match status {
                        TINFLStatus::Done => self.stage = Stage::Trailer,
                        TINFLStatus::NeedsMoreInput | TINFLStatus::HasMoreOutput => {}
                        _ => {
                            return Err(Code::GzipBroken.into());
                        }
                    }
                    self.crc.update(&self.ring[start..start + made]);
                    self.size = self.size.wrapping_add(made as u32);
                    self.at = (start + made) & (self.ring.len() - 1);
                    if made > 0 {
                        return Ok((used, start..start + made));
                    }
                    if status == TINFLStatus::NeedsMoreInput {
                        return Ok((used, 0..0));
                    }
                }
                Stage::Trailer => {
                    let take = (8 - self.pending.len()).min(input.len() - used);
                    self.pending.extend_from_slice(&input[used..used + take]);
                    used += take;
                    if self.pending.len() < 8 {
                        return Ok((used, 0..0));
                    }
                    self.end_member()?;
                }
            }
        }
    }

    /// The bytes that the last [`Gunzip::step`] made.
    pub fn inflated(&self, made: Range<usize>) -> &[u8] {
        &self.ring[made]
    }

    /// To be called at the end of the file: an error when a member is cut or there is none at all.
    pub fn finish(&self) -> Result<()> {
        if self.stage == Stage::Between && self.pending.is_empty() {
            Ok(())
        } else {
            Err(Code::GzipCut.into())
        }
    }

    fn begin_member(&mut self) {
        self.stage = Stage::Body;
        self.pending.clear();
        self.inflater.init();
        self.at = 0;
        self.crc = Crc32::new();
        self.size = 0;
    }

    fn end_member(&mut self) -> Result<()> {
        let word = |i: usize| {
            u32::from_le_bytes([
                self.pending[i],
                self.pending[i + 1],
                self.pending[i + 2],
                self.pending[i + 3],
            ])
        };
        if word(0) != self.crc.value() || word(4) != self.size {
            return Err(Code::GzipChecksum.into());
        }
        self.pending.clear();
        self.stage = Stage::Between;
        Ok(())
    }
}

fn not_gzip() -> Error {
    Code::GzipMissing.into()
}

/// Length of the member header at the front of `bytes`, `None` while more bytes are needed.
fn member_header(bytes: &[u8]) -> Result<Option<usize>> {
    const HCRC: u8 = 2;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    let probe = bytes.len().min(3);
    if bytes[..probe] != [0x1f, 0x8b, 8][..probe] {
        return Err(not_gzip());
    }
    let Some(&flags) = bytes.get(3) else {
        return Ok(None);
    };
    let mut at = 10;
    if flags & EXTRA != 0 {
        let Some(length) = bytes.get(at..at + 2) else {
            return Ok(None);
        };
        at += 2 + u16::from_le_bytes([length[0], length[1]]) as usize;
    }
    for flag in [NAME, COMMENT] {
        if flags & flag != 0 {
            let Some(end) = bytes
                .get(at..)
                .and_then(|rest| rest.iter().position(|b| *b == 0))
            else {
                return Ok(None);
            };
            at += end + 1;
        }
    }
    if flags & HCRC != 0 {
        at += 2;
    }
    Ok((bytes.len() >= at).then_some(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two members with stored blocks, made by hand so that no compressor is needed here.
    fn member(text: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
        bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
        bytes.extend_from_slice(&(!(text.len() as u16)).to_le_bytes());
        bytes.extend_from_slice(text);
        bytes.extend_from_slice(&crc32fast::hash(text).to_le_bytes());
        bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
        bytes
    }

    fn inflate(file: &[u8], piece: usize) -> Result<Vec<u8>> {
        let mut gunzip = Gunzip::new(piece);
        let mut out = Vec::new();
        for chunk in file.chunks(piece) {
            let mut at = 0;
            loop {
                let (used, made) = gunzip.step(&chunk[at..])?;
                at += used;
                let nothing = used == 0 && made.is_empty();
                out.extend_from_slice(gunzip.inflated(made));
                if nothing {
                    break;
                }
            }
        }
        gunzip.finish()?;
        Ok(out)
    }

    #[test]
    fn members_one_after_another_are_one_file() {
        let file = [member(b"hello "), member(b""), member(b"world")].concat();
        for piece in 1..file.len() {
            assert_eq!(
                inflate(&file, piece).unwrap(),
                b"hello world",
                "pieces of {piece}"
            );
        }
    }

    /// Copies reach back over the whole window, whatever the ring's size.
    #[test]
    fn any_ring_holds_the_window() {
        let mut state = 1u32;
        let noise: Vec<u8> = (0..32_000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        let text = noise.repeat(20);
        let packed = miniz_oxide::deflate::compress_to_vec(&text, 6);
        assert!(packed.len() < noise.len() * 2);
        let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
        file.extend_from_slice(&packed);
        file.extend_from_slice(&crc32fast::hash(&text).to_le_bytes());
        file.extend_from_slice(&(text.len() as u32).to_le_bytes());
        for piece in [100, 5000, 1 << 20] {
            assert!(inflate(&file, piece).unwrap() == text, "pieces of {piece}");
        }
    }

    #[test]
    fn every_cut_and_every_flipped_byte_of_the_checked_parts_is_noticed() {
        let file = member(b"hello");
        for cut in 1..file.len() {
            assert!(inflate(&file[..cut], 7).is_err(), "cut at {cut}");
        }
        for at in 15..file.len() {
            let mut bad = file.clone();
            bad[at] ^= 1;
            assert!(inflate(&bad, 7).is_err(), "flip at {at}");
        }
    }
}
