//! The fields of accounts: which there are, and which of them the platform's own database knows.

use serde_json::Value;

/// A field of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountField {
    /// Its name.
    pub id: String,
    /// No two accounts have the same value.
    pub unique: bool,
    /// The value is in the platform's own database.
    pub indexed: bool,
    /// Value of the field when nothing else is known, as JSON.
    pub default: Option<String>,
}

/// Pryv's own: name, and default.
const BUILT_IN: [(&str, bool, Option<&str>); 6] = [
    ("language", true, Some("\"en\"")),
    ("appId", true, Some("\"\"")),
    ("invitationToken", true, Some("\"no-token\"")),
    ("referer", true, None),
    ("dbDocuments", false, Some("0")),
    ("attachedFiles", false, Some("0")),
];

/// Pryv's own fields, and those of `custom.systemStreams.account`; where there are none, the one that Pryv.io is shipped with.
pub fn fields(custom: &[Value]) -> Vec<AccountField> {
    let mut all: Vec<AccountField> = BUILT_IN
        .iter()
        .map(|(id, indexed, default)| AccountField {
            id: (*id).to_owned(),
            unique: false,
            indexed: *indexed,
            default: default.map(str::to_owned),
        })
        .collect();
    if custom.is_empty() {
        all.push(AccountField {
            id: "email".to_owned(),
            unique: true,
            indexed: true,
            default: None,
        });
    }
    custom.iter().for_each(|stream| leaves(stream, &mut all));
    all
}

/// Only fields without fields below them hold values.
fn leaves(stream: &Value, all: &mut Vec<AccountField>) {
    let children = stream["children"].as_array();
    if let Some(children) = children.filter(|children| !children.is_empty()) {
        return children.iter().for_each(|child| leaves(child, all));
    }
    let Some(id) = stream["id"].as_str() else {
        return;
    };
    let id = id.strip_prefix(':').map_or(id, |rest| {
        rest.split_once(':').map_or(rest, |(_, name)| name)
    });
    let default = &stream["default"];
    all.retain(|known| known.id != id);
    all.push(AccountField {
        id: id.to_owned(),
        unique: stream["isUnique"] == true,
        indexed: stream["isUnique"] == true || stream["isIndexed"] == true,
        default: (!default.is_null()).then(|| default.to_string()),
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn custom_fields_come_beside_pryvs_own() {
        let custom = [
            json!({"id": "insurance", "isIndexed": true, "default": "none"}),
            json!({"id": "contact", "children": [{"id": "email", "isUnique": true}]}),
        ];
        let found = fields(&custom);
        let of = |id: &str| found.iter().find(|field| field.id == id);
        assert_eq!(found.len(), 8);
        assert!(of("email").is_some_and(|field| field.unique && field.indexed));
        assert_eq!(
            of("insurance").and_then(|field| field.default.as_deref()),
            Some("\"none\"")
        );
        assert!(of("contact").is_none());
        assert!(
            fields(&[])
                .iter()
                .any(|field| field.id == "email" && field.unique)
        );
    }
}
