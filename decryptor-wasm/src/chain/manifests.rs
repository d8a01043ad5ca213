//! Makes the manifests of a state from those of its newest runs: members that describe a single run are left out.

use std::{borrow::Cow, collections::BTreeMap};

use crate::{
    Code, Error, Result, UserList,
    integrity::Record,
    manifest::{Chunks, Loss},
};

/// `manifest.json` of a state; `json` is that of its run. There is no inventory: those of the runs bind their files.
///
/// # Errors
/// When `json` is no JSON object.
pub fn state_manifest(json: &[u8], users: &UserList, losses: &[Loss]) -> Result<Vec<u8>> {
    let mut list = String::from("[\n");
    for (at, user) in users.iter().enumerate() {
        if at > 0 {
            list.push_str(",\n");
        }
        list.push_str(&text(&user)?);
    }
    list.push_str("\n]");
    let mut said = vec![
        ("backupType", "\"full\"".to_owned()),
        ("compressed", "false".to_owned()),
        ("users", list),
    ];
    if !losses.is_empty() {
        said.push(("losses", text(&losses)?));
    }
    edited(
        json,
        &[
            "inventory",
            "chain",
            "companions",
            "lossCount",
            "removedUsers",
            "losses",
        ],
        said,
    )
}

/// `user-manifest.json` of a user of a state; `json` is that of the last run that has one of the user.
///
/// # Errors
/// When `json` is no JSON object.
pub fn state_user_manifest(
    json: &[u8],
    chunks: &Chunks,
    losses: &[Loss],
    paths: &BTreeMap<String, String>,
) -> Result<Vec<u8>> {
    let mut said = vec![("chunks", text(chunks)?)];
    if !paths.is_empty() {
        said.push(("streamPaths", text(paths)?));
    }
    if !losses.is_empty() {
        said.push(("losses", text(&losses)?));
    }
    edited(json, &["inventory", "losses", "streamPaths", "whole"], said)
}

fn text<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::of(Code::Damaged).because(&e))
}

/// A JSON object with other values of some members and without others, a line for each member.
fn edited(json: &[u8], without: &[&str], mut said: Vec<(&str, String)>) -> Result<Vec<u8>> {
    let record = Record::parse(json)?;
    let mut lines: Vec<String> = Vec::new();
    for (name, value) in record.members() {
        let other = said.iter().position(|(known, _)| *known == name);
        let value = match other {
            Some(at) => Cow::Owned(said.swap_remove(at).1),
            None if without.contains(&name) => continue,
            None => Cow::Borrowed(value),
        };
        lines.push(format!("  {}: {value}", text(&name)?));
    }
    lines.extend(
        said.iter()
            .map(|(name, value)| format!("  \"{name}\": {value}")),
    );
    Ok(format!("{{\n{}\n}}\n", lines.join(",\n")).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_state_says_what_its_run_says_but_is_whole_and_plain() {
        let run = json!({
            "formatVersion": 1, "later": {"a": [1]}, "backupType": "incremental", "compressed": true, "inventory": {"v": 1, "files": []},
            "chain": {"run": 2}, "removedUsers": ["u"], "users": [], "losses": [{"what": "old"}],
        });
        let users: UserList =
            serde_json::from_value(json!([{"userId": "u\"1", "username": "a"}])).unwrap();
        let json = state_manifest(run.to_string().as_bytes(), &users, &[]).unwrap();
        let state: Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(state["later"], run["later"]);
        assert_eq!(state["backupType"], "full");
        assert_eq!(state["compressed"], false);
        assert_eq!(state["users"][0]["userId"], "u\"1");
        for gone in ["inventory", "chain", "removedUsers", "losses"] {
            assert!(state.get(gone).is_none(), "{gone}");
        }
    }

    #[test]
    fn losses_are_those_of_the_state() {
        let loss = Loss {
            user_id: None,
            collection: None,
            path: Some("p".into()),
            what: "w".into(),
        };
        let chunks = Chunks::default();
        let run = br#"{"userId":"u","inventory":{"v":1,"files":[]}}"#;
        let json = state_user_manifest(run, &chunks, &[loss], &BTreeMap::new()).unwrap();
        let state: Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(
            state,
            json!({"userId": "u", "chunks": {"events": []}, "losses": [{"path": "p", "what": "w"}]})
        );
    }
}
