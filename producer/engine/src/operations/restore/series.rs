//! Series: under which name each is kept. It must be one of the user's own, since other users' series lie beside them.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    lines,
    selection::{NameOwners, SelectedUser},
};
use crate::platform::write::RestoreError;

/// The measurements of the running platform begin so.
const OF_EVENTS: &str = "event.";

#[derive(Deserialize)]
struct Line<'a> {
    measurement: String,
    namespace: Option<String>,
    #[serde(borrow)]
    points: &'a RawValue,
}

/// Lines of series, each with the name under which this platform keeps it, and how many are left out: under a name that somebody
/// else bears, or did, the series would be theirs. Any other name in the user's own file is one that the user had.
pub fn named(
    lines: &[u8],
    user: &SelectedUser,
    owners: &NameOwners,
) -> Result<(Vec<u8>, u64), RestoreError> {
    let bad = |what: String| RestoreError::Record {
        collection: "series",
        what,
    };
    let mut all = Vec::with_capacity(lines.len() + 64);
    let mut left_out = 0;
    for line in lines::split(lines) {
        let line: Line<'_> = serde_json::from_slice(line)
            .map_err(|e| bad(format!("a line is no measurement with its points ({e})")))?;
        let id = &user.source.user_id;
        let named = match &line.namespace {
            Some(namespace) => namespace.clone(),
            // Pryv's own archives do not say.
            None if line.measurement.starts_with(OF_EVENTS) => {
                format!("user.{}", user.source.username)
            }
            None => id.clone(),
        };
        let name = named.strip_prefix("user.");
        let namespace = match name {
            _ if named == *id => named,
            Some(name) if name == user.source.username => format!("user.{}", user.target.username),
            Some(name) if owners.others(name, id) => {
                left_out += 1;
                continue;
            }
            Some(_) => named,
            None => {
                return Err(bad(format!(
                    "{:?} is kept under the namespace {named:?}, which is not one of this user",
                    line.measurement
                )));
            }
        };
        let head = serde_json::json!([line.measurement, namespace]);
        all.extend_from_slice(
            format!(
                "{{\"measurement\":{},\"namespace\":{},\"points\":",
                head[0], head[1]
            )
            .as_bytes(),
        );
        all.extend_from_slice(line.points.get().as_bytes());
        all.extend_from_slice(b"}\n");
    }
    Ok((all, left_out))
}
