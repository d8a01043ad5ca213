//! Values of columns, from the server's binary form to JSON text.

use crate::platform::json;

/// How a column is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `text`.
    Text,
    /// `jsonb`: one byte of version, then text.
    Json,
    /// `double precision`.
    Double,
    /// `integer`.
    Integer,
    /// `bigint`.
    Long,
    /// `boolean`.
    Bool,
    /// An array, in the form of `jsonb`.
    Array,
    /// An array of `json` or `jsonb`, in the form of `jsonb`.
    JsonArray,
    /// Any other type, in the form of `jsonb`.
    Other,
}

impl Kind {
    /// Whether it comes as `jsonb`.
    pub fn is_json(self) -> bool {
        matches!(
            self,
            Self::Json | Self::Array | Self::JsonArray | Self::Other
        )
    }
}

/// The text of a `jsonb` value.
pub fn json_text(bytes: &[u8]) -> Result<&[u8], String> {
    match bytes.split_first() {
        Some((1, text)) => Ok(text),
        _ => Err("its JSON is of an unknown version".to_owned()),
    }
}

/// Appends a value that is not NULL.
pub fn push(kind: Kind, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    match kind {
        Kind::Text => push_string(bytes, out),
        _ if kind.is_json() => out.extend_from_slice(json_text(bytes)?),
        Kind::Double => push_double(f64::from_be_bytes(fixed(bytes)?), out)?,
        Kind::Integer => push_integer(i64::from(i32::from_be_bytes(fixed(bytes)?)), out),
        Kind::Long => push_integer(i64::from_be_bytes(fixed(bytes)?), out),
        _ if fixed::<1>(bytes)? == [0] => out.extend_from_slice(b"false"),
        _ => out.extend_from_slice(b"true"),
    }
    Ok(())
}

/// The bytes of a value of known length.
pub fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], String> {
    let failed = |_| format!("a value has {} bytes, not {N}", bytes.len());
    bytes.try_into().map_err(failed)
}

fn push_integer(value: i64, out: &mut Vec<u8>) {
    use std::io::Write;
    // Writing to memory cannot fail.
    let _ = write!(out, "{value}");
}

/// Appends a double as JavaScript prints it.
fn push_double(value: f64, out: &mut Vec<u8>) -> Result<(), String> {
    if value.is_finite() && value != 0.0 {
        out.extend_from_slice(ryu_js::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.extend_from_slice(json::double(value)?.as_bytes());
    }
    Ok(())
}

/// The value, when it is one of those that JSON has no number for.
pub fn not_finite(kind: Kind, bytes: &[u8]) -> Option<f64> {
    let number = f64::from_be_bytes(bytes.try_into().ok()?);
    (kind == Kind::Double && !number.is_finite()).then_some(number)
}

/// Appends UTF-8 text as a JSON string, escaped as `JSON.stringify` does.
pub fn push_string(text: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = rest
        .iter()
        .position(|b| *b < 0x20 || *b == b'"' || *b == b'\\')
    {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            8 => out.extend_from_slice(b"\\b"),
            12 => out.extend_from_slice(b"\\f"),
            control => out.extend_from_slice(&[
                b'\\',
                b'u',
                b'0',
                b'0',
                HEX[usize::from(control >> 4)],
                HEX[usize::from(control & 15)],
            ]),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_elsewhere() {
        let mut all: String = (0..0x80u8).map(char::from).collect();
        all.push_str("é🔋\u{2028}");
        let mut out = Vec::new();
        push_string(all.as_bytes(), &mut out);
        assert_eq!(String::from_utf8_lossy(&out), json::quote(&all));
    }

    #[test]
    fn values_print_as_in_javascript() -> Result<(), String> {
        let mut out = Vec::new();
        for value in [-0.0f64, 1.0, 1e21, 0.1] {
            push(Kind::Double, &value.to_be_bytes(), &mut out)?;
            out.push(b' ');
        }
        push(Kind::Long, &i64::MIN.to_be_bytes(), &mut out)?;
        push(Kind::Bool, &[1], &mut out)?;
        push(Kind::Json, b"\x01[1e400]", &mut out)?;
        let text = String::from_utf8_lossy(&out);
        assert_eq!(text, "0 1 1e+21 0.1 -9223372036854775808true[1e400]");
        assert!(push(Kind::Integer, &[1], &mut out).is_err());
        assert!(push(Kind::Double, &f64::NAN.to_be_bytes(), &mut out).is_err());
        assert!(push(Kind::Json, b"\x02{}", &mut out).is_err());
        Ok(())
    }
}
