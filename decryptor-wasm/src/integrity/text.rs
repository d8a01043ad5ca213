//! Numbers and strings as JavaScript writes them.

use std::borrow::Cow;

use crate::json;

/// Digits that a double always holds, so that a number of no more is written as it was.
const EXACT: usize = 15;

/// A JSON number as JavaScript prints it, appended to `out`.
pub(super) fn number(json: &str, out: &mut String) {
    if is_plain(json.as_bytes()) {
        out.push_str(json);
    } else {
        out.push_str(&shown(json.parse().unwrap_or(f64::NAN)));
    }
}

/// Whether a number is written just as JavaScript would write it: at most 15 digits, no exponent, no needless zero, and large enough
/// to be written without an exponent.
fn is_plain(json: &[u8]) -> bool {
    let digits = json.strip_prefix(b"-").unwrap_or(json);
    let point = digits.iter().position(|b| *b == b'.');
    let (whole, fraction) = match point {
        Some(at) => (&digits[..at], Some(&digits[at + 1..])),
        None => (digits, None),
    };
    let all_digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    if !all_digits(whole) || digits.len() > EXACT || (whole.len() > 1 && whole[0] == b'0') {
        return false;
    }
    match fraction {
        // Zero has no sign.
        None => json != b"-0",
        Some(fraction) => {
            all_digits(fraction)
                && fraction.last() != Some(&b'0')
                && (whole != b"0" || fraction.first() != Some(&b'0'))
        }
    }
}

/// A number as JavaScript prints it; what is none is null.
pub(super) fn shown(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    if !number.is_finite() {
        return "null".to_owned();
    }
    ryu_js::Buffer::new().format_finite(number).to_owned()
}

/// A JSON string with the escapes of JavaScript's module, appended to `out`.
pub(super) fn string(json: &str, out: &mut String) {
    let inner = json.strip_prefix('"').and_then(|j| j.strip_suffix('"'));
    if inner.is_some_and(json::is_plain) {
        out.push_str(json);
    } else {
        quote(&unquote(json), out);
    }
}

/// A text as a JSON string.
pub(super) fn quote(text: &str, out: &mut String) {
    out.push('"');
    if json::is_plain(text) {
        out.push_str(text);
        out.push('"');
        return;
    }
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{ad}'
            | '\u{600}'..='\u{604}'
            | '\u{70f}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{200c}'..='\u{200f}'
            | '\u{2028}'..='\u{202f}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff0}'..='\u{ffff}' => {
                out.push_str(&format!("\\u{:04x}", character as u32));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

/// The text of a JSON string. Half a surrogate pair, which JavaScript allows, is hashed as the replacement character.
pub fn unquote(json: &str) -> Cow<'_, str> {
    let inner = json
        .trim_ascii()
        .strip_prefix('"')
        .and_then(|j| j.strip_suffix('"'));
    let Some(inner) = inner else {
        return Cow::Borrowed(json);
    };
    if !inner.as_bytes().contains(&b'\\') {
        return Cow::Borrowed(inner);
    }
    let mut units: Vec<u16> = Vec::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            units.extend(character.encode_utf16(&mut [0; 2]).iter());
            continue;
        }
        units.push(match rest.next() {
            Some('b') => 8,
            Some('t') => 9,
            Some('n') => 10,
            Some('f') => 12,
            Some('r') => 13,
            Some('u') => {
                let hex: String = rest.by_ref().take(4).collect();
                u16::from_str_radix(&hex, 16).unwrap_or(0xfffd)
            }
            Some(other) => other as u16,
            None => 0xfffd,
        });
    }
    Cow::Owned(String::from_utf16_lossy(&units))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_as_it_was_is_what_javascript_writes() {
        let plain = [
            "0",
            "5",
            "-5",
            "10",
            "0.5",
            "-0.5",
            "1780000000.5",
            "1785404290.123",
            "123456789012345",
            "12345678901234",
            "0.1",
            "100000000000.25",
            "-3000",
        ];
        for json in plain {
            assert!(is_plain(json.as_bytes()), "{json}");
            assert_eq!(shown(json.parse().unwrap_or(f64::NAN)), json);
        }
        let other = [
            "-0",
            "-0.0",
            "0.0",
            "1.0",
            "1.50",
            "0.01",
            "0.0000001",
            "1e5",
            "1E5",
            "1234567890123456",
            "12345678.12345678",
            "9007199254740993",
            "01",
            "",
            "-",
            ".5",
            "5.",
        ];
        for json in other {
            assert!(!is_plain(json.as_bytes()), "{json}");
        }
    }

    #[test]
    fn every_plain_number_is_written_as_it_was() {
        // Whole parts and fractions of all lengths, the digits as they come.
        let mut seed = 7_u64;
        for round in 0..20_000 {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let digits = format!("{:016}", seed >> 11);
            let (length, point) = (1 + round % 15, round / 15 % 15);
            let (whole, fraction) = digits[..length].split_at(point.min(length));
            let json = format!("{whole}.{fraction}");
            if is_plain(json.as_bytes()) {
                assert_eq!(shown(json.parse().unwrap_or(f64::NAN)), json);
            }
        }
    }
}
