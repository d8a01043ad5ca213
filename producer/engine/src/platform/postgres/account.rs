//! Passwords, key-values and account fields: one record for all.

use super::copy::Row;
use super::tables::{Column, Tables};
use super::values::{Kind, push, push_string};

/// The three tables.
pub const TABLES: [&str; 3] = ["passwords", "store_key_values", "account_fields"];

/// Their known columns, as members of an item.
const MEMBERS: [&[(&str, &str, Kind)]; 3] = [
    &[
        ("time", "time", Kind::Double),
        ("hash", "hash", Kind::Text),
        ("created_by", "createdBy", Kind::Text),
    ],
    &[
        ("store_id", "storeId", Kind::Text),
        ("key", "key", Kind::Text),
        ("value", "value", Kind::Json),
    ],
    &[
        ("field", "field", Kind::Text),
        ("value", "value", Kind::Json),
        ("time", "time", Kind::Double),
        ("created_by", "createdBy", Kind::Text),
    ],
];

/// How their rows are ordered, user by user.
const ORDER: [&str; 3] = ["time", "store_id, key", "field, time"];

/// How the rows of the three tables become items. Columns that are not known travel under their own names.
pub struct Shapes([Vec<Member>; 3]);

struct Member {
    /// Expression to select.
    expression: String,
    key: Vec<u8>,
    kind: Kind,
    known: bool,
}

impl Shapes {
    /// As the tables are.
    pub fn of(tables: &Tables) -> Self {
        Self(std::array::from_fn(|at| {
            let known = MEMBERS[at].iter().map(|(column, name, kind)| Member {
                expression: (*column).to_owned(),
                key: json(name),
                kind: *kind,
                known: true,
            });
            let is_known = |column: &&Column| {
                column.name == "user_id"
                    || MEMBERS[at].iter().any(|(name, ..)| *name == column.name)
            };
            let columns = tables.columns(TABLES[at]).iter();
            let further = columns
                .filter(|column| !is_known(column))
                .map(|column| Member {
                    expression: column.expression.clone(),
                    key: json(&column.name),
                    kind: column.kind,
                    known: false,
                });
            known.chain(further).collect()
        }))
    }

    /// A row, for messages.
    pub fn name(&self, table: usize, row: &Row) -> String {
        let of = |member: &Member| matches!(member.expression.as_str(), "field" | "key");
        let named = self.0[table].iter().position(of);
        let name = named.and_then(|at| row.get(at + 1));
        let name = name.map(|name| format!(" ({:?})", String::from_utf8_lossy(name)));
        format!("a row of {}{}", TABLES[table], name.unwrap_or_default())
    }

    /// The query for a table, ordered by user, with this condition.
    pub fn query(&self, table: usize, condition: &str) -> String {
        let columns: Vec<&str> = self.0[table]
            .iter()
            .map(|m| m.expression.as_str())
            .collect();
        format!(
            "SELECT user_id, {} FROM {}{condition} ORDER BY user_id COLLATE \"C\", {}",
            columns.join(", "),
            TABLES[table],
            ORDER[table]
        )
    }
}

fn json(name: &str) -> Vec<u8> {
    let mut key = Vec::new();
    push_string(name.as_bytes(), &mut key);
    key.push(b':');
    key
}

/// The account of one user.
#[derive(Default)]
pub struct Account {
    lists: [Vec<u8>; 3],
}

impl Account {
    /// Adds a row of the table with this place in [`TABLES`].
    ///
    /// # Errors
    /// A sentence, when the row is malformed.
    pub fn add(&mut self, shapes: &Shapes, table: usize, row: &Row) -> Result<(), String> {
        let list = &mut self.lists[table];
        let before = list.len();
        list.push(if before == 0 { b'[' } else { b',' });
        let start = list.len();
        for (i, member) in shapes.0[table].iter().enumerate() {
            let value = row.get(i + 1);
            if value.is_none() && !member.known {
                continue;
            }
            list.push(if list.len() == start { b'{' } else { b',' });
            list.extend_from_slice(&member.key);
            let pushed = match value {
                Some(value) => push(member.kind, value, list),
                None => {
                    list.extend_from_slice(b"null");
                    Ok(())
                }
            };
            if let Err(what) = pushed {
                list.truncate(before);
                return Err(format!("{}: {what}", member.expression));
            }
        }
        list.push(b'}');
        if std::str::from_utf8(&list[before..]).is_err() {
            list.truncate(before);
            return Err("its text is not UTF-8".to_owned());
        }
        Ok(())
    }

    /// Appends the record.
    pub fn write(&self, out: &mut Vec<u8>) {
        let names = [
            "{\"passwords\":",
            ",\"storeKeyValues\":",
            ",\"accountFields\":",
        ];
        for (name, list) in names.iter().zip(&self.lists) {
            out.extend_from_slice(name.as_bytes());
            match list.as_slice() {
                [] => out.extend_from_slice(b"[]"),
                items => {
                    out.extend_from_slice(items);
                    out.push(b']');
                }
            }
        }
        out.push(b'}');
    }
}
