//! Records as rows: which member fills which column. Names come from the database, never from the archive.

use std::borrow::Cow;

use super::copy_in::field;
use crate::platform::Collection;
use crate::platform::json::Fields;
use crate::platform::postgres::shape::camel_case;
use crate::platform::postgres::tables::Column;
use crate::platform::postgres::values::Kind;
use crate::platform::texts::{Lost, storable};

/// How the records of a collection become rows of a table.
pub struct Layout {
    collection: Collection,
    columns: Vec<Column>,
    /// The same as records call them.
    names: Vec<String>,
}

/// What a record has that a row cannot hold.
#[derive(Default)]
pub struct Lacking {
    /// Keys without a column.
    pub keys: Vec<String>,
    /// Characters that no text of the server can hold.
    pub lost: Lost,
}

impl Layout {
    /// For a table with these columns.
    pub fn new(collection: Collection, columns: &[Column]) -> Self {
        let columns = columns.iter().filter(|column| column.name != "user_id");
        let columns: Vec<Column> = columns.cloned().collect();
        let names = columns.iter().map(|column| camel_case(&column.name));
        Self {
            collection,
            names: names.map(str::to_owned).collect(),
            columns,
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
                None => lacking.keys.push(key.to_owned()),
            }
        }
        let deleted = fields.get("deleted").is_some_and(|raw| raw != "null");
        field(Some(user_id), out);
        for (column, raw) in self.columns.iter().zip(values) {
            out.push(b'\t');
            if column.name == "path" && self.collection == Collection::Streams {
                field(path.map(|path| path.replace('\0', "")).as_deref(), out);
                continue;
            }
            let lost = &mut lacking.lost;
            let value = match raw {
                // What goes without saying, unless it was deleted.
                None if column.kind == Kind::Bool
                    && !deleted
                    && self.collection != Collection::Audit =>
                {
                    Some(Cow::Borrowed("f"))
                }
                None | Some("null") => None,
                Some(raw) => Some(self.value(column.kind, raw, lost)),
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
            Kind::Bool => Cow::Borrowed(match raw {
                "true" | "1" => "t",
                _ => "f",
            }),
            _ => match storable(raw, lost) {
                Cow::Borrowed(raw) => string(raw),
                Cow::Owned(raw) => Cow::Owned(string(&raw).into_owned()),
            },
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_what_they_say() {
        assert_eq!(string(r#""a\"b""#), "a\"b");
        assert_eq!(string("\"\""), "");
        assert_eq!(string("1.50"), "1.50");
    }
}
