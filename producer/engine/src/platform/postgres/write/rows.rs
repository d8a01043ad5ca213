//! Records as rows: which member fills which column. Names come from the database, never from the archive.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::copy_in::field;
use crate::platform::Collection;
use crate::platform::json::Fields;
use crate::platform::postgres::connection::identifier;
use crate::platform::postgres::shape::camel_case;
use crate::platform::postgres::tables::{Column, Unset};
use crate::platform::postgres::values::Kind;
use crate::platform::texts::{Lost, storable};

/// How the records of a collection become rows of a table.
pub struct Layout {
    collection: Collection,
    /// Those that are filled.
    columns: Vec<Column>,
    /// The same as records call them.
    names: Vec<String>,
    /// Values of the columns for which a record has none.
    unsaid: Vec<Unsaid>,
    /// Members that the server computes.
    generated: Vec<String>,
}

/// How the records of each collection become rows.
pub type Layouts = Vec<(Collection, Layout)>;

/// Value of a column for which a record has none.
enum Unsaid {
    Null,
    /// This, as `COPY` reads it.
    Always(String),
    /// This, unless the record is that of something deleted.
    Live(String),
}

/// Members of a record for which a row has no place.
#[derive(Default)]
pub struct Lacking {
    /// Keys without a column.
    pub keys: Vec<String>,
    /// Characters that no text of the server can hold.
    pub lost: Lost,
}

/// Columns that Pryv.io leaves at their default, and a backup may leave out; of the deleted they hold NULL, but for the first.
const LEFT_OUT: [&str; 5] = [
    "single_activity",
    "trashed",
    "run_count",
    "fail_count",
    "current_retries",
];

/// Whether a backup may have left the column out although it held its default.
pub fn may_be_left_out(column: &Column) -> bool {
    LEFT_OUT.contains(&column.name.as_str())
}

impl Layout {
    /// For a table with these columns; `default` tells what the default of a column is that may be left out.
    pub fn new(
        collection: Collection,
        columns: &[&Column],
        default: impl Fn(&Column) -> Option<String>,
    ) -> Self {
        let filled = |column: &&&Column| {
            column.name != "user_id" && !matches!(column.unset, Unset::Generated | Unset::Identity)
        };
        let generated = columns.iter().filter(|c| c.unset == Unset::Generated);
        let generated = generated.flat_map(|c| [c.name.clone(), camel_case(&c.name).to_owned()]);
        let generated = generated.collect();
        let columns: Vec<Column> = columns
            .iter()
            .filter(filled)
            .map(|c| (*c).clone())
            .collect();
        let unsaid = columns.iter().map(|column| {
            let default = Some(column)
                .filter(|c| may_be_left_out(c))
                .and_then(&default);
            match default {
                None => Unsaid::Null,
                Some(value) if column.name == LEFT_OUT[0] => Unsaid::Always(value),
                Some(value) => Unsaid::Live(value),
            }
        });
        Self {
            collection,
            names: columns
                .iter()
                .map(|c| camel_case(&c.name).to_owned())
                .collect(),
            unsaid: unsaid.collect(),
            generated,
            columns,
        }
    }

    /// The columns that are filled, the user's first.
    pub fn columns(&self) -> String {
        let names = self.columns.iter().map(|column| identifier(&column.name));
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
        let mut values: Vec<Option<&str>> = vec![None; self.columns.len()];
        let mut next = 0;
        for (key, value) in fields.iter() {
            match self.find(key, next) {
                // The name of the column itself counts where both are there.
                Some(at) if values[at].is_none() || self.columns[at].name == key => {
                    values[at] = Some(value);
                    next = at + 1;
                }
                Some(_) => {}
                None if value == "null" || key == "user_id" => {}
                None if self.generated.iter().any(|name| name == key) => {}
                None => lacking.keys.push(key.to_owned()),
            }
        }
        let deleted = fields.get("deleted").is_some_and(|raw| raw != "null");
        field(Some(user_id), out);
        for ((column, raw), unsaid) in self.columns.iter().zip(values).zip(&self.unsaid) {
            out.push(b'\t');
            if column.name == "path" && self.collection == Collection::Streams {
                field(path.map(|path| path.replace('\0', "")).as_deref(), out);
                continue;
            }
            let lost = &mut lacking.lost;
            let value = match (raw, unsaid) {
                (None, Unsaid::Always(default)) => Some(Cow::Borrowed(default.as_str())),
                (None, Unsaid::Live(default)) if !deleted => Some(Cow::Borrowed(default.as_str())),
                (None | Some("null"), _) => None,
                (Some(raw), _) => Some(self.value(column.kind, raw, lost)),
            };
            field(value.as_deref(), out);
        }
        out.push(b'\n');
        lacking
    }

    /// The column of a key. Records mostly have their keys in the order of the columns, so it is looked for from `next` on.
    fn find(&self, key: &str, next: usize) -> Option<usize> {
        let is = |at: &usize| self.names[*at] == key || self.columns[*at].name == key;
        (next..self.columns.len()).chain(0..next).find(is)
    }

    fn value<'a>(&self, kind: Kind, raw: &'a str, lost: &mut Lost) -> Cow<'a, str> {
        match kind {
            // The SQLite engine keeps JSON of the audit trail as text.
            Kind::Json if self.collection == Collection::Audit && raw.starts_with('"') => {
                let inner = string(raw);
                match serde_json::from_str::<&serde_json::value::RawValue>(&inner) {
                    Ok(_) => Cow::Owned(storable(&inner, lost).into_owned()),
                    Err(_) => storable(raw, lost),
                }
            }
            Kind::Json => storable(raw, lost),
            Kind::Bool if matches!(raw, "1" | "0") => Cow::Borrowed(raw),
            Kind::Array | Kind::JsonArray if raw.starts_with('[') => {
                Cow::Owned(array(&storable(raw, lost), kind == Kind::JsonArray))
            }
            // Any type reads its values from text; one that cannot says so.
            _ => match storable(raw, lost) {
                Cow::Borrowed(raw) => string(raw),
                Cow::Owned(raw) => Cow::Owned(string(&raw).into_owned()),
            },
        }
    }
}

/// A JSON list as the server writes arrays: of JSON, or of texts.
fn array(list: &str, of_json: bool) -> String {
    let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(list) else {
        return list.to_owned();
    };
    let item = |raw: &&RawValue| match raw.get() {
        "null" => "NULL".to_owned(),
        inner if inner.starts_with('[') => array(inner, of_json),
        raw => {
            let text = if of_json { raw.into() } else { string(raw) };
            format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
        }
    };
    let items: Vec<String> = items.iter().map(item).collect();
    format!("{{{}}}", items.join(","))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_what_they_say() {
        assert_eq!(string(r#""a\"b""#), "a\"b");
        assert_eq!(string("\"\""), "");
        assert_eq!(string("1.50"), "1.50");
    }

    #[test]
    fn arrays_are_written_as_the_server_reads_them() {
        assert_eq!(
            array(
                r#"["a","b\"\\c",null,"NULL",1.5,true,[],["x",{"y":1}]]"#,
                false
            ),
            r#"{"a","b\"\\c",NULL,"NULL","1.5","true",{},{"x","{\"y\":1}"}}"#
        );
        assert_eq!(array(r#"["a",{"y":1}]"#, true), r#"{"\"a\"","{\"y\":1}"}"#);
    }
}
