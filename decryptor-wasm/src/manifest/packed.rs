//! Fields one after the other in few bytes: what there is of each user and of each file, of whom there may be millions. Nothing of it is stored.

/// Items of several bytes each, one after the other.
#[derive(Debug, Clone, Default)]
pub(crate) struct PackedItems {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl PackedItems {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Adds an item, whose bytes `write` appends.
    pub(crate) fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    /// The fields of the item at a place; none of them where there is no such item.
    pub(crate) fn get(&self, at: usize) -> PackedFields<'_> {
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before));
        let start = start.copied().unwrap_or_default();
        let end = self.ends.get(at).copied().unwrap_or_default();
        PackedFields(self.bytes.get(start..end).unwrap_or_default())
    }

    /// Gives back memory that is reserved and not used.
    pub(crate) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

/// Appends a number: seven bits in each byte, the lowest first, all but the last with the highest bit set.
pub(crate) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a text.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Appends a list of texts.
pub(crate) fn put_texts(out: &mut Vec<u8>, texts: &[String]) {
    put_number(out, texts.len() as u64);
    for text in texts {
        put_text(out, text);
    }
}

/// The fields of an item, to be read in the order in which they were written.
pub(crate) struct PackedFields<'a>(&'a [u8]);

impl<'a> PackedFields<'a> {
    pub(crate) fn number(&mut self) -> u64 {
        let (mut number, mut shift) = (0, 0);
        while let Some((byte, rest)) = self.0.split_first() {
            self.0 = rest;
            number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        number
    }

    pub(crate) fn bytes(&mut self, length: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    pub(crate) fn text(&mut self) -> &'a str {
        let length = usize::try_from(self.number()).unwrap_or(usize::MAX);
        std::str::from_utf8(self.bytes(length)).unwrap_or_default()
    }

    pub(crate) fn texts(&mut self) -> Vec<String> {
        let count = self.number();
        let mut texts = Vec::new();
        for _ in 0..count {
            texts.push(self.text().to_owned());
        }
        texts
    }
}
