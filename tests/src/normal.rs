//! Records in the one form that both engines' shapes of them come to: what is the same record is the same text here.

use crate::plain::Plain;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

type Members<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// All records of an opened archive, by user and collection (`alice events`), and the digests of attachments.
///
/// # Panics
/// When the archive is not what it should be.
#[must_use]
pub fn records(archive: &Plain) -> BTreeMap<String, BTreeSet<String>> {
    let manifest = archive.json("manifest.json");
    let from_sqlite = manifest["config"]["engine"] == "sqlite";
    let names: BTreeMap<&str, &str> = manifest["users"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| {
            (
                user["userId"].as_str().unwrap(),
                user["username"].as_str().unwrap(),
            )
        })
        .collect();
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, bytes) in &archive.0 {
        let parts: Vec<&str> = path.split('/').collect();
        let place = match parts.as_slice() {
            ["users", user, "attachments", id] => {
                let digest = pryv_backup_engine::archive::sha256_hex(bytes);
                let place = format!("{} attachments", names[user]);
                all.entry(place)
                    .or_default()
                    .insert(format!("{id} {digest}"));
                continue;
            }
            ["users", _, "user-manifest.json"] => continue,
            ["users", user, kind, ..] => format!("{} {}", names[user], stem(kind)),
            ["platform" | "register", _] => stem(path).to_owned(),
            _ => continue,
        };
        let kind = place.rsplit(' ').next().unwrap().to_owned();
        let text = std::str::from_utf8(bytes).unwrap();
        for line in text.lines() {
            for record in one(&kind, line, from_sqlite) {
                let new = all.entry(place.clone()).or_default().insert(record.clone());
                assert!(new, "{place}: twice: {record}");
            }
        }
    }
    all
}

fn stem(name: &str) -> &str {
    name.trim_end_matches(".gz").trim_end_matches(".jsonl")
}

fn members(text: &str) -> Members<'_> {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// The content of a line: one record, or the parts of one that are compared by themselves.
fn one(kind: &str, line: &str, from_sqlite: bool) -> Vec<String> {
    let record = members(line);
    let items = |name: &str| -> Vec<&RawValue> {
        let list = record.get(name).map_or("[]", |list| list.get());
        serde_json::from_str(list).unwrap()
    };
    match kind {
        "account" => {
            let mut all = Vec::new();
            for list in ["passwords", "storeKeyValues", "accountFields"] {
                for item in items(list) {
                    let mut parts = normal_members(item.get());
                    let value = parts.get("value").cloned();
                    // The SQLite engine keeps the text of the JSON.
                    if list == "storeKeyValues"
                        && from_sqlite
                        && let Some(text) = value
                    {
                        let inner: String = serde_json::from_str(&text).unwrap();
                        parts.insert("value".to_owned(), normal(&inner));
                    }
                    all.push(format!("{list} {parts:?}"));
                }
            }
            all
        }
        "series" => {
            let of = format!(
                "{} {}",
                record["namespace"].get(),
                record["measurement"].get()
            );
            let points = items("points").into_iter();
            points
                .map(|point| format!("{of} {}", normal(point.get())))
                .collect()
        }
        "audit" => vec![format!("{:?}", audit(&record))],
        _ => {
            let mut parts = normal_members(line);
            // A missing member equals null, and where the default is false it equals false.
            parts.retain(|_, value| value != "null");
            if kind == "streams" {
                parts.retain(|key, value| {
                    !(value == "false" && (key == "trashed" || key == "singleActivity"))
                });
            }
            vec![format!("{parts:?}")]
        }
    }
}

/// The two engines name the columns of the audit trail otherwise, and one keeps JSON as its text.
fn audit(record: &Members<'_>) -> BTreeMap<String, String> {
    let foreign = record.contains_key("head_id");
    let mut parts = BTreeMap::new();
    for (name, value) in record {
        let name = match &**name {
            "head_id" => "headId",
            "stream_ids" => "streamIds",
            "end_time" => "endTime",
            "client_data" => "clientData",
            "created_by" => "createdBy",
            "modified_by" => "modifiedBy",
            other => other,
        };
        let json = matches!(name, "content" | "clientData" | "attachments");
        let value = match (value.get(), name) {
            ("false" | "0", "trashed") => "null".to_owned(),
            ("true" | "1", "trashed") => "true".to_owned(),
            ("null", _) => "null".to_owned(),
            (text, _) if json && !foreign => normal(&serde_json::from_str::<String>(text).unwrap()),
            (text, _) => normal(text),
        };
        if value != "null" {
            parts.insert(name.to_owned(), value);
        }
    }
    parts
}

fn normal_members(text: &str) -> BTreeMap<String, String> {
    members(text)
        .into_iter()
        .map(|(name, value)| (name.into_owned(), normal(value.get())))
        .collect()
}

/// A value with its members in order, its numbers as exact decimals, its strings as what they say.
fn normal(text: &str) -> String {
    let text = text.trim();
    match text.as_bytes().first() {
        Some(b'{') => format!("{:?}", normal_members(text)),
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text).unwrap();
            let items: Vec<String> = items.into_iter().map(|item| normal(item.get())).collect();
            format!("{items:?}")
        }
        // Half a surrogate pair is as it is written.
        Some(b'"') => serde_json::from_str::<String>(text).map_or_else(
            |_| text.to_owned(),
            |inner| serde_json::to_string(&inner).unwrap(),
        ),
        Some(b'-' | b'0'..=b'9') => decimal(text),
        _ => text.to_owned(),
    }
}

/// A number as digits and the power of ten of the last, without zeros at the end.
fn decimal(text: &str) -> String {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text),
    };
    let (mantissa, power) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let power: i64 = power.parse().unwrap();
    let all = digits.trim_start_matches('0');
    let kept = all.trim_end_matches('0');
    if kept.is_empty() {
        return "0".to_owned();
    }
    let power = power - fraction.len() as i64 + (all.len() - kept.len()) as i64;
    format!("{sign}{kept}e{power}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_is_the_same_text() {
        for (one, other) in [
            ("1.50", "15e-1"),
            ("-0.0", "0"),
            ("1e21", "1000000000000000000000"),
            (r#"{"a":1,"b":"\u00e9"}"#, r#"{ "b":"é", "a":1.0 }"#),
        ] {
            assert_eq!(normal(one), normal(other));
        }
        for (one, other) in [("1.5", "1.50001"), ("[1,2]", "[2,1]"), ("\"1\"", "1")] {
            assert_ne!(normal(one), normal(other));
        }
    }
}
