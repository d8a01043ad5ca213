//! Fields one after the other in few bytes: what there is of each user and of each file, of whom there may be millions. Nothing of it is stored.

/// Items of several bytes each, one after the other, each behind its length.
#[derive(Debug, Clone, Default)]
pub(crate) struct PackedItems {
    bytes: Vec<u8>,
    count: usize,
    /// Where each of these begins: the first, and every [`STEP`]th after it.
    starts: Vec<usize>,
    /// The item that is being written.
    item: Vec<u8>,
}

/// So many items are passed over at most to find one.
const STEP: usize = 16;

impl PackedItems {
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Adds an item, whose bytes `write` appends.
    pub(crate) fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.count.is_multiple_of(STEP) {
            self.starts.push(self.bytes.len());
        }
        self.item.clear();
        write(&mut self.item);
        put_number(&mut self.bytes, self.item.len() as u64);
        self.bytes.extend_from_slice(&self.item);
        self.count += 1;
    }

    /// The fields of the item at a place; none of them where there is no such item.
    pub(crate) fn get(&self, at: usize) -> PackedFields<'_> {
        let start = self.starts.get(at / STEP).copied().unwrap_or(usize::MAX);
        let mut items = PackedFields(self.bytes.get(start..).unwrap_or_default());
        for _ in 0..at % STEP {
            items.item();
        }
        PackedFields(items.item())
    }

    /// Gives back memory that is reserved and not used.
    pub(crate) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.starts.shrink_to_fit();
        self.item = Vec::new();
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
    /// Of bytes that were written so.
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        PackedFields(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

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

    /// The bytes behind their length.
    fn item(&mut self) -> &'a [u8] {
        let length = usize::try_from(self.number()).unwrap_or(usize::MAX);
        self.bytes(length)
    }

    pub(crate) fn text(&mut self) -> &'a str {
        std::str::from_utf8(self.item()).unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_found_at_their_places() {
        let mut items = PackedItems::default();
        let text = |at: usize| "x".repeat(at * 7 % 300);
        for at in 0..100 {
            items.push(|out| put_text(out, &text(at)));
        }
        items.shrink();
        assert_eq!(items.len(), 100);
        for at in 0..100 {
            assert_eq!(items.get(at).text(), text(at), "{at}");
        }
        for none in [100, 111, 112, 10_000] {
            assert_eq!(items.get(none).text(), "");
        }
    }
}
