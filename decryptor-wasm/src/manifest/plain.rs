//! Manifests of archives whose record files were inflated.

use serde_json::Value;

use super::parse;
use crate::{Code, Error, Result};

/// A manifest or user-manifest for a tree whose record files were inflated: `compressed` false, chunk names without `.gz`,
/// and no inventory, which would describe other bytes. Every other key is kept.
pub fn plain_manifest(json: &[u8]) -> Result<Vec<u8>> {
    let mut value: Value = parse(json, "manifest")?;
    if let Some(map) = value.as_object_mut() {
        map.shift_remove("inventory");
        if map.contains_key("formatVersion") {
            map.insert("compressed".into(), Value::Bool(false));
        }
        if let Some(users) = map.get_mut("users").and_then(Value::as_array_mut) {
            users.iter_mut().for_each(plain_chunk_names);
        }
    }
    plain_chunk_names(&mut value);
    serde_json::to_vec_pretty(&value).map_err(|e| Error::of(Code::Damaged).because(&e))
}

fn plain_chunk_names(user: &mut Value) {
    let Some(chunks) = user.get_mut("chunks").and_then(Value::as_object_mut) else {
        return;
    };
    for name in chunks
        .values_mut()
        .filter_map(Value::as_array_mut)
        .flatten()
    {
        if let Some(plain) = name.as_str().and_then(|n| n.strip_suffix(".gz")) {
            *name = Value::String(plain.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_manifest_drops_gz_and_inventory() {
        let json = br#"{"formatVersion":1,"users":[{"userId":"u","chunks":{"events":["events-0001.jsonl.gz"]}}],"compressed":true,"inventory":{"v":1,"files":[]},"extra":1}"#;
        let plain: Value = serde_json::from_slice(&plain_manifest(json).unwrap()).unwrap();
        assert_eq!(
            plain,
            serde_json::json!({"formatVersion":1,"users":[{"userId":"u","chunks":{"events":["events-0001.jsonl"]}}],"compressed":false,"extra":1})
        );
    }
}
