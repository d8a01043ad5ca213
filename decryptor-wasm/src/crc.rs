//! CRC-32 (ISO 3309), of gzip and of ZIP. Processors compute it with carry-less products, which WebAssembly lacks; there long
//! inputs are folded with XOR alone before a table takes the rest.

/// A CRC-32 in the making.
#[derive(Debug, Clone, Copy, Default)]
pub struct Crc32(u32);

impl Crc32 {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on from the CRC of what came before.
    #[cfg(target_arch = "wasm32")]
    pub fn after(crc: u32) -> Self {
        Crc32(crc)
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0 = if cfg!(target_arch = "wasm32") {
            folded(bytes, self.0)
        } else {
            by_table(bytes, self.0)
        };
    }

    /// Of all bytes so far.
    pub fn value(self) -> u32 {
        self.0
    }
}

/// Of several bytes at once by tables, or by the processor's own instructions.
fn by_table(bytes: &[u8], crc: u32) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(crc);
    hasher.update(bytes);
    hasher.finalize()
}

// With y = x^64 modulo the polynomial of the CRC: y^300 = y^155 + y^117 + y^89 + 1, the shortest such sum of five powers. So a word
// of eight bytes may be taken away when it is added (XOR) to the words that follow it at these distances: the CRC stays the same.
const DISTANCES: [usize; 4] = [145, 183, 211, 300];
const REACH: usize = 300;
/// Words that do not depend on each other, worked on at once.
const STEP: usize = 145;
const WORD: usize = 8;
/// Words that are kept at hand: those that reach on, and those of twelve steps.
const WINDOW: usize = REACH + 12 * STEP;
/// Below this the table is as fast.
const SHORTEST: usize = 4 * REACH * WORD;

fn folded(bytes: &[u8], crc: u32) -> u32 {
    if bytes.len() < SHORTEST {
        return by_table(bytes, crc);
    }
    let steps = (bytes.len() / WORD - REACH) / STEP;
    let (gone, rest) = bytes.split_at(steps * STEP * WORD);
    let mut window = [0u64; WINDOW];
    let mut at = REACH;
    // What the CRC was is added to the first bytes.
    let mut first = u64::from(!crc);
    for step in gone.chunks_exact(STEP * WORD) {
        if at == WINDOW {
            window.copy_within(WINDOW - REACH.., 0);
            at = REACH;
        }
        let (before, now) = window.split_at_mut(at);
        let [a, b, c, d] = DISTANCES.map(|distance| &before[at - distance..][..STEP]);
        for (i, (word, into)) in step.as_chunks::<WORD>().0.iter().zip(now).enumerate() {
            *into = u64::from_le_bytes(*word) ^ a[i] ^ b[i] ^ c[i] ^ d[i];
        }
        window[at] ^= std::mem::take(&mut first);
        at += STEP;
    }
    // What was taken away last reaches into the rest, which is long enough for it.
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
    by_table(last, !0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        for (text, crc) in [
            ("", 0),
            ("123456789", 0xcbf4_3926),
            ("The quick brown fox jumps over the lazy dog", 0x414f_a339),
        ] {
            let mut sum = Crc32::new();
            sum.update(text.as_bytes());
            assert_eq!(sum.value(), crc, "{text}");
            assert_eq!(folded(text.as_bytes(), 0), crc, "{text}");
        }
        // As gzip and Python's zlib.crc32 say it.
        assert_eq!(folded(&vec![0; 1_000_000], 0), 0x1279_cb9e);
    }

    /// Whatever the length, and wherever one input ends and the next begins.
    #[test]
    fn folding_is_the_table() {
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
        let lengths = around(SHORTEST)
            .chain(around((REACH + 9 * STEP) * WORD))
            .chain(around(WINDOW * WORD))
            .chain(around((WINDOW + REACH) * WORD))
            .chain(around(65_536))
            .chain(around(199_990));
        for length in lengths {
            for start in [0, 1, 7] {
                let part = &bytes[start..length];
                for crc in [0, 1, 0xffff_ffff, 0x1234_5678] {
                    assert_eq!(folded(part, crc), by_table(part, crc), "{start}..{length}");
                }
            }
        }
    }
}
