//! Identity and content of a record, whatever the order of its members.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};

use serde_json::value::RawValue;

/// Members within members that are still told apart; deeper ones are compared as they are written.
const DEPTH: u32 = 64;

/// A record, or a part of one that has an identity of its own.
pub struct ComparedRecord<'a> {
    /// Name of the record.
    pub id: Cow<'a, str>,
    content: &'a [u8],
    /// The part of the content that counts, if not all of it.
    json: Option<&'a str>,
}

impl<'a> ComparedRecord<'a> {
    /// A record whose content is compared byte by byte.
    pub fn of(id: &'a str, content: &'a [u8]) -> Self {
        Self {
            id: Cow::Borrowed(id),
            content,
            json: None,
        }
    }

    /// A number for the content.
    pub fn digest(&self, key: &RandomState) -> u64 {
        let mut hasher = key.build_hasher();
        match self.json {
            Some(text) => canonical(text, &mut hasher, DEPTH),
            None => hasher.write(self.content),
        }
        hasher.finish()
    }
}

type Members<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// Hands over the records of a line.
///
/// # Errors
/// A sentence, when the line is not a JSON object.
pub fn records(
    collection: &str,
    line: &[u8],
    take: &mut dyn FnMut(ComparedRecord<'_>),
) -> Result<(), String> {
    let text = std::str::from_utf8(line).map_err(|e| e.to_string())?;
    let text = text.trim_end_matches('\r');
    let members = members(text)?;
    match collection {
        "account" => account(&members, take),
        "series" => series(&members, take),
        _ => {
            let id = identity(collection, &members, text);
            take(json(id, text));
            Ok(())
        }
    }
}

fn members(text: &str) -> Result<Members<'_>, String> {
    serde_json::from_str(text).map_err(|e| format!("a line is not a JSON object: {e}"))
}

fn json<'a>(id: String, text: &'a str) -> ComparedRecord<'a> {
    ComparedRecord {
        id: Cow::Owned(id),
        content: b"",
        json: Some(text),
    }
}

/// The members that name a record; the whole record where they are missing.
fn identity(collection: &str, members: &Members<'_>, text: &str) -> String {
    let names: &[&str] = match collection {
        "audit" => &["eventid", "id"],
        "platform/platform" => &["isUnique", "field", "username", "value"],
        "platform/keys" => &["key"],
        "platform/aliases" => &["alias"],
        _ => &["id"],
    };
    let found: Vec<String> = names
        .iter()
        .filter_map(|name| members.get(*name).map(|value| shown(value)))
        .collect();
    if collection == "platform/platform" && found.len() == 4 {
        // A unique value has one owner, an indexed one belongs to a user: the rest is content.
        let (unique, field, user, value) = (&found[0], &found[1], &found[2], &found[3]);
        let name = if unique == "true" { value } else { user };
        return format!("{unique}/{field}/{name}");
    }
    match found.first() {
        Some(first) => first.clone(),
        None => text.to_owned(),
    }
}

fn shown(value: &RawValue) -> String {
    serde_json::from_str::<String>(value.get()).unwrap_or_else(|_| value.get().to_owned())
}

/// Passwords, key-values and fields, each on its own.
fn account(members: &Members<'_>, take: &mut dyn FnMut(ComparedRecord<'_>)) -> Result<(), String> {
    for (list, names) in [
        ("passwords", &["time"][..]),
        ("storeKeyValues", &["storeId", "key"]),
        ("accountFields", &["field", "time"]),
    ] {
        let Some(items) = members.get(list) else {
            continue;
        };
        let items: Vec<&RawValue> = serde_json::from_str(items.get()).unwrap_or_default();
        for item in items {
            let parts = self::members(item.get())?;
            let name = |name: &&str| parts.get(*name).map(|v| shown(v)).unwrap_or_default();
            let id: Vec<String> = names.iter().map(name).collect();
            take(json(format!("{list}/{}", id.join("/")), item.get()));
        }
    }
    Ok(())
}

/// Every point on its own, since a series may be spread over lines in any way.
fn series(members: &Members<'_>, take: &mut dyn FnMut(ComparedRecord<'_>)) -> Result<(), String> {
    let name = |name: &str| members.get(name).map(|v| shown(v)).unwrap_or_default();
    let of = format!("{}/{}", name("namespace"), name("measurement"));
    let points = members.get("points").map_or("[]", |points| points.get());
    let points: Vec<&RawValue> = serde_json::from_str(points).map_err(|e| e.to_string())?;
    for point in points {
        let parts = self::members(point.get())?;
        let time = parts.get("time").map(|v| shown(v)).unwrap_or_default();
        take(json(format!("{of}/{time}"), point.get()));
    }
    Ok(())
}

/// Feeds a value to a hasher: members in the order of their names, numbers as they are written, strings as what they say.
fn canonical(text: &str, hasher: &mut impl Hasher, depth: u32) {
    let text = text.trim();
    let mut part = |kind: u8, bytes: &[u8]| {
        hasher.write_u8(kind);
        hasher.write_usize(bytes.len());
        hasher.write(bytes);
    };
    match text.as_bytes().first() {
        Some(b'{') if depth > 0 => {
            if let Ok(members) = members(text) {
                part(b'{', &(members.len() as u64).to_le_bytes());
                for (name, value) in members {
                    part_of(hasher, name.as_bytes());
                    canonical(value.get(), hasher, depth - 1);
                }
                return;
            }
            part(b'?', text.as_bytes());
        }
        Some(b'[') if depth > 0 => {
            if let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(text) {
                part(b'[', &(items.len() as u64).to_le_bytes());
                for item in items {
                    canonical(item.get(), hasher, depth - 1);
                }
                return;
            }
            part(b'?', text.as_bytes());
        }
        Some(b'"') => match serde_json::from_str::<String>(text) {
            Ok(string) => part(b'"', string.as_bytes()),
            Err(_) => part(b'?', text.as_bytes()),
        },
        _ => part(b'0', text.as_bytes()),
    }
}

fn part_of(hasher: &mut impl Hasher, bytes: &[u8]) {
    hasher.write_usize(bytes.len());
    hasher.write(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(text: &str) -> u64 {
        // The same key for all.
        thread_local!(static KEY: RandomState = RandomState::new());
        KEY.with(|key| json(String::new(), text).digest(key))
    }

    #[test]
    fn order_and_spelling_do_not_count_but_content_does() {
        let one = r#"{"a":[1,{"x":"é","y":null}],"b":0.10}"#;
        let same = r#"{ "b" : 0.10, "a": [1, {"y":null,"x":"\u00e9"}] }"#;
        assert_eq!(digest(one), digest(same));
        for other in [
            r#"{"a":[1,{"x":"é","y":null}],"b":0.1}"#,
            r#"{"a":[{"x":"é","y":null},1],"b":0.10}"#,
            r#"{"a":[1,{"x":"é"}],"b":0.10}"#,
            r#"{"a":[1,{"x":"é","y":null}],"b":"0.10"}"#,
        ] {
            assert_ne!(digest(one), digest(other), "{other}");
        }
    }

    #[test]
    fn parts_of_accounts_and_series_have_names() {
        let ids = |collection: &str, line: &str| {
            let mut ids = Vec::new();
            records(collection, line.as_bytes(), &mut |r| {
                ids.push(r.id.into_owned())
            })
            .unwrap();
            ids
        };
        assert_eq!(
            ids(
                "account",
                r#"{"passwords":[{"time":1.5}],"accountFields":[{"field":"email","time":2}]}"#
            ),
            ["passwords/1.5", "accountFields/email/2"]
        );
        assert_eq!(
            ids(
                "series",
                r#"{"measurement":"m","points":[{"time":1},{"time":2}]}"#
            ),
            ["/m/1", "/m/2"]
        );
        assert_eq!(
            ids(
                "platform/platform",
                r#"{"isUnique":true,"field":"email","username":"u","value":"v"}"#
            ),
            ["true/email/v"]
        );
    }
}
