//! Where two lists of records differ, order aside, and whether that is all as it should be.

use crate::plain::Plain;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Differences in words, each with how often it was met.
#[derive(Debug, Default)]
pub struct Differences(pub BTreeMap<String, usize>);

/// A difference that is meant to be, and why.
pub struct Meant {
    /// Its words.
    pub what: &'static str,
    /// How often it is met.
    pub times: usize,
    /// Why ours is right.
    pub reason: &'static str,
}

/// The kinds of records that a user of the fixtures has, besides series.
const COLLECTIONS: [&str; 7] = [
    "streams", "accesses", "profile", "webhooks", "events", "account", "audit",
];

impl Differences {
    /// Compares two archives that hold everything of the same platform. The attachments must be the same; users may
    /// come in any order.
    ///
    /// # Panics
    /// When a user or a whole collection is missing, or an attachment differs.
    #[must_use]
    pub fn of_archives(ours: &Plain, theirs: &Plain) -> Self {
        let mut found = Self::default();
        let manifests = [ours, theirs].map(|archive| archive.json("manifest.json"));
        let [mine, other] = &manifests;
        found.values("manifest", "config", &mine["config"], &other["config"]);
        assert_eq!(users(mine).count(), users(other).count());
        for mine in users(mine) {
            let other = users(other).find(|user| user["userId"] == mine["userId"]);
            let other = other.unwrap_or_else(|| panic!("only in ours: {}", mine["userId"]));
            let [mine, other] = [mine, other].map(without_time);
            found.values("manifest", "user", &mine, &other);
            let user = mine["userId"].as_str().unwrap();
            for kind in COLLECTIONS {
                let name = format!("users/{user}/{kind}");
                let records = ours.records(&name);
                assert!(!records.is_empty(), "no {kind} of {user}");
                found.records(kind, &records, &theirs.records(&name));
            }
            let name = format!("users/{user}/series/series");
            found.records("series", &ours.records(&name), &theirs.records(&name));
            let (mine, other) = (ours.attachments(user), theirs.attachments(user));
            assert!(!mine.is_empty());
            assert!(mine == other, "attachments of {user}");
        }
        let name = "platform/platform";
        found.records("platform", &ours.records(name), &theirs.records(name));
        found
    }

    /// Compares records of one kind as JSON values. Records that are not in both lists are paired by what identifies
    /// them, and compared member by member.
    pub fn records(&mut self, kind: &str, ours: &[Value], theirs: &[Value]) {
        let mut missing: HashMap<String, Vec<&Value>> = HashMap::new();
        for record in theirs {
            missing.entry(canonical(record)).or_default().push(record);
        }
        let mut unmatched = Vec::new();
        for record in ours {
            let same = missing.get_mut(&canonical(record));
            if same.and_then(Vec::pop).is_none() {
                unmatched.push(record);
            }
        }
        let mut waiting: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
        for record in missing.into_values().flatten() {
            waiting.entry(identity(record)).or_default().push(record);
        }
        for record in unmatched {
            match waiting.get_mut(&identity(record)).and_then(Vec::pop) {
                Some(other) => self.values(kind, "", record, other),
                None => self.note(format!("{kind}: a record only in ours")),
            }
        }
        for _ in waiting.into_values().flatten() {
            self.note(format!("{kind}: a record only in theirs"));
        }
    }

    /// Compares two values, member by member.
    pub fn values(&mut self, kind: &str, path: &str, ours: &Value, theirs: &Value) {
        match (ours, theirs) {
            (Value::Object(ours), Value::Object(theirs)) => {
                let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
                for name in names {
                    let path = match path {
                        "" => name.clone(),
                        path => format!("{path}.{name}"),
                    };
                    self.options(kind, &path, ours.get(name), theirs.get(name));
                }
            }
            (Value::Array(ours), Value::Array(theirs)) => {
                for i in 0..ours.len().max(theirs.len()) {
                    self.options(kind, &format!("{path}[]"), ours.get(i), theirs.get(i));
                }
            }
            (ours, theirs) if canonical(ours) == canonical(theirs) => {}
            (ours, theirs) => self.note(format!("{kind}: {path} is {ours}, in theirs {theirs}")),
        }
    }

    fn options(&mut self, kind: &str, path: &str, ours: Option<&Value>, theirs: Option<&Value>) {
        match (ours, theirs) {
            (Some(ours), Some(theirs)) => self.values(kind, path, ours, theirs),
            (Some(_), None) => self.note(format!("{kind}: {path} only in ours")),
            (None, Some(_)) => self.note(format!("{kind}: {path} only in theirs")),
            (None, None) => {}
        }
    }

    /// Adds a difference.
    pub fn note(&mut self, what: String) {
        *self.0.entry(what).or_default() += 1;
    }

    /// # Panics
    /// When a difference is not meant to be, or one that is does not occur as often as it should.
    pub fn assert_meant(&self, meant: &[Meant]) {
        let mut wrong = Vec::new();
        for (what, times) in &self.0 {
            if !meant.iter().any(|known| known.what == what) {
                wrong.push(format!("{what} ({times} times): nobody meant that"));
            }
        }
        for Meant {
            what,
            times,
            reason,
        } in meant
        {
            let met = self.0.get(*what).copied().unwrap_or(0);
            if met != *times {
                wrong.push(format!("{what}: {met} times, not {times} ({reason})"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

/// The identity of a record among the others of its kind.
fn identity(record: &Value) -> String {
    let names = [
        "id",
        "eventid",
        "userId",
        "isUnique",
        "field",
        "username",
        "measurement",
    ];
    names
        .iter()
        .filter_map(|name| record.get(name).map(|value| format!("{name}={value};")))
        .collect()
}

/// A value as text with sorted keys: numbers are the same when they are written the same.
fn canonical(value: &Value) -> String {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(members) => {
                let mut members: Vec<_> = members
                    .iter()
                    .map(|(k, v)| (k.clone(), sorted(v)))
                    .collect();
                members.sort_by(|a, b| a.0.cmp(&b.0));
                Value::Object(Map::from_iter(members))
            }
            Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
            other => other.clone(),
        }
    }
    sorted(value).to_string()
}

/// The users of a manifest.
///
/// # Panics
/// When it has none.
pub fn users(manifest: &Value) -> impl Iterator<Item = &Value> {
    manifest["users"].as_array().unwrap().iter()
}

/// A user of a manifest without what no two backups share, and with the names that decompressed files have.
fn without_time(user: &Value) -> Value {
    let mut user = user.clone();
    let removed = user.as_object_mut().unwrap().remove("backupTimestamp");
    assert!(removed.unwrap().is_number());
    for names in user["chunks"].as_object_mut().unwrap().values_mut() {
        for name in names.as_array_mut().unwrap() {
            *name = name.as_str().unwrap().trim_end_matches(".gz").into();
        }
    }
    user
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn differences_are_found_and_order_is_none() {
        let mut found = Differences::default();
        let ours = [
            json!({"id": 1, "a": [1, 2]}),
            json!({"id": 2, "b": 1, "c": 2}),
            json!({"id": 2}),
        ];
        let theirs = [
            json!({"c": 2, "b": 1, "id": 2}),
            json!({"a": [1, 3], "id": 1}),
            json!({"id": 3}),
        ];
        found.records("x", &ours, &theirs);
        let words: Vec<_> = found.0.keys().map(String::as_str).collect();
        assert_eq!(
            words,
            [
                "x: a record only in ours",
                "x: a record only in theirs",
                "x: a[] is 2, in theirs 3"
            ]
        );
    }

    #[test]
    fn records_that_occur_twice_count_twice() {
        let mut found = Differences::default();
        found.records("x", &[json!({}), json!({})], &[json!({})]);
        assert_eq!(found.0["x: a record only in ours"], 1);
    }
}
