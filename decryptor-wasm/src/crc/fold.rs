//! CRC-32 without any instruction for it.

use std::sync::LazyLock;

// The polynomial, bits reversed.
const POLYNOMIAL: u32 = 0xedb8_8320;
const WORD: usize = 8;

/// The share of each byte in the CRC, by the number of bytes that follow it. The table is made at its first use, so that the program does not
/// contain it.
static TABLES: LazyLock<[[u32; 256]; WORD]> = LazyLock::new(|| {
    let mut tables = [[0u32; 256]; WORD];
    for (byte, sum) in (0..).zip(&mut tables[0]) {
        *sum = byte;
        for _ in 0..8 {
            *sum = (*sum >> 1) ^ (POLYNOMIAL & (*sum & 1).wrapping_neg());
        }
    }
    for follow in 1..WORD {
        for byte in 0..256 {
            let before = tables[follow - 1][byte];
            tables[follow][byte] = (before >> 8) ^ tables[0][before as usize & 0xff];
        }
    }
    tables
});

/// Eight bytes at once.
fn by_tables(bytes: &[u8], crc: u32) -> u32 {
    let tables = &*TABLES;
    let (words, rest) = bytes.as_chunks::<WORD>();
    let mut sum = !crc;
    for word in words {
        let bytes = (u64::from_le_bytes(*word) ^ u64::from(sum)).to_le_bytes();
        sum = 0;
        for (byte, table) in bytes.iter().zip(tables.iter().rev()) {
            sum ^= table[usize::from(*byte)];
        }
    }
    for byte in rest {
        sum = (sum >> 8) ^ tables[0][(sum as u8 ^ byte) as usize];
    }
    !sum
}

// With y = x^64 modulo the polynomial of the CRC: y^300 = y^155 + y^117 + y^89 + 1, the shortest such sum of five powers. So a word
// of eight bytes may be taken away when it is added (XOR) to the words that follow it at these distances: the CRC stays the same.
const DISTANCES: [usize; 4] = [145, 183, 211, 300];
const REACH: usize = 300;
/// Words that do not depend on each other, worked on at once.
const STEP: usize = 145;
/// Words that are kept at hand: those that reach on, and those of twelve steps.
const WINDOW: usize = REACH + 12 * STEP;
/// Below this tables are as fast.
const SHORTEST: usize = 4 * REACH * WORD;

/// Of the bytes that gave `crc`, followed by these.
pub(super) fn crc32(bytes: &[u8], crc: u32) -> u32 {
    if bytes.len() < SHORTEST {
        return by_tables(bytes, crc);
    }
    let steps = (bytes.len() / WORD - REACH) / STEP;
    let (gone, rest) = bytes.split_at(steps * STEP * WORD);
    let mut window = [0u64; WINDOW];
    let mut at = REACH;
    // The CRC so far is added to the first bytes.
    let mut first = u64::from(!crc);
    for step in gone.chunks_exact(STEP * WORD) {
        if at == WINDOW {
            window.copy_within(WINDOW - REACH.., 0);
            at = REACH;
        }
        let (before, now) = window.split_at_mut(at);
        let words = step.as_chunks::<WORD>().0;
        let [a, b, c, d] = DISTANCES.map(|distance| before[at - distance..].first_chunk::<STEP>());
        // Of arrays no bound has to be checked; all of them are there.
        if let (Some(a), Some(b), Some(c), Some(d), Some(words), Some(now)) = (
            a,
            b,
            c,
            d,
            words.first_chunk::<STEP>(),
            now.first_chunk_mut::<STEP>(),
        ) {
            for i in 0..STEP {
                now[i] = u64::from_le_bytes(words[i]) ^ a[i] ^ b[i] ^ c[i] ^ d[i];
            }
        }
        window[at] ^= std::mem::take(&mut first);
        at += STEP;
    }
    // The bytes that were removed last change the rest, which is long enough for that.
    let mut last = [0u8; (REACH + STEP + 1) * WORD];
    let last = &mut last[..rest.len()];
    last.copy_from_slice(rest);
    for (k, word) in last
        .as_chunks_mut::<WORD>()
        .0
        .iter_mut()
        .take(REACH)
        .enumerate()
    {
        let added = DISTANCES
            .iter()
            .filter(|&&distance| distance > k)
            .fold(0, |sum, distance| sum ^ window[at + k - distance]);
        *word = (u64::from_le_bytes(*word) ^ added).to_le_bytes();
    }
    by_tables(last, !0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_processor(bytes: &[u8], crc: u32) -> u32 {
        let mut hasher = crc32fast::Hasher::new_with_initial(crc);
        hasher.update(bytes);
        hasher.finalize()
    }

    #[test]
    fn known_values() {
        for (text, crc) in [
            ("", 0),
            ("123456789", 0xcbf4_3926),
            ("The quick brown fox jumps over the lazy dog", 0x414f_a339),
        ] {
            assert_eq!(crc32(text.as_bytes(), 0), crc, "{text}");
        }
        // As gzip and Python's zlib.crc32 say it.
        assert_eq!(crc32(&vec![0; 1_000_000], 0), 0x1279_cb9e);
    }

    /// Whatever the length, and wherever one input ends and the next begins.
    #[test]
    fn folding_is_what_the_processor_says() {
        let mut state = 1u64;
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        })
        .take(200_000)
        .collect();
        let around = |middle: usize| middle.saturating_sub(9)..middle + 10;
        let lengths = (1..40)
            .chain(around(SHORTEST))
            .chain(around((REACH + 9 * STEP) * WORD))
            .chain(around(WINDOW * WORD))
            .chain(around((WINDOW + REACH) * WORD))
            .chain(around(65_536))
            .chain(around(199_990));
        for length in lengths {
            for start in [0, 1, 7] {
                let part = &bytes[start.min(length)..length];
                for crc in [0, 1, 0xffff_ffff, 0x1234_5678] {
                    assert_eq!(
                        crc32(part, crc),
                        by_processor(part, crc),
                        "{start}..{length}"
                    );
                }
            }
        }
    }
}
