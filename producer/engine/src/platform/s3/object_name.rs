//! Names of attachments in a bucket, and of what lies aside there.

use super::ASIDE;
use crate::platform::PlatformError;
use crate::platform::user_folder::plain;
use crate::random::SystemRandom;
use crate::text::hex;
use decryptor_wasm::RandomSource;
use decryptor_wasm::layout::is_safe_name;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What comes behind the prefix: `<userId>/<eventId>/<fileId>`. No user has one below that of another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectName(String);

impl ObjectName {
    /// The name under which an attachment is put; none where an id is not a part of a name that every client understands in the same way.
    #[must_use]
    pub fn of(user_id: &str, event_id: &str, file_id: &str) -> Option<Self> {
        // Clients take white space away where it is at an end.
        let fits = |part: &str| is_safe_name(part) && part.trim() == part;
        let parts = [user_id, event_id, file_id];
        let all_fit = parts.into_iter().all(fits) && user_id != ASIDE;
        all_fit.then(|| Self(parts.join("/")))
    }

    /// The name of one that Pryv.io has put, whose ids it made itself or took from its users.
    #[must_use]
    pub fn of_stored(user_id: &str, event_id: &str, file_id: &str) -> Option<Self> {
        let parts = [user_id, event_id, file_id];
        let fits = |part: &str| plain(part) && !part.contains(char::is_control);
        parts.into_iter().all(fits).then(|| Self(parts.join("/")))
    }

    /// A key behind the prefix, if it is called as a restore calls its objects.
    #[must_use]
    pub fn parse(key: &str) -> Option<Self> {
        let mut parts = key.split('/');
        let name = Self::of(parts.next()?, parts.next()?, parts.next()?)?;
        parts.next().is_none().then_some(name)
    }
}

impl TryFrom<String> for ObjectName {
    type Error = &'static str;

    fn try_from(key: String) -> Result<Self, Self::Error> {
        Self::parse(&key).ok_or("it is no name of an attachment")
    }
}

impl From<ObjectName> for String {
    fn from(name: ObjectName) -> Self {
        name.0
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name that nothing aside has.
pub fn number() -> Result<String, PlatformError> {
    let mut number = [0; 16];
    let drawn = SystemRandom.fill(&mut number);
    drawn.map_err(|error| PlatformError::Record {
        path: ASIDE.into(),
        what: error.to_string(),
    })?;
    Ok(hex(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_elsewhere() {
        let name = |user, event, file| ObjectName::of(user, event, file).map(String::from);
        assert_eq!(name("u", "e", "f").as_deref(), Some("u/e/f"));
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "/a",
            "a/",
            "a\\b",
            "a\nb",
            "\0",
            " a",
            "a ",
            "\u{a0}a",
            "a\u{2003}",
        ] {
            assert_eq!(name(bad, "e", "f"), None, "{bad:?}");
            assert_eq!(name("u", bad, "f"), None, "{bad:?}");
            assert_eq!(name("u", "e", bad), None, "{bad:?}");
        }
        assert_eq!(name(ASIDE, "e", "f"), None);
        for bad in ["u/e", "u/e/f/g", "u//f", "/u/e/f", "u/../f"] {
            assert_eq!(ObjectName::parse(bad), None, "{bad}");
            let text = serde_json::to_string(bad).unwrap();
            assert!(serde_json::from_str::<ObjectName>(&text).is_err());
        }
        for bad in ["", ".", "..", "a/b", "a\nb", "\0"] {
            assert_eq!(ObjectName::of_stored("u", "e", bad), None, "{bad:?}");
        }
    }
}
