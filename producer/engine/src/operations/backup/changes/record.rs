//! Identity and content of a record, as numbers.

use std::borrow::Cow;

use decryptor_wasm::{
    chain::{ChainKey, number, numbers},
    layout,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    platform::{Collection, Shared},
    state::Entry,
};

/// Number for the identity of a line of a user's collection.
pub fn name(key: &ChainKey, collection: Collection, line: &[u8]) -> u64 {
    let name = match collection {
        Collection::Account => None,
        Collection::Audit => Some("eventid"),
        _ => Some("id"),
    };
    match name.and_then(|name| id(line, name)) {
        Some(id) => number(key, collection.name(), &[id]),
        None => parsed(key, collection.name(), line),
    }
}

/// A line that belongs to no user.
pub fn shared(key: &ChainKey, kind: Shared, line: &[u8]) -> Entry {
    (parsed(key, kind.stem(), line), content(key, line))
}

/// A line of the audit trail of a user who is no more.
pub fn kept_audit(key: &ChainKey, user_id: &str, line: &[u8]) -> Entry {
    let collection = layout::kept_audit(user_id);
    (parsed(key, &collection, line), content(key, line))
}

/// A number for what is in a line.
pub fn content(key: &ChainKey, line: &[u8]) -> u64 {
    number(key, "", &[line])
}

/// As whoever reads the chain does it.
fn parsed(key: &ChainKey, collection: &str, line: &[u8]) -> u64 {
    let mut found = None;
    let read = numbers(key, collection, line, &mut |number| found = Some(number));
    match (read, found) {
        (Ok(()), Some(found)) => found,
        _ => number(key, collection, &[line]),
    }
}

/// The member that names a record, where it is the first or the last one and has nothing escaped: so it is found without reading the
/// record. Inside a string a quote would be escaped, hence what looks like a member is one.
fn id<'a>(line: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let plain = |text: &&[u8]| !text.is_empty() && !text.contains(&b'\\') && !text.contains(&b'"');
    let first = line.strip_prefix(b"{\"").and_then(|rest| {
        let rest = rest.strip_prefix(name.as_bytes())?.strip_prefix(b"\":\"")?;
        let end = memchr::memchr(b'"', rest)?;
        matches!(rest.get(end + 1), Some(b',' | b'}')).then(|| &rest[..end])
    });
    if first.is_some() {
        return first.filter(plain);
    }
    let rest = line.strip_suffix(b"\"}")?;
    let start = memchr::memrchr(b'"', rest)?;
    let before = rest[..start].strip_suffix(b"\":")?;
    let before = before.strip_suffix(name.as_bytes())?;
    before
        .ends_with(b",\"")
        .then(|| &rest[start + 1..])
        .filter(plain)
}

/// A line of a series.
#[derive(Deserialize)]
pub struct Series<'a> {
    #[serde(borrow)]
    measurement: Cow<'a, str>,
    #[serde(borrow, default)]
    namespace: Cow<'a, str>,
    #[serde(borrow)]
    points: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Point<'a> {
    #[serde(borrow)]
    time: &'a RawValue,
}

impl<'a> Series<'a> {
    /// Reads a line.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(line: &'a [u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(line)
    }

    /// The number of the measurement.
    pub fn number(&self, key: &ChainKey) -> u64 {
        let names = [self.namespace.as_bytes(), self.measurement.as_bytes()];
        number(key, Collection::Series.name(), &names)
    }

    /// Its points, as text and as numbers.
    pub fn points(
        &self,
        key: &ChainKey,
    ) -> impl Iterator<Item = serde_json::Result<(&'a str, Entry)>> {
        self.points.iter().map(move |point| {
            let text = point.get();
            let time: Point<'_> = serde_json::from_str(text)?;
            let parts = [
                self.namespace.as_bytes(),
                self.measurement.as_bytes(),
                time.time.get().as_bytes(),
            ];
            let number = number(key, Collection::Series.name(), &parts);
            Ok((text, (number, content(key, text.as_bytes()))))
        })
    }

    /// A line with some of its points.
    pub fn with(&self, points: &[&str]) -> Vec<u8> {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        format!(
            "{{\"measurement\":{},\"namespace\":{},\"points\":[{}]}}",
            quoted(&self.measurement),
            quoted(&self.namespace),
            points.join(",")
        )
        .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_where_it_is_one() {
        let of = |line: &str| {
            id(line.as_bytes(), "id").map(|id| String::from_utf8_lossy(id).into_owned())
        };
        for (line, found) in [
            (r#"{"id":"a","x":1}"#, Some("a")),
            (r#"{"id":"a"}"#, Some("a")),
            (r#"{"x":{"id":"b"},"id":"a"}"#, Some("a")),
            (r#"{"x":{"id":"b"}}"#, None),
            (r#"{"x":[{"id":"b"}],"y":"id"}"#, None),
            (r#"{"x":"y\",\"id\":\"b"}"#, None),
            (r#"{"x":1,"y\"id":"b"}"#, None),
            (r#"{"x":1,"id":"b\"c"}"#, None),
            (r#"{"id":"b\\","x":"y"}"#, None),
            (r#"{"id":"","x":1}"#, None),
            (r#"{"id":7,"x":1}"#, None),
        ] {
            assert_eq!(of(line).as_deref(), found, "{line}");
        }
    }

    #[test]
    fn it_is_the_number_of_whoever_reads() {
        let key = ChainKey::from_bytes([7; 16]);
        for (collection, line) in [
            (Collection::Events, r#"{"id":"e","type":"note/txt"}"#),
            (Collection::Streams, r#"{"name":"x","id":"s"}"#),
            (Collection::Audit, r#"{"eventid":"a","id":"x"}"#),
            (Collection::Account, r#"{"passwords":[]}"#),
        ] {
            let found = name(&key, collection, line.as_bytes());
            assert_eq!(found, parsed(&key, collection.name(), line.as_bytes()));
        }
        let line =
            r#"{"measurement":"m","namespace":"n","points":[{"time":1.5,"v":1},{"time":2}]}"#;
        let mut read = Vec::new();
        numbers(&key, "series", line.as_bytes(), &mut |n| read.push(n)).unwrap();
        let series = Series::parse(line.as_bytes()).unwrap();
        let found: Vec<u64> = series.points(&key).map(|p| p.unwrap().1.0).collect();
        assert_eq!(found, read);
        assert_eq!(
            series.with(&[r#"{"time":2}"#]),
            br#"{"measurement":"m","namespace":"n","points":[{"time":2}]}"#
        );
    }
}
