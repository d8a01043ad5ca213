//! JSON that every store can hold: no text of it may have the character U+0000, nor half a surrogate pair, which JavaScript allows.

use std::borrow::Cow;

/// Characters that had to be left out or replaced.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Lost {
    /// The character U+0000, which was left out.
    pub nul: bool,
    /// Half a surrogate pair, in whose place U+FFFD is now.
    pub half: bool,
}

/// JSON without what not every store can hold.
pub fn storable<'a>(json: &'a str, lost: &mut Lost) -> Cow<'a, str> {
    // Most texts have no backslash at all.
    let escaped = memchr::memchr(b'\\', json.as_bytes()).is_some();
    if !escaped || !json.contains("\\u") {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        // An escaped backslash before it makes it something else.
        let length = match unit(rest) {
            Some(0) => {
                lost.nul = true;
                rest = &rest[6..];
                continue;
            }
            Some(0xd800..=0xdbff) if matches!(unit(&rest[6..]), Some(0xdc00..=0xdfff)) => 12,
            Some(0xd800..=0xdfff) => {
                lost.half = true;
                out.push('\u{fffd}');
                rest = &rest[6..];
                continue;
            }
            _ => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
        };
        out.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The text of a JSON string; U+FFFD takes the place of half a surrogate pair.
pub fn string(raw: &str) -> String {
    let held = || storable(raw, &mut Lost::default()).into_owned();
    serde_json::from_str(raw)
        .or_else(|_| serde_json::from_str(&held()))
        .unwrap_or_else(|_| raw.trim_matches('"').to_owned())
}

/// The unit that an escape of four digits at the beginning stands for.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_be_held_goes() {
        for (json, held, nul, half) in [
            (
                r#"{"a":"x\u0000y\\u0000\n"}"#,
                r#"{"a":"xy\\u0000\n"}"#,
                true,
                false,
            ),
            (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#, false, false),
            (r#""a\ud83d""#, "\"a\u{fffd}\"", false, true),
            (r#""\ude00\ud83dx""#, "\"\u{fffd}\u{fffd}x\"", false, true),
            (r#""\\ud83d \u00e9""#, r#""\\ud83d \u00e9""#, false, false),
            ("\"\\ué\"", "\"\\ué\"", false, false),
        ] {
            let mut lost = Lost::default();
            assert_eq!(storable(json, &mut lost), held);
            assert_eq!((lost.nul, lost.half), (nul, half), "{json}");
        }
    }
}
