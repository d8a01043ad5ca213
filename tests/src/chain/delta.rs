//! The content of an increment.

use std::collections::{BTreeMap, BTreeSet};

use decryptor_wasm::{
    chain::{ChainKey, Removed, number, numbers},
    layout::PathKind,
};
use serde_json::{Value, json};

use super::{Files, State, ids};

/// Records that are new or changed, and tombstones of those that were deleted.
pub fn delta(before: &State, after: &State, key: &ChainKey) -> Files {
    let mut delta = Files::new();
    let there: BTreeSet<&str> = ids(after).collect();
    let known: BTreeSet<&str> = ids(before).collect();
    let mut places: BTreeSet<(String, String)> = BTreeSet::new();
    for path in before.content.keys().chain(after.content.keys()) {
        match PathKind::of(path) {
            PathKind::UserRecords { user } => {
                let name = path.split('/').nth(2).unwrap();
                places.insert((user, name.trim_end_matches(".jsonl").to_owned()));
            }
            PathKind::SharedRecords => {
                let name = path.trim_end_matches(".jsonl").to_owned();
                places.insert((String::new(), name));
            }
            _ => {}
        }
    }
    for (user, collection) in places {
        if !user.is_empty() && !there.contains(user.as_str()) {
            continue;
        }
        let new = !user.is_empty() && !known.contains(user.as_str());
        let old = if new {
            Parts::default()
        } else {
            parts(before, &user, &collection, key)
        };
        let parts = parts(after, &user, &collection, key);
        let lines: String = parts
            .lines
            .iter()
            .filter(|(number, line)| old.lines.get(number) != Some(line))
            .map(|(_, line)| format!("{line}\n"))
            .collect();
        if !lines.is_empty() || new {
            let path = match collection.as_str() {
                _ if user.is_empty() => format!("{collection}.jsonl"),
                "events" | "audit" => format!("users/{user}/{collection}/{collection}-0001.jsonl"),
                "series" => format!("users/{user}/series/series.jsonl"),
                _ => format!("users/{user}/{collection}.jsonl"),
            };
            delta.insert(path, lines.into_bytes());
        }
        let mut gone: Vec<u64> = old
            .measurements
            .iter()
            .filter(|(number, _)| !parts.measurements.contains_key(number))
            .map(|(number, _)| *number)
            .collect();
        let covered: BTreeSet<u64> = old
            .measurements
            .iter()
            .filter(|(number, _)| !parts.measurements.contains_key(number))
            .flat_map(|(_, points)| points.iter().copied())
            .collect();
        let left = old.lines.keys().filter(|n| !parts.lines.contains_key(n));
        gone.extend(left.filter(|n| !covered.contains(n)));
        if !gone.is_empty() {
            let path = match user.as_str() {
                "" => "platform/removed.jsonl".to_owned(),
                user => format!("users/{user}/removed.jsonl"),
            };
            let line = serde_json::to_string(&Removed::new(&collection, &gone)).unwrap();
            let file = delta.entry(path).or_default();
            file.extend_from_slice((line + "\n").as_bytes());
        }
    }
    for (path, bytes) in &after.content {
        let attachment = matches!(PathKind::of(path), PathKind::Attachment { .. });
        if attachment && !before.content.contains_key(path) {
            delta.insert(path.clone(), bytes.clone());
        }
    }
    delta
}

/// The records of a collection, or points, by their numbers.
#[derive(Default)]
struct Parts {
    lines: BTreeMap<u64, String>,
    /// The points of each measurement.
    measurements: BTreeMap<u64, Vec<u64>>,
}

fn parts(state: &State, user: &str, collection: &str, key: &ChainKey) -> Parts {
    let mut parts = Parts::default();
    let folder = match user {
        "" => collection.to_owned(),
        user => format!("users/{user}/{collection}"),
    };
    let mine = |path: &str| {
        let rest = path.strip_prefix(&folder);
        rest.is_some_and(|rest| rest == ".jsonl" || rest.starts_with('/'))
    };
    for (_, bytes) in state.content.iter().filter(|(path, _)| mine(path)) {
        for line in std::str::from_utf8(bytes).unwrap().lines() {
            if collection != "series" {
                let mut add =
                    |number| assert!(parts.lines.insert(number, line.to_owned()).is_none());
                numbers(key, collection, line.as_bytes(), &mut add).unwrap();
                continue;
            }
            let value: Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| value[name].as_str().unwrap_or_default();
            let (namespace, name) = (text("namespace"), text("measurement"));
            let whole = number(key, "series", &[namespace, name]);
            for point in value["points"].as_array().unwrap() {
                let one = json!({"measurement": name, "namespace": namespace, "points": [point]});
                let one = one.to_string();
                let mut add = |number| {
                    parts.lines.insert(number, one.clone());
                    parts.measurements.entry(whole).or_default().push(number);
                };
                numbers(key, "series", one.as_bytes(), &mut add).unwrap();
            }
        }
    }
    parts
}
