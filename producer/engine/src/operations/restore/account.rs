//! Fields of an account: the current ones, and the defaults where nothing is known.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{config::AccountField, platform::write::RestoreError};

/// An account record ready to be stored. One without fields, as version 1 of Pryv.io had them, gets the usual ones.
pub fn complete(lines: &[u8], known: &[AccountField]) -> Result<Vec<u8>, RestoreError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Account<'a> {
        #[serde(borrow, default)]
        account_fields: Option<Vec<&'a RawValue>>,
    }
    let text = String::from_utf8_lossy(lines);
    let line = text.trim_end();
    let account: Account<'_> = serde_json::from_str(line).map_err(|e| RestoreError::Record {
        collection: "account",
        what: e.to_string(),
    })?;
    let there = account.account_fields.is_some_and(|f| !f.is_empty());
    Ok(if there {
        lines.to_vec()
    } else {
        with_defaults(line, known)
    })
}

/// An account record with the usual fields added; what else it has stays as it is written.
pub fn with_defaults(line: &str, known: &[AccountField]) -> Vec<u8> {
    let account: BTreeMap<String, &RawValue> = serde_json::from_str(line).unwrap_or_default();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64());
    let fields: Vec<String> = known
        .iter()
        .filter_map(|field| {
            let (name, value) = (serde_json::Value::from(&*field.id), field.default.as_ref()?);
            Some(format!(
                "{{\"field\":{name},\"value\":{value},\"time\":{now},\"createdBy\":\"restore\"}}"
            ))
        })
        .collect();
    let mut line = format!("{{\"accountFields\":[{}]", fields.join(","));
    for (key, value) in account.iter().filter(|(key, _)| *key != "accountFields") {
        let key = serde_json::Value::from(key.as_str());
        line += &format!(",{key}:{}", value.get());
    }
    line += "}\n";
    line.into_bytes()
}

#[derive(Deserialize)]
struct Field {
    field: String,
    #[serde(default)]
    value: serde_json::Value,
    #[serde(default)]
    time: f64,
}

fn fields(line: &[u8]) -> Vec<Field> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Account {
        #[serde(default)]
        account_fields: Option<Vec<Field>>,
    }
    let account = serde_json::from_slice::<Account>(line).ok();
    account
        .and_then(|account| account.account_fields)
        .unwrap_or_default()
}

/// The latest value of each field, as text.
pub fn current_fields(line: &[u8]) -> BTreeMap<String, String> {
    let mut latest: BTreeMap<String, (f64, Option<String>)> = BTreeMap::new();
    for field in fields(line) {
        let text = match field.value {
            serde_json::Value::String(text) => Some(text),
            serde_json::Value::Null => None,
            other => Some(other.to_string()),
        };
        let newer = latest
            .get(&field.field)
            .is_none_or(|(time, _)| *time <= field.time);
        if newer {
            latest.insert(field.field, (field.time, text));
        }
    }
    latest
        .into_iter()
        .filter_map(|(field, (_, text))| Some((field, text?)))
        .collect()
}
