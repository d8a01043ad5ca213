//! Random histories of a collection: the lines that an index keeps of all runs are those of the last state.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use decryptor_wasm::{
    chain::{ChainKey, ChangeIndex, Removed, number},
    jsonl::{Line, LineSplitter},
};
use proptest::prelude::*;

/// What a record says, by its id.
type Records = BTreeMap<u8, u8>;

fn key() -> ChainKey {
    ChainKey::from_bytes(*b"a key of 16 byte")
}

fn line(id: u8, content: u8) -> String {
    format!("{{\"content\":{content},\"id\":\"e{id}\"}}\n")
}

/// A run: lines that are new or differ, and what is gone.
fn delta(before: &Records, after: &Records) -> (String, Vec<u8>) {
    let lines = after
        .iter()
        .filter(|(id, content)| before.get(id) != Some(content))
        .map(|(id, content)| line(*id, *content));
    let gone: Vec<u64> = before
        .keys()
        .filter(|id| !after.contains_key(id))
        .map(|id| number(&key(), "events", &[format!("e{id}")]))
        .collect();
    let removed = serde_json::to_vec(&Removed::new("events", &gone)).unwrap();
    (lines.collect(), removed)
}

proptest! {
    #[test]
    fn a_state_is_what_there_was(
        states in prop::collection::vec(prop::collection::btree_map(any::<u8>(), 0..4u8, 0..40), 1..7),
        passes in 1..4u64,
        piece in 1..50usize,
    ) {
        let mut runs = vec![(states[0].iter().map(|(id, c)| line(*id, *c)).collect::<String>(), Vec::new())];
        runs.extend(states.windows(2).map(|pair| delta(&pair[0], &pair[1])));
        let mut found = Records::new();
        for pass in 0..passes {
            let mut index = ChangeIndex::new(key(), "events", pass, passes);
            for (at, (lines, removed)) in runs.iter().enumerate().skip(1) {
                let run = at as u32 + 1;
                for line in lines.lines() {
                    index.brought(run, line.as_bytes()).unwrap();
                }
                index.removed(run, removed).unwrap();
            }
            index.close();
            for (at, (lines, _)) in runs.iter().enumerate() {
                let run = at as u32 + 1;
                let (mut splitter, mut out) = (LineSplitter::default(), Vec::new());
                let mut keep = |line: Line<'_>| index.keep(run, line.text, &mut out);
                for piece in lines.as_bytes().chunks(piece) {
                    splitter.push(piece, &mut keep).unwrap();
                }
                let count = splitter.finish(&mut keep).unwrap();
                prop_assert_eq!(count, lines.lines().count() as u64);
                for line in std::str::from_utf8(&out).unwrap().lines() {
                    let record: serde_json::Value = serde_json::from_str(line).unwrap();
                    let id = record["id"].as_str().unwrap()[1..].parse().unwrap();
                    let content = record["content"].as_u64().unwrap() as u8;
                    prop_assert!(found.insert(id, content).is_none(), "e{} is there twice", id);
                }
            }
        }
        prop_assert_eq!(&found, states.last().unwrap());
    }
}
