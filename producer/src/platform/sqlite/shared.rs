//! What all users share: aliases, sessions and password resets.

use super::file::SqliteFile;
use crate::platform::{ExportError, IndexSink, PlatformError, Scope, Shared, index};
use std::path::Path;

/// The other names of a user, from the index of users.
pub fn names_of(users_dir: &Path, user_id: &str) -> Result<Vec<String>, PlatformError> {
    let file = &SqliteFile::open(&users_dir.join("user-index.db"))?;
    if !file.has_table("alias4id")? {
        return Ok(Vec::new());
    }
    let read = || -> rusqlite::Result<Vec<String>> {
        let sql = "SELECT alias FROM alias4id WHERE userId = ? ORDER BY alias";
        let mut statement = file.connection.prepare(sql)?;
        let rows = statement.query_map([user_id], |row| row.get(0))?;
        rows.collect()
    };
    read().map_err(|e| file.error(e))
}

/// Hands over the other names of the users in scope, from the index of users.
pub fn aliases(
    file: &SqliteFile,
    scope: &Scope<'_>,
    sink: &mut dyn IndexSink,
) -> Result<(), ExportError> {
    if !file.has_table("alias4id")? {
        index::absent(Shared::Aliases, &file.path.display(), "alias4id", sink);
        return Ok(());
    }
    let failed = |e| file.error(e);
    let sql = "SELECT alias, userId FROM alias4id ORDER BY alias";
    let mut statement = file.connection.prepare(sql).map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let alias: String = row.get(0).map_err(failed)?;
        let user_id: String = row.get(1).map_err(failed)?;
        index::alias(&alias, &user_id, scope, sink)?;
    }
    Ok(())
}

/// Hands over the sessions and password resets of the users in scope.
pub fn ephemeral(
    file: &SqliteFile,
    scope: &Scope<'_>,
    sink: &mut dyn IndexSink,
) -> Result<(), ExportError> {
    let mut each = |table: &str, kind: Shared, column: &str, take: Take| {
        if !file.has_table(table)? {
            index::absent(kind, &file.path.display(), table, sink);
            return Ok(());
        }
        let failed = |e| file.error(e);
        let sql = format!("SELECT id, {column}, expires FROM {table} ORDER BY id");
        let mut statement = file.connection.prepare(&sql).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let id: String = row.get(0).map_err(failed)?;
            let of: String = row.get(1).map_err(failed)?;
            let expires: i64 = row.get(2).map_err(failed)?;
            take(&id, &of, &expires.to_string(), scope, sink)?;
        }
        Ok(())
    };
    each("sessions", Shared::Sessions, "data", index::session)?;
    each(
        "password_resets",
        Shared::PasswordResets,
        "username",
        index::password_reset,
    )
}

type Take = fn(&str, &str, &str, &Scope<'_>, &mut dyn IndexSink) -> Result<(), ExportError>;
