//! Identifies records by numbers: keyed hashes of what identifies each.

use std::{borrow::Cow, fmt, hash::Hasher};

use base64ct::{Base64, Encoding};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::value::RawValue;
use siphasher::sip::SipHasher24;
use zeroize::Zeroize;

use crate::{Code, Error, Result, integrity::Record, layout::REMOVED_USERS};

/// The key for the numbers of a chain: without it nobody can tell which record a number belongs to.
#[derive(Clone, PartialEq, Eq)]
pub struct ChainKey([u8; 16]);

impl ChainKey {
    /// A key that is known.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        ChainKey(bytes)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl Drop for ChainKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for ChainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChainKey(…)")
    }
}

impl Serialize for ChainKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&Base64::encode_string(&self.0))
    }
}

impl<'de> Deserialize<'de> for ChainKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut bytes = [0; 16];
        let length = Base64::decode(&text, &mut bytes).map_or(0, |found| found.len());
        if length != bytes.len() {
            return Err(D::Error::custom("a chain's key is base64 of 16 bytes"));
        }
        Ok(ChainKey(bytes))
    }
}

/// SipHash-2-4 of the collection's name, NUL, and the parts of a record's key, joined by NUL.
pub fn number<P: AsRef<[u8]>>(key: &ChainKey, collection: &str, parts: &[P]) -> u64 {
    let mut hasher = SipHasher24::new_with_key(&key.0);
    hasher.write(collection.as_bytes());
    for part in parts {
        hasher.write(&[0]);
        hasher.write(part.as_ref());
    }
    hasher.finish()
}

/// Hands over the numbers of a line: one for a record, and one for each point of a series.
///
/// # Errors
/// When the line is not what the collection's lines are.
pub fn numbers(
    key: &ChainKey,
    collection: &str,
    line: &[u8],
    take: &mut dyn FnMut(u64),
) -> Result<()> {
    let record = Record::parse(line)?;
    if collection == "series" {
        let (measurement, points) = (Measurement::of(&record), points(&record)?);
        for point in points {
            take(measurement.point(key, point)?);
        }
    } else {
        take(of_record(key, collection, &record, line));
    }
    Ok(())
}

/// The number of a record that is no measurement.
pub(crate) fn of_record(key: &ChainKey, collection: &str, record: &Record<'_>, line: &[u8]) -> u64 {
    let text = |name: &str| member(record, name);
    let part = match collection {
        // There is one line.
        "account" => return number::<&[u8]>(key, collection, &[]),
        audit if audit == "audit" || is_kept(audit) => text("eventid").or_else(|| text("id")),
        "platform/platform" => entry(record).map(Cow::Owned),
        "platform/keys" => text("key"),
        "platform/aliases" => text("alias"),
        _ => text("id"),
    };
    match part {
        Some(part) => number(key, collection, &[part.as_bytes()]),
        None => number(key, collection, &[line]),
    }
}

/// Whether a collection is what is kept of a user who is no more.
pub(crate) fn is_kept(collection: &str) -> bool {
    let rest = collection.strip_prefix(REMOVED_USERS);
    rest.is_some_and(|rest| rest.starts_with('/'))
}

/// The text of a string, or any other value as it is written.
fn member<'a>(record: &Record<'a>, name: &str) -> Option<Cow<'a, str>> {
    record
        .string(name)
        .or_else(|| record.get(name).map(Cow::Borrowed))
}

/// The key of an entry in the platform's own database.
fn entry(record: &Record<'_>) -> Option<String> {
    let text = |name: &str| member(record, name);
    let field = text("field")?;
    Some(match text("isUnique").as_deref() {
        Some("true") => format!("user-unique/{field}/{}", text("value")?),
        _ => format!("user-indexed/{field}/{}", text("username")?),
    })
}

/// Identifies a measurement.
pub(crate) struct Measurement<'a> {
    namespace: Cow<'a, str>,
    name: Cow<'a, str>,
}

impl<'a> Measurement<'a> {
    pub(crate) fn of(record: &Record<'a>) -> Self {
        let text = |name: &str| member(record, name).unwrap_or_default();
        Measurement {
            namespace: text("namespace"),
            name: text("measurement"),
        }
    }

    /// The number of the measurement as a whole.
    pub(crate) fn number(&self, key: &ChainKey) -> u64 {
        number(
            key,
            "series",
            &[self.namespace.as_bytes(), self.name.as_bytes()],
        )
    }

    /// The number of one of its points.
    pub(crate) fn point(&self, key: &ChainKey, point: &RawValue) -> Result<u64> {
        let point = Record::parse(point.get().as_bytes())?;
        let time = point.get("time").unwrap_or_default();
        let parts = [
            self.namespace.as_bytes(),
            self.name.as_bytes(),
            time.as_bytes(),
        ];
        Ok(number(key, "series", &parts))
    }
}

/// The points of a line.
pub(crate) fn points<'a>(record: &Record<'a>) -> Result<Vec<&'a RawValue>> {
    serde_json::from_slice(record.get("points").unwrap_or("[]").as_bytes())
        .map_err(|e| Error::of(Code::PointsUnreadable).because(&e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ChainKey {
        ChainKey::from_bytes(std::array::from_fn(|i| i as u8))
    }

    fn of(collection: &str, line: &str) -> Vec<u64> {
        let mut found = Vec::new();
        numbers(&key(), collection, line.as_bytes(), &mut |n| found.push(n)).unwrap();
        found
    }

    fn joined(bytes: &[u8]) -> u64 {
        SipHasher24::new_with_key(&key().0).hash(bytes)
    }

    #[test]
    fn it_is_the_published_siphash() {
        // The vector of the SipHash paper: key 00…0f, message 00…0e.
        let message: Vec<u8> = (0..15).collect();
        assert_eq!(joined(&message), 0xa129_ca61_49be_45e5);
        assert_eq!(number(&key(), "events", &["e1"]), joined(b"events\0e1"));
        // The vector of docs/format.md.
        assert_eq!(number(&key(), "events", &["e1"]), 0x1df6_4062_895d_b4a5);
        assert_eq!(
            number(&key(), "series", &["n", "m", "1.5"]),
            joined(b"series\0n\0m\x001.5")
        );
    }

    #[test]
    fn keys_are_what_identifies_a_record() {
        let one = |collection: &str, line: &str| of(collection, line)[0];
        assert_eq!(
            one("events", r#"{"type":"t","id":"e\u0031"}"#),
            joined(b"events\0e1")
        );
        let version = r#"{"id":"v1","headId":"e1"}"#;
        assert_eq!(one("events", version), joined(b"events\0v1"));
        assert_eq!(
            one("audit", r#"{"eventid":"a","id":"b"}"#),
            joined(b"audit\0a")
        );
        assert_eq!(one("audit", r#"{"id":"b"}"#), joined(b"audit\0b"));
        assert_eq!(one("account", r#"{"passwords":[]}"#), joined(b"account"));
        let unique = r#"{"isUnique":true,"field":"email","username":"u","value":"a/b"}"#;
        assert_eq!(
            one("platform/platform", unique),
            joined(b"platform/platform\0user-unique/email/a/b")
        );
        let indexed = r#"{"isUnique":false,"field":"language","username":"u","value":"en"}"#;
        assert_eq!(
            one("platform/platform", indexed),
            joined(b"platform/platform\0user-indexed/language/u")
        );
        assert_eq!(
            one("platform/keys", r#"{"key":"k","value":"v"}"#),
            joined(b"platform/keys\0k")
        );
        assert_eq!(
            one("platform/aliases", r#"{"alias":"a","userId":"u"}"#),
            joined(b"platform/aliases\0a")
        );
    }

    #[test]
    fn every_point_has_a_number() {
        let line =
            r#"{"measurement":"m","namespace":"n","points":[{"time":1,"value":2},{"time":1.5}]}"#;
        assert_eq!(
            of("series", line),
            [joined(b"series\0n\0m\x001"), joined(b"series\0n\0m\x001.5")]
        );
        let record = Record::parse(line.as_bytes()).unwrap();
        assert_eq!(
            Measurement::of(&record).number(&key()),
            joined(b"series\0n\0m")
        );
    }

    #[test]
    fn a_key_is_sixteen_bytes() {
        let json = serde_json::to_string(&key()).unwrap();
        assert_eq!(json, "\"AAECAwQFBgcICQoLDA0ODw==\"");
        assert_eq!(serde_json::from_str::<ChainKey>(&json).unwrap(), key());
        for bad in ["\"\"", "\"AAEC\"", "\"AAECAwQFBgcICQoLDA0ODxA=\"", "5"] {
            assert!(serde_json::from_str::<ChainKey>(bad).is_err(), "{bad}");
        }
    }
}
