//! Integrity hashes against those that Pryv.io's own package computed.
#![allow(clippy::unwrap_used, clippy::panic)]

use decryptor_wasm::integrity::{Hashed, Verdict, attachment, check, digest};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn kind(vector: &Value) -> Hashed {
    match vector["kind"].as_str().unwrap() {
        "event" => Hashed::Event,
        "access" => Hashed::Access,
        other => panic!("{other}"),
    }
}

/// The input of a vector with its value in place.
fn record(vector: &Value, value: &str) -> Vec<u8> {
    let mut record = vector["input"].clone();
    record["integrity"] = json!(value);
    // A version is hashed under the id of its head; the vectors are about the hash alone.
    if kind(vector) == Hashed::Event {
        record.as_object_mut().unwrap().remove("headId");
    }
    record.to_string().into_bytes()
}

#[test]
fn hashes_are_those_of_pryv() {
    let vectors: Vec<Value> =
        serde_json::from_slice(include_bytes!("data/integrity.json")).unwrap();
    assert!(vectors.len() >= 10);
    for vector in &vectors {
        let value = vector["value"].as_str().unwrap();
        let found = check(kind(vector), &record(vector, value)).unwrap();
        assert_eq!(found, Verdict::Match, "{}", vector["title"]);

        let hashed = Sha256::digest(vector["hashed"].as_str().unwrap().as_bytes());
        if value.contains("sha256-") {
            let plain = record(vector, value);
            assert_eq!(
                digest(kind(vector), &plain).unwrap(),
                <[u8; 32]>::from(hashed)
            );
        }

        // Any other content is noticed, and so is any other hash.
        let mut changed: Value = serde_json::from_slice(&record(vector, value)).unwrap();
        changed["added"] = json!(1);
        let found = check(kind(vector), changed.to_string().as_bytes()).unwrap();
        assert!(
            matches!(found, Verdict::Mismatch { .. }),
            "{}",
            vector["title"]
        );
        let found = check(kind(vector), &record(vector, &value.replace("0:", "0:x"))).unwrap();
        assert!(
            matches!(found, Verdict::Mismatch { .. }),
            "{}",
            vector["title"]
        );
    }
}

#[test]
fn a_record_without_a_hash_is_unhashed() {
    let found = check(Hashed::Event, br#"{"id":"e","integrity":null}"#).unwrap();
    assert_eq!(found, Verdict::Unhashed);
    assert_eq!(
        check(Hashed::Access, br#"{"id":"a"}"#).unwrap(),
        Verdict::Unhashed
    );
    check(Hashed::Access, b"[]").unwrap_err();
    check(Hashed::Access, &[b'[', 0xff, b']']).unwrap_err();
}

/// The hash knows the duration that was sent, the record the end time that was made of it.
#[test]
fn a_rounded_duration_is_told_apart_from_damage() {
    let sent = json!({"id": "e", "time": 1_000_000_000.1, "duration": 0.3, "type": "activity/plain", "streamIds": ["s"]});
    let hash = digest(Hashed::Event, sent.to_string().as_bytes()).unwrap();
    let stored = attachment(&hash);
    let kept = json!({
        "id": "e", "time": 1_000_000_000.1, "endTime": 1_000_000_000.4, "type": "activity/plain", "streamIds": ["s"],
        "integrity": format!("EVENT:0:{stored}"),
    });
    let found = check(Hashed::Event, kept.to_string().as_bytes()).unwrap();
    assert_eq!(found, Verdict::Rounded);
    let other = kept.to_string().replace("1000000000.4", "1000000000.5");
    let found = check(Hashed::Event, other.as_bytes()).unwrap();
    assert!(matches!(found, Verdict::Mismatch { .. }));
}

#[test]
fn a_version_is_hashed_as_its_event() {
    let event = json!({"id": "e", "time": 1, "type": "a/b", "streamIds": ["s"]});
    let hash = attachment(&digest(Hashed::Event, event.to_string().as_bytes()).unwrap());
    let version = json!({
        "id": "v", "headId": "e", "time": 1, "type": "a/b", "streamIds": ["s"], "integrity": format!("EVENT:0:{hash}"),
    });
    let found = check(Hashed::Event, version.to_string().as_bytes()).unwrap();
    assert_eq!(found, Verdict::Match);
}

/// Order, spelling and spaces do not count; beyond doubles the nearest one does.
#[test]
fn equal_records_hash_alike() {
    let one = br#"{"id":"e","content":{"b":1.0,"a":[9007199254740993,1e400,-0],"s":"\u00e9\ud83d\ude00"},"x":null}"#;
    let same = "{\"content\": {\"a\": [9007199254740992, null, 0], \"s\": \"é😀\", \"b\": 1}, \"id\": \"e\"}";
    assert_eq!(
        digest(Hashed::Event, one).unwrap(),
        digest(Hashed::Event, same.as_bytes()).unwrap()
    );
    let half = digest(Hashed::Event, br#"{"id":"\ud800"}"#).unwrap();
    let replaced = digest(Hashed::Event, "{\"id\":\"\u{fffd}\"}".as_bytes()).unwrap();
    // The replacement character is one of those that are escaped.
    assert_eq!(half, replaced);
}

/// What is nested deeper than that is told apart where it has a hash, and stands in nobody's way where it has none.
#[test]
fn depth_is_bounded() {
    for (open, close) in [("[", "]"), ("{\"b\":", "}")] {
        for (depth, known) in [(100, true), (200, true), (201, false), (10_000, false)] {
            let (before, after) = (open.repeat(depth), close.repeat(depth));
            let record = |content: &str, hash: &str| {
                format!("{{\"id\":\"e\",\"a\":{before}{content}{after}{hash}}}").into_bytes()
            };
            let of = |content: &str| digest(Hashed::Event, &record(content, "")).unwrap();
            assert_eq!(of("1") == of("2"), !known, "{depth}");
            let plain = check(Hashed::Event, &record("1", "")).unwrap();
            assert_eq!(plain, Verdict::Unhashed, "{depth}");
            let hash = format!(",\"integrity\":\"EVENT:0:{}\"", attachment(&of("1")));
            let due = match known {
                true => Verdict::Match,
                false => Verdict::Unknown("it is nested too deep"),
            };
            let found = check(Hashed::Event, &record("1", &hash)).unwrap();
            assert_eq!(found, due, "{depth}");
        }
    }
}

#[test]
fn streams_that_contradict_each_other_have_no_hash() {
    let record = br#"{"id":"e","streamId":"a","streamIds":["b"]}"#;
    digest(Hashed::Event, record).unwrap();
    let hashed = br#"{"id":"e","streamId":"a","streamIds":["b"],"integrity":"EVENT:0:sha256-x"}"#;
    let found = check(Hashed::Event, hashed).unwrap();
    assert!(matches!(found, Verdict::Unknown(why) if why.contains("streamId")));
}

#[test]
fn attachments_hash_as_events_list_them() {
    let hash: [u8; 32] = Sha256::digest(b"abc").into();
    assert_eq!(
        attachment(&hash),
        "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
    );
}
