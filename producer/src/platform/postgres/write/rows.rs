//! Records as rows: which member fills which column. Names come from the database, never from the archive.

use std::borrow::Cow;

use super::copy_in::field;
use crate::platform::Collection;
use crate::platform::json::Fields;
use crate::platform::postgres::shape::camel_case;
use crate::platform::postgres::tables::Column;
use crate::platform::postgres::values::Kind;

/// How the records of a collection become rows of a table.
pub struct Layout {
    collection: Collection,
    columns: Vec<Column>,
}

/// What a record has that a row cannot hold.
#[derive(Default)]
pub struct Lacking {
    /// Keys without a column.
    pub keys: Vec<String>,
    /// It holds the character U+0000, which no text of the server can.
    pub nul: bool,
}

impl Layout {
    /// For a table with these columns.
    pub fn new(collection: Collection, columns: &[Column]) -> Self {
        let columns = columns.iter().filter(|column| column.name != "user_id");
        Self {
            collection,
            columns: columns.cloned().collect(),
        }
    }

    /// The columns that are filled, the user's first.
    pub fn columns(&self) -> String {
        let names = self
            .columns
            .iter()
            .map(|column| format!("\"{}\"", column.name.replace('"', "\"\"")));
        std::iter::once("user_id".to_owned())
            .chain(names)
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// Appends the row of a record; `path` is where a stream is.
    pub fn write(
        &self,
        user_id: &str,
        fields: &Fields<'_>,
        path: Option<&str>,
        out: &mut Vec<u8>,
    ) -> Lacking {
        let mut lacking = Lacking::default();
        let deleted = fields.get("deleted").is_some_and(|raw| raw != "null");
        field(Some(user_id), out);
        for column in &self.columns {
            out.push(b'\t');
            let name = column.name.as_str();
            if name == "path" && self.collection == Collection::Streams {
                field(path, out);
                continue;
            }
            let raw = fields.get(name).or_else(|| fields.get(camel_case(name)));
            let value = match raw {
                // What goes without saying, unless it was deleted.
                None if column.kind == Kind::Bool
                    && !deleted
                    && self.collection != Collection::Audit =>
                {
                    Some(Cow::Borrowed("f"))
                }
                None | Some("null") => None,
                Some(raw) => Some(self.value(column.kind, raw)),
            };
            match value {
                Some(text) if has_nul(&text, column.kind) => {
                    lacking.nul = true;
                    field(Some(&without_nul(&text, column.kind)), out);
                }
                other => field(other.as_deref(), out),
            }
        }
        out.push(b'\n');
        for (key, value) in fields.iter() {
            let known = |column: &Column| column.name == key || camel_case(&column.name) == key;
            if value != "null" && key != "user_id" && !self.columns.iter().any(known) {
                lacking.keys.push(key.to_owned());
            }
        }
        lacking
    }

    fn value<'a>(&self, kind: Kind, raw: &'a str) -> Cow<'a, str> {
        match kind {
            // The SQLite engine keeps JSON of the audit trail as text.
            Kind::Json if self.collection == Collection::Audit && raw.starts_with('"') => {
                let inner = string(raw);
                match serde_json::from_str::<&serde_json::value::RawValue>(&inner) {
                    Ok(_) => inner,
                    Err(_) => Cow::Borrowed(raw),
                }
            }
            Kind::Json => Cow::Borrowed(raw),
            Kind::Bool => Cow::Borrowed(match raw {
                "true" | "1" => "t",
                _ => "f",
            }),
            _ => string(raw),
        }
    }
}

/// The text of a JSON string, or a number as it is written.
pub fn string(raw: &str) -> Cow<'_, str> {
    if !raw.starts_with('"') {
        return Cow::Borrowed(raw);
    }
    let inner = raw.trim_matches('"');
    if !inner.contains('\\') && raw.len() == inner.len() + 2 {
        return Cow::Borrowed(inner);
    }
    // Half a surrogate pair has no text.
    Cow::Owned(serde_json::from_str(raw).unwrap_or_else(|_| inner.to_owned()))
}

const NUL: &str = "\\u0000";

fn has_nul(text: &str, kind: Kind) -> bool {
    match kind {
        Kind::Json => text.contains(NUL) && without_nul(text, kind) != text,
        _ => text.contains('\0'),
    }
}

/// Without the character, or in JSON without its escapes (an escaped backslash before it makes it something else).
pub fn without_nul(text: &str, kind: Kind) -> String {
    if kind != Kind::Json {
        return text.replace('\0', "");
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        if rest[at..].starts_with(NUL) {
            rest = &rest[at + NUL.len()..];
            continue;
        }
        // The backslash and what it escapes.
        let end = rest[at + 1..]
            .chars()
            .next()
            .map_or(at + 1, |c| at + 1 + c.len_utf8());
        out.push_str(&rest[at..end]);
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_character_itself_goes() {
        assert_eq!(
            without_nul(r#"{"a":"x\u0000y\\u0000\n"}"#, Kind::Json),
            r#"{"a":"xy\\u0000\n"}"#
        );
        assert_eq!(without_nul("a\0b", Kind::Text), "ab");
        assert_eq!(string(r#""a\"b""#), "a\"b");
        assert_eq!(string("\"\""), "");
        assert_eq!(string("1.50"), "1.50");
    }
}
