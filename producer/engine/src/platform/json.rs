//! Splicing of stored JSON into records, as text: numbers and strings pass through untouched.

use rusqlite::types::ValueRef;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of a stored JSON object, in order, as raw text. A repeated key keeps its last value.
pub struct Fields<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Fields<'a> {
    /// Reads the outermost level of a JSON object.
    ///
    /// # Errors
    /// A sentence, when the text is not a JSON object.
    pub fn parse(text: &'a str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|e| format!("stored JSON is malformed ({e})"))
    }

    /// The raw text of a member.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.0
            .iter()
            .find(|(k, _)| unquoted(k) == key)
            .map(|(_, v)| *v)
    }

    /// The members in order: unquoted raw key, raw value.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + '_ {
        self.0.iter().map(|(k, v)| (unquoted(k), *v))
    }
}

/// How many members nearly every record has at most.
const USUAL: usize = 24;

/// Whether two raw keys are one. Nearly all differ in their length or their first letter, which follows the quote.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.as_bytes().get(1) == b.as_bytes().get(1) && a == b
}

/// Keys are compared as written: `JSON.stringify` never escapes the plain names that matter here.
fn unquoted(key: &str) -> &str {
    key.strip_prefix('"')
        .and_then(|k| k.strip_suffix('"'))
        .unwrap_or(key)
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Vec<(&'de str, &'de str)>;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut members: Self::Value = Vec::with_capacity(USUAL);
                while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
                    match members.iter_mut().find(|(k, _)| same(k, key.get())) {
                        Some(member) => member.1 = value.get(),
                        None => members.push((key.get(), value.get())),
                    }
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Members).map(Fields)
    }
}

/// Builds one JSON object as text.
pub struct Object {
    text: Vec<u8>,
    lost: Vec<String>,
}

impl Object {
    /// An empty object.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self {
            text: vec![b'{'],
            lost: Vec::new(),
        }
    }

    /// Adds a member whose key is already escaped and whose value is JSON text.
    ///
    /// Line breaks, which JSON allows between tokens only, are left out: a record is one line.
    pub fn raw(&mut self, key: &str, value: &str) -> &mut Self {
        if self.text.len() > 1 {
            self.text.push(b',');
        }
        self.text.push(b'"');
        self.text.extend_from_slice(key.as_bytes());
        self.text.extend_from_slice(b"\":");
        self.text
            .extend(value.bytes().filter(|b| !matches!(b, b'\n' | b'\r')));
        self
    }

    /// Adds a string member.
    pub fn string(&mut self, key: &str, value: &str) -> &mut Self {
        self.raw(key, &quote(value))
    }

    /// The value of a column. One that JSON has no number for is null, and lost.
    ///
    /// # Errors
    /// A sentence, when the column holds bytes that are not UTF-8.
    pub fn held(&mut self, name: &str, value: ValueRef<'_>) -> Result<String, String> {
        match value {
            ValueRef::Real(number) if !number.is_finite() => {
                self.lost.push(lost(name, number));
                Ok("null".to_owned())
            }
            other => column(other),
        }
    }

    /// Values that were lost: a sentence for each.
    pub fn lost(&self) -> &[String] {
        &self.lost
    }

    /// Closes the object.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.text.push(b'}');
        self.text
    }
}

/// A JSON string literal, escaped as `JSON.stringify` does.
#[must_use]
pub fn quote(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}

/// A double as JavaScript prints it in JSON: shortest form, `-0` as `0`.
///
/// # Errors
/// A sentence, when it is no finite number, which JSON cannot say.
pub fn double(value: f64) -> Result<String, String> {
    if value == 0.0 {
        Ok("0".to_owned())
    } else if value.is_finite() {
        Ok(ryu_js::Buffer::new().format_finite(value).to_owned())
    } else {
        Err(format!("it is {}", not_finite(value)))
    }
}

/// The sentence for a value that is left out of its record.
pub fn lost(name: &str, value: f64) -> String {
    format!(
        "its {name} is {}; the record is in the backup without it",
        not_finite(value)
    )
}

fn not_finite(value: f64) -> String {
    let name = match value {
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => "NaN",
    };
    format!("{name}, which no number of JSON is")
}

/// JSON text checked to be one value, with the blanks around it left out.
///
/// # Errors
/// A sentence, when the text is not JSON.
pub fn checked(text: &str) -> Result<&str, String> {
    serde_json::from_str::<&RawValue>(text)
        .map(RawValue::get)
        .map_err(|e| format!("stored JSON is malformed ({e})"))
}

/// The text of a column, `None` when it is NULL; numbers in it (SQLite does not enforce types) as text.
///
/// # Errors
/// A sentence, when the column holds bytes that are not UTF-8, or no finite number.
pub fn text(value: ValueRef<'_>) -> Result<Option<std::borrow::Cow<'_, str>>, String> {
    Ok(match value {
        ValueRef::Null => None,
        ValueRef::Integer(i) => Some(i.to_string().into()),
        ValueRef::Real(f) => Some(double(f)?.into()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(
            std::str::from_utf8(bytes)
                .map_err(|_| "stored text is not UTF-8".to_owned())?
                .into(),
        ),
    })
}

/// A column as a JSON value: numbers as JavaScript prints them, text as a string.
///
/// # Errors
/// A sentence, when the column holds bytes that are not UTF-8, or no finite number.
pub fn column(value: ValueRef<'_>) -> Result<String, String> {
    Ok(match value {
        ValueRef::Null => "null".to_owned(),
        ValueRef::Integer(i) => i.to_string(),
        ValueRef::Real(f) => double(f)?,
        other => quote(text(other)?.as_deref().unwrap_or_default()),
    })
}

/// Nanoseconds as milliseconds in decimal, exactly: the decimal point moved six places.
#[must_use]
pub fn milliseconds(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let (whole, rest) = (
        nanoseconds.unsigned_abs() / 1_000_000,
        nanoseconds.unsigned_abs() % 1_000_000,
    );
    if rest == 0 {
        return format!("{sign}{whole}");
    }
    format!(
        "{sign}{whole}.{}",
        format!("{rest:06}").trim_end_matches('0')
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_print_as_in_javascript() {
        for (value, printed) in [
            (-0.0, "0"),
            (1.0, "1"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (5e-324, "5e-324"),
            (1e-7, "1e-7"),
            (0.000_001, "0.000001"),
            (1_795_411_456.887, "1795411456.887"),
        ] {
            assert_eq!(double(value), Ok(printed.to_owned()));
        }
        assert!(double(f64::INFINITY).is_err());
    }

    #[test]
    fn nanoseconds_keep_every_digit() {
        for (ns, printed) in [
            (0, "0"),
            (1, "0.000001"),
            (1_500_000_000, "1500"),
            (4_393_911_305_278, "4393911.305278"),
            (-1_500_000, "-1.5"),
            (i64::MIN, "-9223372036854.775808"),
            (i64::MAX, "9223372036854.775807"),
        ] {
            assert_eq!(milliseconds(ns), printed);
        }
    }

    #[test]
    fn stored_numbers_pass_as_text() {
        let text = "{\"a\":9007199254740993,\n \"b\":1e400,\"a\":12345678901234567890.5,\"\\ud800\":\"\\udfff\"}";
        let mut object = Object::new();
        for (key, value) in Fields::parse(text)
            .unwrap_or_else(|e| unreachable!("{e}"))
            .iter()
        {
            object.raw(key, value);
        }
        assert_eq!(
            object.finish(),
            b"{\"a\":12345678901234567890.5,\"b\":1e400,\"\\ud800\":\"\\udfff\"}"
        );
    }
}
