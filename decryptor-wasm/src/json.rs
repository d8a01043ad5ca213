//! Finds the ends of JSON values (RFC 8259). Text that is accepted here is JSON. Text that is refused may be JSON all the same, nested deeper
//! than this module follows: `serde_json` decides and explains. The caller checks that strings are UTF-8.

use crate::limits::MAX_DEPTH;

/// Whether all of `bytes` is one value.
#[must_use]
pub fn is_value(bytes: &[u8]) -> bool {
    let start = space(bytes, 0);
    value(bytes, start, MAX_DEPTH).is_some_and(|end| space(bytes, end) == bytes.len())
}

/// Hands over the name, in its quotes, and the value of each member of an object. None where `text` is no object.
#[must_use]
pub fn members<'a>(text: &'a str, mut each: impl FnMut(&'a str, &'a str)) -> Option<()> {
    let bytes = text.as_bytes();
    let end = object(bytes, space(bytes, 0), MAX_DEPTH, |name, value| {
        each(text.get(name.0..name.1)?, text.get(value.0..value.1)?);
        Some(())
    })?;
    (space(bytes, end) == bytes.len()).then_some(())
}

/// The items of a list, one after another; an error ends the list.
#[must_use]
pub fn items(text: &str) -> Option<Items<'_>> {
    let start = space(text.as_bytes(), 0);
    is(text.as_bytes(), start, b'[')?;
    Some(Items {
        text,
        at: start,
        ended: false,
    })
}

/// See [`items`].
pub struct Items<'a> {
    text: &'a str,
    /// Of the bracket or comma before the next item.
    at: usize,
    ended: bool,
}

/// The list does not go on as a list does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl<'a> Items<'a> {
    fn step(&mut self) -> Option<Option<&'a str>> {
        let bytes = self.text.as_bytes();
        let start = space(bytes, self.at + 1);
        let first = bytes.get(self.at) == Some(&b'[');
        if first && bytes.get(start) == Some(&b']') {
            return self.end(start);
        }
        if bytes.get(self.at) == Some(&b']') {
            return self.end(self.at);
        }
        let end = value(bytes, start, MAX_DEPTH - 1)?;
        self.at = space(bytes, end);
        matches!(bytes.get(self.at), Some(b',' | b']')).then_some(())?;
        self.text.get(start..end).map(Some)
    }

    fn end(&self, bracket: usize) -> Option<Option<&'a str>> {
        let bytes = self.text.as_bytes();
        (space(bytes, bracket + 1) == bytes.len()).then_some(None)
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<&'a str, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let step = self.step();
        self.ended = !matches!(step, Some(Some(_)));
        match step {
            Some(item) => item.map(Ok),
            None => Some(Err(Malformed)),
        }
    }
}

fn space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

fn is(bytes: &[u8], at: usize, byte: u8) -> Option<usize> {
    (bytes.get(at) == Some(&byte)).then_some(at + 1)
}

/// The end of the value that begins at `at`.
fn value(bytes: &[u8], at: usize, depth: u32) -> Option<usize> {
    match bytes.get(at)? {
        b'"' => string(bytes, at + 1),
        b'{' => object(bytes, at, depth, |_, _| Some(())),
        b'[' => list(bytes, at, depth),
        b't' => literal(bytes, at, b"true"),
        b'f' => literal(bytes, at, b"false"),
        b'n' => literal(bytes, at, b"null"),
        _ => number(bytes, at),
    }
}

fn literal(bytes: &[u8], at: usize, text: &[u8]) -> Option<usize> {
    bytes.get(at..)?.starts_with(text).then(|| at + text.len())
}

type Span = (usize, usize);

fn object(
    bytes: &[u8],
    at: usize,
    depth: u32,
    mut each: impl FnMut(Span, Span) -> Option<()>,
) -> Option<usize> {
    let depth = depth.checked_sub(1)?;
    let mut at = space(bytes, is(bytes, at, b'{')?);
    if let Some(end) = is(bytes, at, b'}') {
        return Some(end);
    }
    loop {
        let named = string(bytes, is(bytes, at, b'"')?)?;
        let start = space(bytes, is(bytes, space(bytes, named), b':')?);
        let end = value(bytes, start, depth)?;
        each((at, named), (start, end))?;
        let after = space(bytes, end);
        if let Some(end) = is(bytes, after, b'}') {
            return Some(end);
        }
        at = space(bytes, is(bytes, after, b',')?);
    }
}

fn list(bytes: &[u8], at: usize, depth: u32) -> Option<usize> {
    let depth = depth.checked_sub(1)?;
    let mut at = space(bytes, is(bytes, at, b'[')?);
    if let Some(end) = is(bytes, at, b']') {
        return Some(end);
    }
    loop {
        let after = space(bytes, value(bytes, at, depth)?);
        if let Some(end) = is(bytes, after, b']') {
            return Some(end);
        }
        at = space(bytes, is(bytes, after, b',')?);
    }
}

fn digits(bytes: &[u8], mut at: usize) -> Option<usize> {
    let start = at;
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    (at > start).then_some(at)
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let whole = is(bytes, at, b'-').unwrap_or(at);
    let mut end = digits(bytes, whole)?;
    if end > whole + 1 && bytes.get(whole) == Some(&b'0') {
        return None;
    }
    if let Some(fraction) = is(bytes, end, b'.') {
        end = digits(bytes, fraction)?;
    }
    if let Some(b'e' | b'E') = bytes.get(end) {
        let signed = matches!(bytes.get(end + 1), Some(b'+' | b'-'));
        end = digits(bytes, end + 1 + usize::from(signed))?;
    }
    Some(end)
}

/// The end of the string whose inside begins at `at`.
fn string(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        // Eight bytes at once.
        while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
            match special(u64::from_le_bytes(*word)) {
                0 => at += 8,
                marks => {
                    at += marks.trailing_zeros() as usize / 8;
                    break;
                }
            }
        }
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at = escape(bytes, at + 1)?,
            0..0x20 => return None,
            _ => at += 1,
        }
    }
}

/// Whether a text is visible ASCII without quotes and backslashes, so that a string holds it unchanged.
#[must_use]
pub fn is_plain(text: &str) -> bool {
    let (words, rest) = text.as_bytes().as_chunks::<8>();
    let plain = |b: &u8| (0x20..0x7f).contains(b) && *b != b'"' && *b != b'\\';
    words.iter().all(|word| {
        let word = u64::from_le_bytes(*word);
        let deleted = zero(word ^ (ONES * 0x7f));
        (special(word) | ((word | deleted) & TOPS)) == 0
    }) && rest.iter().all(plain)
}

const ONES: u64 = 0x0101_0101_0101_0101;
const TOPS: u64 = 0x8080_8080_8080_8080;

/// Of a word without bytes that are no ASCII, the top bits: set in the first byte that is zero, and not before.
fn zero(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word
}

/// Marks in a word; the lowest is that of the first byte which is a quote, a backslash or a control character.
fn special(word: u64) -> u64 {
    let quote = zero(word ^ (ONES * 0x22));
    let backslash = zero(word ^ (ONES * 0x5c));
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (quote | backslash | control) & TOPS
}

fn escape(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 1),
        b'u' => {
            let hex = bytes.get(at + 1..at + 5)?;
            hex.iter().all(u8::is_ascii_hexdigit).then_some(at + 5)
        }
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde::de::IgnoredAny;
    use serde_json::value::RawValue;

    const SEEDS: [&str; 8] = [
        r#"{"id":"cabc","streamIds":["a","b"],"time":1.5e3,"content":{"x":[1,-0.5,null,true,false,{}],"y":[]},"z":""}"#,
        "  {\"a\" : \"\\u00e9\\n\\\"\\\\/\" , \"é\":\t[ 1 , 2 ] }\r\n",
        "[]",
        " [ [ ], {} , \"abcdefgh\", \"abcdefghi\\u12aF\" ] ",
        "-0",
        "1e+10",
        "\"text of more than eight bytes, and \u{1F600} characters of several\"",
        "null",
    ];

    /// Everything that is accepted here `serde_json` accepts too; and nothing is refused that is not damaged.
    #[test]
    fn accepts_what_is_json() {
        let mut random = 88_172_645_463_325_252_u64;
        let mut next = |below: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random % below as u64) as usize
        };
        const BYTES: &[u8] = b"{}[]\",:\\u0123eE+-.tfn \n\x1f\x7fa";
        let (mut good, mut bad) = (0, 0);
        for round in 0..200_000 {
            let mut text = SEEDS[round % SEEDS.len()].as_bytes().to_vec();
            for _ in 0..round % 4 {
                let at = next(text.len());
                match next(3) {
                    0 => text[at] = BYTES[next(BYTES.len())],
                    1 => text.insert(at, BYTES[next(BYTES.len())]),
                    _ => drop(text.remove(at)),
                }
                if text.is_empty() {
                    text.push(b'1');
                }
            }
            let due = serde_json::from_slice::<IgnoredAny>(&text).is_ok();
            let shown = String::from_utf8_lossy(&text);
            assert_eq!(is_value(&text), due, "{shown}");
            *(if due { &mut good } else { &mut bad }) += 1;
        }
        assert!(good > 20_000 && bad > 20_000, "{good} {bad}");
    }

    #[test]
    fn plain_is_what_has_nothing_to_escape() {
        for byte in 0..=0x7f_u8 {
            for length in 1..20 {
                for at in 0..length {
                    let mut text = vec![b'~'; length];
                    text[at] = byte;
                    let due = (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
                    let text = String::from_utf8(text).unwrap();
                    assert_eq!(is_plain(&text), due, "{text:?}");
                }
            }
        }
        assert!(is_plain(""));
        assert!(!is_plain("abcdefg\u{e9}"));
        assert!(!is_plain("\u{e9}"));
    }

    #[test]
    fn too_deep_is_for_others_to_judge() {
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(is_value(deep(250).as_bytes()));
        assert!(!is_value(deep(251).as_bytes()));
        assert!(!is_value(deep(1_000_000).as_bytes()));
    }

    #[test]
    fn members_and_items_are_those_of_serde_json() {
        for text in SEEDS {
            let mut found = Vec::new();
            let object = members(text, |name, value| {
                found.push((name.to_owned(), value.to_owned()));
            });
            let due: Result<serde_json::Map<String, serde_json::Value>, _> =
                serde_json::from_str(text);
            assert_eq!(object.is_some(), due.is_ok(), "{text}");
            for (name, value) in &found {
                let name: String = serde_json::from_str(name).unwrap();
                let value: serde_json::Value = serde_json::from_str(value).unwrap();
                assert_eq!(due.as_ref().unwrap()[&name], value);
            }
            let due: Result<Vec<&RawValue>, _> = serde_json::from_str(text);
            let Ok(due) = due else {
                assert!(items(text).is_none());
                continue;
            };
            let found: Vec<&str> = items(text).unwrap().map(Result::unwrap).collect();
            assert_eq!(found, due.iter().map(|raw| raw.get()).collect::<Vec<_>>());
        }
        for text in ["[1", "[1,", "[1,]", "[1 2]", "[1]]", "[,1]"] {
            assert!(items(text).unwrap().any(|item| item.is_err()), "{text}");
        }
    }
}
