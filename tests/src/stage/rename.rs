//! A user gets another name, as Pryv.io's `changeUsername` does it.

use super::Platform;
use crate::rich;
use crate::rqlite::post;
use rusqlite::Connection;
use serde_json::json;

impl Platform<'_> {
    /// The index leads to the new name and the old one becomes an alias; the account gets the new name as a field. Entries of the
    /// platform's own database name the new one. Series stay where they are.
    ///
    /// # Panics
    /// When the platform refuses.
    pub fn rename(&self, id: &str, old: &str, new: &str, at: f64) {
        let fields = [
            ("username", json!(new).to_string()),
            ("usernameChangeCount", "1".to_owned()),
        ];
        if self.database.is_some() {
            let fields = fields.map(|(field, value)| {
                format!(
                    "INSERT INTO account_fields VALUES ('{id}', '{field}', '{value}', {at}, '{id}')"
                )
            });
            self.sql(&format!(
                "UPDATE users_index SET username = '{new}' WHERE user_id = '{id}'; INSERT INTO alias_index VALUES ('{old}', '{id}'); {}",
                fields.join("; ")
            ));
        } else {
            let index = Connection::open(self.users.join("user-index.db")).unwrap();
            let sql = "UPDATE id4name SET username = ?2 WHERE username = ?1";
            assert_eq!(index.execute(sql, [old, new]).unwrap(), 1);
            let sql = "INSERT INTO alias4id (alias, userId) VALUES (?, ?)";
            index.execute(sql, [old, id]).unwrap();
            let account = rich::folder(&self.users, id).join("account-1.0.0.sqlite");
            let account = Connection::open(account).unwrap();
            for (field, value) in fields {
                let sql = "INSERT INTO account_fields VALUES (?, ?, ?, ?)";
                account.execute(sql, (field, value, at, id)).unwrap();
            }
        }
        let table = if self.rqlite.is_some() {
            "keyValue"
        } else {
            "platform_kv"
        };
        let statements = [
            format!(
                "UPDATE {table} SET value = '{new}' WHERE key LIKE 'user-unique/%' AND value = '{old}'"
            ),
            format!(
                "UPDATE {table} SET key = substr(key, 1, length(key) - length('{old}')) || '{new}' \
                 WHERE key LIKE 'user-indexed/%/{old}'"
            ),
            format!("INSERT INTO {table} VALUES ('user-unique/alias/{old}', '{new}')"),
        ];
        match &self.rqlite {
            Some(rqlite) => {
                let (status, answer) = post(&rqlite.url, "/db/execute", &json!(statements));
                assert!(
                    status == 200 && !answer.to_string().contains("error"),
                    "{answer}"
                );
            }
            None => drop(self.sql(&statements.join("; "))),
        }
    }
}
