//! The entries of the platform's own database: which account holds which unique value, the indexed values of accounts,
//! and whatever else the platform keeps there.

use super::json::Object;
use super::{
    ExportError, IndexSink, Only, PlatformError, PlatformLoss, PlatformMode, Scope, Shared,
};

/// The key ranges of a backup, as a primary key answers them ('0' follows '/'): unique values, indexed ones, and then all
/// that lies around them.
const RANGES: [(&str, &str); 5] = [
    ("user-unique/", "user-unique0"),
    ("user-indexed/", "user-indexed0"),
    ("", "user-indexed/"),
    ("user-indexed0", "user-unique/"),
    ("user-unique0", "\u{10ffff}"),
];

/// Keys that are worth nothing an hour later: authorisation codes, nonces.
const SHORT_LIVED: [&str; 2] = ["access-state/", "dpop-jkt-seen/"];

/// Among them, what lasts for weeks: refresh tokens of OAuth, and those that were used and must not be taken again. The first two are
/// as Pryv.io names them since rc.22.
const LASTING: [&str; 4] = [
    "access-state/oauth-rt/",
    "access-state/oauth-rt-used/",
    "access-state/oauth-refresh/",
    "access-state/oauth-refresh-used/",
];

/// Keys that hold no secret. Any other may: certificates with their keys, OAuth clients, invitations, what is not known yet.
const OPEN: [&str; 8] = [
    "access-index/",
    "core-info/",
    "dns-record/",
    "dpop-jkt-revoked/",
    "mail-template/",
    "migrations/",
    "oauth-client-revoked/",
    "user-core/",
];

/// The key ranges that a backup of this scope reads.
pub fn ranges(scope: &Scope<'_>) -> &'static [(&'static str, &'static str)] {
    match scope.mode {
        PlatformMode::Full => &RANGES,
        PlatformMode::Pryv => &RANGES[..2],
        PlatformMode::None => &[],
    }
}

/// Hands over one entry; a key of the index that is none is a loss. `place` is where it is stored.
pub fn hand_over(
    key: &str,
    value: &str,
    place: &str,
    scope: &Scope<'_>,
    sink: &mut dyn IndexSink,
) -> Result<(), ExportError> {
    if scope.only.is_some_and(|only| !belongs(key, value, only)) {
        return Ok(());
    }
    let begins = |prefix: &&str| key.starts_with(*prefix);
    if !["user-unique/", "user-indexed/"].iter().any(begins) {
        let short_lived = SHORT_LIVED.iter().any(begins) && !LASTING.iter().any(begins);
        if short_lived && !scope.ephemeral {
            return Ok(());
        }
        if !scope.sealed && !OPEN.iter().any(begins) {
            sink.withheld();
            return Ok(());
        }
        let mut object = Object::new();
        object.string("key", key).string("value", value);
        return sink
            .record(Shared::Keys, &object.finish())
            .map_err(ExportError::Sink);
    }
    match entry(key, value) {
        Some(line) => sink.record(Shared::Index, &line).map_err(ExportError::Sink),
        None => {
            sink.loss(PlatformLoss {
                user_id: None,
                collection: Some("platform".to_owned()),
                path: Some(place.to_owned()),
                what: format!("key {key:?} is not <kind>/<field>/<name>; it was left out"),
            });
            Ok(())
        }
    }
}

/// Whether an entry is one of this user.
fn belongs(key: &str, value: &str, only: Only<'_>) -> bool {
    /// The owner that an entry about an access names.
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Access {
        username: Option<String>,
        username_token: Option<String>,
    }
    let is = |name: &str| only.is(name);
    let mut parts = key.splitn(3, '/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some("user-unique"), Some(_), Some(_)) => is(value),
        (Some("user-indexed"), Some(_), Some(name)) | (Some("user-core"), Some(name), None) => {
            is(name)
        }
        (Some("access-index"), Some(_), None) => {
            let access = serde_json::from_str::<Access>(value).ok();
            let names = access.map(|access| [access.username, access.username_token]);
            names.into_iter().flatten().flatten().any(|name| is(&name))
        }
        _ => false,
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

/// Takes note that a table which all users share is not there, as in old platforms. Returns whether the run before has entries of it: then
/// it is a loss.
pub fn absent(
    kind: Shared,
    place: &dyn std::fmt::Display,
    table: &str,
    sink: &mut dyn IndexSink,
) -> bool {
    let known = sink.absent(kind);
    if known {
        sink.loss(PlatformLoss {
            user_id: None,
            collection: Some("platform".to_owned()),
            path: Some(place.to_string()),
            what: format!(
                "the table {table} is gone of which the run before has entries; they stay as they were: put it back, or remove the \
                 state of the chain for a full run"
            ),
        });
    }
    known
}

/// Whether aliases are in scope: they belong to users, but Pryv's own backup has none.
pub fn with_aliases(scope: &Scope<'_>) -> bool {
    scope.mode == PlatformMode::Full
}

/// Hands over another name of a user.
pub fn alias(
    alias: &str,
    user_id: &str,
    scope: &Scope<'_>,
    sink: &mut dyn IndexSink,
) -> Result<(), ExportError> {
    if scope.only.is_some_and(|only| only.user.user_id != user_id) {
        return Ok(());
    }
    let mut object = Object::new();
    object.string("alias", alias).string("userId", user_id);
    sink.record(Shared::Aliases, &object.finish())
        .map_err(ExportError::Sink)
}

/// A table of entries that expire.
pub struct Expiring {
    /// Name of the table.
    pub table: &'static str,
    /// Where its entries go.
    pub kind: Shared,
    /// The column that says what an entry is of; the others are `id` and `expires`.
    pub column: &'static str,
    /// Hands over an entry.
    pub take: Take,
}

/// Hands over an entry: its id, what it is of, and when it expires (milliseconds since 1970).
type Take = fn(&str, &str, &str, &Scope<'_>, &mut dyn IndexSink) -> Result<(), ExportError>;

/// The tables of entries that expire, which both engines have.
const EXPIRING: [Expiring; 2] = [
    Expiring {
        table: "sessions",
        kind: Shared::Sessions,
        column: "data",
        take: session,
    },
    Expiring {
        table: "password_resets",
        kind: Shared::PasswordResets,
        column: "username",
        take: password_reset,
    },
];

/// Hands over the sessions and password resets in scope: `read` those of a table, where `has` tells that it is there.
pub fn ephemeral(
    place: &dyn std::fmt::Display,
    sink: &mut dyn IndexSink,
    has: impl Fn(&str) -> Result<bool, PlatformError>,
    read: impl Fn(&Expiring, &mut dyn IndexSink) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    for expiring in &EXPIRING {
        match has(expiring.table)? {
            true => read(expiring, sink)?,
            false => {
                absent(expiring.kind, place, expiring.table, sink);
            }
        }
    }
    Ok(())
}

/// Hands over a session: who is logged in, until when (milliseconds since 1970).
fn session(
    id: &str,
    data: &str,
    expires: &str,
    scope: &Scope<'_>,
    sink: &mut dyn IndexSink,
) -> Result<(), ExportError> {
    #[derive(serde::Deserialize)]
    struct Data {
        username: Option<String>,
    }
    let data = super::json::checked(data).unwrap_or("null");
    let owner = serde_json::from_str::<Data>(data).ok();
    let owner = owner.and_then(|data| data.username);
    let mut object = Object::new();
    object
        .string("id", id)
        .raw("data", data)
        .raw("expires", expires);
    personal(Shared::Sessions, owner.as_deref(), object, scope, sink)
}

/// Hands over a request to reset a password, and until when it counts (milliseconds since 1970).
fn password_reset(
    id: &str,
    username: &str,
    expires: &str,
    scope: &Scope<'_>,
    sink: &mut dyn IndexSink,
) -> Result<(), ExportError> {
    let mut object = Object::new();
    object
        .string("id", id)
        .string("username", username)
        .raw("expires", expires);
    personal(Shared::PasswordResets, Some(username), object, scope, sink)
}

/// Either is as good as a password: it goes into sealed archives only.
fn personal(
    kind: Shared,
    owner: Option<&str>,
    record: Object,
    scope: &Scope<'_>,
    sink: &mut dyn IndexSink,
) -> Result<(), ExportError> {
    if scope
        .only
        .is_some_and(|only| !owner.is_some_and(|owner| only.is(owner)))
    {
        return Ok(());
    }
    if !scope.sealed {
        sink.withheld();
        return Ok(());
    }
    sink.record(kind, &record.finish())
        .map_err(ExportError::Sink)
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
