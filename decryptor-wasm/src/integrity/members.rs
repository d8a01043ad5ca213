//! The members of a JSON object, each as the text that it has.

use std::{borrow::Cow, cmp::Ordering};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::text::unquote;
use crate::{Code, Error, Result, json};

/// Members that a record has at most, mostly.
const USUAL: usize = 24;

/// Name and text, in the order of the names.
pub(super) type Members<'a> = Vec<(Cow<'a, str>, &'a str)>;

/// The members of an object; of several with one name the last counts.
pub(super) fn members(text: &str) -> Result<Members<'_>> {
    let mut members = Members::with_capacity(USUAL);
    let read = json::members(text, |name, value| members.push((unquote(name), value)));
    if read.is_none() {
        Pairs(members) = serde_json::from_slice(text.as_bytes())
            .map_err(|e| Error::of(Code::RecordUnreadable).because(&e))?;
    }
    // One call: code to sort comes with each.
    let ascii = members.iter().all(|(name, _)| name.is_ascii());
    members.sort_by(|(a, _), (b, _)| if ascii { a.cmp(b) } else { order(a, b) });
    if members.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        members.reverse();
        members.dedup_by(|(later, _), (kept, _)| later == kept);
        members.reverse();
    }
    Ok(members)
}

/// Members as `serde_json` finds them.
struct Pairs<'a>(Members<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<M: MapAccess<'de>>(
                self,
                mut map: M,
            ) -> std::result::Result<Self::Value, M::Error> {
                let mut members = Members::new();
                while let Some((name, value)) = map.next_entry::<&RawValue, &RawValue>()? {
                    members.push((unquote(name.get()), value.get()));
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Visit).map(Pairs)
    }
}

/// In the order of UTF-16, as JavaScript sorts; of ASCII that is the order of the bytes.
pub(super) fn order(a: &str, b: &str) -> Ordering {
    if a.is_ascii() && b.is_ascii() {
        a.cmp(b)
    } else {
        a.encode_utf16().cmp(b.encode_utf16())
    }
}

/// The text of a member; none of null.
pub(super) fn get<'a>(members: &Members<'a>, name: &str) -> Option<&'a str> {
    let found = members.iter().find(|(known, _)| known == name);
    found
        .map(|(_, value)| *value)
        .filter(|value| *value != "null")
}

/// The text of a member that is a string.
pub(super) fn string<'a>(members: &Members<'a>, name: &str) -> Option<Cow<'a, str>> {
    get(members, name)
        .filter(|value| value.starts_with('"'))
        .map(unquote)
}

/// A member that is a number.
pub(super) fn number(members: &Members<'_>, name: &str) -> Option<f64> {
    get(members, name)?.parse().ok()
}
