//! What all users share: aliases, sessions and password resets.

use super::file::SqliteFile;
use crate::platform::{ExportError, IndexSink, PlatformError, Scope, Shared, index};

/// Rows of two texts.
pub fn pairs(file: &SqliteFile, sql: &str) -> Result<Vec<[String; 2]>, PlatformError> {
    let failed = |e| file.error(e);
    let mut statement = file.connection.prepare(sql).map_err(failed)?;
    let rows = statement.query_map([], |row| Ok([row.get(0)?, row.get(1)?]));
    rows.map_err(failed)?
        .collect::<Result<_, _>>()
        .map_err(failed)
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
    let all = pairs(file, "SELECT alias, userId FROM alias4id ORDER BY alias")?;
    all.iter()
        .try_for_each(|[alias, user_id]| index::alias(alias, user_id, scope, sink))
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
