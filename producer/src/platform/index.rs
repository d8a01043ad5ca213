//! The entries of the platform index: which account holds which unique value, and the indexed values of accounts.

use super::json::Object;
use super::{ExportError, IndexSink, Loss};

/// The keys of a backup, as ranges that a primary key answers ('0' follows '/'): unique values, then indexed ones.
pub const RANGES: [(&str, &str); 2] = [
    ("user-unique/", "user-unique0"),
    ("user-indexed/", "user-indexed0"),
];

/// Hands over one entry; a key that is none is a loss. `place` is where it is stored.
pub fn hand_over(
    key: &str,
    value: &str,
    place: &str,
    sink: &mut dyn IndexSink,
) -> Result<(), ExportError> {
    match entry(key, value) {
        Some(line) => sink.record(&line).map_err(ExportError::Sink),
        None => {
            sink.loss(Loss {
                user_id: None,
                collection: Some("platform".to_owned()),
                path: Some(place.to_owned()),
                what: format!("key {key:?} is not <kind>/<field>/<name>; it was left out"),
            });
            Ok(())
        }
    }
}

/// `user-unique/<field>/<value>` → username, or `user-indexed/<field>/<username>` → value.
/// Only the first two slashes separate: a value may contain more.
fn entry(key: &str, stored: &str) -> Option<Vec<u8>> {
    let mut parts = key.splitn(3, '/');
    let (kind, field, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let unique = kind == "user-unique";
    let (username, value) = if unique {
        (stored, rest)
    } else {
        (rest, stored)
    };
    let mut object = Object::new();
    object.raw("isUnique", if unique { "true" } else { "false" });
    object
        .string("field", field)
        .string("username", username)
        .string("value", value);
    Some(object.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_with_slashes_stay_whole() {
        let line = entry("user-unique/email/a/b@x", "bob").unwrap_or_default();
        assert_eq!(
            line,
            br#"{"isUnique":true,"field":"email","username":"bob","value":"a/b@x"}"#
        );
        let line = entry("user-indexed/language/bob", "en/gb").unwrap_or_default();
        assert_eq!(
            line,
            br#"{"isUnique":false,"field":"language","username":"bob","value":"en/gb"}"#
        );
    }
}
