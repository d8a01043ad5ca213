//! Passwords, key-values and account fields: one record for all.

use super::copy::Row;
use super::values::{Kind, json_text, push};

/// The three tables, as queries whose rows are ordered by user.
pub const QUERIES: [(&str, &str); 3] = [
    (
        "passwords",
        "SELECT user_id, time, hash, created_by FROM passwords{} ORDER BY user_id COLLATE \"C\", time",
    ),
    (
        "store_key_values",
        "SELECT user_id, store_id, key, value FROM store_key_values{} ORDER BY user_id COLLATE \"C\", store_id, key",
    ),
    (
        "account_fields",
        "SELECT user_id, field, value, time, created_by FROM account_fields{} ORDER BY user_id COLLATE \"C\", field, time",
    ),
];

const MEMBERS: [&[(&str, Kind)]; 3] = [
    &[
        ("time", Kind::Double),
        ("hash", Kind::Text),
        ("createdBy", Kind::Text),
    ],
    &[
        ("storeId", Kind::Text),
        ("key", Kind::Text),
        ("value", Kind::Json),
    ],
    &[
        ("field", Kind::Text),
        ("value", Kind::Json),
        ("time", Kind::Double),
        ("createdBy", Kind::Text),
    ],
];

/// The account of one user.
#[derive(Default)]
pub struct Account {
    lists: [Vec<u8>; 3],
    /// The usernames that it has had, as far as its fields remember.
    pub usernames: Vec<String>,
}

impl Account {
    /// Adds a row of the table with this place in [`QUERIES`].
    ///
    /// # Errors
    /// A sentence, when the row is malformed.
    pub fn add(&mut self, table: usize, row: &Row) -> Result<(), String> {
        let list = &mut self.lists[table];
        let before = list.len();
        list.push(if before == 0 { b'[' } else { b',' });
        for (i, (name, kind)) in MEMBERS[table].iter().enumerate() {
            list.extend_from_slice(if i == 0 { b"{\"" } else { b",\"" });
            list.extend_from_slice(name.as_bytes());
            list.extend_from_slice(b"\":");
            let pushed = match row.get(i + 1) {
                Some(value) => push(*kind, value, list),
                None => {
                    list.extend_from_slice(b"null");
                    Ok(())
                }
            };
            if let Err(what) = pushed {
                list.truncate(before);
                return Err(format!("{name}: {what}"));
            }
        }
        list.push(b'}');
        if std::str::from_utf8(&list[before..]).is_err() {
            list.truncate(before);
            return Err("its text is not UTF-8".to_owned());
        }
        if table == 2 && row.get(1) == Some(b"username") {
            let value = row.get(2).and_then(|value| json_text(value).ok());
            let name = value.and_then(|text| serde_json::from_slice::<String>(text).ok());
            self.usernames.extend(name);
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
