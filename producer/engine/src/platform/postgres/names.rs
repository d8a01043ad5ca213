//! Who bears, or bore, which name.

use super::connection::Connection;
use super::copy::Row;
use super::rows::NOT_UTF8;
use crate::platform::{PlatformError, User};
use std::collections::HashMap;

/// All names of all users, as a query: what they are called now, their aliases, where the database has a table of these, and what
/// their account fields remember.
pub fn query(aliases: bool) -> String {
    let of_aliases = if aliases {
        "UNION SELECT alias, user_id FROM alias_index JOIN users_index USING (user_id)"
    } else {
        ""
    };
    format!(
        "SELECT username AS name, user_id AS owner FROM users_index {of_aliases} \
         UNION SELECT f.value #>> '{{}}', f.user_id FROM account_fields f JOIN users_index USING (user_id) \
         WHERE f.field = 'username' AND jsonb_typeof(f.value) = 'string'"
    )
}

/// Whether the database has a table of aliases.
pub fn aliases(connection: &Connection) -> Result<bool, PlatformError> {
    let rows = connection.rows("SELECT to_regclass('alias_index')::text")?;
    Ok(rows.into_iter().flatten().flatten().next().is_some())
}

/// All users with their names, in the order of the index.
pub fn users(connection: &Connection, aliases: bool) -> Result<Vec<User>, PlatformError> {
    let mut others: HashMap<String, Vec<String>> = HashMap::new();
    let sql = format!(
        "SELECT owner, name FROM ({}) names JOIN users_index ON user_id = owner WHERE name <> username ORDER BY name COLLATE \"C\"",
        query(aliases)
    );
    let mut copy = connection.copy(&sql)?;
    let mut row = Row::default();
    while copy.next(&mut row)? {
        // One that is not UTF-8 is told of where its own row is read.
        let text = |i| row.get(i).and_then(|bytes| std::str::from_utf8(bytes).ok());
        if let (Some(owner), Some(name)) = (text(0), text(1)) {
            others
                .entry(owner.to_owned())
                .or_default()
                .push(name.to_owned());
        }
    }
    let mut users = Vec::new();
    let mut copy = connection.copy("SELECT username, user_id FROM users_index ORDER BY ctid")?;
    while copy.next(&mut row)? {
        let text = |i| {
            let text = std::str::from_utf8(row.get(i).unwrap_or_default());
            text.map(str::to_owned)
                .map_err(|_| connection.error(NOT_UTF8))
        };
        let (username, user_id) = (text(0)?, text(1)?);
        users.push(User {
            other_names: others.remove(&user_id).unwrap_or_default(),
            username,
            user_id,
        });
    }
    Ok(users)
}
