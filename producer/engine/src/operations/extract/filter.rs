//! Which records are wanted.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use decryptor_wasm::{Error, Result, integrity::Record, plan::PlannedFile};
use serde::Deserialize;

use crate::archive::read::Archive;

/// The conditions; a record must meet all.
#[derive(Debug, Default)]
pub struct Filter {
    /// Seconds since 1970, inclusive.
    pub since: Option<f64>,
    /// Exclusive.
    pub until: Option<f64>,
    /// At least one of these.
    pub streams: Option<BTreeSet<String>>,
    /// `note/txt`, or `note/*`.
    pub kind: Option<String>,
}

impl Filter {
    /// Whether a record is wanted.
    pub fn wants(&self, record: &Record<'_>) -> bool {
        if self.since.is_some() || self.until.is_some() {
            let Some(time) = time(record) else {
                return false;
            };
            if self.since.is_some_and(|since| time < since)
                || self.until.is_some_and(|until| time >= until)
            {
                return false;
            }
        }
        if let Some(wanted) = &self.kind {
            let kind = record.string("type").unwrap_or_default();
            let fits = match wanted.strip_suffix('*') {
                Some(start) => kind.starts_with(start),
                None => kind == wanted.as_str(),
            };
            if !fits {
                return false;
            }
        }
        match &self.streams {
            None => true,
            Some(wanted) => {
                let list = record.get("streamIds").unwrap_or_default();
                strings(list).iter().any(|id| wanted.contains(id.as_ref()))
            }
        }
    }
}

/// When it happened, or otherwise when it was last changed.
fn time(record: &Record<'_>) -> Option<f64> {
    let number = |name: &str| record.get(name)?.parse::<f64>().ok();
    number("time")
        .or_else(|| number("modified"))
        .or_else(|| number("created"))
}

fn strings(list: &str) -> Vec<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'t>(#[serde(borrow)] Cow<'t, str>);
    let all: Vec<Text<'_>> = serde_json::from_str(list).unwrap_or_default();
    all.into_iter().map(|text| text.0).collect()
}

/// A stream with all that are below it; none when it is not among the streams in `file`.
pub fn branch(
    archive: &Archive,
    file: &PlannedFile,
    root: &str,
) -> Result<Option<BTreeSet<String>>> {
    let mut children: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut known = false;
    archive.lines::<Error>(file, false, &mut |line| {
        let record = line.record()?;
        if let Some(id) = record.string("id") {
            known |= id == root;
            let parent = record.string("parentId").unwrap_or_default();
            children
                .entry(parent.into_owned())
                .or_default()
                .push(id.into_owned());
        }
        Ok(())
    })?;
    if !known {
        return Ok(None);
    }
    let mut branch = BTreeSet::new();
    let mut next = vec![root.to_owned()];
    while let Some(id) = next.pop() {
        next.extend(children.remove(&id).unwrap_or_default());
        branch.insert(id);
    }
    Ok(Some(branch))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn all_conditions_count() {
        let wants =
            |filter: &Filter, text: &str| filter.wants(&Record::parse(text.as_bytes()).unwrap());
        let event = r#"{"id":"e","time":10,"type":"note/txt","streamIds":["a","\u0062"]}"#;
        let filter = Filter {
            since: Some(10.0),
            until: Some(11.0),
            streams: Some(["b".to_owned()].into()),
            kind: Some("note/*".to_owned()),
        };
        assert!(wants(&filter, event));
        for other in [
            event.replace(":10", ":11"),
            event.replace(":10", ":9.999"),
            event.replace("\"time\"", "\"tame\""),
            event.replace("note", "mass"),
            event.replace("0062", "0063"),
        ] {
            assert!(!wants(&filter, &other), "{other}");
        }
        assert!(wants(&Filter::default(), "{}"));
    }
}
